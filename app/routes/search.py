"""POST /search."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from app.audit import search_on_record
from app.deps import AppCaller, AppServices, require_json
from app.documentation import problems
from app.schemas import SearchRequest, SearchResponse

router = APIRouter(tags=["search"])


@router.post(
    "/search",
    summary="Find people by a description or by a picture",
    dependencies=[Depends(require_json)],
    responses=problems(
        "cursor_outdated",
        "malformed_json",
        "origin_refused",
        "gallery_not_found",
        "image_not_found",
        "image_not_searchable",
        "reason_required",
        "request_too_large",
        "storage_full",
        "unsupported_media_type",
        "validation_failed",
    ),
)
def search(request: SearchRequest, services: AppServices, caller: AppCaller) -> SearchResponse:
    """Rank a gallery's pictures by how well they fit `text`, or by likeness to the picture
    `image_id`. `limit` pictures come back whenever that many meet the filters, and with
    `next_cursor` as `cursor` those that come next.

    A description longer than the model reads is cut, and the answer says so (`truncated`).
    """
    return search_on_record(services, caller, request)
