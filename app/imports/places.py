"""Folders and bucket prefixes that the operator lets be imported from, and what lies in them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore as Bucket
from obstore.store import from_url

from app.errors import ProblemError
from app.imports.entries import Entry, Refusal, SourceBroken, is_hidden, judge_name, nothing
from app.imports.meter import EntryFile
from indexer.errors import BadPicture, StorageUnavailable
from indexer.imports.jobs import Source

_BUFFER_BYTES = 2**20


def require_allowed(place: str, roots: Sequence[str]) -> tuple[Source, str]:
    """What kind of place it is, and its one spelling. roots: settings.import_from.

    Raises ProblemError (import_not_allowed) unless it lies in one of them, links followed.
    """
    if "://" in place:
        plain = place.rstrip("/")
        parts = plain.partition("://")[2].split("/")
        if not {"", ".", ".."} & set(parts) and any(
            plain == root.rstrip("/") or plain.startswith(root.rstrip("/") + "/")
            for root in roots
            if "://" in root
        ):
            return "bucket", plain
    elif Path(place).is_absolute() and "\x00" not in place:
        real = os.path.realpath(place)
        folders = [os.path.realpath(root) for root in roots if "://" not in root]
        if any(PurePosixPath(real).is_relative_to(folder) for folder in folders):
            return "folder", real
    raise ProblemError(
        "import_not_allowed",
        "This place is in none of those that PASSERBY_IMPORT_FROM lets be imported from.",
    )


class FolderSource:
    """The files in a folder of the server and those below, by name."""

    is_fixed = False

    def __init__(self, folder: str, most_entries: int, tick: Callable[[], None]) -> None:
        self._folder = Path(folder)
        self._most_entries = most_entries
        self._tick = tick

    def entries(self) -> Iterator[Entry]:
        """Links are refused, and links to folders not followed. Raises SourceBroken."""
        names = []
        for place, folders, files in os.walk(self._folder, onerror=_refuse):
            folders.sort()
            self._tick()
            inside = PurePosixPath(Path(place).relative_to(self._folder).as_posix())
            links = [name for name in folders if (Path(place) / name).is_symlink()]
            names += [str(inside / name) for name in (*files, *links)]
            if len(names) > self._most_entries:
                raise _too_many(self._most_entries)
        for name in sorted(names):
            if not is_hidden(name):
                yield Entry(name, self._judge(name), partial(self._open, name))

    def _judge(self, name: str) -> Refusal | None:
        if (refusal := judge_name(name)) is not None:
            return refusal
        try:
            mode = (self._folder / name).lstat().st_mode
        except OSError as error:
            return Refusal("unreadable_file", f"it can't be read: {error.strerror}")
        if stat.S_ISLNK(mode):
            return Refusal("link", "links are not followed")
        return None if stat.S_ISREG(mode) else Refusal("not_a_file", "it is not a file")

    @contextmanager
    def _open(self, name: str) -> Iterator[BinaryIO]:
        if self._judge(name) is not None:
            nothing()
        try:
            file = _open_inside(self._folder, name)
        except OSError as error:
            raise BadPicture("unreadable_file", f"it can't be read: {error.strerror}") from error
        with file:
            yield EntryFile(file, lambda _: self._tick()).as_binary()


def _open_inside(folder: Path, name: str) -> BinaryIO:
    """Open a file folder by folder, so that none of them can be a link, not even from just now."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    *folders, last = name.split("/")
    here = os.open(folder, flags | os.O_DIRECTORY)
    try:
        for part in folders:
            inner = os.open(part, flags | os.O_DIRECTORY, dir_fd=here)
            os.close(here)
            here = inner
        opened = os.open(last, flags | os.O_NONBLOCK, dir_fd=here)
    finally:
        os.close(here)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise OSError(errno.EINVAL, "it is not a file")
    return os.fdopen(opened, "rb")


class BucketSource:
    """The objects under a prefix, in the order of their keys."""

    is_fixed = False

    def __init__(self, url: str, most_entries: int, tick: Callable[[], None]) -> None:
        self._url = url
        self._most_entries = most_entries
        self._tick = tick

    def entries(self) -> Iterator[Entry]:
        """Raises SourceBroken, StorageUnavailable."""
        with _translated(self._url):
            bucket = from_url(self._url)
            names: list[str] = []
            for page in obstore.list(bucket, chunk_size=1_000):
                self._tick()
                names += [meta["path"] for meta in page]
                if len(names) > self._most_entries:
                    raise _too_many(self._most_entries)
        for name in sorted(names):
            if not is_hidden(name):
                yield Entry(name, judge_name(name), partial(self._open, bucket, name))

    @contextmanager
    def _open(self, bucket: Bucket, name: str) -> Iterator[BinaryIO]:
        with _translated(self._url):
            try:
                file = obstore.open_reader(bucket, name, buffer_size=_BUFFER_BYTES)
            except FileNotFoundError as error:
                raise BadPicture("unreadable_file", "it is not there any more") from error
        with closing(file):
            yield EntryFile(_Bytes(file, self._url), lambda _: self._tick()).as_binary()


class _Bytes:
    """obstore's buffers as bytes."""

    def __init__(self, file: obstore.ReadableFile, url: str) -> None:
        self._file = file
        self._url = url

    def read(self, size: int = -1) -> bytes:
        with _translated(self._url):
            return bytes(self._file.read(size))


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        said = str(error).partition("\n")[0]
        raise StorageUnavailable(f"import from {url}: {said}") from error


def _refuse(error: OSError) -> None:
    raise SourceBroken("unreadable_folder", f"a folder can't be read: {error.strerror}")


def _too_many(most: int) -> SourceBroken:
    return SourceBroken("too_many_entries", f"there are more than {most:,} files: split them")
