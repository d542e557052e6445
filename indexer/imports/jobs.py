"""Bulk imports as jobs: asked for, looked at, cancelled. Their work is in work.py."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, delete, select, update

from indexer.database.transactions import Database
from indexer.errors import ImportEnded, ImportNotFound, KeyReused
from indexer.gallery_names import find_gallery
from indexer.imports.tables import import_entries, imports
from indexer.imports.work import ACTIVE, EntryResult, EntryStatus, ImportWork
from indexer.new_rows import known_hashes
from indexer.records import MAX_ID
from indexer.tables import galleries, images

Source = Literal["archive", "folder", "bucket"]
ImportState = Literal["waiting", "running", "paused", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What is asked for. archive: its name in storage. request: a hash of the whole request."""

    source: Source
    place: str
    who: str
    request: str
    archive: str | None = None
    size_bytes: int | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class ImportJob:
    """One import. position: entries dealt with; total: None until they are counted. code, reason:
    why it failed or is paused."""

    id: int
    gallery: str
    source: Source
    place: str
    archive: str | None
    size_bytes: int | None
    who: str
    state: ImportState
    code: str | None
    reason: str | None
    position: int
    total: int | None
    accepted: int
    duplicate: int
    refused: int
    created_at: datetime
    ended_at: datetime | None

    @property
    def remaining(self) -> int | None:
        """Entries still to be dealt with, where that is known."""
        return None if self.total is None else max(0, self.total - self.position)

    @property
    def is_active(self) -> bool:
        """Whether it goes on."""
        return self.state in ACTIVE


