"""Picture bytes by their SHA-256, in a local folder or a bucket."""

from __future__ import annotations

import errno
import os
import re
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from indexer.errors import ObjectMissing, StorageFull, StorageUnavailable

_INCOMING = "incoming"
_ABANDONED_S = 3600.0
_FULL = (errno.ENOSPC, errno.EDQUOT)


class ObjectStore:
    """Content-addressed bytes. Safe to share between threads and processes.

    All methods raise StorageFull or StorageUnavailable when storage fails.
    """

    def __init__(self, url: str | Path) -> None:
        """url: a folder, made if missing, or anything obstore opens: file://, s3://, memory://."""
        self.place = str(url)
        self._folder = _local_folder(self.place)
        with self._translated():
            if self._folder is None:
                self._store = from_url(self.place)
            else:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._store = LocalStore(self._folder)
                self._drop_abandoned()

    def put(self, sha256: str, file: BinaryIO) -> None:
        """Store the whole of `file`; durable once this returns, and never visible in part."""
        file.seek(0)
        with self._translated():
            if self._folder is None:
                obstore.put(self._store, _key(sha256), file)
            else:
                self._put_locally(self._folder, sha256, file)

    def get(self, sha256: str) -> bytes:
        """The bytes. Raises ObjectMissing."""
        with self.open(sha256) as file:
            return file.read()

    def open(self, sha256: str) -> BinaryIO:
        """The bytes as a seekable file, to be closed. Raises ObjectMissing."""
        with self._translated(sha256):
            if self._folder is not None:
                return (self._folder / _key(sha256)).open("rb")
            spool = tempfile.SpooledTemporaryFile(max_size=4 * 2**20)  # noqa: SIM115
            for chunk in obstore.get(self._store, _key(sha256)).stream():
                spool.write(chunk)
            spool.seek(0)
            return cast(BinaryIO, spool)

    def exists(self, sha256: str) -> bool:
        """Whether the bytes are here, durably."""
        try:
            with self._translated(sha256):
                obstore.head(self._store, _key(sha256))
        except ObjectMissing:
            return False
        return True

    def delete(self, sha256: str) -> None:
        """Remove the bytes, if they are here."""
        with suppress(ObjectMissing), self._translated(sha256):
            obstore.delete(self._store, _key(sha256))

    def _put_locally(self, folder: Path, sha256: str, file: BinaryIO) -> None:
        """Under a temporary name first: a crash leaves nothing that looks like a picture."""
        arriving = f"{_INCOMING}/{uuid.uuid4().hex}"
        try:
            obstore.put(self._store, arriving, file)
            _sync(folder / arriving)
            new_folder = not (folder / _key(sha256)).parent.exists()
            obstore.rename(self._store, arriving, _key(sha256))
            _sync((folder / _key(sha256)).parent)
            if new_folder:
                _sync(folder)
        except BaseException:
            for leftover in (folder / _INCOMING).glob(f"{Path(arriving).name}*"):
                with suppress(OSError):
                    leftover.unlink()
            raise

    def _drop_abandoned(self) -> None:
        """Remove what writers that were killed left behind. Others may be writing right now."""
        assert self._folder is not None
        for leftover in (self._folder / _INCOMING).glob("*"):
            with suppress(OSError):
                if leftover.stat().st_mtime < time.time() - _ABANDONED_S:
                    leftover.unlink()

    @contextmanager
    def _translated(self, sha256: str | None = None) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            # obstore raises plain OSErrors without errno; the number is in its text.
            said = str(error).partition("\n")[0]
            number = re.search(r"\(os error (\d+)\)", said)
            code = int(number[1]) if number else getattr(error, "errno", None)
            if isinstance(error, FileNotFoundError) and sha256 is not None and self._is_there():
                raise ObjectMissing(sha256) from error
            kind = StorageFull if code in _FULL else StorageUnavailable
            raise kind(f"storage {self.place}: {said}") from error

    def _is_there(self) -> bool:
        """A folder that isn't mounted must not look like a folder that lost its pictures."""
        return self._folder is None or self._folder.is_dir()


def _key(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


def _local_folder(place: str) -> Path | None:
    if place.startswith("file://"):
        return Path(place.removeprefix("file://")).absolute()
    return None if "://" in place else Path(place).absolute()


def _sync(path: Path) -> None:
    """Make a file's bytes, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
