"""The order in which vectors came and went, and what an index needs to follow it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    Connection,
    Row,
    Select,
    and_,
    delete,
    func,
    insert,
    select,
    text,
)

from indexer.database import notices
from indexer.database.transactions import CHANGES_LOCK, Database
from indexer.errors import PlaceLost
from indexer.gallery_names import gallery_row, is_named
from indexer.index.row_block import RowBlock
from indexer.index.row_reader import Additions, read_blocks, read_page
from indexer.records import Generation
from indexer.tables import changes, embeddings, galleries, images

Op = Literal["add", "remove", "drop"]


@dataclass(frozen=True, slots=True)
class Change:
    """seq: its number, without gaps. image_id: None when the whole gallery is dropped."""

    seq: int
    gallery_id: int
    image_id: int | None
    op: Op
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One vector with what filters need. vector_D: float16, unit. seq: of the change that added
    it."""

    image_id: int
    gallery_id: int
    seq: int
    camera: str | None
    captured_at: datetime | None
    tags: tuple[str, ...]
    vector_D: NDArray[np.float16]


def append(
    database: Database,
    connection: Connection,
    records: Sequence[tuple[int, int | None, Op, str | None]],
) -> None:
    """Number and write (gallery_id, image_id, op, model) records; call it last before commit.

    The lock is held until the commit, so numbers become visible in order: a follower that has
    seen n has seen everything before n. A plain sequence does not promise that.
    """
    if not records:
        return
    notices.tell(database, connection, notices.CHANGES)  # once it is committed
    # Every commit of every worker goes through here, one at a time: what is done under the lock
    # is two statements, however many records there are.
    database.lock(connection, CHANGES_LOCK)
    if database.is_postgresql:
        names = ("gallery_ids", "image_ids", "ops", "models")
        columns = zip(*records, strict=True)
        connection.execute(_NUMBERED, dict(zip(names, map(list, columns), strict=True)))
    else:
        connection.execute(insert(changes), _number(connection, records, database.now(connection)))


def sum_up(
    page: Sequence[Change], rows: Mapping[int, IndexRow]
) -> tuple[set[int], dict[int, dict[int, IndexRow | None]]]:
    """What a page of changes comes to: galleries that were dropped, and by gallery its images that
    are there now, with their rows, or gone, with None. rows: as of ChangeLog.page."""
    dropped: set[int] = set()
    after: dict[int, dict[int, IndexRow | None]] = {}
    for change in page:
        if change.image_id is None:
            dropped.add(change.gallery_id)
            after.pop(change.gallery_id, None)
        elif change.op == "remove":
            after.setdefault(change.gallery_id, {})[change.image_id] = None
        elif change.image_id in rows:  # else another model's, or removed further on
            images_after = after.setdefault(change.gallery_id, {})
            images_after[change.image_id] = rows[change.image_id]
    return dropped, after


NEWEST_SEQ = select(func.coalesce(func.max(changes.c.seq), 0)).scalar_subquery().label("newest_seq")
_LOOK = select(galleries.c.id, NEWEST_SEQ).where(is_named)


def newest_seq(connection: Connection) -> int:
    """The newest number; 0 where nothing has happened."""
    return int(connection.execute(select(NEWEST_SEQ)).scalar_one())


# executemany would be a message for each record, eleven milliseconds for a batch in place of two.
_NUMBERED = text("""INSERT INTO changes (seq, gallery_id, image_id, op, model, committed_at)
 SELECT coalesce((SELECT max(seq) FROM changes), 0) + step, gallery_id, image_id, op, model,
  clock_timestamp()
 FROM unnest(CAST(:gallery_ids AS bigint[]), CAST(:image_ids AS bigint[]), CAST(:ops AS text[]),
  CAST(:models AS text[])) WITH ORDINALITY AS records (gallery_id, image_id, op, model, step)""")


def _number(
    connection: Connection, records: Sequence[tuple[int, int | None, Op, str | None]], now: datetime
) -> list[dict[str, object]]:
    """The rows of records, on SQLite."""
    last = newest_seq(connection)
    return [
        {
            "seq": last + step,
            "gallery_id": gallery_id,
            "image_id": image_id,
            "op": op,
            "model": model,
            "committed_at": now,
        }
        for step, (gallery_id, image_id, op, model) in enumerate(records, start=1)
    ]


