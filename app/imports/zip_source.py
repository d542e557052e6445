"""The files of a zip archive. Nothing is unpacked to disk."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO

from app.imports.entries import (
    Entry,
    Refusal,
    SourceBroken,
    is_hidden,
    judge_name,
    nothing,
    too_many_entries,
)
from app.imports.meter import DAMAGE, EntryFile, Meter, broken, damaged_entry

_END, _END_BYTES = b"PK\x05\x06", 22
_LOCATOR, _LOCATOR_BYTES = b"PK\x06\x07", 20
_END64_BYTES = 56
_HEAD, _HEAD_BYTES = b"PK\x01\x02", 46
_MOST_DIRECTORY_BYTES = 128 * 2**20  # it is held in memory
_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class ZipSource:
    """A zip. The rest is fine where one entry is damaged: each stands for itself."""

    is_fixed = True

    def __init__(self, file: BinaryIO, most_entries: int, tick: Callable[[], None]) -> None:
        self._file = file
        self._most_entries = most_entries
        self._tick = tick

    def entries(self) -> Iterator[Entry]:
        """In the order of its directory. Raises SourceBroken."""
        try:
            size = self._file.seek(0, os.SEEK_END)
            check_directory(self._file, size, self._most_entries)
            archive = zipfile.ZipFile(self._file)
        except DAMAGE as error:
            raise broken(error) from error
        meter = Meter(self._tick)
        with archive:
            for info in archive.infolist():
                if not info.is_dir() and not is_hidden(info.filename):
                    yield Entry(
                        info.filename, _judge(info), partial(_open, archive, info, meter, size)
                    )


def check_directory(file: BinaryIO, size: int, most_entries: int) -> None:
    """Count the entries before the directory is read into memory, whatever it says of their number.

    Raises SourceBroken.
    """
    start = max(0, size - _END_BYTES - 2**16)
    file.seek(start)
    tail = file.read(size - start)
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        raise SourceBroken("damaged_archive", "the zip archive has no directory: it is cut off")
    (num_bytes,) = struct.unpack_from("<I", tail, at + 12)
    ends_at = start + at
    if tail[at - _LOCATOR_BYTES : at - _LOCATOR_BYTES + 4] == _LOCATOR:
        ends_at -= _LOCATOR_BYTES + _END64_BYTES
        file.seek(ends_at)
        (num_bytes,) = struct.unpack_from("<Q", file.read(_END64_BYTES), 40)
    if num_bytes > ends_at:
        raise SourceBroken("damaged_archive", "the zip archive's directory is cut off")
    if num_bytes > _MOST_DIRECTORY_BYTES:
        raise SourceBroken("too_many_entries", "the archive's directory is too long: split it")
    file.seek(ends_at - num_bytes)
    for _ in range(most_entries + 1):
        head = file.read(_HEAD_BYTES)
        if len(head) < _HEAD_BYTES or not head.startswith(_HEAD):
            return
        file.seek(sum(struct.unpack_from("<HHH", head, 28)), os.SEEK_CUR)
    raise too_many_entries(most_entries)


def _judge(info: zipfile.ZipInfo) -> Refusal | None:
    if (refusal := judge_name(info.filename)) is not None:
        return refusal
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) == stat.S_IFLNK:
        return Refusal("link", "links are not followed")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return Refusal("not_a_file", "it is a device or the like, not a file")
    if info.flag_bits & 1:
        return Refusal("encrypted", "it is encrypted: send it without a password")
    if info.compress_type not in _KINDS:
        return Refusal("unsupported_compression", "it is neither stored nor deflated")
    return None


@contextmanager
def _open(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, meter: Meter, size: int
) -> Iterator[BinaryIO]:
    if _judge(info) is not None:
        nothing()
    try:
        file = archive.open(info)
    except DAMAGE as error:
        raise damaged_entry(error) from error
    with file:
        count = partial(meter.count, num_compressed=size)
        yield EntryFile(file, count, info.compress_size).as_binary()
