"""The pictures of a case, in their order. Places count from 1, without gaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, case, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from indexer.access.audit_log import AuditLog, Deed
from indexer.cases.rows import (
    Exhibit,
    exhibit_of,
    find_case,
    find_exhibit,
    lock_case,
    put_on_record,
)
from indexer.cases.tables import exhibits
from indexer.database.transactions import Database
from indexer.errors import CaseChanged, CaseFull, ExhibitEmpty, ExhibitExists, ImageNotFound
from indexer.gallery_names import find_gallery
from indexer.holdings import lock_galleries
from indexer.records import MAX_ID
from indexer.tables import images

MAX_EXHIBITS = 1_000


class Exhibits:
    """Every query on exhibits. Safe to share between threads.

    deed: as of CaseBook. What changes something raises CaseNotFound, CaseClosed and, for an
    exhibit that is not there, ExhibitNotFound.
    """

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    def all(self, case_id: int) -> list[Exhibit]:
        """In order; none where there is no such case."""
        mine = select(exhibits).where(exhibits.c.case_id == case_id).order_by(exhibits.c.place)
        with self._database.read() as connection:
            return [exhibit_of(row) for row in connection.execute(mine)]

    def find(self, case_id: int, exhibit_id: int) -> Exhibit:
        """Raises ExhibitNotFound."""
        with self._database.read() as connection:
            return find_exhibit(connection, case_id, exhibit_id)

    def add(
        self,
        case_id: int,
        image_id: int,
        deed: Deed,
        note: str = "",
        found: Mapping[str, object] | None = None,
    ) -> Exhibit:
        """Put a picture of the case's gallery at its end. Raises ImageNotFound, ExhibitExists,
        CaseFull."""
        with self._database.write() as connection:
            _keep_image(connection, find_case(connection, case_id).gallery, image_id)
            seen = lock_case(connection, case_id)
            if seen.num_exhibits >= MAX_EXHIBITS:
                raise CaseFull(case_id, MAX_EXHIBITS)
            made = insert(exhibits).values(
                case_id=case_id,
                place=seen.num_exhibits + 1,
                image_id=image_id,
                note=note,
                found=found,
                added_at=self._database.now(connection),
                added_by=deed.who,
            )
            try:
                exhibit = exhibit_of(connection.execute(made.returning(exhibits)).one())
            except IntegrityError as error:
                raise ExhibitExists(case_id, image_id) from error
            self._record(connection, deed, exhibit, "added")
            return exhibit

    def change_note(
        self, case_id: int, exhibit_id: int, version: int, note: str, deed: Deed
    ) -> Exhibit:
        """Raises ExhibitEmpty, and CaseChanged where `version`, the one that was seen, is not the
        one it has."""
        with self._database.write() as connection:
            lock_case(connection, case_id)
            seen = find_exhibit(connection, case_id, exhibit_id)
            if seen.image_id is None:
                raise ExhibitEmpty(exhibit_id)
            _require_version(seen, version)
            changed = update(exhibits).where(exhibits.c.id == exhibit_id)
            connection.execute(changed.values(note=note, version=version + 1))
            self._record(connection, deed, seen, "noted")
            return replace(seen, note=note, version=version + 1)

    def move(self, case_id: int, exhibit_id: int, place: int, deed: Deed) -> Exhibit:
        """To this place, or to the last one where it has fewer; those between make room."""
        with self._database.write() as connection:
            last = lock_case(connection, case_id).num_exhibits
            seen = find_exhibit(connection, case_id, exhibit_id)
            target = min(max(place, 1), last)
            if target == seen.place:
                return seen
            low, high = sorted((seen.place, target))
            step = 1 if target < seen.place else -1
            places = case((exhibits.c.id == exhibit_id, target), else_=exhibits.c.place + step)
            _renumber(connection, case_id, exhibits.c.place.between(low, high), places)
            self._record(connection, deed, seen, f"moved to {target}")
            return replace(seen, place=target)

    def remove(self, case_id: int, exhibit_id: int, deed: Deed, version: int | None = None) -> None:
        """Take it out with its note; the picture stays in the gallery. version: the one that was
        seen. Raises CaseChanged where it has another."""
        with self._database.write() as connection:
            lock_case(connection, case_id)
            seen = find_exhibit(connection, case_id, exhibit_id)
            if version is not None:
                _require_version(seen, version)
            connection.execute(delete(exhibits).where(exhibits.c.id == exhibit_id))
            behind = exhibits.c.place > seen.place
            _renumber(connection, case_id, behind, exhibits.c.place - 1)
            self._record(connection, deed, seen, "removed")

    def _record(self, connection: Connection, deed: Deed, exhibit: Exhibit, how: str) -> None:
        what = f"exhibit {exhibit.id} {how}"
        put_on_record(self._audit, connection, deed, exhibit.case_id, what, exhibit.image_id)


def _keep_image(connection: Connection, gallery: str, image_id: int) -> None:
    """Keep a picture of this gallery until commit. Raises ImageNotFound."""
    gallery_id = find_gallery(connection, gallery)
    lock_galleries(connection, [gallery_id])
    there = (images.c.id == image_id) & (images.c.gallery_id == gallery_id)
    kept = select(images.c.id).where(there).with_for_update(read=True, key_share=True)
    if not 0 < image_id <= MAX_ID or connection.scalar(kept) is None:
        raise ImageNotFound(image_id)


def _require_version(seen: Exhibit, version: int) -> None:
    if seen.version != version:
        raise CaseChanged(f"exhibit {seen.id}", seen.version, version)


def _renumber(
    connection: Connection, case_id: int, which: ColumnElement[bool], place: ColumnElement[int]
) -> None:
    connection.execute(
        update(exhibits).where(exhibits.c.case_id == case_id, which).values(place=place)
    )