class ChangeLog:
    """Reads for followers: pages of changes, or everything at one moment."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last(self) -> int:
        """The newest number; 0 where nothing has happened."""
        with self._database.read() as connection:
            return newest_seq(connection)

    def look(self, gallery: str) -> tuple[int, int]:
        """A gallery's id, and the newest number, at one moment. Raises GalleryNotFound."""
        row = gallery_row(self._database, _LOOK, gallery)
        return row.id, row.newest_seq

    def last_removal(self) -> int:
        """The number of the newest change that took pictures away; 0 where there was none.

        Of those that were pruned nothing is known: each may have been one.
        """
        removals = select(changes.c.seq).where(changes.c.op != "add")
        newest = removals.order_by(changes.c.seq.desc()).limit(1)
        with self._database.read() as connection:
            first = connection.scalar(select(func.min(changes.c.seq))) or 1
            return max(connection.scalar(newest) or 0, first - 1)

    def page(
        self, model: str, from_seq: int, limit: int
    ) -> tuple[list[Change], dict[int, IndexRow]]:
        """Changes numbered `from_seq` and up, and this model's rows of the "add"s among them.

        An added row that has gone since is not in the dict: its removal has a later number.
        """
        window = (
            select(changes).where(changes.c.seq >= from_seq).order_by(changes.c.seq).limit(limit)
        )
        with self._database.read() as connection:
            window_rows = connection.execute(window).all()
            seqs = {
                row.image_id: row.seq
                for row in window_rows
                if row.op == "add" and row.model == model
            }
            rows = connection.execute(_rows(model).where(images.c.id.in_(seqs))) if seqs else ()
            added = {row.id: _index_row(row, seqs[row.id]) for row in rows}
            return [_change(row) for row in window_rows], added

    def at(self, seq: int) -> Change | None:
        """The change of this number; None where there was none or it has been pruned."""
        with self._database.read() as connection:
            found = connection.execute(select(changes).where(changes.c.seq == seq)).one_or_none()
            return None if found is None else _change(found)

    def require(self, generation: Generation) -> None:
        """Raises PlaceLost unless it is of this past, and its change has not been pruned."""
        found = self.at(generation.seq)
        if found is None or found.committed_at != generation.committed_at:
            raise PlaceLost(generation.seq)

    def rows_now(self, model: str, seqs: Mapping[int, int]) -> dict[int, IndexRow]:
        """The rows that these images have now, if any, as added by these changes. seqs: by id."""
        with self._database.read() as connection:
            rows = connection.execute(_rows(model).where(images.c.id.in_(seqs))) if seqs else ()
            return {row.id: _index_row(row, seqs[row.id]) for row in rows}

    def begin_paging(self) -> tuple[Change | None, int]:
        """The last change, and the largest id of an image, at one moment."""
        newest = select(changes).order_by(changes.c.seq.desc()).limit(1)
        with self._database.read() as connection:
            last = connection.execute(newest).one_or_none()
            largest = connection.scalar(select(func.max(images.c.id))) or 0
            return None if last is None else _change(last), largest

    def page_of_rows(
        self, additions: Additions, after_id: int, num_rows: int
    ) -> tuple[list[tuple[int, RowBlock]], int | None]:
        """The next rows by image id: galleries with blocks of them, and the last id; None where
        there are no more. Each page is of its own moment."""
        with self._database.read() as connection:
            self._database.lift_limits(connection)
            return read_page(connection, additions, after_id, num_rows)

    @contextmanager
    def everything(
        self, model: str
    ) -> Iterator[tuple[Change | None, Iterator[tuple[int, RowBlock]]]]:
        """All rows of `model` at one moment: the last change by then, and galleries' ids with
        blocks of their rows, image ids ascending.

        A row whose change was pruned gets the number before the first one that is left.
        """
        newest = select(changes).order_by(changes.c.seq.desc()).limit(1)
        with self._database.read() as connection:
            last = connection.execute(newest).one_or_none()
            blocks = read_blocks(connection, model)
            yield None if last is None else _change(last), blocks

    def prune(self, keep: int) -> int:
        """Forget all but the newest `keep` (at least 1) changes; returns how many went.

        A follower that had not read them notices and builds itself anew from the rows.
        """
        with self._database.write() as connection:
            newest = select(func.max(changes.c.seq)).scalar_subquery()
            return connection.execute(
                delete(changes).where(changes.c.seq <= newest - max(keep, 1))
            ).rowcount


def _rows(model: str) -> Select[Any]:
    columns = (
        images.c.id,
        images.c.gallery_id,
        images.c.camera,
        images.c.captured_at,
        images.c.tags,
        embeddings.c.vector,
    )
    mine = and_(embeddings.c.image_id == images.c.id, embeddings.c.model == model)
    return select(*columns).join(embeddings, mine)


def _index_row(row: Row[Any], seq: int) -> IndexRow:
    return IndexRow(
        image_id=row.id,
        gallery_id=row.gallery_id,
        seq=seq,
        camera=row.camera,
        captured_at=row.captured_at,
        tags=tuple(row.tags),
        vector_D=np.frombuffer(row.vector, dtype="<f2"),
    )


def _change(row: Row[Any]) -> Change:
    return Change(row.seq, row.gallery_id, row.image_id, row.op, row.committed_at)
