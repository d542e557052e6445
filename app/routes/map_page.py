"""The map's page: a search and its hits, with the gallery's map beside them; asking for a map."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from app.access.caller import Caller
from app.deps import AppCaller, AppServices
from app.maps.schemas import MapRequest
from app.maps.views import ask_for_map, show_map
from app.query.form import SearchForm
from app.routes.page import PageRoute, choose_gallery, render
from app.routes.pages import add_found, page_titles, search_context
from app.services import Services

router = APIRouter(prefix="/map", route_class=PageRoute, include_in_schema=False)


@router.get("")
def show(request: Request, services: AppServices, caller: AppCaller) -> Response:
    """The hits are in the page; static/map/ draws the map and marks them on it."""
    galleries = caller.visible(services.catalogue.galleries())
    gallery = choose_gallery(galleries, request.query_params.get("gallery"))
    if gallery is None:
        return RedirectResponse("/", 303)
    form = _form(request, gallery.name)
    context = search_context(services, galleries, gallery, form)
    context |= {"nav": "map", "map": show_map(services, gallery.name)}
    status = 200
    if form.problems:
        status = 422
    elif form.is_query:
        status = add_found(request, services, caller, form, context)
    context |= page_titles(form, context.get("found"), gallery)
    return render(request, "map.html", context, status)


@router.post("")
def draw(request: Request, services: AppServices, caller: AppCaller) -> Response:
    """As the API does it, then back to the page."""
    form = _visible_form(request, services, caller)
    ask_for_map(services, form.gallery, MapRequest())
    return RedirectResponse(form.url, 303)


@router.post("/cancel")
def cancel(request: Request, services: AppServices, caller: AppCaller) -> Response:
    """As the API does it, then back to the page."""
    form = _visible_form(request, services, caller)
    services.catalogue.maps.cancel(form.gallery, services.model.fingerprint)
    return RedirectResponse(form.url, 303)


def _visible_form(request: Request, services: Services, caller: Caller) -> SearchForm:
    """Raises GalleryNotFound for what the caller may not see."""
    given = request.query_params.get("gallery", "")
    caller.require_sight(given)
    services.catalogue.gallery_id(given)
    return _form(request, given)


def _form(request: Request, gallery: str) -> SearchForm:
    given = {name: request.query_params.getlist(name) for name in request.query_params}
    return replace(SearchForm.read(given, gallery), on="map", by="")
