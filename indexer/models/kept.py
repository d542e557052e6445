"""Kept models: every picture gets the vectors of all of them, and searches use the one that is
served. Which one that is changes in one transaction, and so does the way back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    case,
    delete,
    insert,
    select,
    true,
    update,
)

from indexer.database import notices
from indexer.database.transactions import CHANGES_LOCK, Database
from indexer.errors import (
    ModelIncomplete,
    ModelNotKept,
    ModelNotReady,
    ModelServed,
    NoPreviousModel,
)
from indexer.models.processes import ServingProcesses
from indexer.models.progress import Progress, ProgressCounter
from indexer.models.ranges import cover_all, cover_stragglers, is_covered, open_ids
from indexer.models.tables import kept_models, model_failures, served_model


@dataclass(frozen=True, slots=True)
class KeptModel:
    """name: what loads it. declined_at: when another was chosen in its place, by a switch or a roll
    back; None once it is switched to.
    is_previous: whether a roll back would serve it."""

    fingerprint: str
    name: str
    dim: int
    added_at: datetime
    declined_at: datetime | None
    is_served: bool
    is_previous: bool


@dataclass(frozen=True, slots=True)
class ModelFailure:
    """A searchable picture that a model can't embed, and why."""

    image_id: int
    reason: str
    failed_at: datetime


