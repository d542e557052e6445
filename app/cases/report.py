"""case.html: an exported case to read and to print, by itself, without scripts."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from app.cases.manifest import Manifest

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent.parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render_report(manifest: Manifest, thumbnail: Callable[[int], bytes | None]) -> Iterator[str]:
    """In pieces. thumbnail: a JPEG of the picture with this id, None where there is none."""

    def source(image_id: int) -> str | None:
        jpeg = thumbnail(image_id)
        return None if jpeg is None else f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"

    template = _templates.get_template("case_report.html")
    sums = {file.name: file.sha256 for file in manifest.files}
    return template.generate(manifest=manifest, sums=sums, source=source, when=_when)


def _when(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
