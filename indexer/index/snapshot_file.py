"""A file of arrays behind a header, every byte of it under a checksum.

    magic, 8 bytes | header's length, 8 bytes | header's SHA-256, 32 bytes | header, JSON | arrays

The arrays follow each other in the order of the header's "arrays", which has their types and
shapes, as they lie in memory, little-endian. They are read and written in pieces of at most
_PIECE_BYTES. The file's digest is the SHA-256 of its first 48 bytes and the SHA-256 of each piece,
so that pieces can be checked side by side as they are read, straight to where they will stay.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import accumulate
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from indexer.index.stored_arrays import StoredArrays

_MAGIC = b"passerby"
_START_BYTES = len(_MAGIC) + 8 + 32
_PIECE_BYTES = 8 * 2**20
_THREADS = min(4, os.cpu_count() or 1)


class Damaged(ValueError):
    """A file is not as it was written."""


def write(
    file: BinaryIO,
    header: dict[str, Any],
    arrays: StoredArrays,
    hold: Callable[[], AbstractContextManager[object]],
) -> str:
    """Write all of it, in one pass and little memory; its digest. hold: keeps the arrays still
    while a piece of them is copied. Raises OSError."""
    listed = {name: [array.dtype.str, *array.shape] for name, array in arrays.items()}
    encoded = json.dumps({**header, "arrays": listed}).encode()
    start = _MAGIC + len(encoded).to_bytes(8, "little") + hashlib.sha256(encoded).digest()
    whole = hashlib.sha256(start)
    file.write(start + encoded)
    for array in arrays.values():
        for first, last in _pieces(array.dtype, array.shape):
            piece = np.empty((last - first, *array.shape[1:]), array.dtype)
            with hold():
                array.copy_to(piece, first)
            whole.update(hashlib.sha256(piece.data).digest())
            file.write(piece.data)
    return whole.hexdigest()


class SnapshotFile:
    """One that is open to be read. Nothing of it is to be believed before `check`, except for its
    header."""

    def __init__(self, path: Path) -> None:
        """Raises Damaged where the header is not as it was written, and OSError."""
        self._file = path.open("rb")
        self._whole: list[bytes] = []
        try:
            self.header = self._read_header()
            offset = self._file.tell()
            self.arrays = self._find_arrays(offset)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> SnapshotFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def check(self) -> str:
        """The digest of all arrays as they have been read. Raises Damaged where they were not."""
        whole = hashlib.sha256(self._start)
        for name, array in self.arrays.items():
            if len(array.digests) != len(list(_pieces(array.dtype, array.shape))):
                raise Damaged(f"{name} has not been read")
            for _, digest in sorted(array.digests.items()):
                whole.update(digest)
        return whole.hexdigest()

    def _read_header(self) -> dict[str, Any]:
        self._start = self._file.read(_START_BYTES)
        length = int.from_bytes(self._start[8:16], "little")
        left = os.fstat(self._file.fileno()).st_size - len(self._start)
        encoded = self._file.read(length) if length <= left else b""
        if (
            not self._start.startswith(_MAGIC)
            or hashlib.sha256(encoded).digest() != (self._start[16:])
        ):
            raise Damaged("its header's checksum is not the one before it")
        header: dict[str, Any] = json.loads(encoded)
        return header

    def _find_arrays(self, offset: int) -> dict[str, FileArray]:
        listed = [
            (name, np.dtype(dtype), tuple(shape))
            for name, (dtype, *shape) in self.header["arrays"].items()
        ]
        sizes = [dtype.itemsize * prod(shape) for _, dtype, shape in listed]
        offsets = list(accumulate(sizes, initial=offset))
        if os.fstat(self._file.fileno()).st_size != offsets[-1]:
            raise Damaged("its size is not what its checksum is of")
        descriptor = self._file.fileno()
        return {
            name: FileArray(descriptor, at, dtype, shape)
            for (name, dtype, shape), at in zip(listed, offsets, strict=False)
        }


@dataclass(frozen=True)
class FileArray:
    """A StoredArray in an open file. digests: of the pieces that were read, by their first rows."""

    descriptor: int
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    digests: dict[int, bytes] = field(default_factory=dict)

    def copy_to(self, rows: NDArray[Any], first: int = 0) -> None:
        """See StoredArray; the whole of it, as it has to be checked. Raises OSError, EOFError."""
        assert (first, rows.shape, rows.dtype) == (0, self.shape, self.dtype)
        pieces = list(_pieces(self.dtype, self.shape))
        with ThreadPoolExecutor(_THREADS) as pool:
            digests = pool.map(lambda piece: self._read(rows[slice(*piece)], piece[0]), pieces)
            self.digests.update(zip((first for first, _ in pieces), digests, strict=True))

    def _read(self, rows: NDArray[Any], first: int) -> bytes:
        """Reading and hashing let other threads run."""
        row_bytes = self.dtype.itemsize * prod(self.shape[1:])
        buffer = rows.data.cast("B")
        done = 0
        while done < len(buffer):
            read = os.preadv(
                self.descriptor, [buffer[done:]], self.offset + first * row_bytes + done
            )
            if not read:
                raise EOFError("it ends too early")
            done += read
        return hashlib.sha256(buffer).digest()


def _pieces(dtype: np.dtype[Any], shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """First rows and those behind the last of each piece of an array."""
    step = max(1, _PIECE_BYTES // max(1, dtype.itemsize * prod(shape[1:])))
    return ((first, min(first + step, shape[0])) for first in range(0, shape[0], step))
