"""The web page: search, one picture, upload. Each route reads, calls one function, renders."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, BinaryIO
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import FormData
from starlette.responses import Response
from starlette.types import Scope

from app.access.audit import frames_on_record, record_samples, search_on_record, view_on_record
from app.access.caller import Caller
from app.deps import AppCaller, AppServices, ImageId, require_multipart
from app.errors import ProblemError
from app.http.problems import explain
from app.models.views import models_under_way
from app.query.form import SearchForm
from app.query.picture import file_of, read_picture_form
from app.query.schemas import SearchOptions, SearchResponse
from app.routes import login
from app.routes.page import PageRoute, choose_gallery, render
from app.schemas import MAX_NAME_CHARS, MAX_REASON_CHARS, MAX_TEXT_CHARS
from app.services import Services
from app.views import attention_url
from indexer.errors import IndexerError
from indexer.frames.catalogue import PersonFound
from indexer.records import Gallery, Image

FOLDER = Path(__file__).parent.parent
EXAMPLES = (
    "A woman in a red and white striped top and a long red skirt",
    "A man with a moustache and sunglasses in a striped shirt and burgundy trousers",
    "Someone in a light blue T-shirt and a red cap, holding a teal umbrella",
    "A woman in a yellow polo shirt and purple trousers with an orange bag",
)
NUM_SAMPLES = 24
NUM_TAGS = 200  # to choose from; an address can name any
NUM_FAILURES = 200
MAX_GALLERY_NAME = 64  # as catalogue.SLUG has it


class RevalidatedFiles(StaticFiles):
    """Static files that a browser asks about each time (a 304 as a rule): after an upgrade it
    never mixes old and new modules."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


router = APIRouter(route_class=PageRoute, include_in_schema=False)


def install(app: FastAPI) -> None:
    """Add the pages, and their static files under /static."""
    app.include_router(router)
    app.include_router(login.router)
    app.mount("/static", RevalidatedFiles(directory=FOLDER / "static"), name="static")


