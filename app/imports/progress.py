"""How far an import is: each entry taken in and noted, in order, exactly once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from sqlalchemy import Connection

from app.imports.entries import Entry, shown
from app.settings import Settings
from app.sidecar import Row
from app.uploads import picture_limits, shown_name
from indexer.catalogue import Catalogue
from indexer.errors import BadPicture
from indexer.import_jobs import ImportJob
from indexer.import_work import EntryResult, EntryStatus, ErasedMeanwhile, Lease
from indexer.ingest import accept
from indexer.records import Accepted, Duplicate, Refused
from indexer.storage import ObjectStore

_FLUSH_ENTRIES = 200
_FLUSH_S = 1.0


class Progress:
    """Of one claim of one import. What is refused or a duplicate is noted in batches, what is
    accepted with its picture's row, along with what came before."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        store: ObjectStore,
        job: ImportJob,
        lease: Lease,
        count: Callable[[str, str], None],
    ) -> None:
        """count: called with each entry's outcome and code."""
        self._catalogue = catalogue
        self._store = store
        self._job = job
        self._lease = lease
        self._count = count
        self._limits = picture_limits(settings)
        self._work = catalogue.imports.work
        self._position = job.position
        self._waiting: list[EntryResult] = []
        self._saved_at = time.monotonic()
        self.num_taken = 0

    def set_total(self, total: int) -> None:
        """How many there are is known. Raises ImportLost."""
        self._work.renew(self._lease, total)

    def renew(self) -> None:
        """Keep the lease, where that is due. Raises ImportLost."""
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
        """Take in one entry. metadata: the name of the file that has its row.

        Raises SourceBroken, ImportLost, GalleryNotFound, StorageFull, StorageUnavailable,
        DatabaseUnavailable; it is not dealt with then.
        """
        if entry.refusal is not None:
            return self._refuse(entry, row, entry.refusal.code, entry.refusal.reason)
        if row.metadata is None:
            return self._refuse(entry, row, "bad_row", f"{metadata}:{row.line}: {row.problem}")
        noted: list[EntryResult] = []

        def note(connection: Connection, image_id: int, sha256: str) -> None:
            self._work.refuse_erased(connection, self._lease, sha256)
            noted[:] = [*self._waiting, self._result(entry, row, "accepted", image_id=image_id)]
            self._work.record(connection, self._lease, noted)

        try:
            with entry.open() as file:
                outcome = accept(
                    self._catalogue,
                    self._store,
                    self._job.gallery,
                    file,
                    shown_name(shown(entry.name)),
                    row.metadata,
                    self._limits,
                    note,
                )
        except BadPicture as error:  # it could not even be opened
            return self._refuse(entry, row, error.code, error.detail)
        except ErasedMeanwhile as error:
            return self._refuse(entry, row, "erased_meanwhile", str(error))
        match outcome:
            case Accepted():
                self._saved_at = time.monotonic()
                self._waiting = []
                self._next("accepted")
            case Duplicate(image_id):
                self._wait(self._result(entry, row, "duplicate", image_id=image_id))
            case Refused(code, detail):
                self._refuse(entry, row, code, detail)
        return None

    def flush(self) -> None:
        """Note what waits to be noted. Raises ImportLost, DatabaseUnavailable, StorageFull."""
        waiting, self._waiting = self._waiting, []
        self._work.save(self._lease, waiting)
        self._saved_at = time.monotonic()

    def _result(
        self,
        entry: Entry,
        row: Row,
        status: EntryStatus,
        code: str | None = None,
        reason: str | None = None,
        image_id: int | None = None,
    ) -> EntryResult:
        name = shown(entry.name)
        return EntryResult(self._position, name, row.line, status, code, reason, image_id)

    def _refuse(self, entry: Entry, row: Row, code: str, reason: str) -> None:
        self._wait(self._result(entry, row, "refused", code, reason[:500]))

    def _wait(self, result: EntryResult) -> None:
        self._waiting.append(result)
        self._next(result.status, result.code or "")
        late = time.monotonic() - self._saved_at > _FLUSH_S
        if late or len(self._waiting) >= _FLUSH_ENTRIES:
            self.flush()

    def _next(self, status: EntryStatus, code: str = "") -> None:
        self._position += 1
        self.num_taken += 1
        self._count(status, code)
