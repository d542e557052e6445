"""Takes in pictures: checked, hashed, stored, and a durable row `pending` for each."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

from sqlalchemy import Connection

from indexer.catalogue import Catalogue
from indexer.erasure.deletion import sweep_one
from indexer.errors import BadPicture, IndexerError
from indexer.pictures.decode import read_header
from indexer.records import (
    MAX_FILE_NAME_CHARS,
    Accepted,
    Box,
    Duplicate,
    ImageMetadata,
    PictureHeader,
    PictureLimits,
    Refused,
)
from indexer.storage.object_store import ObjectStore

_CHUNK_BYTES = 2**20
_SPOOL_BYTES = 2 * 2**20
# An upload that has not finished by then was cut short; until then its bytes are left alone.
_GRACE_S = 600.0
_WRITERS = 8
_DEFAULT_LIMITS = PictureLimits()


@dataclass(frozen=True, slots=True)
class Arrival:
    """A picture that was looked at and can be kept. file: its bytes, seekable."""

    file: BinaryIO
    sha256: str
    size_bytes: int
    file_name: str
    header: PictureHeader
    metadata: ImageMetadata


class Rows(Protocol):
    """Where a picture's row goes: Holdings, or Frames for whole frames."""

    def find(self, gallery: str, sha256: str, box: Box | None) -> int | None: ...

    def insert(
        self,
        connection: Connection,
        gallery: str,
        sha256: str,
        size_bytes: int,
        file_name: str,
        header: PictureHeader,
        metadata: ImageMetadata,
    ) -> tuple[int, bool]: ...

    def retry_failed(self, row_id: int) -> bool: ...


Outcome = Accepted | Duplicate | Refused
ERASED = Refused(
    "erased_meanwhile", "it was deleted from the gallery while the import was under way"
)


class Terms(Protocol):
    """What commits with pictures that are kept. Called in their transaction; what is raised undoes
    it."""

    def erased(self, connection: Connection, hashes: Collection[str]) -> Collection[str]:
        """Of the hashes of rows that were just added, those that must not stay."""
        ...

    def record(self, connection: Connection, outcomes: Sequence[Outcome]) -> None:
        """Last thing before the commit. outcomes: one an arrival, in their order."""
        ...


def accept(
    catalogue: Catalogue,
    store: ObjectStore,
    gallery: str,
    file: BinaryIO,
    file_name: str,
    metadata: ImageMetadata,
    limits: PictureLimits = _DEFAULT_LIMITS,
    rows: Rows | None = None,
) -> Outcome:
    """Take in one picture; its bytes and its row are durable when this returns.

    file_name: only shown; kept without NULs, cut after MAX_FILE_NAME_CHARS. rows: catalogue.frames
    for a whole frame, whose id it gives then; else the picture is an image. The file is read in
    chunks and its pixels are not decoded. Raises GalleryNotFound, StorageFull, StorageUnavailable,
    DatabaseUnavailable; nothing of it is visible then.
    """
    with open_copy() as copy:
        arrival = examine(file, file_name, metadata, copy, limits)
        if isinstance(arrival, Refused):
            return arrival
        return keep(catalogue, store, gallery, [arrival], rows=rows)[0]


def open_copy() -> BinaryIO:
    """Where the bytes of a file go that can be read only once, to be closed."""
    return cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES))


def examine(
    file: BinaryIO,
    file_name: str,
    metadata: ImageMetadata,
    copy: BinaryIO,
    limits: PictureLimits = _DEFAULT_LIMITS,
) -> Arrival | Refused:
    """Read and check one picture; see accept. What comes of it holds `file`, or where that can't
    be read again, `copy`."""
    seekable = file if file.seekable() else copy
    try:
        sha256, size_bytes = _read_through(file, limits, seekable)
        header = read_header(seekable, limits, metadata.box)
    except BadPicture as problem:
        return Refused(problem.code, problem.detail, problem.field)
    shown = file_name.replace("\x00", "").encode(errors="replace").decode()
    return Arrival(seekable, sha256, size_bytes, shown[:MAX_FILE_NAME_CHARS], header, metadata)


def keep(
    catalogue: Catalogue,
    store: ObjectStore,
    gallery: str,
    arrivals: Sequence[Arrival],
    terms: Terms | None = None,
    rows: Rows | None = None,
) -> list[Outcome]:
    """Take in pictures in one transaction, all of them or none; what became of each.

    terms: heard where a row is added. rows, raises: as of accept.
    """
    rows = rows or catalogue.holdings
    to = _Destination(catalogue, store, rows, gallery, terms)
    known = [_find(to, arrival) for arrival in arrivals]
    outcomes: list[Outcome] = [Duplicate(first) for first in known if first is not None]
    if len(outcomes) < len(arrivals):
        outcomes = _keep_new(to, arrivals, known)
    for outcome in outcomes:
        if isinstance(outcome, Duplicate):  # who sends a failed picture again wants it tried again
            rows.retry_failed(outcome.image_id)
    return outcomes


