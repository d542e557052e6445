"""Reads all rows of a model from the database.

What takes the time is the number of Python objects, so values are read as the database has them
and made into arrays a block at a time. Shapes: U rows of a block, A additions, D embedding.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    Connection,
    Select,
    String,
    Text,
    and_,
    cast,
    extract,
    select,
    type_coerce,
)

from indexer.index.columns import NO_TIME
from indexer.index.row_block import RowBlock
from indexer.tables import changes, embeddings, images

_BLOCK_ROWS = 4_000
_NO_IMAGE = 0


def read_blocks(
    connection: Connection, model: str, unknown_seq: int
) -> Iterator[tuple[int, RowBlock]]:
    """Galleries and blocks of their rows, by image id. unknown_seq: for rows whose change is not
    known any more."""
    ids_A, seqs_A = _read_additions(connection, model, unknown_seq)
    tags_of: dict[str, frozenset[str]] = {}
    statement = _select_rows(model, is_postgresql=connection.dialect.name == "postgresql")
    result = connection.execute(statement, execution_options={"yield_per": _BLOCK_ROWS})
    for rows in result.partitions():
        ids, gallery_ids, cameras, captured, tags, vectors = zip(*rows, strict=True)
        ids_U = np.array(ids, np.int64)
        last_U = np.searchsorted(ids_A, ids_U, side="right") - 1  # of each image's additions
        for text in set(tags) - tags_of.keys():
            tags_of[text] = frozenset(json.loads(text))
        block = RowBlock(
            ids_U=ids_U,
            seqs_U=np.where(ids_A[last_U] == ids_U, seqs_A[last_U], unknown_seq),
            cameras=cameras,
            captured_U=_to_microseconds(captured),
            tags=[tags_of[text] for text in tags],
            vectors_UD=np.frombuffer(b"".join(vectors), "<f2").reshape(len(rows), -1),
        )
        yield from _split_by_gallery(np.array(gallery_ids, np.int64), block)


def _read_additions(
    connection: Connection, model: str, unknown_seq: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Images (A,), ascending, and the numbers of the changes that added them, ascending for each.
    Nobody's stands first.

    It takes a tenth of what it takes the database to join them.
    """
    mine = and_(changes.c.op == "add", changes.c.model == model)
    statement = select(changes.c.image_id, changes.c.seq).where(mine)
    result = connection.execute(statement, execution_options={"yield_per": 10 * _BLOCK_ROWS})
    parts = [np.array([tuple(row) for row in rows], np.int64) for rows in result.partitions()]
    found_A2 = np.concatenate([np.array([[_NO_IMAGE, unknown_seq]], np.int64), *parts])
    order_A = np.lexsort((found_A2[:, 1], found_A2[:, 0]))
    return found_A2[order_A, 0], found_A2[order_A, 1]


def _select_rows(model: str, *, is_postgresql: bool) -> Select[Any]:
    """By image id alone: to have galleries one after the other SQLite would sort all vectors."""
    captured = (
        cast(extract("epoch", images.c.captured_at) * 1_000_000, BigInteger)
        if is_postgresql
        else type_coerce(images.c.captured_at, String)
    )
    mine = and_(embeddings.c.image_id == images.c.id, embeddings.c.model == model)
    return (
        select(
            images.c.id,
            images.c.gallery_id,
            images.c.camera,
            captured,
            cast(images.c.tags, Text),
            embeddings.c.vector,
        )
        .join(embeddings, mine)
        .order_by(images.c.id)
    )


def _to_microseconds(captured: Sequence[str | int | None]) -> NDArray[np.int64]:
    """See columns.to_microseconds. SQLite has times as text in UTC, PostgreSQL gave numbers."""
    if any(isinstance(moment, str) for moment in captured):
        # What is no time is the least number here too.
        return np.array(captured, "datetime64[us]").astype(np.int64)
    return np.array([NO_TIME if moment is None else moment for moment in captured], np.int64)


def _split_by_gallery(
    gallery_ids_U: NDArray[np.int64], block: RowBlock
) -> Iterator[tuple[int, RowBlock]]:
    found = np.unique(gallery_ids_U).tolist()
    if len(found) == 1:
        yield found[0], block
        return
    for gallery_id in found:
        yield gallery_id, block.take(np.flatnonzero(gallery_ids_U == gallery_id))
