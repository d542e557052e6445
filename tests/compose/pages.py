"""The commands of a page of docs."""

from __future__ import annotations

import re
from pathlib import Path

from tests.compose.images import ROOT

_HEADING = re.compile(r"^##+ (.*)\n", re.M)
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)


def sections(page: str) -> dict[str, list[str]]:
    """Its ```sh blocks, each as it stands, in order, by the heading that each is under; by "" those
    before the first. page: as `docs/deploy.md`."""
    before, *parts = _HEADING.split(Path(ROOT, page).read_text())
    texts = zip(["", *parts[::2]], [before, *parts[1::2]], strict=True)
    return {title: _BLOCK.findall(text) for title, text in texts}
