"""Bulk imports: archives, folders and bucket prefixes taken in as jobs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from app.deps import AppCaller, AppServices, GallerySlug, ImportId, require_json
from app.http.documentation import problems
from app.imports.cancel import cancel_on_record
from app.imports.intake import ARCHIVE_TYPES, receive, start
from app.imports.schemas import (
    EntryList,
    EntryState,
    ImportList,
    ImportSummary,
    KnownRequest,
    KnownResponse,
    PlaceRequest,
)
from app.imports.views import show_entries, show_import, show_imports, tell_progress
from app.schemas import MAX_ID

router = APIRouter(tags=["imports"])

BODY: dict[str, Any] = {
    "required": True,
    "content": {
        **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in ARCHIVE_TYPES},
        "application/json": {"schema": PlaceRequest.model_json_schema(by_alias=True)},
    },
}


@router.post(
    "/galleries/{gallery}/imports",
    status_code=202,
    summary="Import an archive, a folder or a bucket prefix",
    openapi_extra={"requestBody": BODY},
    responses=problems(
        "malformed_json",
        "malformed_request",
        "origin_refused",
        "import_not_allowed",
        "gallery_not_found",
        "request_too_large",
        "unsupported_media_type",
        "not_an_archive",
        "validation_failed",
        "idempotency_key_reused",
        "storage_full",
        "storage_unavailable",
    ),
)
async def create(
    gallery: GallerySlug,
    request: Request,
    response: Response,
    services: AppServices,
    caller: AppCaller,
    file_name: Annotated[
        str | None, Query(max_length=1000, description="What the archive is called.")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        Header(description="The same key and request give the same import, sent again or not."),
    ] = None,
) -> ImportSummary:
    """The body is a zip, a tar or a gzipped tar; or JSON that names a place of the server. A
    worker takes it in: `GET /imports/{import_id}` tells how far it is.

    A file `metadata.csv` or `metadata.jsonl` at the top of it tells what is known of the pictures,
    in the columns of `passerby ingest --metadata`.
    """
    await run_in_threadpool(services.catalogue.gallery_id, gallery)
    async with receive(request) as received:
        job = await run_in_threadpool(
            start,
            services.catalogue,
            services.store,
            caller,
            gallery,
            received,
            import_from=services.settings.import_from,
            file_name=file_name,
            idempotency_key=idempotency_key,
        )
    response.headers["Location"] = f"/imports/{job.id}"
    return show_import(job)


@router.get(
    "/galleries/{gallery}/imports",
    summary="List a gallery's imports",
    responses=problems("gallery_not_found", "validation_failed"),
)
def list_page(
    gallery: GallerySlug,
    services: AppServices,
    before_id: Annotated[
        int, Query(ge=1, le=MAX_ID, description="Only imports with a smaller id.")
    ] = MAX_ID,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
) -> ImportList:
    """Newest first; those that ended over a month ago are forgotten."""
    services.catalogue.gallery_id(gallery)
    found = services.catalogue.imports.all([gallery], before_id, limit + 1)
    return show_imports(found, limit)


@router.get(
    "/imports/{import_id}",
    summary="Show how far an import is",
    responses=problems("import_not_found", "validation_failed"),
)
def show(import_id: ImportId, services: AppServices) -> ImportSummary:
    """`paused` ones go on by themselves once what `problem` tells is mended."""
    return show_import(services.catalogue.imports.find(import_id))


@router.get(
    "/imports/{import_id}/entries",
    summary="List what became of an import's entries",
    responses=problems("import_not_found", "validation_failed"),
)
def entries(
    import_id: ImportId,
    services: AppServices,
    status: Annotated[EntryState | None, Query(description="Only these.")] = None,
    after: Annotated[
        int, Query(ge=-1, le=2**31 - 1, description="Only entries after this position.")
    ] = -1,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
) -> EntryList:
    """In the order of the source. Entries go with the pictures that were made of them."""
    services.catalogue.imports.find(import_id)
    found = services.catalogue.imports.entries(import_id, status, after, limit + 1)
    return show_entries(found, limit)


@router.get(
    "/imports/{import_id}/events",
    summary="Follow an import",
    response_class=Response,
    responses={
        200: {
            "description": "Server-sent events: `progress` with the import as its data whenever it "
            "changed, `end` with the last one.",
            "content": {"text/event-stream": {}},
        },
        **problems("import_not_found", "validation_failed"),
    },
)
def events(import_id: ImportId, services: AppServices) -> Response:
    """For at most two minutes; browsers ask again by themselves."""
    services.catalogue.imports.find(import_id)
    told = tell_progress(services.catalogue.imports, import_id)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(told, media_type="text/event-stream", headers=headers)


CANCELLING = problems(
    "origin_refused", "import_not_found", "import_ended", "validation_failed", "storage_full"
)


@router.post("/imports/{import_id}/cancel", summary="Cancel an import", responses=CANCELLING)
@router.delete("/imports/{import_id}", summary="Cancel an import", responses=CANCELLING)
def cancel(import_id: ImportId, services: AppServices, caller: AppCaller) -> ImportSummary:
    """What went in stays; the archive is removed."""
    return show_import(cancel_on_record(services.catalogue, services.store, caller, import_id))


@router.post(
    "/galleries/{gallery}/images/known",
    summary="Ask which pictures are there already",
    dependencies=[Depends(require_json)],
    responses=problems(
        "malformed_json",
        "origin_refused",
        "gallery_not_found",
        "request_too_large",
        "unsupported_media_type",
        "validation_failed",
    ),
)
def known(gallery: GallerySlug, request: KnownRequest, services: AppServices) -> KnownResponse:
    """By the SHA-256 of their bytes, so that only the others need be sent. Those that failed, and
    those of which there are only boxes, are not told: sent again, they are tried again."""
    found = services.catalogue.imports.known(gallery, request.sha256)
    return KnownResponse(known=[sha256 for sha256 in request.sha256 if sha256 in found])