class KeptModels:
    """Every query on them but the work of embedding, see chunks.py. Safe for many threads.

    What changes them takes turns with all that makes pictures searchable, by CHANGES_LOCK.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.serving = ServingProcesses(database)
        self._counter = ProgressCounter()

    def all(self) -> list[KeptModel]:
        """The served one first, then those that were added first. Cheap: counts nothing."""
        with self._database.read() as connection:
            return [_model(row) for row in connection.execute(_select())]

    def served(self) -> KeptModel | None:
        """None where no model was ever kept."""
        return next((model for model in self.all() if model.is_served), None)

    def find(self, fingerprint: str) -> KeptModel:
        """Raises ModelNotKept."""
        with self._database.read() as connection:
            return _find(connection, fingerprint)

    def progress(self) -> dict[str, Progress]:
        """Of each kept model, by fingerprint. Cheap with any number of pictures."""
        with self._database.read() as connection:
            return self._counter.read(connection)

    def failures(self, fingerprint: str, after_id: int = 0, limit: int = 100) -> list[ModelFailure]:
        """Pictures that it can't embed, by id, those with larger ids than `after_id`."""
        columns = model_failures.c
        statement = select(columns.image_id, columns.reason, columns.failed_at)
        mine = (columns.model == fingerprint) & (columns.image_id > after_id)
        with self._database.read() as connection:
            rows = connection.execute(statement.where(mine).order_by(columns.image_id).limit(limit))
            return [ModelFailure(*row) for row in rows]

    def keep(self, fingerprint: str, name: str, dim: int) -> KeptModel:
        """From now on every picture gets its vector; those that are there, as they are worked on.

        One that is kept already stays as it is, under the new name. The first that a database
        keeps is served at once. One that was dropped comes back, and is embedded anew.
        """
        with self._changing() as connection:
            row = connection.execute(
                select(kept_models).where(kept_models.c.fingerprint == fingerprint)
            ).one_or_none()
            now = self._database.now(connection)
            if row is None or row.dropped_at is not None:
                self._begin(connection, fingerprint, name, dim, now)
            elif row.name != name:
                mine = kept_models.c.fingerprint == fingerprint
                connection.execute(update(kept_models).where(mine).values(name=name))
                notices.tell(self._database, connection, notices.MODELS)
            if connection.scalar(select(served_model.c.id)) is None:
                first = {"id": 1, "fingerprint": fingerprint, "since": now}
                connection.execute(insert(served_model).values(first))
            return _find(connection, fingerprint)

    def retry_failed(self, fingerprint: str) -> int:
        """Try again to embed the pictures that it could not; how many. Raises ModelNotKept."""
        with self._changing() as connection:
            _find(connection, fingerprint)
            mine = delete(model_failures).where(model_failures.c.model == fingerprint)
            ids = sorted(connection.scalars(mine.returning(model_failures.c.image_id)))
            cover_stragglers(self._database, connection, fingerprint, ids)
            notices.tell(self._database, connection, notices.MODELS)
            return len(ids)

    def require_servable(self, fingerprint: str) -> None:
        """Raises ModelNotKept, ModelIncomplete, ModelNotReady where it can't be served now."""
        with self._database.read() as connection:
            if not _find(connection, fingerprint).is_served:
                self._check_servable(connection, fingerprint)

    def switch(
        self, fingerprint: str, *, force: bool = False, by_setting: bool = False
    ) -> KeptModel:
        """Searches use this model from now on. Nothing changes where they do already.

        force: also where pictures lack its vector, so that they are not found, or processes have
        not loaded it. by_setting: nobody chose against the model that was served, so that a setting
        may have it served again. Raises ModelNotKept, ModelIncomplete, ModelNotReady.
        """
        with self._changing() as connection:
            left = self._serve(connection, fingerprint, force=force)
            if left is not None and not by_setting:
                self._decline(connection, left)
            return _find(connection, fingerprint)

    def roll_back(self, *, served: str | None = None, force: bool = False) -> KeptModel:
        """Searches use the model again that they used before. served: the one that they use; where
        they use another by now, which is returned, nothing is done. Raises as switch, and
        NoPreviousModel."""
        with self._changing() as connection:
            row = connection.execute(select(served_model)).one_or_none()
            if row is not None and served not in (None, row.fingerprint):
                return _find(connection, row.fingerprint)
            if row is None or row.previous is None:
                raise NoPreviousModel
            self._serve(connection, row.previous, force=force)
            self._decline(connection, row.fingerprint)
            return _find(connection, row.previous)

    def drop(self, fingerprint: str) -> None:
        """Keep it no longer. Workers remove its vectors, see removal.py.

        Raises ModelNotKept, ModelServed.
        """
        with self._changing() as connection:
            if _find(connection, fingerprint).is_served:
                raise ModelServed(fingerprint)
            mine = kept_models.c.fingerprint == fingerprint
            now = self._database.now(connection)
            connection.execute(update(kept_models).where(mine).values(dropped_at=now))
            was_before = served_model.c.previous == fingerprint
            connection.execute(update(served_model).where(was_before).values(previous=None))
            notices.tell(self._database, connection, notices.MODELS)

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        with self._database.write() as connection:
            self._database.lock(connection, CHANGES_LOCK)
            yield connection

    def _begin(
        self, connection: Connection, fingerprint: str, name: str, dim: int, now: datetime
    ) -> None:
        values = {"name": name, "dim": dim, "added_at": now}
        values |= {"declined_at": None, "dropped_at": None}
        connection.execute(
            self._database.insert(kept_models)
            .values(fingerprint=fingerprint, **values)
            .on_conflict_do_update(index_elements=["fingerprint"], set_=values)
        )
        cover_all(self._database, connection, fingerprint)
        notices.tell(self._database, connection, notices.MODELS)

    def _serve(self, connection: Connection, fingerprint: str, *, force: bool) -> str | None:
        """The one that was served; None where it is this one."""
        mine = kept_models.c.fingerprint == fingerprint
        if _find(connection, fingerprint).is_served:
            return None
        if not force:
            self._check_servable(connection, fingerprint)
        left = connection.scalar(select(served_model.c.fingerprint))
        now = self._database.now(connection)
        values = {"previous": left, "fingerprint": fingerprint, "since": now}
        connection.execute(update(served_model).values(values))
        connection.execute(update(kept_models).where(mine).values(declined_at=None))
        notices.tell(self._database, connection, notices.MODELS)
        return left

    def _decline(self, connection: Connection, fingerprint: str) -> None:
        now = self._database.now(connection)
        mine = kept_models.c.fingerprint == fingerprint
        connection.execute(update(kept_models).where(mine).values(declined_at=now))

    def _check_servable(self, connection: Connection, fingerprint: str) -> None:
        self._check_complete(connection, fingerprint)
        lacking = [
            f"{one.process} on {one.host}"
            for one in self.serving.live_in(connection)
            if fingerprint not in one.ready
        ]
        if lacking:
            raise ModelNotReady(fingerprint, lacking)

    def _check_complete(self, connection: Connection, fingerprint: str) -> None:
        if not is_covered(connection, fingerprint):
            raise ModelIncomplete(fingerprint, max(1, open_ids(connection)[fingerprint]))


def _select() -> Select[Any]:
    columns = [
        kept_models.c[name] for name in ("fingerprint", "name", "dim", "added_at", "declined_at")
    ]
    mine = served_model.c.fingerprint == kept_models.c.fingerprint
    is_served = mine.label("is_served")
    is_previous = (served_model.c.previous == kept_models.c.fingerprint).label("is_previous")
    return (
        select(*columns, is_served, is_previous)
        .join_from(kept_models, served_model, true(), isouter=True)
        .where(kept_models.c.dropped_at.is_(None))
        .order_by(case((mine, 0), else_=1), kept_models.c.added_at, kept_models.c.fingerprint)
    )


def _model(row: Row[Any]) -> KeptModel:
    return KeptModel(
        row.fingerprint,
        row.name,
        row.dim,
        row.added_at,
        row.declined_at,
        bool(row.is_served),
        bool(row.is_previous),
    )


def _find(connection: Connection, fingerprint: str) -> KeptModel:
    mine = kept_models.c.fingerprint == fingerprint
    row = connection.execute(_select().where(mine)).one_or_none()
    if row is None:
        raise ModelNotKept(fingerprint)
    return _model(row)
