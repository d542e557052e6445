"""Maps as work: claimed under a lease, gone on with only by who holds its token.

Shapes: N pictures, D embedding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, insert, select

from indexer.change_log import newest_seq
from indexer.database.transactions import Database
from indexer.maps.layout import NOBODY, Layout
from indexer.maps.tables import map_points, maps
from indexer.tables import embeddings, images
from indexer.work.leases import Lease, Leases

UNDER_WAY = ("waiting", "running")
_READ_ROWS = 2_000
_SAVE_ROWS = 1_000  # a transaction: others write in between


@dataclass(frozen=True, slots=True)
class MapLease(Lease):
    """The right to draw a map. attempts: how often it was begun."""

    gallery_id: int
    model: str
    perplexity: float
    seed: int


class MapWork:
    """Claims, progress and the end of maps. Safe for any number of workers on any hosts.

    on_part: called where part of something long is done.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leases = Leases(
            database,
            maps,
            unfinished=maps.c.state.in_(UNDER_WAY),
            running="running",
            order=(maps.c.claimable_at, maps.c.id),
        )

    def claim(self, lease_s: float) -> MapLease | None:
        """The map that has waited longest and that nobody draws, ours for `lease_s`."""
        with self._database.write() as connection:
            row = self._leases.claim(connection, lease_s, state="running", progress=0.0)
        if row is None:
            return None
        how = {name: getattr(row, name) for name in ("gallery_id", "model", "perplexity", "seed")}
        return MapLease(row.id, row.lease_token, lease_s, row.attempts, **how)

    def read(
        self, lease: MapLease, on_part: Callable[[], None] = lambda: None
    ) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Its gallery's pictures of one moment: ids, ascending, and vectors (N, D), which the map
        is said to hold from now on. Raises LeaseLost."""
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
                on_part()
        with self._database.write() as connection:
            self._leases.renew(connection, lease, generation=generation, pictures=len(ids))
            connection.execute(delete(map_points).where(map_points.c.map_id == lease.id))
        return np.array(ids, np.int64), np.concatenate(parts or [np.empty((0, 1), np.float16)])

    def renew(self, lease: MapLease, progress: float) -> None:
        """Begin the lease anew. Raises LeaseLost."""
        with self._database.write() as connection:
            self._leases.renew(connection, lease, progress=progress)

    def save(
        self,
        lease: MapLease,
        ids_N: NDArray[np.int64],
        layout: Layout,
        on_part: Callable[[], None] = lambda: None,
    ) -> None:
        """Keep the points of those pictures that are still there, and make it the gallery's map in
        place of the one before. Raises LeaseLost."""
        for start in range(0, len(ids_N), _SAVE_ROWS):
            part = slice(start, start + _SAVE_ROWS)
            rows = _rows(lease.id, ids_N[part], layout, part)
            with self._database.write() as connection:
                self._leases.renew(connection, lease)
                kept = select(images.c.id).where(images.c.id.in_(list(rows)))
                locked = kept.order_by(images.c.id).with_for_update(read=True, key_share=True)
                here = [rows[image_id] for image_id in connection.scalars(locked)]
                if here:
                    connection.execute(insert(map_points), here)
            on_part()
        with self._database.write() as connection:
            now = self._database.now(connection)
            self._leases.end(connection, lease, state="done", progress=1.0, ended_at=now)
            before = (
                (maps.c.gallery_id == lease.gallery_id)
                & (maps.c.model == lease.model)
                & (maps.c.id < lease.id)
            )
            connection.execute(delete(maps).where(before))

    def fail(self, lease: MapLease, code: str, reason: str) -> None:
        """It came to nothing. Raises LeaseLost."""
        with self._database.write() as connection:
            now = self._database.now(connection)
            self._leases.end(
                connection, lease, state="failed", code=code, reason=reason, ended_at=now
            )

    def release(self, lease: MapLease, *, counts: bool = False) -> None:
        """Give it back, for another to begin at once. counts: whether it was an attempt."""
        with self._database.write() as connection:
            self._leases.give_back(
                connection, lease, count_attempt=counts, state="waiting", progress=0.0
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
