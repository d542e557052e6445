"""How far an import is: each entry taken in and noted, in order, exactly once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from app.imports.entries import Entry, shown
from app.ingest.sidecar import Row
from app.ingest.uploads import picture_limits, shown_name
from app.settings import Settings
from indexer.catalogue import Catalogue
from indexer.database.transactions import Database
from indexer.errors import BadPicture
from indexer.imports.jobs import ImportJob
from indexer.imports.work import EntryResult, ImportWork
from indexer.ingest import Arrival, Outcome, examine, keep, open_copy
from indexer.records import Accepted, Duplicate, Refused
from indexer.storage.object_store import ObjectStore
from indexer.work.leases import Lease

# Entries that share their commits. A crash costs as many again, and their bytes wait in memory.
GROUP_PICTURES = 16
_GROUP_BYTES = 64 * 2**20
_FLUSH_ENTRIES = 200
_FLUSH_S = 1.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry that was looked at and is not noted yet."""

    name: str
    line: int
    found: Arrival | Refused


class Progress:
    """Of one claim of one import. What became of entries is noted in groups, with the rows of
    those that are accepted."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        store: ObjectStore,
        job: ImportJob,
        lease: Lease,
        count: Callable[[str, str], None],
        on_kept: Callable[[], None],
    ) -> None:
        """count: called with each entry's outcome and code. on_kept: after pictures went in."""
        self._catalogue = catalogue
        self._store = store
        self._job = job
        self._lease = lease
        self._count = count
        self._on_kept = on_kept
        self._limits = picture_limits(settings)
        self._work = catalogue.imports.work
        self._position = job.position
        self._waiting: list[Waiting] = []
        self._saved_at = time.monotonic()

    def set_total(self, total: int) -> None:
        """How many there are is known. Raises LeaseLost."""
        self._work.renew(self._lease, total)

    def renew(self) -> None:
        """Keep the lease, where that is due. Raises as flush."""
        if time.monotonic() - self._saved_at > min(_FLUSH_S, self._lease.seconds / 4):
            if self._waiting:
                self.flush()
            else:
                self._work.renew(self._lease)
            self._saved_at = time.monotonic()

    def is_done(
        self,
        place: int,
        entry: Entry,
        row: Row,
        done: Collection[tuple[str, int]],
        *,
        is_fixed: bool,
    ) -> bool:
        """Whether an earlier claim dealt with it. place: in the source; done: names and lines."""
        if is_fixed:
            return place < self._job.position
        return (shown(entry.name), row.line) in done

    def take(self, entry: Entry, row: Row, metadata: str) -> None:
        """Look at one entry, and deal with a group where it fills one. metadata: the name of the
        file that has its row.

        Raises SourceBroken, and as flush.
        """
        found = self._examine(entry, row, metadata)
        self._waiting.append(Waiting(shown(entry.name), row.line, found))
        pictures = [each.found for each in self._waiting if isinstance(each.found, Arrival)]
        if (
            len(pictures) >= GROUP_PICTURES
            or len(self._waiting) >= _FLUSH_ENTRIES
            or sum(picture.size_bytes for picture in pictures) >= _GROUP_BYTES
        ):
            self.flush()

    def _examine(self, entry: Entry, row: Row, metadata: str) -> Arrival | Refused:
        if entry.refusal is not None:
            return Refused(entry.refusal.code, entry.refusal.reason)
        if row.metadata is None:
            return Refused("bad_row", f"{metadata}:{row.line}: {row.problem}")
        name, copy = shown_name(shown(entry.name)), open_copy()
        try:
            with entry.open() as file:
                return examine(file, name, row.metadata, copy, self._limits)
        except BadPicture as error:  # it could not even be opened
            return Refused(error.code, error.detail)

    def flush(self) -> None:
        """Deal with what waits. Where it raises, that is not dealt with, and waits no more.

        Raises LeaseLost, GalleryNotFound, StorageFull, StorageUnavailable, DatabaseUnavailable.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        note = Note(self._work, self._lease, self._position, waiting)
        pictures = [each.found for each in waiting if isinstance(each.found, Arrival)]
        outcomes = keep(self._catalogue, self._store, self._job.gallery, pictures, note)
        if note.results is None:  # no row was added with which it could commit
            note.save(self._catalogue.database, outcomes)
        for result in note.results or ():
            self._count(result.status, result.code or "")
        self._position += len(waiting)
        self._saved_at = time.monotonic()
        self._on_kept()


class Note:
    """What became of a group of entries, noted in the transaction that adds their rows."""

    def __init__(
        self, work: ImportWork, lease: Lease, position: int, waiting: Sequence[Waiting]
    ) -> None:
        """position: of the first."""
        self._work = work
        self._lease = lease
        self._position = position
        self._waiting = waiting
        self.results: list[EntryResult] | None = None

    def erased(self, connection: Connection, hashes: Collection[str]) -> Collection[str]:
        """See ingest.Terms."""
        return self._work.erased(connection, self._lease, hashes)

    def record(self, connection: Connection, outcomes: Sequence[Outcome]) -> None:
        """Raises LeaseLost."""
        of_pictures = iter(outcomes)
        self.results = [
            _result(
                position,
                each,
                next(of_pictures) if isinstance(each.found, Arrival) else each.found,
            )
            for position, each in enumerate(self._waiting, start=self._position)
        ]
        self._work.record(connection, self._lease, self.results)

    def save(self, database: Database, outcomes: Sequence[Outcome]) -> None:
        """As record, in a transaction of its own. Raises LeaseLost."""
        with database.write() as connection:
            self.record(connection, outcomes)


def _result(position: int, entry: Waiting, outcome: Outcome) -> EntryResult:
    match outcome:
        case Accepted(image_id):
            return EntryResult(position, entry.name, entry.line, "accepted", image_id=image_id)
        case Duplicate(image_id):
            return EntryResult(position, entry.name, entry.line, "duplicate", image_id=image_id)
        case Refused(code, detail):
            return EntryResult(position, entry.name, entry.line, "refused", code, detail[:500])
