"""Whole frames: put into a gallery, list, show, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from app.access.audit import deletion_on_record, frames_on_record
from app.deps import AppCaller, AppServices, AppSettings, FrameId, GallerySlug, require_json
from app.erasures import tell_index
from app.errors import ProblemError
from app.frames.schemas import FrameDetail, FrameList, FrameState, FrameUploadResponse
from app.frames.views import show_frame, show_frames, store_frames
from app.http.documentation import UPLOAD_BODY, problems
from app.imports.schemas import KnownRequest, KnownResponse
from app.ingest.uploads import Upload
from app.pictures.answers import content_response
from app.routes.images import Why, read_form
from app.schemas import MAX_ID
from indexer.frames.deletion import delete_frame

router = APIRouter(tags=["frames"])


def need_detector(settings: AppSettings) -> None:
    """Raises ProblemError where nothing would find anybody in a frame."""
    if settings.detector is None:
        raise ProblemError(
            "no_detector",
            "This service has no person detector. Its operator can set PASSERBY_DETECTOR, to "
            "`small` for one.",
        )


@router.post(
    "/galleries/{gallery}/frames",
    status_code=202,
    summary="Put whole frames into a gallery",
    dependencies=[Depends(need_detector)],
    openapi_extra={"requestBody": UPLOAD_BODY},
    responses=problems(
        "malformed_request",
        "origin_refused",
        "gallery_not_found",
        "no_detector",
        "request_too_large",
        "too_many_files",
        "unsupported_media_type",
        "validation_failed",
        "storage_full",
        "storage_unavailable",
    ),
)
def upload(
    gallery: GallerySlug, form: Annotated[Upload, Depends(read_form)], services: AppServices
) -> FrameUploadResponse:
    """As pictures are, but that `metadata` has no `box`: a detector finds the people in each frame,
    and each becomes a picture of the frame's bytes with a box, a camera, a time and tags.

    What is answered `accepted` is durable; `GET /frames/{frame_id}` tells who was found.
    """
    return store_frames(services, gallery, form)


@router.get(
    "/galleries/{gallery}/frames",
    summary="List a gallery's frames",
    responses=problems("gallery_not_found", "reason_required", "validation_failed", "storage_full"),
)
def list_page(
    gallery: GallerySlug,
    services: AppServices,
    caller: AppCaller,
    state: Annotated[FrameState | None, Query(description="Only frames in this state.")] = None,
    after_id: Annotated[
        int, Query(ge=0, le=MAX_ID, description="Only frames with a larger id.")
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
    reason: Why = None,
) -> FrameList:
    """In the order in which they came, with the people found in each."""
    frames = services.catalogue.frames
    counts = frames.counts(gallery)
    found = frames.list(gallery, state, after_id, limit + 1)
    if any(frame.people for frame in found[:limit]):
        frames_on_record(services, caller, gallery, found[:limit], "frames: details", reason)
    return show_frames(found, limit, counts)


@router.post(
    "/galleries/{gallery}/frames/known",
    summary="Ask which frames are there already",
    dependencies=[Depends(need_detector), Depends(require_json)],
    responses=problems(
        "malformed_json",
        "origin_refused",
        "gallery_not_found",
        "no_detector",
        "request_too_large",
        "unsupported_media_type",
        "validation_failed",
    ),
)
def known(gallery: GallerySlug, request: KnownRequest, services: AppServices) -> KnownResponse:
    """By the SHA-256 of their bytes, so that only the others need be sent. Those that failed are
    not told: sent again, they are tried again."""
    found = services.catalogue.frames.known(gallery, request.sha256)
    return KnownResponse(known=[sha256 for sha256 in request.sha256 if sha256 in found])


@router.get(
    "/frames/{frame_id}",
    summary="Show what is known of a frame",
    responses=problems("frame_not_found", "reason_required", "validation_failed", "storage_full"),
)
def show(
    frame_id: FrameId, services: AppServices, caller: AppCaller, reason: Why = None
) -> FrameDetail:
    """Its state, who was found in it, and why it failed if it did."""
    frame = services.catalogue.frames.frame(frame_id)
    if frame.people:
        what = f"frame {frame_id}: details"
        frames_on_record(services, caller, frame.gallery, [frame], what, reason)
    return show_frame(frame)


@router.get(
    "/frames/{frame_id}/content",
    summary="The frame as it was sent",
    response_class=Response,
    responses={
        200: {
            "description": "The original bytes.",
            "content": {"image/jpeg": {}, "image/png": {}, "image/webp": {}},
        },
        304: {"description": "Unchanged (`If-None-Match`)."},
        **problems(
            "frame_not_found",
            "reason_required",
            "validation_failed",
            "picture_missing",
            "storage_full",
            "storage_unavailable",
        ),
    },
)
def content(
    frame_id: FrameId,
    request: Request,
    services: AppServices,
    caller: AppCaller,
    reason: Why = None,
) -> Response:
    """Its `ETag` is the SHA-256 of the bytes."""
    frame = services.catalogue.frames.frame(frame_id)
    what = f"frame {frame_id}: content"
    frames_on_record(services, caller, frame.gallery, [frame], what, reason)
    return content_response(services, frame, request.headers)


@router.delete(
    "/frames/{frame_id}",
    status_code=204,
    summary="Delete a frame and everybody found in it",
    responses=problems(
        "origin_refused",
        "frame_not_found",
        "legal_hold",
        "validation_failed",
        "storage_full",
        "storage_unavailable",
    ),
)
def delete(frame_id: FrameId, services: AppServices, caller: AppCaller, reason: Why = None) -> None:
    """The frame, the pictures of its people with their vectors, and the bytes; as with pictures,
    for good."""
    frame = services.catalogue.frames.frame(frame_id)
    with deletion_on_record(
        services.catalogue,
        caller,
        frame.gallery,
        what=f"frame {frame_id}",
        image_ids=[person.image_id for person in frame.people],
        reason=reason,
    ):
        delete_frame(services.catalogue, services.store, frame_id)
    tell_index(services)
