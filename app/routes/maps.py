"""A gallery's map: ask for it, follow it, look at it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response

from app.access.audit import map_on_record
from app.deps import AppCaller, AppServices, GallerySlug, require_json
from app.http.documentation import problems
from app.maps.points import list_points, look_at_map, pack
from app.maps.schemas import GalleryMap, MapPointList, MapRequest
from app.maps.views import ask_for_map, show_map
from app.schemas import REASON, Reason

router = APIRouter(prefix="/galleries/{gallery}/map", tags=["map"])

LOOKING = ("index_unavailable", "index_behind")


@router.post(
    "",
    status_code=202,
    summary="Ask for a map",
    dependencies=[Depends(require_json)],
    responses=problems(
        "malformed_json",
        "origin_refused",
        "gallery_not_found",
        *LOOKING,
        "request_too_large",
        "unsupported_media_type",
        "validation_failed",
        "storage_full",
    ),
)
def create(gallery: GallerySlug, request: MapRequest, services: AppServices) -> GalleryMap:
    """A worker draws it: t-SNE of the pictures' vectors, so that those which look alike to the
    model lie together. The map that there is stays until the new one is complete. While one is
    under way, asking again changes nothing.
    """
    ask_for_map(services, gallery, request)
    return show_map(services, gallery)


@router.get(
    "",
    summary="Show how far a map is",
    responses=problems("gallery_not_found", *LOOKING, "validation_failed"),
)
def show(gallery: GallerySlug, services: AppServices) -> GalleryMap:
    """The one that can be looked at, and the one asked for last."""
    return show_map(services, gallery)


@router.post(
    "/cancel",
    summary="Cancel the drawing of a map",
    responses=problems(
        "origin_refused",
        "gallery_not_found",
        *LOOKING,
        "map_ended",
        "validation_failed",
        "storage_full",
    ),
)
def cancel(gallery: GallerySlug, services: AppServices) -> GalleryMap:
    """Within seconds. An older map stays."""
    services.catalogue.maps.cancel(gallery, services.model.fingerprint)
    return show_map(services, gallery)


@router.get(
    "/points",
    summary="List the pictures on a map",
    response_model=MapPointList,
    responses={
        304: {"description": "They are as `If-None-Match` has them."},
        **problems(
            "gallery_not_found",
            *LOOKING,
            "map_not_drawn",
            "reason_required",
            "validation_failed",
            "storage_full",
        ),
    },
)
def points(
    gallery: GallerySlug,
    services: AppServices,
    caller: AppCaller,
    reason: Annotated[Reason | None, Query(description=REASON)] = None,
    if_none_match: Annotated[str | None, Header()] = None,
    accept_encoding: Annotated[str, Header()] = "",
) -> Response:
    """Those that came after it was drawn too, among their most similar ones; what was deleted is
    gone. Looking at it goes on record. Gzipped for who can read that."""
    view = look_at_map(services, gallery)
    num_pictures = len(view.table.ids_N)
    map_on_record(services, caller, gallery, view.drawn.id, num_pictures, reason)
    headers = {"ETag": view.etag, "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
    if if_none_match == view.etag:
        return Response(status_code=304, headers=headers)
    gzipped = "gzip" in accept_encoding
    if gzipped:
        headers["Content-Encoding"] = "gzip"
    body = pack(list_points(services, gallery, view), gzipped=gzipped)
    return Response(body, media_type="application/json", headers=headers)
