"""Pages of bulk imports: the list, and one with what became of its entries."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from app.deps import AppCaller, AppServices, ImportId
from app.imports.cancel import cancel_on_record
from app.routes.page import PageRoute, render
from indexer.errors import GalleryNotFound
from indexer.imports.jobs import ImportJob
from indexer.imports.work import EntryStatus

NUM_IMPORTS = 50
NUM_ENTRIES = 100
_STATUSES: tuple[EntryStatus, ...] = ("refused", "accepted", "duplicate")

router = APIRouter(prefix="/upload/imports", route_class=PageRoute, include_in_schema=False)


@router.get("")
def show_all(request: Request, services: AppServices, caller: AppCaller) -> Response:
    """The newest imports into the galleries that the caller sees."""
    given = request.query_params.get("gallery")
    if given and not caller.sees(given):
        raise GalleryNotFound(given[:80])
    names = [given] if given else caller.galleries
    found = services.catalogue.imports.all(names, limit=NUM_IMPORTS)
    return render(
        request, "imports.html", {"nav": "upload", "imports": found, "shown_gallery": given}
    )


@router.get("/{import_id}")
def show_one(request: Request, import_id: ImportId, services: AppServices) -> Response:
    """How far it is, live where there is JavaScript, and what became of its entries."""
    job = services.catalogue.imports.find(import_id)
    status = _status(request.query_params.get("status"))
    given = request.query_params.get("after", "")
    after = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else -1
    entries = services.catalogue.imports.entries(import_id, status, after, NUM_ENTRIES + 1)
    context: dict[str, Any] = {
        "nav": "upload",
        "job": job,
        "status": status,
        "entries": entries[:NUM_ENTRIES],
        "next_after": entries[NUM_ENTRIES - 1].position if len(entries) > NUM_ENTRIES else None,
        "done_share": _share(job),
    }
    return render(request, "import.html", context)


@router.post("/{import_id}/cancel")
def cancel(import_id: ImportId, services: AppServices, caller: AppCaller) -> Response:
    """As the API does it, then back to the page."""
    cancel_on_record(services.catalogue, services.store, caller, import_id)
    return RedirectResponse(f"/upload/imports/{import_id}", 303)


def _status(given: str | None) -> EntryStatus:
    return next((status for status in _STATUSES if status == given), "refused")


def _share(job: ImportJob) -> float:
    return job.position / job.total if job.total else float(job.state == "done")
