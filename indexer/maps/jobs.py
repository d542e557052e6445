"""Maps of galleries as jobs: asked for, looked at, cancelled. Their work is in work.py."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Row, delete, select, update

from indexer.database.transactions import Database
from indexer.errors import MapEnded
from indexer.gallery_names import find_gallery
from indexer.maps.layout import NOBODY
from indexer.maps.tables import map_points, maps
from indexer.maps.work import UNDER_WAY, MapWork

MapState = Literal["waiting", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class MapJob:
    """One map that was asked for. progress: 0 to 1. generation, pictures: what is on it, once its
    vectors were read. code, reason: why it failed."""

    id: int
    gallery_id: int
    model: str
    perplexity: float
    seed: int
    state: MapState
    code: str | None
    reason: str | None
    progress: float
    generation: int | None
    pictures: int | None
    created_at: datetime
    ended_at: datetime | None

    @property
    def is_under_way(self) -> bool:
        """Whether it goes on."""
        return self.state in UNDER_WAY


@dataclass(frozen=True)
class MapPoints:
    """A map's pictures by id, ascending (N,), and where they lie (N, 2); see tables.py.
    person_N: layout.NOBODY where it is not known."""

    ids_N: NDArray[np.int64]
    xy_N2: NDArray[np.float32]
    is_fitted_N: NDArray[np.bool_]
    person_N: NDArray[np.int64]


class MapJobs:
    """Every query on maps that is not their work. Safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.work = MapWork(database)

    def create(self, gallery: str, model: str, perplexity: float, seed: int) -> MapJob:
        """A new one, or the one that is under way. Those that came to nothing are forgotten.

        Raises GalleryNotFound.
        """
        with self._database.write() as connection:
            mine = _of(find_gallery(connection, gallery, "share"), model)
            undone = mine & maps.c.state.in_(("failed", "cancelled"))
            connection.execute(delete(maps).where(undone))
            now = self._database.now(connection)
            connection.execute(
                self._database.insert(maps)
                .values(
                    gallery_id=find_gallery(connection, gallery),
                    model=model,
                    perplexity=perplexity,
                    seed=seed,
                    state="waiting",
                    created_at=now,
                    claimable_at=now,
                )
                .on_conflict_do_nothing()
            )
            return _newest(connection, mine)[0]

    def newest(self, gallery: str, model: str) -> MapJob | None:
        """The one that was asked for last. Raises GalleryNotFound."""
        with self._database.read() as connection:
            mine = _of(find_gallery(connection, gallery), model)
            return next(iter(_newest(connection, mine)), None)

    def drawn(self, gallery: str, model: str) -> MapJob | None:
        """The one that can be looked at. Raises GalleryNotFound."""
        with self._database.read() as connection:
            mine = _of(find_gallery(connection, gallery), model)
            return next(iter(_newest(connection, mine & (maps.c.state == "done"))), None)

    def cancel(self, gallery: str, model: str) -> MapJob:
        """End what is under way; its worker stops within seconds. An older map stays.

        Raises GalleryNotFound, MapEnded.
        """
        with self._database.write() as connection:
            mine = _of(find_gallery(connection, gallery), model)
            now = self._database.now(connection)
            ended = {"state": "cancelled", "ended_at": now, "lease_token": None}
            under_way = mine & maps.c.state.in_(UNDER_WAY)
            found = connection.scalar(
                update(maps).where(under_way).values(**ended).returning(maps.c.id)
            )
            if found is None:
                raise MapEnded(gallery)
            connection.execute(delete(map_points).where(map_points.c.map_id == found))
            return _newest(connection, maps.c.id == found)[0]

    def points(self, map_id: int) -> MapPoints:
        """Where its pictures lie, those that are still there."""
        columns = [map_points.c[name] for name in ("image_id", "x", "y", "is_fitted", "person")]
        mine = select(*columns).where(map_points.c.map_id == map_id)
        with self._database.read() as connection:
            rows = connection.execute(mine.order_by(map_points.c.image_id)).all()
        ids, x, y, fitted, person = zip(*rows, strict=True) if rows else ((),) * 5
        return MapPoints(
            np.array(ids, np.int64),
            np.array([x, y], np.float32).T.reshape(-1, 2),
            np.array(fitted, np.bool_),
            np.array([NOBODY if one is None else one for one in person], np.int64),
        )


_COLUMNS = [maps.c[field.name] for field in fields(MapJob)]


def _of(gallery_id: int, model: str) -> ColumnElement[bool]:
    return (maps.c.gallery_id == gallery_id) & (maps.c.model == model)


def _newest(connection: Connection, which: ColumnElement[bool]) -> list[MapJob]:
    """At most one."""
    newest = select(*_COLUMNS).where(which).order_by(maps.c.id.desc()).limit(1)
    return [_job(row) for row in connection.execute(newest)]


def _job(row: Row[Any]) -> MapJob:
    return MapJob(**{field.name: getattr(row, field.name) for field in fields(MapJob)})
