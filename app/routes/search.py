"""POST /search and POST /search/image."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.access.audit import search_on_record
from app.deps import AppCaller, AppServices, require_json, require_multipart
from app.http.documentation import PICTURE_BODY, problems
from app.query.picture import PictureQuestion, parse_question, read_picture_form
from app.query.schemas import PictureSearch, SearchRequest, SearchResponse

router = APIRouter(tags=["search"])

SEARCHING = (
    "people_unavailable",
    "cursor_outdated",
    "origin_refused",
    "gallery_not_found",
    "index_unavailable",
    "index_behind",
    "reason_required",
    "request_too_large",
    "storage_full",
    "unsupported_media_type",
    "validation_failed",
)


@router.post(
    "/search",
    summary="Find people by a description or by a picture",
    response_model=SearchResponse,
    dependencies=[Depends(require_json)],
    responses=problems(*SEARCHING, "malformed_json", "image_not_found", "image_not_searchable"),
)
def search(request: SearchRequest, services: AppServices, caller: AppCaller) -> Response:
    """Rank a gallery's pictures by how well they fit `text`, or by likeness to the picture
    `image_id`. `limit` pictures come back whenever that many meet the filters, and with
    `next_cursor` as `cursor` those that come next.

    With `group_by: person` each result is a person, ranked by the best picture, with all sightings
    by camera and time. Pictures are joined by how alike the model finds them, so it is a lead.

    A description longer than the model reads is cut, and the answer says so (`truncated`).
    """
    return write(search_on_record(services, caller, request))


async def read_question(request: Request) -> AsyncIterator[PictureQuestion]:
    """The picture and the options that a request carries, while the request lasts."""
    require_multipart(request)
    async with read_picture_form(request) as form:
        yield parse_question(form)


@router.post(
    "/search/image",
    summary="Find people by a picture that you send",
    response_model=SearchResponse,
    openapi_extra={"requestBody": PICTURE_BODY},
    responses=problems(
        *SEARCHING,
        "image_not_found",
        "image_not_searchable",
        "malformed_request",
        "too_many_files",
        "empty_file",
        "file_too_large",
        "not_a_picture",
        "truncated_picture",
        "picture_too_small",
        "picture_too_large",
        "undecodable_picture",
        "box_outside_picture",
        "box_too_small",
    ),
)
def search_by_picture(
    question: Annotated[PictureQuestion, Depends(read_question)],
    services: AppServices,
    caller: AppCaller,
) -> Response:
    """Rank a gallery's pictures by likeness to the person in yours. It is looked at in memory and
    not stored; its SHA-256 is put on record. For the next page send it again, with `cursor`.
    """
    sha256 = services.model.picture_vectors.identify(question.file)
    request = PictureSearch(**dict(question.options), sha256=sha256)
    return write(search_on_record(services, caller, request, question.file))


def write(found: SearchResponse) -> Response:
    """Done in the thread that searched: FastAPI would check once more what was built by its rules,
    in one thread after another."""
    return Response(found.model_dump_json(), media_type="application/json")
