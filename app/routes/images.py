"""Pictures: put into a gallery, list, show, hold, delete."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request, Response

from app.access.audit import (
    deletion_on_record,
    details_on_record,
    record,
    say_changes,
    view_on_record,
)
from app.deps import (
    AppCaller,
    AppServices,
    AppSettings,
    GallerySlug,
    ImageId,
    require_json,
    require_multipart,
)
from app.erasures import tell_index
from app.http.documentation import UPLOAD_BODY, problems
from app.ingest.uploads import Upload, read_upload, store_upload
from app.pictures.answers import content_response, overlay_response, thumbnail_response
from app.pictures.explanations import explain_match
from app.schemas import (
    MAX_ID,
    MAX_TEXT_CHARS,
    REASON,
    ImageAttention,
    ImageDetail,
    ImageList,
    ImageUpdate,
    Reason,
    State,
    Text,
    UploadResponse,
)
from app.views import show_attention, show_image
from indexer.erasure.deletion import delete_image
from indexer.records import ImageChanges

router = APIRouter(tags=["images"])

Description = Annotated[
    Text, Query(description=f"What it was looked for by, up to {MAX_TEXT_CHARS} characters.")
]
Why = Annotated[
    Reason | None,
    Query(description=f"{REASON} One stated in the last hour holds for what is looked at."),
]
EXPLAINING = problems(
    "reason_required",
    "storage_full",
    "image_not_found",
    "image_not_searchable",
    "validation_failed",
    "undecodable_picture",
    "attention_unavailable",
    "picture_missing",
    "storage_unavailable",
)


async def read_form(request: Request, settings: AppSettings) -> AsyncIterator[Upload]:
    """The upload that a request carries, while the request lasts."""
    require_multipart(request)
    async with read_upload(request, settings) as upload:
        yield upload


@router.post(
    "/galleries/{gallery}/images",
    status_code=202,
    summary="Put pictures into a gallery",
    openapi_extra={"requestBody": UPLOAD_BODY},
    responses=problems(
        "malformed_request",
        "origin_refused",
        "gallery_not_found",
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
) -> UploadResponse:
    """One result a file, in the order sent: `accepted` (durable, will be embedded), `duplicate`
    (the same bytes with the same box are there already) or `refused` with a problem. One bad file
    never stops its neighbours.

    When storage fails on the way, what was accepted stays, and the files after it are refused with
    that problem; where nothing was accepted yet, the whole answer is the problem.
    """
    return store_upload(services, gallery, form)


@router.get(
    "/galleries/{gallery}/images",
    summary="List a gallery's pictures",
    responses=problems("gallery_not_found", "reason_required", "validation_failed", "storage_full"),
)
def list_page(
    gallery: GallerySlug,
    services: AppServices,
    caller: AppCaller,
    state: Annotated[State | None, Query(description="Only pictures in this state.")] = None,
    after_id: Annotated[
        int, Query(ge=0, le=MAX_ID, description="Only pictures with a larger id.")
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
    reason: Why = None,
) -> ImageList:
    """In the order in which they came. `next_after_id` is the next page's `after_id`."""
    found = services.catalogue.list_images(gallery, state, after_id, limit + 1)
    page = found[:limit]
    details_on_record(services, caller, gallery, page, reason)
    next_after_id = page[-1].id if len(found) > limit else None
    return ImageList(images=[show_image(image) for image in page], next_after_id=next_after_id)


@router.get(
    "/images/{image_id}",
    summary="Show what is known of a picture",
    responses=problems("image_not_found", "reason_required", "validation_failed", "storage_full"),
)
def show(
    image_id: ImageId, services: AppServices, caller: AppCaller, reason: Why = None
) -> ImageDetail:
    """Its metadata, its state, and why it failed if it did."""
    image = services.catalogue.image(image_id)
    details_on_record(services, caller, image.gallery, [image], reason)
    return show_image(image)


@router.patch(
    "/images/{image_id}",
    summary="Put a picture under legal hold, or lift it",
    dependencies=[Depends(require_json)],
    responses=problems(
        "malformed_json",
        "origin_refused",
        "image_not_found",
        "request_too_large",
        "unsupported_media_type",
        "validation_failed",
        "storage_full",
    ),
)
def change(
    image_id: ImageId, request: ImageUpdate, services: AppServices, caller: AppCaller
) -> ImageDetail:
    """Under a legal hold it is not deleted, neither by request nor because its time is over."""
    changes = cast(ImageChanges, request.model_dump(exclude_unset=True))
    gallery = services.catalogue.image(image_id).gallery
    record(services, caller, "settings", gallery, what=say_changes(changes), image_ids=[image_id])
    return show_image(services.catalogue.change_image(image_id, changes))


