"""Galleries: make, list, show, change, delete."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter, Depends, Response

from app.access.audit import deletion_on_record, record, say_changes
from app.deps import AppCaller, AppServices, GallerySlug, require_json
from app.erasures import tell_index
from app.http.documentation import problems
from app.schemas import GalleryCreate, GalleryDetail, GalleryList, GallerySummary, GalleryUpdate
from app.views import show_gallery, show_gallery_detail
from indexer.erasure.deletion import delete_gallery
from indexer.records import GalleryChanges

router = APIRouter(prefix="/galleries", tags=["galleries"])


@router.post(
    "",
    status_code=201,
    summary="Make a gallery",
    dependencies=[Depends(require_json)],
    responses=problems(
        "malformed_json",
        "origin_refused",
        "gallery_exists",
        "request_too_large",
        "unsupported_media_type",
        "validation_failed",
        "invalid_gallery_name",
        "storage_full",
    ),
)
def create(
    request: GalleryCreate, services: AppServices, caller: AppCaller, response: Response
) -> GallerySummary:
    """An empty gallery. Its name is its address: a-z, 0-9, `-` and `_`, at most 64 of them."""
    caller.require_sight(request.name)
    gallery = services.catalogue.create_gallery(request.name)
    response.headers["Location"] = f"/galleries/{gallery.name}"
    return show_gallery(gallery)


@router.get("", summary="List galleries", responses=problems())
def list_all(services: AppServices, caller: AppCaller) -> GalleryList:
    """Those that the key may see, by name, with how many pictures are pending, searchable and
    failed."""
    found = caller.visible(services.catalogue.galleries())
    return GalleryList(galleries=[show_gallery(gallery) for gallery in found])


@router.get(
    "/{gallery}",
    summary="Show a gallery",
    responses=problems("gallery_not_found", "validation_failed"),
)
def show(gallery: GallerySlug, services: AppServices) -> GalleryDetail:
    """Its counts, and the cameras that its pictures name."""
    found = services.catalogue.gallery(gallery)
    return show_gallery_detail(found, services.catalogue.cameras(gallery))


@router.patch(
    "/{gallery}",
    summary="Set how long pictures are kept, a legal hold, and whether a reason is required",
    dependencies=[Depends(require_json)],
    responses=problems(
        "malformed_json",
        "origin_refused",
        "gallery_not_found",
        "request_too_large",
        "unsupported_media_type",
        "validation_failed",
        "storage_full",
    ),
)
def change(
    gallery: GallerySlug, request: GalleryUpdate, services: AppServices, caller: AppCaller
) -> GallerySummary:
    """Only the fields that are sent. Under a legal hold nothing in the gallery is deleted, neither
    by request nor because its time is over."""
    changes = cast(GalleryChanges, request.model_dump(exclude_unset=True))
    services.catalogue.gallery_id(gallery)
    record(services, caller, "settings", gallery, what=say_changes(changes))
    return show_gallery(services.catalogue.change_gallery(gallery, changes))


@router.delete(
    "/{gallery}",
    status_code=204,
    summary="Delete a gallery and all its pictures",
    responses=problems(
        "origin_refused",
        "gallery_not_found",
        "legal_hold",
        "validation_failed",
        "storage_full",
        "storage_unavailable",
    ),
)
def delete(gallery: GallerySlug, services: AppServices, caller: AppCaller) -> None:
    """Rows, vectors and bytes. Nothing of it can be found from the moment this answers, nor after
    an older backup of the database is restored."""
    services.catalogue.gallery_id(gallery)
    with deletion_on_record(services.catalogue, caller, gallery, what="the whole gallery"):
        delete_gallery(services.catalogue, services.store, gallery)
    tell_index(services)
