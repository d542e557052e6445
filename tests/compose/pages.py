"""The commands of a page of docs."""

from __future__ import annotations

import re
from pathlib import Path

from tests.compose.images import ROOT


def shell_blocks(page: str) -> list[str]:
    """Its ```sh blocks, in order, each as it stands. page: as `docs/deploy.md`."""
    return re.findall(r"^```sh\n(.*?)^```", Path(ROOT, page).read_text(), re.M | re.S)


def sections(page: str) -> dict[str, list[str]]:
    """The same by the title of the section (`## ...`) that each block is in."""
    parts = re.split(r"^## (.*)$", Path(ROOT, page).read_text(), flags=re.M)
    return {
        title: re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
        for title, text in zip(parts[1::2], parts[2::2], strict=True)
    }