@router.delete(
    "/images/{image_id}",
    status_code=204,
    summary="Delete a picture",
    responses=problems(
        "origin_refused",
        "image_not_found",
        "legal_hold",
        "validation_failed",
        "storage_full",
        "storage_unavailable",
    ),
)
def delete(image_id: ImageId, services: AppServices, caller: AppCaller, reason: Why = None) -> None:
    """Row, vector and bytes. It can't be found from the moment this answers, nor after an older
    backup of the database is restored."""
    image = services.catalogue.image(image_id)
    with deletion_on_record(
        services.catalogue, caller, image.gallery, image_ids=[image_id], reason=reason
    ):
        delete_image(services.catalogue, services.store, image_id)
    tell_index(services)


@router.get(
    "/images/{image_id}/content",
    summary="The picture as it was sent",
    response_class=Response,
    responses={
        200: {
            "description": "The original bytes.",
            "content": {"image/jpeg": {}, "image/png": {}, "image/webp": {}},
        },
        304: {"description": "Unchanged (`If-None-Match`)."},
        **problems(
            "image_not_found",
            "reason_required",
            "validation_failed",
            "picture_missing",
            "storage_full",
            "storage_unavailable",
        ),
    },
)
def content(
    image_id: ImageId,
    request: Request,
    services: AppServices,
    caller: AppCaller,
    reason: Why = None,
) -> Response:
    """Its `ETag` is the SHA-256 of the bytes."""
    image = view_on_record(services, caller, image_id, "content", reason)
    return content_response(services, image, request.headers)


@router.get(
    "/images/{image_id}/thumbnail",
    summary="A small JPEG of the picture",
    response_class=Response,
    responses={
        200: {"description": "At most 320 pixels a side.", "content": {"image/jpeg": {}}},
        304: {"description": "Unchanged (`If-None-Match`)."},
        **problems(
            "image_not_found",
            "reason_required",
            "validation_failed",
            "picture_missing",
            "storage_full",
            "undecodable_picture",
            "storage_unavailable",
        ),
    },
)
def thumbnail(
    image_id: ImageId,
    request: Request,
    services: AppServices,
    caller: AppCaller,
    reason: Why = None,
) -> Response:
    """Upright, and cropped to its box where it has one."""
    image = view_on_record(services, caller, image_id, "thumbnail", reason)
    return thumbnail_response(services, image, request.headers)


@router.get(
    "/images/{image_id}/attention",
    summary="Why the picture fits a description",
    responses=EXPLAINING,
)
def attention(
    image_id: ImageId,
    text: Description,
    services: AppServices,
    caller: AppCaller,
    reason: Why = None,
) -> ImageAttention:
    """What each word, and each part of the picture (or of its box), did for the score: attention
    in the model, weighted by its gradient. It tells what the model used, not that it is right."""
    image = view_on_record(services, caller, image_id, f"attention: {text}", reason)
    return show_attention(
        image,
        text,
        explain_match(services, image, text),
        model=services.model.fingerprint,
        truncated=services.model.query_vectors.get(text).truncated,
    )


@router.get(
    "/images/{image_id}/attention.png",
    summary="Where in the picture the model looked",
    response_class=Response,
    responses={
        200: {
            "description": "The grid as a picture to lay over the image's `box`, or over the whole "
            "where it has none: in its proportions, at most 512 pixels a side, see-through; bright "
            "is high.",
            "content": {"image/png": {}},
        },
        304: {"description": "Unchanged (`If-None-Match`)."},
        **EXPLAINING,
    },
)
def attention_overlay(
    image_id: ImageId,
    text: Description,
    request: Request,
    services: AppServices,
    caller: AppCaller,
    reason: Why = None,
) -> Response:
    """What `overlay_url` of `/images/{image_id}/attention` leads to."""
    image = view_on_record(services, caller, image_id, f"attention: {text}", reason)
    return overlay_response(services, image, text, request.headers)
