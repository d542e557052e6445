"""The plain ways to do what the index does fast, to compare with: a row at a time, all of it where
searches wait, every picture read in float32.

Shapes: N rows held, Q hits, D embedding, F found.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import and_, func, select

from indexer.catalogue import Catalogue
from indexer.change_log import IndexRow
from indexer.index.gallery_view import GalleryView
from indexer.tables import changes, embeddings, images

_BLOCK_ROWS = 2_000
_CHUNK_BYTES = 8 * 2**20


def rebuild(catalogue: Catalogue, model: str, dim: int) -> GalleryView:
    """The index of the only gallery, by one query that joins and sorts everything."""
    view = GalleryView(dim)
    for rows in _read(catalogue, model):
        view.update((), rows)
    return view


def _read(catalogue: Catalogue, model: str) -> Iterator[list[IndexRow]]:
    added = (
        select(changes.c.image_id, func.max(changes.c.seq).label("seq"))
        .where(changes.c.op == "add", changes.c.model == model)
        .group_by(changes.c.image_id)
        .subquery()
    )
    statement = (
        select(
            images.c.id,
            images.c.gallery_id,
            images.c.camera,
            images.c.captured_at,
            images.c.tags,
            embeddings.c.vector,
            added.c.seq,
        )
        .join(embeddings, and_(embeddings.c.image_id == images.c.id, embeddings.c.model == model))
        .outerjoin(added, added.c.image_id == images.c.id)
        .order_by(images.c.gallery_id, images.c.id)
    )
    with catalogue.database.read() as connection:
        result = connection.execute(statement, execution_options={"yield_per": _BLOCK_ROWS})
        for rows in result.partitions():
            yield [
                IndexRow(
                    image_id=row.id,
                    gallery_id=row.gallery_id,
                    seq=row.seq,
                    camera=row.camera,
                    captured_at=row.captured_at,
                    tags=tuple(row.tags),
                    vector_D=np.frombuffer(row.vector, "<f2"),
                )
                for row in rows
            ]


def find_neighbours(
    hits_QD: NDArray[np.floating], gallery_ND: NDArray[np.floating], least: float, most: int
) -> NDArray[np.int64]:
    """See indexer.index.people.find_neighbours."""
    hits_QD = hits_QD.astype(np.float32)
    chunk = max(1, _CHUNK_BYTES // (4 * max(hits_QD.shape)))
    found: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []
    for start in range(0, len(gallery_ND), chunk):
        sim_QN = hits_QD @ np.asarray(gallery_ND[start : start + chunk], np.float32).T
        hit_F, column_F = np.nonzero(sim_QN > least)
        found.append((sim_QN[hit_F, column_F], hit_F, column_F + start))
    sim_F, hit_F, position_F = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order_F = np.lexsort((-sim_F, hit_F))
    hit_F = hit_F[order_F]
    nth_F = np.arange(len(hit_F)) - np.searchsorted(hit_F, hit_F)
    return np.unique(position_F[order_F[nth_F < most]])
