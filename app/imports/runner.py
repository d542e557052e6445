"""Takes in what imports name, one entry after another; any number of processes may run one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from app.errors import ProblemError, code_of
from app.imports.archives import open_source
from app.imports.entries import EntrySource, SourceBroken
from app.imports.manifest import look_through
from app.imports.places import BucketSource, FolderSource, require_allowed
from app.imports.progress import Progress
from app.imports.sweep import drop_archive, sweep_archives
from app.settings import Settings
from indexer.catalogue import Catalogue
from indexer.errors import (
    DatabaseUnavailable,
    GalleryNotFound,
    ImportNotFound,
    IndexerError,
    ObjectMissing,
    StorageFull,
    StorageUnavailable,
)
from indexer.imports.jobs import ImportJob
from indexer.storage.object_store import ObjectStore
from indexer.work.leases import Lease, LeaseLost
from indexer.work.loop import Loop

log = logging.getLogger(__name__)

_SWEEP_EVERY_S = 60.0
_PAUSE_S = 15.0  # after which a full disk or an unreachable bucket is tried again
_MAX_ATTEMPTS = 3


class Stopped(Exception):
    """The program is about to end; another goes on with the import."""


class ImportRunner:
    """One loop that works on imports."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        store: ObjectStore,
        *,
        on_kept: Callable[[], None],
        count: Callable[[str, str], None],
    ) -> None:
        """on_kept: called after pictures went in. count: each entry's outcome and code."""
        self._settings = settings
        self._catalogue = catalogue
        self._store = store
        self._work = catalogue.imports.work
        self._on_kept = on_kept
        self._count = count
        self._loop = Loop("imports", self._turn)
        self._sweep_at = 0.0
        self._owed: Lease | None = None

    def running(self) -> AbstractContextManager[None]:
        """Work in a thread until the block is left."""
        return self._loop.running()

    def trouble(self) -> str | None:
        """Why it can't be working, or None."""
        return self._loop.trouble()

    def _turn(self) -> bool:
        was_work = self.run_once()
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + _SWEEP_EVERY_S
            sweep_archives(self._catalogue, self._store)
        return was_work

    def run_once(self) -> bool:
        """Work on one import until it ends, pauses or is taken away; whether there was one.

        Raises DatabaseUnavailable; the import is gone on with when its lease is over.
        """
        if self._owed is not None:
            self._work.release(self._owed)
            self._owed = None
        lease = self._work.claim(self._settings.worker_lease_s)
        if lease is None:
            return False
        with suppress(LeaseLost, ImportNotFound, GalleryNotFound):  # cancelled, deleted, taken
            job = self._catalogue.imports.find(lease.id)
            try:
                self._attend(job, lease)
            except (DatabaseUnavailable, StorageFull, StorageUnavailable):
                self._owed = lease  # an outage is not the import's fault
                raise
        return True

    def _attend(self, job: ImportJob, lease: Lease) -> None:
        """Bring it to an end, or leave it so that it can be gone on with."""
        try:
            if lease.attempts > _MAX_ATTEMPTS:
                raise SourceBroken(
                    "never_finished", f"it was begun {_MAX_ATTEMPTS} times and got nowhere"
                )
            self._take_in(job, lease)
        except Stopped:
            self._work.release(lease)
        except (StorageFull, StorageUnavailable, OSError) as error:
            log.warning("import %d pauses: %s", job.id, error)
            full = isinstance(error, StorageFull) or getattr(error, "errno", 0) in (28, 122)
            code = "storage_full" if full else "storage_unavailable"
            reason = "no space is left" if full else "storage can't be read or written"
            reason += "; it goes on by itself once that works again"
            self._work.pause(lease, code, reason, _PAUSE_S)
        except SourceBroken as error:
            self._end(job, lease, error.code, str(error))
        except ObjectMissing:
            self._end(job, lease, "archive_missing", "the archive is not in storage any more")
        except (LeaseLost, GalleryNotFound, DatabaseUnavailable):
            raise
        except IndexerError as error:
            self._end(job, lease, code_of(error), str(error))
        else:
            self._end(job, lease)

    def _end(
        self, job: ImportJob, lease: Lease, code: str | None = None, reason: str | None = None
    ) -> None:
        self._work.end(lease, "failed" if code else "done", code, reason)
        log.info("import %d is over: %s", job.id, code or "done")
        with suppress(IndexerError):  # the sweep tries again
            drop_archive(self._catalogue, self._store, job)

    def _take_in(self, job: ImportJob, lease: Lease) -> None:
        progress = Progress(
            self._settings,
            self._catalogue,
            self._store,
            job,
            lease,
            count=self._count,
            on_kept=self._on_kept,
        )

        def tick() -> None:
            self._loop.beat()
            if self._loop.is_stopping:
                raise Stopped
            progress.renew()

        with self._open(job, tick) as source:
            manifest = look_through(source)
            if manifest.total is not None:
                progress.set_total(manifest.total)
            done = set() if source.is_fixed else self._catalogue.imports.names_done(job.id)
            try:
                for place, (entry, row) in enumerate(manifest.items(source)):
                    tick()
                    if not progress.is_done(place, entry, row, done, is_fixed=source.is_fixed):
                        progress.take(entry, row, manifest.sidecar.name)
            except BaseException:
                with suppress(IndexerError):  # what waits counts; unless it is not ours any more
                    progress.flush()
                raise
            progress.flush()

    @contextmanager
    def _open(self, job: ImportJob, tick: Callable[[], None]) -> Iterator[EntrySource]:
        most = self._settings.import_max_entries
        if job.source == "archive":
            assert job.archive is not None
            with self._store.open_archive(job.archive) as file:
                yield open_source(file, most, tick)
            return
        try:
            require_allowed(job.place, self._settings.import_from)
        except ProblemError as error:
            raise SourceBroken("import_not_allowed", str(error)) from error
        kind = FolderSource if job.source == "folder" else BucketSource
        yield kind(job.place, most, tick)
