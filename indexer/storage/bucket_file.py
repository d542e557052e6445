"""An object of a bucket as a seekable file."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import obstore

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class BucketFile(io.RawIOBase):
    """An object of a bucket as a file, of which only what is read is fetched.

    translated: the block in which what a bucket raises becomes this package's errors.
    """

    def __init__(
        self,
        opened: Callable[[], obstore.ReadableFile],
        translated: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._translated = translated
        with translated():
            self._file = opened()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        with self._translated():
            data = bytes(self._file.read(len(view)))
        view[: len(data)] = data
        return len(data)
