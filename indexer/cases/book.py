"""Cases: pictures of one gallery collected with notes. What is in them is in exhibits.py.

Each change and its row in the audit log are one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from indexer.access.audit_log import AuditLog, Deed
from indexer.cases.exhibits import Exhibits
from indexer.cases.rows import Case, case_of, find_case, lock_case, put_on_record, select_cases
from indexer.cases.tables import cases, exhibits
from indexer.database.transactions import Database
from indexer.erasure.orphan_list import in_parts
from indexer.errors import CaseChanged, CaseClosed, CaseExists, LegalHold
from indexer.gallery_names import find_gallery
from indexer.holdings import lock_galleries
from indexer.tables import galleries


class CaseChanges(TypedDict, total=False):
    """Fields of a Case to be set; those left out stay."""

    name: str
    note: str
    is_open: bool


class CaseBook:
    """Every query on cases. Safe to share between threads.

    deed: who does it, where and why; what is done is filled in.
    """

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit
        self.exhibits = Exhibits(database, audit)

    def create(self, gallery: str, name: str, note: str, deed: Deed) -> Case:
        """An empty one. Raises GalleryNotFound, CaseExists."""
        with self._database.write() as connection:
            made = insert(cases).values(
                gallery_id=find_gallery(connection, gallery, "share"),
                name=name,
                note=note,
                is_open=True,
                created_at=self._database.now(connection),
                created_by=deed.who,
            )
            try:
                case_id = connection.execute(made.returning(cases.c.id)).scalar_one()
            except IntegrityError as error:
                raise CaseExists(name) from error
            put_on_record(self._audit, connection, deed, case_id, f"made {name!r}")
            return find_case(connection, case_id)

    def all(self, gallery: str) -> list[Case]:
        """Those of a gallery: open ones first, newest first. Raises GalleryNotFound."""
        with self._database.read() as connection:
            mine = cases.c.gallery_id == find_gallery(connection, gallery)
            order = cases.c.is_open.desc(), cases.c.id.desc()
            return [
                case_of(row)
                for row in connection.execute(select_cases().where(mine).order_by(*order))
            ]

    def find(self, case_id: int) -> Case:
        """Raises CaseNotFound."""
        with self._database.read() as connection:
            return find_case(connection, case_id)

    def holding(self, image_ids: Iterable[int]) -> dict[int, list[Case]]:
        """The open cases in which these images are, by image."""
        found: dict[int, list[Case]] = {}
        joined = select_cases().add_columns(exhibits.c.image_id)
        with self._database.read() as connection:
            for some in in_parts(image_ids):
                mine = exhibits.c.image_id.in_(some) & cases.c.is_open
                held = joined.join(exhibits, exhibits.c.case_id == cases.c.id).where(mine)
                for row in connection.execute(held.order_by(cases.c.id)):
                    found.setdefault(row.image_id, []).append(case_of(row))
        return found

    def last_used(self, gallery: str, who: str) -> int | None:
        """The open case of a gallery to which they added last, else the one they made last."""
        mine = (galleries.c.name == gallery) & cases.c.is_open
        made = (
            select(cases.c.id)
            .join_from(cases, galleries, cases.c.gallery_id == galleries.c.id)
            .where(mine, cases.c.created_by == who)
            .order_by(cases.c.id.desc())
        )
        added = (
            select(cases.c.id)
            .join_from(cases, galleries, cases.c.gallery_id == galleries.c.id)
            .join(exhibits, exhibits.c.case_id == cases.c.id)
            .where(mine, exhibits.c.added_by == who)
            .order_by(exhibits.c.id.desc())
        )
        with self._database.read() as connection:
            found = connection.scalar(added.limit(1))
            return found if found is not None else connection.scalar(made.limit(1))

    def change(self, case_id: int, version: int, changes: CaseChanges, deed: Deed) -> Case:
        """Set these fields. Raises CaseNotFound, CaseExists, CaseClosed unless it is opened, and
        CaseChanged where `version`, the one that was seen, is not the one it has."""
        with self._database.write() as connection:
            seen = lock_case(connection, case_id, closed_too=True)
            if seen.version != version:
                raise CaseChanged(f"case {case_id}", seen.version, version)
            if not seen.is_open and not changes.get("is_open", False):
                raise CaseClosed(case_id)
            if changes:
                _set(connection, seen, changes)
                put_on_record(self._audit, connection, deed, case_id, _say(changes))
            return find_case(connection, case_id)

    def delete(self, case_id: int, deed: Deed) -> None:
        """With its notes; its pictures stay in the gallery. Raises CaseNotFound, and LegalHold of
        the gallery."""
        with self._database.write() as connection:
            gallery_id = find_gallery(connection, find_case(connection, case_id).gallery)
            for gallery in lock_galleries(connection, [gallery_id]):
                if gallery.legal_hold is not None:
                    raise LegalHold(f"gallery {gallery.name!r}", gallery.legal_hold)
            seen = lock_case(connection, case_id, closed_too=True)
            connection.execute(delete(exhibits).where(exhibits.c.case_id == case_id))
            connection.execute(delete(cases).where(cases.c.id == case_id))
            put_on_record(self._audit, connection, deed, case_id, f"deleted {seen.name!r}")


def _set(connection: Connection, seen: Case, changes: CaseChanges) -> None:
    changed = update(cases).where(cases.c.id == seen.id)
    try:
        connection.execute(changed.values(**changes, version=seen.version + 1))
    except IntegrityError as error:
        raise CaseExists(changes["name"]) from error


def _say(changes: CaseChanges) -> str:
    """What was changed; what a note says is not on record."""
    said = []
    if "name" in changes:
        said.append(f"named {changes['name']!r}")
    if "note" in changes:
        said.append("noted")
    if "is_open" in changes:
        said.append("opened" if changes["is_open"] else "closed")
    return ", ".join(said)
