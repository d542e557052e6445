"""Ending an import before its time."""

from __future__ import annotations

from contextlib import suppress

from app.access.audit import put_on_record
from app.access.caller import Caller
from app.imports.sweep import drop_archive
from indexer.catalogue import Catalogue
from indexer.errors import ImportEnded, IndexerError
from indexer.imports.jobs import ImportJob
from indexer.storage.object_store import ObjectStore


def cancel_on_record(
    catalogue: Catalogue, store: ObjectStore, caller: Caller, import_id: int
) -> ImportJob:
    """End it: what went in stays, its archive goes. Raises ImportNotFound, ImportEnded."""
    job = catalogue.imports.find(import_id)
    if not job.is_active:
        raise ImportEnded(job.id, job.state)
    put_on_record(catalogue, caller, "import", job.gallery, what=f"cancel import {job.id}")
    cancelled = catalogue.imports.cancel(import_id)
    with suppress(IndexerError):  # the sweep tries again
        drop_archive(catalogue, store, cancelled)
    return cancelled
