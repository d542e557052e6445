"""Imports in the API's words, and as they go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool

from app.imports.schemas import (
    EntryList,
    EntryOutcome,
    ImportList,
    ImportProblem,
    ImportSummary,
)
from indexer.errors import IndexerError
from indexer.imports.jobs import ImportJob, ImportJobs
from indexer.imports.work import EntryResult

_LOOK_EVERY_S = 0.5
_BEAT_S = 10.0
_LONGEST_S = 120.0  # then the browser asks again, and its key is looked at again


def show_import(job: ImportJob) -> ImportSummary:
    """One import."""
    problem = None
    if job.code is not None:
        problem = ImportProblem(code=job.code, reason=job.reason or "")
    return ImportSummary(
        id=job.id,
        gallery=job.gallery,
        state=job.state,
        source=job.source,
        name=job.place,
        size_bytes=job.size_bytes,
        total=job.total,
        accepted=job.accepted,
        duplicate=job.duplicate,
        refused=job.refused,
        remaining=job.remaining,
        problem=problem,
        created_at=job.created_at,
        ended_at=job.ended_at,
    )


def show_imports(found: list[ImportJob], limit: int) -> ImportList:
    """A page. found: with one more than `limit` where there are more."""
    page = found[:limit]
    more = page[-1].id if len(found) > limit else None
    return ImportList(imports=[show_import(job) for job in page], next_before_id=more)


def show_entries(found: list[EntryResult], limit: int) -> EntryList:
    """A page. found: with one more than `limit` where there are more."""
    page = found[:limit]
    more = page[-1].position if len(found) > limit else None
    return EntryList(entries=[show_entry(entry) for entry in page], next_after=more)


def show_entry(entry: EntryResult) -> EntryOutcome:
    """One entry."""
    return EntryOutcome(
        position=entry.position,
        name=entry.name,
        line=entry.line or None,
        status=entry.status,
        code=entry.code,
        reason=entry.reason,
        image_id=entry.image_id,
    )


async def tell_progress(imports: ImportJobs, import_id: int) -> AsyncIterator[str]:
    """Server-sent events: `progress` with the import whenever it changed, the last one as `end`.

    An outage is sat out; an import that is deleted ends the stream.
    """
    told, told_at = "", time.monotonic()
    until = told_at + _LONGEST_S
    yield "retry: 2000\n\n"
    while time.monotonic() < until:
        try:
            job = await run_in_threadpool(imports.find, import_id)
        except IndexerError:
            yield "event: lost\ndata: {}\n\n"
            return
        document = show_import(job).model_dump_json()
        if document != told:
            told, told_at = document, time.monotonic()
            yield f"event: {'progress' if job.is_active else 'end'}\ndata: {document}\n\n"
        elif time.monotonic() - told_at > _BEAT_S:
            told_at = time.monotonic()
            yield ": still here\n\n"
        if not job.is_active:
            return
        await asyncio.sleep(_LOOK_EVERY_S)
