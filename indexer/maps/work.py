"""Maps as work: claimed under a lease, gone on with only by who holds its token.

Shapes: N pictures, D embedding.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Update, delete, insert, select, update

from indexer.change_log import newest_seq
from indexer.database import Database
from indexer.errors import IndexerError
from indexer.maps.layout import NOBODY, Layout
from indexer.tables import embeddings, images, map_points, maps

UNDER_WAY = ("waiting", "running")
_READ_ROWS = 2_000
_SAVE_ROWS = 1_000  # a transaction: others write in between


class MapLost(IndexerError):
    """The map is not ours to draw any more: cancelled, or another worker has it, or it is gone."""

    def __init__(self, map_id: int) -> None:
        super().__init__(f"map {map_id} is not this worker's any more")


@dataclass(frozen=True, slots=True)
class MapLease:
    """The right to draw a map. attempts: how often it was begun."""

    map_id: int
    gallery_id: int
    model: str
    perplexity: float
    seed: int
    attempts: int
    token: str
    seconds: float


class MapWork:
    """Claims, progress and the end of maps. Safe for any number of workers on any hosts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, lease_s: float) -> MapLease | None:
        """The map that has waited longest and that nobody draws, ours for `lease_s`."""
        token = secrets.token_hex(16)
        with self._database.write() as connection:
            now = self._database.now(connection)
            map_id = connection.scalar(
                select(maps.c.id)
                .where(maps.c.state.in_(UNDER_WAY), maps.c.claimable_at <= now)
                .order_by(maps.c.claimable_at, maps.c.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            if map_id is None:
                return None
            taken = connection.execute(
                update(maps)
                .where(maps.c.id == map_id)
                .values(
                    state="running",
                    progress=0.0,
                    attempts=maps.c.attempts + 1,
                    claimable_at=now + timedelta(seconds=lease_s),
                    lease_token=token,
                )
                .returning(*_TAKEN)
            ).one()
            return MapLease(**taken._mapping, token=token, seconds=lease_s)

    def read(self, lease: MapLease) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Its gallery's pictures of one moment: ids, ascending, and vectors (N, D), which the map
        is said to hold from now on. Raises MapLost."""
        mine = (images.c.gallery_id == lease.gallery_id) & (embeddings.c.model == lease.model)
        rows = select(images.c.id, embeddings.c.vector).join(embeddings).where(mine)
        ids: list[int] = []
        parts: list[NDArray[np.float16]] = []
        with self._database.read() as connection:
            generation = newest_seq(connection)
            result = connection.execute(
                rows.order_by(images.c.id), execution_options={"yield_per": _READ_ROWS}
            )
            for part in result.partitions():
                ids += [row.id for row in part]
                joined = b"".join(row.vector for row in part)
                parts.append(np.frombuffer(joined, dtype="<f2").reshape(len(part), -1))
        with self._database.write() as connection:
            self._renew(connection, lease, generation=generation, pictures=len(ids))
            connection.execute(delete(map_points).where(map_points.c.map_id == lease.map_id))
        return np.array(ids, np.int64), np.concatenate(parts or [np.empty((0, 1), np.float16)])

    def renew(self, lease: MapLease, progress: float) -> None:
        """Begin the lease anew. Raises MapLost."""
        with self._database.write() as connection:
            self._renew(connection, lease, progress=progress)

    def save(self, lease: MapLease, ids_N: NDArray[np.int64], layout: Layout) -> None:
        """Keep the points of those pictures that are still there, and make it the gallery's map in
        place of the one before. Raises MapLost."""
        for start in range(0, len(ids_N), _SAVE_ROWS):
            part = slice(start, start + _SAVE_ROWS)
            rows = _rows(lease.map_id, ids_N[part], layout, part)
            with self._database.write() as connection:
                self._renew(connection, lease)
                kept = select(images.c.id).where(images.c.id.in_(list(rows)))
                locked = kept.order_by(images.c.id).with_for_update(read=True, key_share=True)
                here = [rows[image_id] for image_id in connection.scalars(locked)]
                if here:
                    connection.execute(insert(map_points), here)
        with self._database.write() as connection:
            self._end(connection, lease, state="done", progress=1.0)
            before = (
                (maps.c.gallery_id == lease.gallery_id)
                & (maps.c.model == lease.model)
                & (maps.c.id < lease.map_id)
            )
            connection.execute(delete(maps).where(before))

    def fail(self, lease: MapLease, code: str, reason: str) -> None:
        """It came to nothing. Raises MapLost."""
        with self._database.write() as connection:
            self._end(connection, lease, state="failed", code=code, reason=reason)

    def release(self, lease: MapLease, *, counts: bool = False) -> None:
        """Give it back, for another to begin at once. counts: whether it was an attempt."""
        with self._database.write() as connection:
            now = self._database.now(connection)
            connection.execute(
                _held(lease).values(
                    state="waiting",
                    progress=0.0,
                    claimable_at=now,
                    lease_token=None,
                    attempts=maps.c.attempts - (0 if counts else 1),
                )
            )

    def _renew(self, connection: Connection, lease: MapLease, **values: object) -> None:
        until = self._database.now(connection) + timedelta(seconds=lease.seconds)
        if not connection.execute(_held(lease).values(claimable_at=until, **values)).rowcount:
            raise MapLost(lease.map_id)

    def _end(self, connection: Connection, lease: MapLease, **values: object) -> None:
        now = self._database.now(connection)
        ended = _held(lease).values(**values, ended_at=now, lease_token=None)
        if not connection.execute(ended).rowcount:
            raise MapLost(lease.map_id)


_TAKEN = (
    maps.c.id.label("map_id"),
    maps.c.gallery_id,
    maps.c.model,
    maps.c.perplexity,
    maps.c.seed,
    maps.c.attempts,
)


def _held(lease: MapLease) -> Update:
    return update(maps).where(
        maps.c.id == lease.map_id,
        maps.c.lease_token == lease.token,
        maps.c.state == "running",
    )


def _rows(
    map_id: int, ids_N: NDArray[np.int64], layout: Layout, part: slice
) -> dict[int, dict[str, object]]:
    """Rows of map_points by image id."""
    columns = zip(
        ids_N.tolist(),
        layout.xy_N2[part].tolist(),
        layout.is_fitted_N[part].tolist(),
        layout.person_N[part].tolist(),
        strict=True,
    )
    return {
        image_id: {
            "map_id": map_id,
            "image_id": image_id,
            "x": x,
            "y": y,
            "is_fitted": is_fitted,
            "person": None if person == NOBODY else person,
        }
        for image_id, (x, y), is_fitted, person in columns
    }