class ImportJobs:
    """Every query on imports that is not their work. Safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.work = ImportWork(database)

    def create(self, gallery: str, asked: ImportRequest) -> tuple[ImportJob, bool]:
        """A new import, or the one there is for the same request; (it, is new).

        Raises GalleryNotFound, and KeyReused for a key that another request has.
        """
        values = {field.name: getattr(asked, field.name) for field in fields(asked)}
        with self._database.write() as connection:
            gallery_id = find_gallery(connection, gallery, "share")
            now = self._database.now(connection)
            new_id = connection.execute(
                self._database.insert(imports)
                .values(
                    **values,
                    gallery_id=gallery_id,
                    state="waiting",
                    created_at=now,
                    claimable_at=now,
                )
                .on_conflict_do_nothing(index_elements=["who", "idempotency_key"])
                .returning(imports.c.id)
            ).scalar_one_or_none()
            if new_id is not None:
                return self._find(connection, imports.c.id == new_id), True
            found = self._find_request(connection, asked)
            assert found is not None
            return found, False

    def find_request(self, asked: ImportRequest) -> ImportJob | None:
        """The import that this request made before. Raises KeyReused."""
        with self._database.read() as connection:
            return self._find_request(connection, asked)

    def _find_request(self, connection: Connection, asked: ImportRequest) -> ImportJob | None:
        if asked.idempotency_key is None:
            return None
        row = connection.execute(
            select(imports.c.id, imports.c.request).where(
                imports.c.who == asked.who, imports.c.idempotency_key == asked.idempotency_key
            )
        ).one_or_none()
        if row is None:
            return None
        if row.request != asked.request:
            raise KeyReused(row.id)
        return self._find(connection, imports.c.id == row.id)

    def find(self, import_id: int) -> ImportJob:
        """Raises ImportNotFound."""
        if not 0 < import_id <= MAX_ID:
            raise ImportNotFound(import_id)
        with self._database.read() as connection:
            row = connection.execute(_select().where(imports.c.id == import_id)).one_or_none()
        if row is None:
            raise ImportNotFound(import_id)
        return _job(row)

    def all(
        self, names: Collection[str] | None = None, before_id: int = MAX_ID, limit: int = 100
    ) -> list[ImportJob]:
        """Imports into these galleries (None: all), newest first, those with a smaller id."""
        statement = _select().where(imports.c.id < before_id)
        if names is not None:
            statement = statement.where(galleries.c.name.in_(names))
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(imports.c.id.desc()).limit(limit))
            return [_job(row) for row in rows]

    def cancel(self, import_id: int) -> ImportJob:
        """End it; what went in stays. Its worker stops at its next entry.

        Raises ImportNotFound, ImportEnded.
        """
        with self._database.write() as connection:
            now = self._database.now(connection)
            active = (imports.c.id == import_id) & imports.c.state.in_(ACTIVE)
            ended = {"state": "cancelled", "ended_at": now, "lease_token": None}
            done = connection.execute(
                update(imports).where(active).values(**ended, code=None, reason=None)
            )
            if done.rowcount:
                return self._find(connection, imports.c.id == import_id)
        raise ImportEnded(import_id, self.find(import_id).state)

    def entries(
        self, import_id: int, status: EntryStatus | None = None, after: int = -1, limit: int = 100
    ) -> list[EntryResult]:
        """What became of its entries, in their order, those after the position `after`."""
        statement = select(*_ENTRY).where(
            import_entries.c.import_id == import_id, import_entries.c.position > after
        )
        if status is not None:
            statement = statement.where(import_entries.c.status == status)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(import_entries.c.position).limit(limit))
            return [EntryResult(*row) for row in rows]

    def names_done(self, import_id: int) -> set[tuple[str, int]]:
        """Name and line of every entry that was dealt with."""
        statement = select(import_entries.c.name, import_entries.c.line)
        mine = import_entries.c.import_id == import_id
        with self._database.read() as connection:
            return {(row.name, row.line) for row in connection.execute(statement.where(mine))}

    def known(self, gallery: str, hashes: Sequence[str]) -> set[str]:
        """Of these hashes, those of whole pictures in the gallery that need not be sent, see
        known_hashes. Raises GalleryNotFound."""
        with self._database.read() as connection:
            mine = images.c.gallery_id == find_gallery(connection, gallery)
            return known_hashes(connection, images, hashes, mine & (images.c.crop == ""))

    def archives(self, *, active: bool) -> dict[str, int]:
        """Names of archives in storage that belong to imports under way, or to ended ones, with
        the import's id."""
        is_active = imports.c.state.in_(ACTIVE)
        wanted = imports.c.archive.is_not(None) & (is_active if active else ~is_active)
        with self._database.read() as connection:
            rows = connection.execute(select(imports.c.archive, imports.c.id).where(wanted))
            return {row.archive: row.id for row in rows}

    def archives_into(self, gallery: str) -> list[str]:
        """Names of the archives in storage that are to be imported into this gallery."""
        mine = select(imports.c.archive).join_from(imports, galleries)
        wanted = (galleries.c.name == gallery) & imports.c.archive.is_not(None)
        with self._database.read() as connection:
            return [str(name) for name in connection.scalars(mine.where(wanted))]

    def forget_archive(self, import_id: int) -> None:
        """Its archive is not in storage any more."""
        with self._database.write() as connection:
            mine = imports.c.id == import_id
            connection.execute(update(imports).where(mine).values(archive=None))

    def prune(self, days: float) -> int:
        """Forget imports that ended so many days ago, with their entries; how many."""
        with self._database.write() as connection:
            since = self._database.now(connection) - timedelta(days=days)
            old = (imports.c.ended_at < since) & imports.c.archive.is_(None)
            return int(connection.execute(delete(imports).where(old)).rowcount)

    def _find(self, connection: Connection, which: Any) -> ImportJob:
        return _job(connection.execute(_select().where(which)).one())


_ENTRY = [import_entries.c[field.name] for field in fields(EntryResult)]


def _select() -> Select[Any]:
    columns = [imports.c[field.name] for field in fields(ImportJob) if field.name != "gallery"]
    return select(galleries.c.name.label("gallery"), *columns).join_from(
        imports, galleries, imports.c.gallery_id == galleries.c.id
    )


def _job(row: Row[Any]) -> ImportJob:
    return ImportJob(**{field.name: getattr(row, field.name) for field in fields(ImportJob)})
