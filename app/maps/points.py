"""A map as it is now: its points without what was deleted, and with what came since.

Shapes: N pictures, F fitted, M come since.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.maps.schemas import MapPointList
from app.services import Services
from indexer.errors import MapNotDrawn
from indexer.index.columns import NO_TIME
from indexer.index.found import PictureTable
from indexer.maps.jobs import MapJob, MapPoints
from indexer.maps.layout import NOBODY, place

MAX_CAME_SINCE = 5_000
"""Pictures placed at a time among the map's fitted ones: more take seconds."""
_GZIP_LEVEL = 4


@dataclass(frozen=True)
class MapView:
    """A map and what is known of its gallery's pictures now."""

    drawn: MapJob
    table: PictureTable

    @property
    def etag(self) -> str:
        """Changes with anything that its points tell."""
        table = self.table
        known = zlib.crc32("\0".join(map(str, table.cameras)).encode())
        for column_N in (table.ids_N, table.camera_N, table.captured_N):
            known = zlib.crc32(column_N.tobytes(), known)
        return f'"{self.drawn.id}-{known:08x}"'


def look_at_map(services: Services, gallery: str) -> MapView:
    """Raises GalleryNotFound, MapNotDrawn."""
    drawn = services.catalogue.maps.drawn(gallery, services.model.fingerprint)
    if drawn is None:
        raise MapNotDrawn(gallery)
    table = services.model.live_index.look(gallery, lambda view: view.table())
    return MapView(drawn, table)


def list_points(services: Services, gallery: str, view: MapView) -> MapPointList:
    """All pictures that are on the map and still there, and those that came since."""
    table = view.table
    points = services.catalogue.maps.points(view.drawn.id)
    here_N = np.isin(points.ids_N, table.ids_N)
    since_M = np.setdiff1d(table.ids_N, points.ids_N)
    placed_M, xy_M2 = _place_newcomers(services, gallery, points, since_M[:MAX_CAME_SINCE])
    ids_N = np.concatenate([points.ids_N[here_N], placed_M])
    order_N = np.argsort(ids_N)
    xy_N2 = np.concatenate([points.xy_N2[here_N], xy_M2])[order_N]
    person_N = np.concatenate([points.person_N[here_N], np.full(len(placed_M), NOBODY)])[order_N]
    cameras, camera_N, captured_N = _columns(table, ids_N[order_N])
    return MapPointList(
        map_id=view.drawn.id,
        cameras=cameras,
        ids=ids_N[order_N].tolist(),
        x=_short(xy_N2[:, 0]),
        y=_short(xy_N2[:, 1]),
        camera=camera_N,
        captured=captured_N,
        person=None if (person_N == NOBODY).all() else person_N.tolist(),
        came_since=placed_M.tolist(),
        left_out=max(0, len(since_M) - MAX_CAME_SINCE),
    )


def _place_newcomers(
    services: Services, gallery: str, points: MapPoints, since_M: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Ids of those that are still there, and their places (M, 2)."""
    if not len(since_M):
        return since_M, np.empty((0, 2), np.float32)
    fitted_F = points.ids_N[points.is_fitted_N]
    look = services.model.live_index.look
    new_M, vectors_MD = look(gallery, lambda view: view.vectors_of(since_M))
    known_F, vectors_FD = look(gallery, lambda view: view.vectors_of(fitted_F))
    xy_F2 = points.xy_N2[np.searchsorted(points.ids_N, known_F)]
    return new_M, place(vectors_MD, vectors_FD, xy_F2)


def _columns(
    table: PictureTable, ids_N: NDArray[np.int64]
) -> tuple[list[str], list[int], list[int | None]]:
    """Names of cameras, sorted, each picture's place in them, and its time in seconds."""
    rows_N = np.searchsorted(table.ids_N, ids_N)
    codes_N = table.camera_N[rows_N]
    used = {code: table.cameras[code] for code in np.unique(codes_N).tolist()}
    cameras = sorted(name for name in used.values() if name is not None)
    place_of = {name: number for number, name in enumerate(cameras)}
    renumbered = np.full(len(table.cameras) + 1, -1)
    for code, name in used.items():
        renumbered[code] = -1 if name is None else place_of[name]
    captured_N = table.captured_N[rows_N]
    seconds = (captured_N // 1_000_000).tolist()
    unknown = (captured_N == NO_TIME).tolist()
    times = [None if no else second for second, no in zip(seconds, unknown, strict=True)]
    return cameras, renumbered[codes_N].tolist(), times


def _short(values_N: NDArray[np.float32]) -> list[float]:
    """Four decimals: a ten-thousandth of the map's half width."""
    rounded: list[float] = np.round(values_N.astype(np.float64), 4).tolist()
    return rounded


def pack(found: MapPointList, *, gzipped: bool) -> bytes:
    """As JSON, and smaller where the client can read that."""
    body = found.model_dump_json().encode()
    return gzip.compress(body, _GZIP_LEVEL, mtime=0) if gzipped else body
