"""The commands of a page of docs."""

from __future__ import annotations

import re
from pathlib import Path

from tests.compose.images import ROOT


def shell_blocks(page: str) -> list[str]:
    """Its ```sh blocks, in order, each as it stands. page: as `docs/deploy.md`."""
    return re.findall(r"^```sh\n(.*?)^```", Path(ROOT, page).read_text(), re.M | re.S)
