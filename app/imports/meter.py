"""Counts what comes out of a source while it is read, so that a small archive stays small."""

from __future__ import annotations

import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol, cast

from app.imports.entries import SourceBroken
from indexer.errors import BadPicture

MAX_RATIO = 100
_FREE_BYTES = 64 * 2**20  # of a whole archive
_FREE_ENTRY_BYTES = 2**20  # of one entry
# What the readers raise for bytes that make no sense; OSErrors of the disk are not among them.
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    struct.error,
    UnicodeError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    IndexError,
    OverflowError,
)


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class Meter:
    """Of one pass over an archive. tick: called as bytes come, from time to time."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._out = 0

    def count(self, num_bytes: int, num_compressed: int) -> None:
        """So many more came out, of so many altogether. Raises SourceBroken (bomb)."""
        self._tick()
        self._out += num_bytes
        if self._out > _FREE_BYTES + MAX_RATIO * num_compressed:
            raise SourceBroken(
                "bomb", f"it unpacks to more than {MAX_RATIO} times its size: stopped there"
            )


class EntryFile:
    """One entry's bytes, to be read once; see Entry.open.

    count: of the whole, see Meter. num_compressed: of the entry, where it is compressed by itself;
    else what damages it damages the rest of the source.
    """

    def __init__(
        self, file: _Readable, count: Callable[[int], None], num_compressed: int | None = None
    ) -> None:
        self._file = file
        self._count = count
        self._is_alone = num_compressed is not None
        self._most = (
            None if num_compressed is None else max(_FREE_ENTRY_BYTES, MAX_RATIO * num_compressed)
        )
        self._out = 0

    def seekable(self) -> bool:
        """Whoever needs it twice keeps a copy."""
        return False

    def read(self, size: int = -1) -> bytes:
        """The next bytes. Raises BadPicture where the entry alone is bad, else SourceBroken."""
        try:
            data = self._file.read(size)
        except DAMAGE as error:
            if not self._is_alone:
                raise broken(error) from error
            raise damaged_entry(error) from error
        self._out += len(data)
        self._count(len(data))
        if self._most is not None and self._out > self._most:
            raise BadPicture("bomb", f"it unpacks to more than {MAX_RATIO} times its size")
        return data

    def as_binary(self) -> BinaryIO:
        """What `accept` takes: it reads, and asks whether it can seek."""
        return cast(BinaryIO, self)


def damaged_entry(error: Exception) -> BadPicture:
    """What is said of an entry whose neighbours are fine."""
    return BadPicture("damaged_entry", f"it can't be unpacked: {_say(error)}")


def broken(error: Exception) -> SourceBroken:
    """What is said of a source that is damaged as a whole."""
    return SourceBroken("damaged_archive", f"the archive is damaged or cut off: {_say(error)}")


def _say(error: Exception) -> str:
    said = str(error).partition("\n")[0][:200]
    printable = "".join(char if char.isprintable() else "?" for char in said)
    return printable or type(error).__name__