@dataclass(frozen=True)
class _Destination:
    """Where pictures go, and what commits with them."""

    catalogue: Catalogue
    store: ObjectStore
    rows: Rows
    gallery: str
    terms: Terms | None


def _find(to: _Destination, arrival: Arrival) -> int | None:
    """The row that there is for it; None also where its bytes were lost, to be stored again."""
    first = to.rows.find(to.gallery, arrival.sha256, arrival.metadata.box)
    return first if first is not None and to.store.exists(arrival.sha256) else None


def _keep_new(
    to: _Destination, arrivals: Sequence[Arrival], known: Sequence[int | None]
) -> list[Outcome]:
    """As keep, where some are not there yet. known: the rows of the others."""
    new = [arrival for arrival, first in zip(arrivals, known, strict=True) if first is None]
    hashes = sorted({arrival.sha256 for arrival in new})
    database, orphans = to.catalogue.database, to.catalogue.orphans
    orphans.announce(hashes, _GRACE_S)
    try:
        _store_missing(to.store, new)
        with database.write() as connection:
            for sha256 in hashes:  # in order, so that neither of two waits for the other
                database.lock_bytes(connection, sha256)
            _store_missing(to.store, new)  # a deletion of the same bytes may have come in between
            outcomes = _add_rows(to, connection, arrivals, known)
            added = {
                arrival.sha256
                for arrival, outcome in zip(arrivals, outcomes, strict=True)
                if isinstance(outcome, Accepted)
            }
            orphans.strike(connection, added)
            if to.terms is not None:
                to.terms.record(connection, outcomes)
    except IndexerError:
        _take_back(to, hashes)
        raise
    _take_back(to, set(hashes) - added)
    return outcomes


def _add_rows(
    to: _Destination,
    connection: Connection,
    arrivals: Sequence[Arrival],
    known: Sequence[int | None],
) -> list[Outcome]:
    """Add the rows that are missing but for those that must not stay."""
    outcomes: list[Accepted | Duplicate] = []
    added: dict[int, str] = {}
    for arrival, first in zip(arrivals, known, strict=True):
        is_new = False
        if first is None:
            first, is_new = to.rows.insert(
                connection,
                to.gallery,
                arrival.sha256,
                arrival.size_bytes,
                arrival.file_name,
                arrival.header,
                arrival.metadata,
            )
        if is_new:
            added[first] = arrival.sha256
        outcomes.append(Accepted(first) if is_new else Duplicate(first))
    erased = to.terms.erased(connection, added.values()) if to.terms is not None else ()
    gone = {image_id for image_id, sha256 in added.items() if sha256 in erased}
    if gone:
        to.catalogue.holdings.undo(connection, gone)
    return [ERASED if outcome.image_id in gone else outcome for outcome in outcomes]


def _store_missing(store: ObjectStore, arrivals: Sequence[Arrival]) -> None:
    """Store the bytes that are not there, several at a time: most of it is waiting."""
    missing = {
        arrival.sha256: arrival.file for arrival in arrivals if not store.exists(arrival.sha256)
    }
    if len(missing) < 2:
        for sha256, file in missing.items():
            store.put(sha256, file)
        return
    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(store.put, missing, missing.values()))


def _take_back(to: _Destination, hashes: Iterable[str]) -> None:
    """Remove bytes that got no row, if that is possible now; else the worker's sweep does it."""
    for sha256 in hashes:
        with suppress(IndexerError):
            sweep_one(to.catalogue, to.store, sha256)


def _read_through(file: BinaryIO, limits: PictureLimits, copy: BinaryIO) -> tuple[str, int]:
    """SHA-256 and size of a file, copied on the way unless it is its own copy.

    Raises BadPicture when it is too long or empty.
    """
    digest = hashlib.sha256()
    size_bytes = 0
    if copy is file:
        file.seek(0)
    while chunk := file.read(_CHUNK_BYTES):
        size_bytes += len(chunk)
        if size_bytes > limits.max_file_bytes:
            raise BadPicture(
                "file_too_large",
                f"the file has more than {limits.max_file_bytes / 2**20:g} MB, the most accepted",
            )
        digest.update(chunk)
        if copy is not file:
            copy.write(chunk)
    if size_bytes == 0:
        raise BadPicture("empty_file", "the file is empty (0 bytes)")
    return digest.hexdigest(), size_bytes
