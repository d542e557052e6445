"""Picture bytes by their SHA-256, the erasure ledger, and archives to be imported, in a local
folder or a bucket."""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from indexer.errors import ObjectMissing, StorageFull, StorageUnavailable
from indexer.storage.bucket_file import BucketFile
from indexer.storage.durable import sync

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

_INCOMING = "incoming"
_ERASED = "erased"
_ARCHIVES = "imports"
_ABANDONED_S = 3600.0
_FULL = (errno.ENOSPC, errno.EDQUOT)
# Kept free of pictures, if not more than half a volume: what is found, embedded and deleted must be
# written down too, by a database on the same volume.
_RESERVE_BYTES = 64 * 2**20
_HASH = re.compile(r"[0-9a-f]{64}")
_NO_BUCKET = re.compile("NoSuchBucket|bucket does not exist|ContainerNotFound")
_PAGE = 1_000
# A bucket that is gone is told in seconds: there is a person who waits.
_CLIENT: ClientConfig = {"allow_http": True, "connect_timeout": "3s", "timeout": "15s"}
_RETRIES: RetryConfig = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=5),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=1),
        "base": 2,
    },
}
_IN_FLIGHT = 2  # parts of one upload at a time, so that each is done within the timeout


class ObjectStore:
    """Content-addressed bytes. Safe to share between threads and processes.

    All methods raise StorageFull or StorageUnavailable when storage fails.
    """

    def __init__(self, url: str | Path) -> None:
        """url: a folder, made if missing, or anything obstore opens: file://, s3://, memory://.

        A bucket's endpoint and credentials are taken from the environment: AWS_* and the like.
        `folder` is None for a bucket.
        """
        self.place = str(url)
        self.folder = _local_folder(self.place)
        with self._translated():
            if self.folder is None:
                self._store = from_url(self.place, client_options=_CLIENT, retry_config=_RETRIES)
            else:
                (self.folder / _INCOMING).mkdir(parents=True, exist_ok=True)
                self._store = LocalStore(self.folder)
                self.drop_abandoned()

    def put(self, sha256: str, file: BinaryIO) -> None:
        """Store the whole of `file`; durable once this returns, and never visible in part."""
        with self._translated():
            if self.folder is not None:
                _require_space(self.folder, file.seek(0, os.SEEK_END))
        file.seek(0)
        self._put(_key(sha256), file)

    def get(self, sha256: str) -> bytes:
        """The bytes. Raises ObjectMissing."""
        with self.open(sha256) as file:
            return file.read()

    def open(self, sha256: str) -> BinaryIO:
        """The bytes as a seekable file, to be closed. Raises ObjectMissing."""
        with self._translated(sha256):
            if self.folder is not None:
                return (self.folder / _key(sha256)).open("rb")
            spool = tempfile.SpooledTemporaryFile(max_size=4 * 2**20)  # noqa: SIM115
            for chunk in obstore.get(self._store, _key(sha256)).stream():
                spool.write(chunk)
            spool.seek(0)
            return cast(BinaryIO, spool)

    def exists(self, sha256: str) -> bool:
        """Whether the bytes are here, durably."""
        return self._has(_key(sha256))

    def check(self) -> None:
        """Returns when it answers and, where that costs nothing to know, can be written."""
        self.exists("0" * 64)
        if self.folder is not None and not os.access(self.folder, os.W_OK | os.X_OK):
            raise StorageUnavailable(f"storage {self.place}: it can't be written")

    def is_empty(self) -> bool:
        """Whether there is nothing at all, no picture and no entry."""
        with self._translated():
            return not any(obstore.list(self._store, chunk_size=1))

    def delete(self, sha256: str) -> None:
        """Remove the bytes, if they are here."""
        with suppress(ObjectMissing), self._translated(sha256):
            obstore.delete(self._store, _key(sha256))

    def hashes(self, prefix: str) -> set[str]:
        """The hashes under which there are bytes, of those that begin with these 2 digits."""
        names = (name for page in self._names(prefix) for name in page)
        return {name for name in names if _HASH.fullmatch(name) and name.startswith(prefix)}

    def write_entry(self, name: str, content: bytes) -> None:
        """Add an entry to the erasure ledger; durable once this returns."""
        self._put(f"{_ERASED}/{name}", io.BytesIO(content))

    def entries(self, after: str = "") -> Iterator[list[str]]:
        """The names of the erasure ledger's entries, in pages; those greater than `after`."""
        return self._names(_ERASED, after)

    def read_entry(self, name: str) -> bytes:
        """One entry of the erasure ledger. Raises ObjectMissing."""
        with self._translated(name):
            return bytes(obstore.get(self._store, f"{_ERASED}/{name}").bytes())

    def has_entry(self, name: str) -> bool:
        """Whether this entry is in the erasure ledger."""
        return self._has(f"{_ERASED}/{name}")

    def remove_entry(self, name: str) -> None:
        """Take an entry out of the erasure ledger."""
        with self._translated():
            obstore.delete(self._store, f"{_ERASED}/{name}")

    def put_archive(self, name: str, file: BinaryIO) -> None:
        """Store an archive to be imported; durable once this returns."""
        with self._translated():
            if self.folder is not None:
                _require_space(self.folder, file.seek(0, os.SEEK_END))
        file.seek(0)
        self._put(f"{_ARCHIVES}/{name}", file)

    def open_archive(self, name: str) -> BinaryIO:
        """An archive as a seekable file, read as it is needed. Raises ObjectMissing."""
        key = f"{_ARCHIVES}/{name}"
        with self._translated(name):
            if self.folder is not None:
                return (self.folder / key).open("rb")
            obstore.head(self._store, key)
        reader = BucketFile(lambda: obstore.open_reader(self._store, key), self._translated)
        return cast(BinaryIO, io.BufferedReader(reader, 2**20))

    def archives(self) -> dict[str, datetime]:
        """The archives there are, with the time when each was written."""
        with self._translated():
            self._require_there()
            pages = obstore.list(self._store, _ARCHIVES, chunk_size=_PAGE)
            metas = (meta for page in pages for meta in page)
            return {meta["path"].rpartition("/")[2]: meta["last_modified"] for meta in metas}

    def remove_archive(self, name: str) -> None:
        """Remove an archive, if it is here."""
        with suppress(ObjectMissing), self._translated(name):
            obstore.delete(self._store, f"{_ARCHIVES}/{name}")

    def drop_abandoned(self) -> None:
        """Remove what writers that were killed left behind. Others may be writing right now."""
        if self.folder is None:
            return  # a bucket shows nothing before it is whole
        for leftover in (self.folder / _INCOMING).glob("*"):
            with suppress(OSError):
                if leftover.stat().st_mtime < time.time() - _ABANDONED_S:
                    leftover.unlink()

    def _has(self, key: str) -> bool:
        try:
            with self._translated(key):
                obstore.head(self._store, key)
        except ObjectMissing:
            return False
        return True

    def _names(self, folder: str, after: str = "") -> Iterator[list[str]]:
        """Of what lies right in this folder."""
        start = f"{folder}/{after}" if after else None
        with self._translated():
            self._require_there()  # else it would look like one that has nothing
            for page in obstore.list(self._store, folder, offset=start, chunk_size=_PAGE):
                places = (meta["path"].rpartition("/") for meta in page)
                yield [name for parent, _, name in places if parent == folder]

    def _put(self, key: str, file: BinaryIO) -> None:
        with self._translated():
            self._require_there()
            if self.folder is None:
                obstore.put(self._store, key, file, max_concurrency=_IN_FLIGHT)
            else:
                self._put_locally(self.folder, key, file)

    def _put_locally(self, folder: Path, key: str, file: BinaryIO) -> None:
        """Under a temporary name first: a crash leaves nothing that looks whole."""
        arriving = f"{_INCOMING}/{uuid.uuid4().hex}"
        try:
            obstore.put(self._store, arriving, file)
            sync(folder / arriving)
            new_folder = not (folder / key).parent.exists()
            obstore.rename(self._store, arriving, key)
            sync((folder / key).parent)
            if new_folder:
                sync(folder)
        except BaseException:
            for leftover in (folder / _INCOMING).glob(f"{Path(arriving).name}*"):
                with suppress(OSError):
                    leftover.unlink()
            raise

    @contextmanager
    def _translated(self, sha256: str | None = None) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            # obstore raises plain OSErrors without errno; the number is in its text.
            said = str(error).partition("\n")[0]
            number = re.search(r"\(os error (\d+)\)", said)
            code = int(number[1]) if number else getattr(error, "errno", None)
            missing = isinstance(error, FileNotFoundError) and not _NO_BUCKET.search(str(error))
            if missing and sha256 is not None and self._is_there():
                raise ObjectMissing(sha256) from error
            kind = StorageFull if code in _FULL else StorageUnavailable
            raise kind(f"storage {self.place}: {said}") from error

    def _require_there(self) -> None:
        if not self._is_there():
            raise FileNotFoundError(errno.ENOENT, "the folder is gone, or not mounted")

    def _is_there(self) -> bool:
        """A folder that isn't mounted must not look like a folder that lost its pictures, nor take
        new ones: what was made in it at the start is there, or it is another one."""
        return self.folder is None or (self.folder / _INCOMING).is_dir()


def _require_space(folder: Path, num_bytes: int) -> None:
    """Raises OSError (ENOSPC) where a picture of this size would reach into the reserve."""
    volume = shutil.disk_usage(folder)
    if volume.free - num_bytes < min(_RESERVE_BYTES, volume.total // 2):
        raise OSError(errno.ENOSPC, f"No space left but the reserve of {volume.free} bytes")


def _key(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


def _local_folder(place: str) -> Path | None:
    if place.startswith("file://"):
        return Path(place.removeprefix("file://")).absolute()
    return None if "://" in place else Path(place).absolute()
