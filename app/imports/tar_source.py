"""The files of a tar archive, plain or gzipped, read from the first byte to the last."""

from __future__ import annotations

import gzip
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import IO, BinaryIO, cast

from app.imports.entries import (
    Entry,
    Refusal,
    SourceBroken,
    is_hidden,
    judge_name,
    nothing,
    too_many_entries,
)
from app.imports.meter import DAMAGE, EntryFile, Meter, broken

_GZIP = b"\x1f\x8b"
_PIECE_BYTES = 2**20
# Of what describes an entry, which the reader takes into memory whole.
_MOST_AT_ONCE = 4 * 2**20


class TarSource:
    """A tar. Where it is damaged it ends: nothing tells where the next entry would begin."""

    is_fixed = True

    def __init__(self, file: BinaryIO, most_entries: int, tick: Callable[[], None]) -> None:
        self._file = file
        self._most_entries = most_entries
        self._tick = tick

    def entries(self) -> Iterator[Entry]:
        """In the order of the archive. Raises SourceBroken."""
        self._file.seek(0)
        is_gzip = self._file.read(2) == _GZIP
        self._file.seek(0)
        meter = Meter(self._tick)
        unpacked = gzip.GzipFile(fileobj=self._file) if is_gzip else nullcontext(self._file)
        with unpacked as plain:
            stream = _Stream(cast(BinaryIO, plain), self._file, meter, is_gzip=is_gzip)
            yield from self._walk(stream)

    def _walk(self, stream: _Stream) -> Iterator[Entry]:
        try:
            archive = tarfile.TarFile(fileobj=cast(IO[bytes], stream), errors="surrogateescape")
        except DAMAGE as error:
            raise broken(error) from error
        num_entries = 0
        while (info := _next(archive)) is not None:
            archive.members = []  # type: ignore[attr-defined]  # else it remembers every one
            num_entries += 1
            if num_entries > self._most_entries:
                raise too_many_entries(self._most_entries)
            if not info.isdir() and not is_hidden(info.name):
                yield Entry(info.name, _judge(info), partial(_open, archive, info, stream))
        if stream.last_block != bytes(tarfile.BLOCKSIZE):
            raise SourceBroken("damaged_archive", "the tar archive is cut off, or damaged here")
        stream.read_rest()


class _Stream:
    """What tarfile reads from: bytes in order, counted; backwards only where that costs nothing."""

    def __init__(self, plain: BinaryIO, packed: BinaryIO, meter: Meter, *, is_gzip: bool) -> None:
        self._plain = plain
        self._packed = packed
        self._meter = meter
        self._is_gzip = is_gzip
        self.last_block = b""

    def tell(self) -> int:
        return self._plain.tell()

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        assert whence == os.SEEK_SET
        if not self._is_gzip:
            return self._plain.seek(position)
        if position < self._plain.tell():
            raise SourceBroken("damaged_archive", "the tar archive's entries overlap")
        while (left := position - self._plain.tell()) > 0:
            if not self.read(min(left, _PIECE_BYTES)):
                break
        return self._plain.tell()

    def read(self, size: int = -1) -> bytes:
        if size > _MOST_AT_ONCE or size < 0:
            raise SourceBroken("damaged_archive", "the tar archive has a header without measure")
        data = self._plain.read(size)
        if size == tarfile.BLOCKSIZE:
            self.last_block = data
        if self._is_gzip:
            self._meter.count(len(data), self._packed.tell())
        else:
            self._meter.count(0, 0)
        return data

    def read_rest(self) -> None:
        """What comes after the end; only then is a gzip's checksum looked at."""
        try:
            while self._is_gzip and self.read(_PIECE_BYTES):
                pass
        except DAMAGE as error:
            raise broken(error) from error


def _next(archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    try:
        return archive.next()
    except DAMAGE as error:
        raise broken(error) from error


def _judge(info: tarfile.TarInfo) -> Refusal | None:
    if (refusal := judge_name(info.name)) is not None:
        return refusal
    if info.issym() or info.islnk():
        return Refusal("link", "links are not followed")
    if not info.isreg() or info.issparse():
        return Refusal("not_a_file", "it is a device or the like, not a file")
    return None


@contextmanager
def _open(archive: tarfile.TarFile, info: tarfile.TarInfo, stream: _Stream) -> Iterator[BinaryIO]:
    if _judge(info) is not None:
        nothing()
    file = archive.extractfile(info)
    assert file is not None
    yield EntryFile(file, lambda _: None).as_binary()
