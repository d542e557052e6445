"""Bulk imports."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import httpx

from app.client.call import Call, Page, Talk, as_, ask, given, nothing, to_page, to_path
from app.client.server import POLL_S
from app.imports.schemas import EntryList, EntryOutcome, EntryState, ImportList, ImportSummary

_ENDED = ("done", "failed", "cancelled")
_STORING_S = 600.0  # a large archive is written to the server's storage before it answers


def import_archive(
    gallery: str, path: Path, *, name: str | None = None, idempotency_key: str | None = None
) -> Call[ImportSummary]:
    """Send a zip or tar, to be taken in by the server's workers. name: as it is called there.

    idempotency_key: the same one gives the same import, also where this program was started anew;
    without it, one of its own holds for this call. Raises OSError for a file that can't be read.
    """
    return Call(
        "POST",
        to_path("galleries", gallery, "imports"),
        as_(ImportSummary),
        {"file_name": name or path.name},
        file=path,
        headers=_key(idempotency_key),
        timeout_s=_STORING_S,
    )


def import_place(
    gallery: str, place: str, *, idempotency_key: str | None = None
) -> Call[ImportSummary]:
    """Have a folder of the server or a bucket prefix taken in; see import_archive."""
    return Call(
        "POST",
        to_path("galleries", gallery, "imports"),
        as_(ImportSummary),
        body={"from": place},
        headers=_key(idempotency_key),
    )


def imports(gallery: str, *, before_id: int | None = None) -> Call[Page[ImportSummary]]:
    """Those into a gallery, newest first; those with smaller ids."""

    def read(answer: httpx.Response) -> Page[ImportSummary]:
        found = as_(ImportList)(answer)
        return to_page(found.imports, found.next_before_id, more)

    def more(before_id: int) -> Call[Page[ImportSummary]]:
        return imports(gallery, before_id=before_id)

    params = given(before_id=before_id)
    return Call("GET", to_path("galleries", gallery, "imports"), read, params)


def import_job(import_id: int) -> Call[ImportSummary]:
    """How far an import is."""
    return Call("GET", to_path("imports", import_id), as_(ImportSummary))


def import_entries(
    import_id: int, *, status: EntryState | None = None, after: int | None = None
) -> Call[Page[EntryOutcome]]:
    """What became of its entries, in the order of the source; those behind a position."""

    def more(after: int) -> Call[Page[EntryOutcome]]:
        return import_entries(import_id, status=status, after=after)

    def read(answer: httpx.Response) -> Page[EntryOutcome]:
        found = as_(EntryList)(answer)
        return to_page(found.entries, found.next_after, more)

    params = given(status=status, after=after, limit=1000)
    return Call("GET", to_path("imports", import_id, "entries"), read, params)


def follow_import(
    import_id: int, on_progress: Callable[[ImportSummary], object] = lambda _: None
) -> Talk[ImportSummary]:
    """Until it is over; how it ended. on_progress: called whenever it changed."""
    told = None
    while (now := (yield from ask(import_job(import_id)))).state not in _ENDED:
        if now != told:
            on_progress(now)
            told = now
        yield POLL_S
    on_progress(now)
    return now


def cancel_import(import_id: int) -> Talk[ImportSummary]:
    """End it. What went in stays; its archive is removed."""
    done_by = frozenset({409})
    yield from ask(Call("DELETE", to_path("imports", import_id), nothing, done_by=done_by))
    return (yield from ask(import_job(import_id)))


def _key(given_key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": given_key or uuid.uuid4().hex}
