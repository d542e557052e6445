"""The page where a picture is put into a case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from app.access.audit import reason_for, view_on_record
from app.access.caller import Caller
from app.cases import on_record
from app.cases.found_form import read_found
from app.cases.schemas import ExhibitCreate
from app.deps import AppCaller, AppServices
from app.errors import FieldError, invalid
from app.query.form import SearchForm
from app.routes.case_pages import LIMITS, REFUSED, Line, Words, begin_case, in_words
from app.routes.page import PageRoute, render
from app.schemas import MAX_ID, Problem
from app.services import Services

router = APIRouter(prefix="/casebook", route_class=PageRoute, include_in_schema=False)


@dataclass(frozen=True)
class Choice:
    """A picture that is to be put into a case, as the page's form has it. came_from: the search
    that it was found by, as its query; found: see found_form."""

    image_id: int
    came_from: str
    found: str
    case: str = ""
    name: str = ""
    note: str = ""
    reason: str = ""

    @property
    def search(self) -> SearchForm | None:
        return SearchForm.parse(self.came_from)

    @property
    def stated(self) -> str | None:
        """Why somebody looks."""
        return self.reason or (self.search.reason if self.search else "") or None


@router.get("/add")
def show_add(request: Request, services: AppServices, caller: AppCaller) -> Response:
    """Where a picture is put into a case: the one used last, another, or a new one."""
    given = request.query_params
    choice = Choice(
        _image_id(given.get("image_id", "")), given.get("from", ""), given.get("found", "")
    )
    return _show_choice(request, services, caller, choice)


def _show_choice(
    request: Request,
    services: Services,
    caller: Caller,
    choice: Choice,
    problem: Problem | None = None,
) -> Response:
    caller.require_sight_of(choice.image_id, services.catalogue)
    image = view_on_record(services, caller, choice.image_id, "thumbnail", choice.stated)
    book = services.catalogue.cases
    cases = [case for case in book.all(image.gallery) if case.is_open]
    used = book.last_used(image.gallery, caller.name)
    cases.sort(key=lambda case: case.id != used)
    found = read_found(choice.search, choice.found)
    context = {
        "nav": "cases",
        "picture": image,
        "gallery": services.catalogue.gallery(image.gallery),
        "choice": choice,
        "cases": cases,
        "chosen": choice.case or str(cases[0].id if cases else "new"),
        "found": found,
        "found_json": "null" if found is None else found.model_dump_json(exclude_defaults=True),
        "back_href": _back(choice),
        "problem": problem,
    }
    status = 200 if problem is None else problem.status
    return render(request, "case_add.html", context | LIMITS, status)


@router.post("/add")
def add(
    request: Request,
    services: AppServices,
    caller: AppCaller,
    image_id: Line = "",
    came_from: Annotated[str, Form(alias="from", max_length=8000)] = "",
    found: Line = "",
    case: Line = "",
    name: Line = "",
    note: Words = "",
    reason: Line = "",
) -> Response:
    """Put it in, then back to where it was found."""
    choice = Choice(_image_id(image_id), came_from, found, case, name, note, reason.strip())
    caller.require_sight_of(choice.image_id, services.catalogue)
    try:
        _add(services, caller, choice)
    except REFUSED as error:
        return _show_choice(request, services, caller, choice, in_words(error))
    return RedirectResponse(_back(choice), 303)


def _add(services: Services, caller: Caller, choice: Choice) -> None:
    wanted = ExhibitCreate(
        image_id=choice.image_id,
        note=choice.note,
        found=read_found(choice.search, choice.found),
        reason=choice.stated,
    )
    if choice.case == "new":
        gallery = services.catalogue.image(choice.image_id).gallery
        reason_for(services.catalogue, caller, gallery, wanted.reason)  # before a case is begun
        case_id = begin_case(services, caller, gallery, choice.name).id
    else:
        case_id = _id_of(choice.case, "case")
        caller.require_sight_of_case(case_id, services.catalogue)
    on_record.add_exhibit(services.catalogue, caller, case_id, wanted)


def _back(choice: Choice) -> str:
    """Where the picture was chosen."""
    search = choice.search
    if search is not None and search.is_query and not search.problems:
        return f"{search.url}#picture-{choice.image_id}"
    return f"/pictures/{choice.image_id}"


def _image_id(given: str) -> int:
    return _id_of(given, "image_id")


def _id_of(given: str, field: str) -> int:
    """Raises ProblemError for what is no id."""
    number = int(given) if given.isascii() and given.isdigit() and len(given) < 20 else 0
    if not 0 < number <= MAX_ID:
        raise invalid([FieldError(field, f"expected 1 to {MAX_ID}")])
    return number
