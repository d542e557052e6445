"""Archives hold pictures: they are gone when their import is over, or was never asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from indexer.catalogue import Catalogue
from indexer.imports.jobs import ImportJob
from indexer.storage.object_store import ObjectStore

KEPT_DAYS = 30.0
# An archive is stored before its import is on record; what has none by then never will.
_GRACE = timedelta(hours=1)


def drop_archive(catalogue: Catalogue, store: ObjectStore, job: ImportJob) -> None:
    """Remove the archive of an import that is over. Raises StorageUnavailable."""
    if job.archive is not None:
        store.remove_archive(job.archive)
        catalogue.imports.forget_archive(job.id)


def sweep_archives(catalogue: Catalogue, store: ObjectStore) -> int:
    """Remove archives that no import needs any more, or ever did, and forget imports that ended
    a month ago; how many archives.

    Raises StorageUnavailable, DatabaseUnavailable.
    """
    there = store.archives()  # first: an import may begin at this moment
    needed = catalogue.imports.archives(active=True)
    ended = catalogue.imports.archives(active=False)
    removed = 0
    for name, import_id in ended.items():
        store.remove_archive(name)
        catalogue.imports.forget_archive(import_id)
        removed += 1
    for name in there.keys() - needed.keys() - ended.keys():
        if there[name] < datetime.now(UTC) - _GRACE:
            store.remove_archive(name)
            removed += 1
    catalogue.imports.prune(KEPT_DAYS)
    return removed
