"""Cases."""

from __future__ import annotations

from pathlib import Path

from app.cases.schemas import (
    CaseCreate,
    CaseDetail,
    CaseList,
    CaseSummary,
    CaseUpdate,
    ExhibitCreate,
    ExhibitDetail,
    ExhibitUpdate,
    Found,
)
from app.client.call import Call, Talk, as_, ask, given, nothing, to_path

_MAKING_S = 600.0  # a server looks for each picture before it begins to send
_DONE = frozenset({409})


def cases(gallery: str) -> Call[list[CaseSummary]]:
    """A gallery's cases: open ones first, newest first."""
    path = to_path("galleries", gallery, "cases")
    return Call("GET", path, lambda answer: as_(CaseList)(answer).cases)


def case(case_id: int, *, reason: str | None = None) -> Call[CaseDetail]:
    """With its pictures and notes."""
    return Call("GET", to_path("cases", case_id), as_(CaseDetail), given(reason=reason))


def create_case(gallery: str, name: str, *, note: str = "") -> Call[CaseDetail]:
    """An empty one."""
    body = CaseCreate(name=name, note=note).model_dump(mode="json")
    return Call("POST", to_path("galleries", gallery, "cases"), as_(CaseDetail), body=body)


def change_case(case_id: int, update: CaseUpdate) -> Call[CaseDetail]:
    """Rename, note, close or open it; what is not named stays."""
    body = update.model_dump(mode="json", exclude_unset=True)
    return Call("PATCH", to_path("cases", case_id), as_(CaseDetail), body=body)


def delete_case(case_id: int) -> Call[None]:
    """With its notes; its pictures stay in the gallery."""
    return Call("DELETE", to_path("cases", case_id), nothing, done_by=frozenset({404}))


def add_to_case(
    case_id: int,
    image_id: int,
    *,
    note: str = "",
    found: Found | None = None,
    reason: str | None = None,
) -> Talk[ExhibitDetail]:
    """Put a picture at its end."""
    request = ExhibitCreate(image_id=image_id, note=note, found=found, reason=reason)
    body = request.model_dump(mode="json", exclude_unset=True)
    path = to_path("cases", case_id, "exhibits")
    yield from ask(Call("POST", path, nothing, body=body, done_by=_DONE))
    whole = yield from ask(case(case_id))
    return next(one for one in whole.exhibits if one.picture and one.picture.id == image_id)


def change_exhibit(case_id: int, exhibit_id: int, update: ExhibitUpdate) -> Call[ExhibitDetail]:
    """Note something of a picture, or move it."""
    path = to_path("cases", case_id, "exhibits", exhibit_id)
    body = update.model_dump(mode="json", exclude_unset=True)
    return Call("PATCH", path, as_(ExhibitDetail), body=body)


def remove_exhibit(case_id: int, exhibit_id: int, *, version: int | None = None) -> Call[None]:
    """Take a picture out of a case. version: of the note that you saw."""
    path = to_path("cases", case_id, "exhibits", exhibit_id)
    return Call("DELETE", path, nothing, given(version=version), done_by=frozenset({404}))


def export_case(case_id: int, path: Path, *, reason: str | None = None) -> Call[None]:
    """Write it to `path` as a zip; see docs/cases.md. Raises OSError where that can't be written.

    Nothing is there before all of it is.
    """
    return Call(
        "GET",
        to_path("cases", case_id, "export"),
        nothing,
        given(reason=reason),
        save_to=path,
        timeout_s=_MAKING_S,
    )
