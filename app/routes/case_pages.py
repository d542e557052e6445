"""Pages of cases: the list, and one case. Where pictures are put in is case_add_page.py."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from app.access.caller import Caller
from app.cases import on_record
from app.cases.schemas import (
    MAX_NOTE_CHARS,
    CaseCreate,
    CaseDetail,
    CaseUpdate,
    ExhibitUpdate,
)
from app.deps import AppCaller, AppServices, CaseId, ExhibitId
from app.errors import ProblemError
from app.http.problems import explain, invalid_fields
from app.routes.page import PageRoute, choose_gallery, render
from app.schemas import MAX_NAME_CHARS, MAX_REASON_CHARS, Problem
from app.services import Services
from indexer.errors import IndexerError

router = APIRouter(prefix="/casebook", route_class=PageRoute, include_in_schema=False)

Line = Annotated[str, Form(max_length=4000)]
Words = Annotated[str, Form(max_length=4 * MAX_NOTE_CHARS)]
REFUSED = (ValidationError, ProblemError, IndexerError)
LIMITS = {"max_name": MAX_NAME_CHARS, "max_note": MAX_NOTE_CHARS, "max_reason": MAX_REASON_CHARS}


@router.get("")
def show_all(request: Request, services: AppServices, caller: AppCaller) -> Response:
    """The cases of a gallery, and where one is begun."""
    return _show_list(request, services, caller, request.query_params.get("gallery"))


def _show_list(
    request: Request,
    services: Services,
    caller: Caller,
    name: str | None,
    problem: Problem | None = None,
) -> Response:
    galleries = caller.visible(services.catalogue.galleries())
    gallery = choose_gallery(galleries, name)
    found = [] if gallery is None else services.catalogue.cases.all(gallery.name)
    context = {"nav": "cases", "galleries": galleries, "gallery": gallery, "cases": found}
    status = 200 if problem is None else problem.status
    return render(request, "cases.html", context | LIMITS | {"problem": problem}, status)


@router.post("")
def create(
    request: Request,
    services: AppServices,
    caller: AppCaller,
    gallery: Line,
    name: Line = "",
    note: Words = "",
) -> Response:
    """Begin a case, and go there."""
    caller.require_sight(gallery)
    try:
        made = begin_case(services, caller, gallery, name, note)
    except REFUSED as error:
        return _show_list(request, services, caller, gallery, in_words(error))
    return RedirectResponse(f"/casebook/{made.id}", 303)


def begin_case(
    services: Services, caller: Caller, gallery: str, name: str, note: str = ""
) -> CaseDetail:
    """Raises ValidationError, GalleryNotFound, CaseExists."""
    wanted = CaseCreate(name=name.strip(), note=note)
    return on_record.create_case(services.catalogue, caller, gallery, wanted)


def in_words(error: Exception) -> Problem:
    """Why something that a form asked for was not done."""
    return explain(invalid_fields(error) if isinstance(error, ValidationError) else error)


@router.get("/{case_id}")
def show_one(
    request: Request, case_id: CaseId, services: AppServices, caller: AppCaller
) -> Response:
    """Its pictures in order, with notes to be edited in place."""
    return _show_case(request, services, caller, case_id)


def _show_case(
    request: Request,
    services: Services,
    caller: Caller,
    case_id: int,
    problem: Problem | None = None,
    **typed: object,
) -> Response:
    """typed: what was sent and could not be kept, with the exhibit that it is of."""
    case = services.catalogue.cases.find(case_id)
    reason = request.query_params.get("reason", "").strip()[:MAX_REASON_CHARS] or None
    context: dict[str, Any] = {
        "nav": "cases",
        "gallery": services.catalogue.gallery(case.gallery),
        "problem": problem,
        "typed": typed,
        **LIMITS,
    }
    try:
        found = _look(services, caller, case_id, reason)
    except ProblemError as error:
        if error.code != "reason_required":
            raise
        context |= {"problem": explain(error), "case": case}
        return render(request, "case_reason.html", context, context["problem"].status)
    status = 200 if problem is None else problem.status
    return render(request, "case.html", context | {"case": found}, status)


def _look(services: Services, caller: Caller, case_id: int, reason: str | None) -> CaseDetail:
    """Within a minute of its row none is written for the same pictures: a page that is worked on
    is loaded again with each step."""
    read = on_record.read_case(services.catalogue, case_id)
    asked, shown = f"case {case_id}", on_record.image_ids(read)
    if services.shown.has_answer(caller, asked, shown):
        return read
    found = on_record.look_at_case(services.catalogue, caller, case_id, reason)
    services.shown.add(caller, on_record.image_ids(found))
    services.shown.add_answer(caller, asked, on_record.image_ids(found))
    return found


@router.post("/{case_id}")
def change(
    request: Request,
    case_id: CaseId,
    services: AppServices,
    caller: AppCaller,
    do: Annotated[Literal["save", "close", "open", "delete"], Form()],
    version: Annotated[int, Form(ge=1, le=2**31 - 1)] = 1,
    name: Line = "",
    note: Words = "",
) -> Response:
    """Rename, note, close, open or delete it."""
    catalogue = services.catalogue
    try:
        if do == "delete":
            gallery = catalogue.cases.find(case_id).gallery
            on_record.delete_case(catalogue, caller, case_id)
            return RedirectResponse(f"/casebook?{urlencode({'gallery': gallery})}", 303)
        changes: dict[str, Any] = {"is_open": do == "open"}
        if do == "save":
            changes = {"name": name.strip(), "note": note}
        on_record.change_case(catalogue, caller, case_id, CaseUpdate(version=version, **changes))
    except REFUSED as error:
        sent = {"name": name, "note": note} if do == "save" else {}
        return _show_case(request, services, caller, case_id, in_words(error), **sent)
    return RedirectResponse(f"/casebook/{case_id}", 303)


@router.post("/{case_id}/exhibits/{exhibit_id}")
def change_exhibit(
    request: Request,
    case_id: CaseId,
    exhibit_id: ExhibitId,
    services: AppServices,
    caller: AppCaller,
    do: Annotated[Literal["note", "up", "down", "place", "remove"], Form()],
    version: Annotated[int, Form(ge=1, le=2**31 - 1)] = 1,
    note: Words = "",
    place: Annotated[int, Form(ge=1, le=10_000)] = 1,
) -> Response:
    """Note something of a picture, move it, or take it out."""
    catalogue, back = services.catalogue, f"/casebook/{case_id}"
    try:
        if do == "remove":
            on_record.remove_exhibit(catalogue, caller, case_id, exhibit_id, version)
            return RedirectResponse(back, 303)
        if do == "note":
            update = ExhibitUpdate(note=note, version=version)
        else:
            now = catalogue.cases.exhibits.find(case_id, exhibit_id).place
            update = ExhibitUpdate(place={"up": max(1, now - 1), "down": now + 1}.get(do, place))
        on_record.change_exhibit(catalogue, caller, case_id, exhibit_id, update)
    except REFUSED as error:
        sent = {"exhibit_id": exhibit_id, "exhibit_note": note} if do == "note" else {}
        return _show_case(request, services, caller, case_id, in_words(error), **sent)
    return RedirectResponse(f"{back}#exhibit-{exhibit_id}", 303)
