"""Which kind of archive a file is, by what it begins with."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from app.imports.entries import EntrySource, SourceBroken
from app.imports.tar_source import TarSource
from app.imports.zip_source import ZipSource

HEAD_BYTES = 512
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


def is_archive(head: bytes) -> bool:
    """Whether a file that begins so is read. head: its first HEAD_BYTES, if it has as many."""
    is_tar = head[257:262] == b"ustar" or (len(head) == HEAD_BYTES and not any(head))
    return head.startswith((*_ZIP, b"\x1f\x8b")) or is_tar


def open_source(file: BinaryIO, most_entries: int, tick: Callable[[], None]) -> EntrySource:
    """Raises SourceBroken for what is no archive."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if not is_archive(head):
        raise SourceBroken("damaged_archive", "it is neither a zip nor a tar")
    kind = ZipSource if head.startswith(_ZIP) else TarSource
    return kind(file, most_entries, tick)
