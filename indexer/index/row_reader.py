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
    Row,
    Select,
    String,
    Text,
    and_,
    cast,
    extract,
    func,
    select,
    type_coerce,
)

from indexer.index.columns import NO_TIME
from indexer.index.row_block import RowBlock
from indexer.tables import changes, embeddings, images

_BLOCK_ROWS = 4_000
_NO_IMAGE = 0


class Additions:
    """By which changes of a model images came, as far as changes are kept."""

    def __init__(self, model: str) -> None:
        self.model = model
        self._unknown_seq = 0  # of images whose change is not known any more
        self._known_to = 0
        self._found_A2 = np.array([[_NO_IMAGE, 0]], np.int64)  # ascending; nobody's stands first

    def read(self, connection: Connection) -> None:
        """Those that came since the last time. It takes a tenth of what it takes the database to
        join them with the rows."""
        if not self._known_to:
            self._unknown_seq = (connection.scalar(select(func.min(changes.c.seq))) or 1) - 1
        newest = connection.scalar(select(func.max(changes.c.seq))) or 0
        mine = and_(changes.c.op == "add", changes.c.model == self.model)
        fresh = and_(mine, changes.c.seq > self._known_to)
        statement = select(changes.c.image_id, changes.c.seq).where(fresh)
        result = connection.execute(statement, execution_options={"yield_per": 10 * _BLOCK_ROWS})
        parts = [np.array([tuple(row) for row in rows], np.int64) for rows in result.partitions()]
        self._known_to = newest
        if parts:
            found_A2 = np.concatenate([self._found_A2, *parts])
            self._found_A2 = found_A2[np.lexsort((found_A2[:, 1], found_A2[:, 0]))]

    def seqs_of(self, ids_U: NDArray[np.int64]) -> NDArray[np.int64]:
        """The last change (U,) that each image came by."""
        ids_A, seqs_A = self._found_A2.T
        last_U = np.searchsorted(ids_A, ids_U, side="right") - 1
        return np.where(ids_A[last_U] == ids_U, seqs_A[last_U], self._unknown_seq)


def read_blocks(connection: Connection, model: str) -> Iterator[tuple[int, RowBlock]]:
    """Galleries and blocks of their rows, by image id."""
    additions, tags_of = Additions(model), dict[str, frozenset[str]]()
    additions.read(connection)
    statement = _select_rows(model, is_postgresql=connection.dialect.name == "postgresql")
    result = connection.execute(statement, execution_options={"yield_per": _BLOCK_ROWS})
    for rows in result.partitions():
        yield from _to_blocks(rows, additions, tags_of)


def read_page(
    connection: Connection, additions: Additions, after_id: int, num_rows: int
) -> tuple[list[tuple[int, RowBlock]], int | None]:
    """Galleries and blocks of the next rows by image id, and the last id; None where there are no
    more."""
    additions.read(connection)
    statement = _select_rows(additions.model, is_postgresql=connection.dialect.name == "postgresql")
    rows = connection.execute(statement.where(images.c.id > after_id).limit(num_rows)).all()
    if not rows:
        return [], None
    return list(_to_blocks(rows, additions, {})), rows[-1].id


def _to_blocks(
    rows: Sequence[Row[Any]], additions: Additions, tags_of: dict[str, frozenset[str]]
) -> Iterator[tuple[int, RowBlock]]:
    """tags_of: texts that were read before; it is added to."""
    ids, gallery_ids, cameras, captured, tags, vectors = zip(*rows, strict=True)
    ids_U = np.array(ids, np.int64)
    for text in set(tags) - tags_of.keys():
        tags_of[text] = frozenset(json.loads(text))
    block = RowBlock(
        ids_U=ids_U,
        seqs_U=additions.seqs_of(ids_U),
        cameras=cameras,
        captured_U=_to_microseconds(captured),
        tags=[tags_of[text] for text in tags],
        vectors_UD=np.frombuffer(b"".join(vectors), "<f2").reshape(len(rows), -1),
    )
    yield from _split_by_gallery(np.array(gallery_ids, np.int64), block)


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
