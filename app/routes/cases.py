"""Cases: pictures collected with notes, in order; and their export."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from starlette.responses import StreamingResponse

from app.cases import on_record
from app.cases.export import begin_export
from app.cases.manifest import ModelEntry
from app.cases.schemas import (
    SEEN,
    CaseCreate,
    CaseDetail,
    CaseList,
    CaseUpdate,
    ExhibitCreate,
    ExhibitDetail,
    ExhibitUpdate,
    Version,
)
from app.cases.views import show_case
from app.deps import AppCaller, AppServices, CaseId, ExhibitId, GallerySlug, require_json
from app.http.documentation import problems
from app.schemas import REASON, Reason

router = APIRouter(tags=["cases"])

Why = Annotated[
    Reason | None, Query(description=f"{REASON} One stated in the last hour holds here too.")
]
ASKING = ("case_not_found", "reason_required", "validation_failed", "storage_full")
CHANGING = (
    *ASKING,
    "origin_refused",
    "malformed_json",
    "request_too_large",
    "unsupported_media_type",
    "case_closed",
)


@router.post(
    "/galleries/{gallery}/cases",
    status_code=201,
    summary="Begin a case",
    dependencies=[Depends(require_json)],
    responses=problems(
        "malformed_json",
        "origin_refused",
        "gallery_not_found",
        "case_exists",
        "request_too_large",
        "unsupported_media_type",
        "validation_failed",
        "storage_full",
    ),
)
def create(
    gallery: GallerySlug,
    request: CaseCreate,
    response: Response,
    services: AppServices,
    caller: AppCaller,
) -> CaseDetail:
    """An empty one, open."""
    made = on_record.create_case(services.catalogue, caller, gallery, request)
    response.headers["Location"] = f"/cases/{made.id}"
    return made


@router.get(
    "/galleries/{gallery}/cases",
    summary="List a gallery's cases",
    responses=problems("gallery_not_found", "validation_failed"),
)
def list_all(gallery: GallerySlug, services: AppServices) -> CaseList:
    """Open ones first, newest first; without what is in them."""
    return CaseList(cases=[show_case(case) for case in services.catalogue.cases.all(gallery)])


@router.get("/cases/{case_id}", summary="Show a case", responses=problems(*ASKING))
def show(
    case_id: CaseId, services: AppServices, caller: AppCaller, reason: Why = None
) -> CaseDetail:
    """With its pictures in order and what was noted of them."""
    found = on_record.look_at_case(services.catalogue, caller, case_id, reason)
    services.shown.add(caller, on_record.image_ids(found))
    return found


@router.patch(
    "/cases/{case_id}",
    summary="Rename, note, close or open a case",
    dependencies=[Depends(require_json)],
    responses=problems(*CHANGING, "case_exists", "case_changed"),
)
def change(
    case_id: CaseId, request: CaseUpdate, services: AppServices, caller: AppCaller
) -> CaseDetail:
    """A closed case can be opened again, and not changed otherwise."""
    return on_record.change_case(services.catalogue, caller, case_id, request)


@router.delete(
    "/cases/{case_id}",
    status_code=204,
    summary="Delete a case",
    responses=problems(*ASKING, "origin_refused", "legal_hold"),
)
def delete(case_id: CaseId, services: AppServices, caller: AppCaller) -> None:
    """With its notes. Its pictures stay in the gallery."""
    on_record.delete_case(services.catalogue, caller, case_id)


@router.post(
    "/cases/{case_id}/exhibits",
    status_code=201,
    summary="Add a picture to a case",
    dependencies=[Depends(require_json)],
    responses=problems(*CHANGING, "image_not_found", "exhibit_exists", "case_full"),
)
def add(
    case_id: CaseId, request: ExhibitCreate, services: AppServices, caller: AppCaller
) -> ExhibitDetail:
    """At its end. It is not kept longer for being in a case; once it is deleted, its place is
    empty and what was noted of it is gone."""
    return on_record.add_exhibit(services.catalogue, caller, case_id, request)


@router.patch(
    "/cases/{case_id}/exhibits/{exhibit_id}",
    summary="Note something of a picture, or move it",
    dependencies=[Depends(require_json)],
    responses=problems(*CHANGING, "exhibit_not_found", "exhibit_empty", "case_changed"),
)
def change_exhibit(
    case_id: CaseId,
    exhibit_id: ExhibitId,
    request: ExhibitUpdate,
    services: AppServices,
    caller: AppCaller,
) -> ExhibitDetail:
    """One at a time. A note that somebody changed since you saw it is not written over."""
    return on_record.change_exhibit(services.catalogue, caller, case_id, exhibit_id, request)


@router.delete(
    "/cases/{case_id}/exhibits/{exhibit_id}",
    status_code=204,
    summary="Take a picture out of a case",
    responses=problems(
        *ASKING, "origin_refused", "case_closed", "exhibit_not_found", "case_changed"
    ),
)
def remove(
    case_id: CaseId,
    exhibit_id: ExhibitId,
    services: AppServices,
    caller: AppCaller,
    version: Annotated[Version | None, Query(description=SEEN)] = None,
) -> None:
    """With its note. The picture stays in the gallery."""
    on_record.remove_exhibit(services.catalogue, caller, case_id, exhibit_id, version)


@router.get(
    "/cases/{case_id}/export",
    summary="Export a case as a zip",
    response_class=Response,
    responses={
        200: {
            "description": "Pictures as they were sent, `manifest.json` with their hashes, "
            "`case.html` to read and print, and `audit.jsonl`. `passerby cases verify` checks it.",
            "content": {"application/zip": {}},
        },
        **problems(*ASKING, "picture_missing", "storage_unavailable"),
    },
)
def export(
    case_id: CaseId, services: AppServices, caller: AppCaller, reason: Why = None
) -> Response:
    """It is made while it is sent. One that is cut off has no directory, and is no zip."""
    model = services.model
    export = begin_export(
        services.catalogue,
        services.store,
        caller,
        case_id,
        settings=services.settings,
        model=ModelEntry(name=model.name, fingerprint=model.fingerprint, card=dict(model.card)),
        reason=reason,
    )
    headers = {
        "Content-Disposition": f'attachment; filename="{export.file_name}"',
        "Cache-Control": "private, no-store",
    }
    return StreamingResponse(export.chunks(), headers=headers, media_type="application/zip")
