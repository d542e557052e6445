"""Ending an import before its time."""

from __future__ import annotations

from contextlib import suppress

from app.audit import record
from app.caller import Caller
from app.imports.sweep import drop_archive
from app.services import Services
from indexer.errors import IndexerError
from indexer.import_jobs import ImportEnded, ImportJob


def cancel_on_record(services: Services, caller: Caller, import_id: int) -> ImportJob:
    """End it: what went in stays, its archive goes. Raises ImportNotFound, ImportEnded."""
    imports = services.catalogue.imports
    job = imports.find(import_id)
    if not job.is_active:
        raise ImportEnded(job.id, job.state)
    record(services, caller, "import", job.gallery, what=f"cancel import {job.id}")
    cancelled = imports.cancel(import_id)
    with suppress(IndexerError):  # the sweep tries again
        drop_archive(services.catalogue, services.store, cancelled)
    return cancelled
