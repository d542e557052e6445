"""Cases and their exhibits as rows: how they are found, held, and put on record.

Whoever changes a case holds its row, after gallery and image as everybody locks them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, update

from indexer.access.audit_log import AuditLog, Deed
from indexer.cases.tables import cases, exhibits
from indexer.database.transactions import Database
from indexer.errors import CaseClosed, CaseNotFound, ExhibitNotFound
from indexer.records import MAX_ID
from indexer.tables import galleries, images


@dataclass(frozen=True, slots=True)
class Case:
    """version: raised by each change to name, note and is_open. num_exhibits: with emptied ones."""

    id: int
    gallery: str
    name: str
    note: str
    is_open: bool
    version: int
    created_at: datetime
    created_by: str
    num_exhibits: int


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A picture of a case. place: from 1. found: how it was found, as who added it told; None where
    nothing was told. version: raised by each change to the note.

    image_id: None once the picture was deleted, at emptied_at; note and found are gone then too.
    """

    id: int
    case_id: int
    place: int
    image_id: int | None
    note: str
    found: Mapping[str, Any] | None
    version: int
    added_at: datetime
    added_by: str
    emptied_at: datetime | None


def told_of(case_id: int, what: str) -> str:
    """How a deed on a case stands in the audit log."""
    return f"case {case_id}: {what}"


def put_on_record(
    audit: AuditLog,
    connection: Connection,
    deed: Deed,
    case_id: int,
    what: str,
    image_id: int | None = None,
) -> None:
    """Last before commit. deed: who, where and why; what notes say is nowhere on record."""
    about = () if image_id is None else (image_id,)
    told = replace(deed, action="case", what=told_of(case_id, what), image_ids=about)
    audit.append(connection, told)


def select_cases() -> Select[Any]:
    """All, as case_of reads them."""
    held = exhibits.alias()  # a statement may ask for exhibits besides
    mine = select(func.count()).where(held.c.case_id == cases.c.id)
    counted = mine.scalar_subquery().label("num_exhibits")
    return select(cases, galleries.c.name.label("gallery"), counted).join_from(
        cases, galleries, cases.c.gallery_id == galleries.c.id
    )


def case_of(row: Row[Any]) -> Case:
    return Case(**{field.name: getattr(row, field.name) for field in fields(Case)})


def exhibit_of(row: Row[Any]) -> Exhibit:
    return Exhibit(**{field.name: getattr(row, field.name) for field in fields(Exhibit)})


def find_case(connection: Connection, case_id: int) -> Case:
    """Raises CaseNotFound."""
    if not 0 < case_id <= MAX_ID:
        raise CaseNotFound(case_id)
    row = connection.execute(select_cases().where(cases.c.id == case_id)).one_or_none()
    if row is None:
        raise CaseNotFound(case_id)
    return case_of(row)


def find_exhibit(connection: Connection, case_id: int, exhibit_id: int) -> Exhibit:
    """Raises ExhibitNotFound."""
    if not 0 < exhibit_id <= MAX_ID:
        raise ExhibitNotFound(case_id, exhibit_id)
    mine = (exhibits.c.case_id == case_id) & (exhibits.c.id == exhibit_id)
    row = connection.execute(select(exhibits).where(mine)).one_or_none()
    if row is None:
        raise ExhibitNotFound(case_id, exhibit_id)
    return exhibit_of(row)


def lock_case(connection: Connection, case_id: int, *, closed_too: bool = False) -> Case:
    """The case, nobody else's to change until commit. Raises CaseNotFound, CaseClosed."""
    connection.execute(select(cases.c.id).where(cases.c.id == case_id).with_for_update())
    found = find_case(connection, case_id)
    if not found.is_open and not closed_too:
        raise CaseClosed(case_id)
    return found


def empty_exhibits(database: Database, connection: Connection, gone: ColumnElement[bool]) -> None:
    """Leave nothing in any case of the images that are about to go: not what was noted of them, nor
    by which words they were found. gone: which rows of images."""
    theirs = exhibits.c.image_id.in_(select(images.c.id).where(gone))
    touched = cases.c.id.in_(select(exhibits.c.case_id).where(theirs))
    connection.execute(select(cases.c.id).where(touched).order_by(cases.c.id).with_for_update())
    emptied = {"image_id": None, "note": "", "found": None}
    connection.execute(
        update(exhibits)
        .where(theirs)
        .values(**emptied, version=exhibits.c.version + 1, emptied_at=database.now(connection))
    )
