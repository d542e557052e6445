"""What is done with cases, on record with it; for the API, the page and the command line."""

from __future__ import annotations

from typing import cast

from app.access.audit import deed_of, put_on_record, reason_for
from app.access.caller import Caller
from app.cases.schemas import (
    CaseCreate,
    CaseDetail,
    CaseUpdate,
    ExhibitCreate,
    ExhibitDetail,
    ExhibitUpdate,
)
from app.cases.views import show_case_detail, show_exhibit
from indexer.access.audit_log import Deed
from indexer.cases.book import CaseChanges
from indexer.cases.rows import Exhibit, told_of
from indexer.catalogue import Catalogue


def create_case(
    catalogue: Catalogue, caller: Caller, gallery: str, request: CaseCreate
) -> CaseDetail:
    """Raises GalleryNotFound, CaseExists."""
    deed = deed_of(caller, "case", gallery)
    made = catalogue.cases.create(gallery, request.name, request.note, deed)
    return show_case_detail(made, catalogue.gallery(gallery), [], {})


def look_at_case(
    catalogue: Catalogue, caller: Caller, case_id: int, reason: str | None = None
) -> CaseDetail:
    """The case with its pictures and notes, as it is about to be shown.

    Raises CaseNotFound, and ProblemError where the gallery asks for a reason and there is none.
    """
    found = read_case(catalogue, case_id)
    stated = reason_for(catalogue, caller, found.gallery, reason)
    what = told_of(case_id, "looked at")
    shown = image_ids(found)
    put_on_record(
        catalogue, caller, "view", found.gallery, what=what, image_ids=shown, reason=stated
    )
    return found


def read_case(catalogue: Catalogue, case_id: int) -> CaseDetail:
    """Raises CaseNotFound. What it says must be on record before it is shown."""
    case = catalogue.cases.find(case_id)
    exhibits = catalogue.cases.exhibits.all(case_id)
    images = catalogue.images(one.image_id for one in exhibits if one.image_id is not None)
    return show_case_detail(case, catalogue.gallery(case.gallery), exhibits, images)


def image_ids(case: CaseDetail) -> list[int]:
    """Of the pictures that are there, in order."""
    return [one.picture.id for one in case.exhibits if one.picture is not None]


def change_case(
    catalogue: Catalogue, caller: Caller, case_id: int, request: CaseUpdate
) -> CaseDetail:
    """Raises CaseNotFound, CaseExists, CaseChanged, CaseClosed, and as look_at_case."""
    changes = cast(CaseChanges, request.model_dump(exclude_unset=True, exclude={"version"}))
    deed = _deed(catalogue, caller, case_id)
    catalogue.cases.change(case_id, request.version, changes, deed)
    return look_at_case(catalogue, caller, case_id)


def delete_case(catalogue: Catalogue, caller: Caller, case_id: int) -> None:
    """Raises CaseNotFound, LegalHold."""
    catalogue.cases.delete(case_id, _deed(catalogue, caller, case_id))


def add_exhibit(
    catalogue: Catalogue, caller: Caller, case_id: int, request: ExhibitCreate
) -> ExhibitDetail:
    """Raises CaseNotFound, CaseClosed, CaseFull, ImageNotFound, ExhibitExists, and ProblemError
    where a reason is missing."""
    deed = _deed(catalogue, caller, case_id, request.reason)
    found = None if request.found is None else request.found.model_dump(exclude_defaults=True)
    made = catalogue.cases.exhibits.add(case_id, request.image_id, deed, request.note, found)
    return _shown(catalogue, made)


def change_exhibit(
    catalogue: Catalogue, caller: Caller, case_id: int, exhibit_id: int, request: ExhibitUpdate
) -> ExhibitDetail:
    """Raises CaseNotFound, ExhibitNotFound, CaseClosed, CaseChanged, ExhibitEmpty, and ProblemError
    where a reason is missing."""
    exhibits = catalogue.cases.exhibits
    deed = _deed(catalogue, caller, case_id)
    if request.place is not None:
        changed = exhibits.move(case_id, exhibit_id, request.place, deed)
    else:
        assert request.note is not None and request.version is not None
        changed = exhibits.change_note(case_id, exhibit_id, request.version, request.note, deed)
    return _shown(catalogue, changed)


def remove_exhibit(
    catalogue: Catalogue, caller: Caller, case_id: int, exhibit_id: int, version: int | None = None
) -> None:
    """Raises CaseNotFound, ExhibitNotFound, CaseClosed, CaseChanged."""
    deed = _deed(catalogue, caller, case_id)
    catalogue.cases.exhibits.remove(case_id, exhibit_id, deed, version)


def _deed(catalogue: Catalogue, caller: Caller, case_id: int, reason: str | None = None) -> Deed:
    gallery = catalogue.cases.find(case_id).gallery
    return deed_of(caller, "case", gallery, reason=reason_for(catalogue, caller, gallery, reason))


def _shown(catalogue: Catalogue, exhibit: Exhibit) -> ExhibitDetail:
    gallery = catalogue.gallery(catalogue.cases.find(exhibit.case_id).gallery)
    images = catalogue.images([exhibit.image_id or 0])
    return show_exhibit(exhibit, gallery, images.get(exhibit.image_id or 0))