@router.get("/")
def show_search(request: Request, services: AppServices, caller: AppCaller) -> Response:
    """The search form with its results; without a question, a look into the gallery."""
    galleries = caller.visible(services.catalogue.galleries())
    gallery = choose_gallery(galleries, request.query_params.get("gallery"))
    if gallery is None:
        return render(request, "search.html", {"nav": "search", "title": "Passerby"})
    given = {name: request.query_params.getlist(name) for name in request.query_params}
    form = SearchForm.read(given, gallery.name)
    context = search_context(services, galleries, gallery, form)
    status = 200
    if form.problems:
        status = 422
    elif form.is_query:
        status = add_found(request, services, caller, form, context)
    elif not gallery.reason_required:
        first = services.catalogue.list_images(gallery.name, "searchable", limit=10 * NUM_SAMPLES)
        # Neighbours tend to show the same person, so not simply the first ones.
        context["samples"] = first[:: max(1, len(first) // NUM_SAMPLES)][:NUM_SAMPLES]
        record_samples(services, caller, gallery.name, context["samples"])
    context |= page_titles(form, context.get("found"), gallery)
    return render(request, "search.html", context, status)


async def read_form(request: Request) -> AsyncIterator[FormData]:
    """The form with a picture that a page sends, while the request lasts."""
    require_multipart(request)
    async with read_picture_form(request) as form:
        yield form


@router.post("/")
def show_search_by_picture(
    request: Request,
    services: AppServices,
    caller: AppCaller,
    sent: Annotated[FormData, Depends(read_form)],
) -> Response:
    """The results of a search by a picture that the form carries; it is not stored."""
    galleries = caller.visible(services.catalogue.galleries())
    given = {
        name: [value for value in sent.getlist(name) if isinstance(value, str)]
        for name in sent
        if name != "text"
    }
    gallery = choose_gallery(galleries, (given.get("gallery") or [""])[-1])
    if gallery is None:
        return render(request, "search.html", {"nav": "search", "title": "Passerby"})
    form = replace(SearchForm.read(given, gallery.name), like=None, sent=True)
    # A page that was sent can't renew itself.
    context = search_context(services, galleries, gallery, form) | {"pending": 0}
    status = 422
    if not form.problems:
        picture = file_of(sent, "picture")
        status = add_found(request, services, caller, form, context, picture)
    context |= page_titles(form, context.get("found"), gallery)
    return render(request, "search.html", context, status)


@router.get("/pictures/{image_id}")
def show_picture(
    request: Request, services: AppServices, caller: AppCaller, image_id: ImageId
) -> Response:
    """One picture with all that is known of it. `from`: the search that it was found by."""
    search = SearchForm.parse(request.query_params.get("from", ""))
    reason = search.reason or None if search else None
    picture = view_on_record(services, caller, image_id, "page", reason)
    others = show_others(services, caller, picture, reason)
    own = SearchForm(gallery=picture.gallery, reason=search.reason if search else "")
    why = search is not None and search.text and not search.problems
    can_tell = services.model.explanations is not None and picture.state == "searchable"
    context = {
        "picture": picture,
        "others": others,
        "from_query": f"?{request.url.query}" if request.url.query else "",
        "why_text": search.text if search else "",
        "why_url": attention_url(picture.id, search.text) if search and why and can_tell else None,
        "came_from": search is not None,
        "back_href": (search or own).url,
        "like_href": own.more_like(picture.id),
        "in_cases": services.catalogue.cases.holding([picture.id]).get(picture.id),
        "collect_query": urlencode(
            {
                "image_id": picture.id,
                "from": request.query_params.get("from", ""),
                "found": request.query_params.get("found", ""),
            }
        ),
    }
    return render(request, "picture.html", context)


def show_others(
    services: Services, caller: Caller, picture: Image, reason: str | None
) -> list[PersonFound]:
    """The other people in the frame that the picture's page shows, on record too."""
    if picture.frame_id is None:
        return []
    frame = services.catalogue.frames.frame(picture.frame_id)
    others = [person for person in frame.people if person.image_id != picture.id]
    if others:
        frames_on_record(services, caller, frame.gallery, [frame], f"frame {frame.id}", reason)
    return others


@router.get("/upload")
def show_upload(request: Request, services: AppServices, caller: AppCaller) -> Response:
    """Where pictures are sent from; static/upload.js does the sending."""
    galleries = caller.visible(services.catalogue.galleries())
    gallery = choose_gallery(galleries, request.query_params.get("gallery"))
    context: dict[str, object] = {
        "nav": "upload",
        "galleries": galleries,
        "gallery": gallery,
        "max_bytes": services.settings.max_file_bytes,
        "max_name": MAX_GALLERY_NAME,
        "max_camera": MAX_NAME_CHARS,
        "can_find": services.settings.detector is not None,
    }
    if gallery is not None:
        context["cameras"] = services.catalogue.cameras(gallery.name)
        context["failures"] = services.catalogue.list_images(
            gallery.name, state="failed", limit=NUM_FAILURES
        )
    return render(request, "upload.html", context)


def search_context(
    services: Services, galleries: list[Gallery], gallery: Gallery, form: SearchForm
) -> dict[str, Any]:
    """What the search page shows whatever is asked."""
    return {
        "nav": "search",
        "galleries": galleries,
        "gallery": gallery,
        "cameras": services.catalogue.cameras(gallery.name),
        "tags": services.model.live_index.look(gallery.name, lambda view: view.tags(NUM_TAGS)),
        "form": form,
        # What ranks further on is of one moment: it needs no renewal.
        "pending": 0 if form.cursor else gallery.counts.pending,
        "models_under_way": models_under_way(services.catalogue),
        "index_error": services.model.live_index.status().error,
        "examples": EXAMPLES,
        "max_text": MAX_TEXT_CHARS,
        "max_reason": MAX_REASON_CHARS,
        "can_group": services.model.person_cosine is not None,
        "max_bytes": services.settings.max_file_bytes,
    }


def add_found(
    request: Request,
    services: Services,
    caller: Caller,
    form: SearchForm,
    context: dict[str, Any],
    picture: BinaryIO | None = None,
) -> int:
    """Search, and put what was found, or what went wrong, into the context; the status."""
    try:
        # While pictures wait, the page renews itself every few seconds.
        may_repeat = context["pending"] > 0
        asked: SearchOptions = (
            form.request()
            if picture is None
            else form.picture_request(services.model.picture_vectors.identify(picture))
        )
        found = search_on_record(services, caller, asked, picture, may_repeat=may_repeat)
        context["found"] = found
        ids = [image_id for result in found.results for image_id in result.image_ids]
        held = services.catalogue.cases.holding(ids)
        context["in_cases"] = {
            image_id: [case.name for case in cases] for image_id, cases in held.items()
        }
        context["more"] = form.page_at(found.next_cursor) if found.next_cursor else None
        if form.like is not None and not form.text:
            # Of another gallery, perhaps, that asks for a reason.
            context["like"] = view_on_record(
                services, caller, form.like, "thumbnail", form.reason or None
            )
    except (ProblemError, IndexerError) as error:
        context["problem"] = explain(error)
        return int(context["problem"].status)
    return 200


def page_titles(form: SearchForm, found: SearchResponse | None, gallery: Gallery) -> dict[str, str]:
    """The window's title, and what a screen reader is told when the results are there."""
    if form.text:
        title = f"{form.text[:80]} · Passerby"
    elif form.like is not None:
        title = "More like this · Passerby"
    else:
        title = f"{gallery.name} · Passerby"
    if found is None:
        return {"title": title, "announce": title}
    number = len(found.results)
    noun = ("person", "people") if form.by else ("picture", "pictures")
    pictures = f"{number:,} {noun[number != 1]}"
    if found.verdict is not None and found.verdict.match == "unlikely":
        announce = f"Nobody here fits well. The nearest all the same: {pictures}"
    else:
        announce = f"{pictures} found"
    return {"title": title, "announce": announce}
