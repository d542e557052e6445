"""How far Milvus has followed the database, kept in the database; one process at a time moves it.

Whoever moves it holds the row under a lease, as in work/leases.py. Milvus takes no such token, so a
holder that was away for longer than its lease may still write what it had in hand. Whoever comes
after it applies those changes once more, when no call of the other can be under way any longer.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from indexer.change_log import NEWEST_SEQ, Change, newest_seq
from indexer.database.transactions import Database
from indexer.errors import IndexerError
from indexer.gallery_names import gallery_row, is_named
from indexer.milvus.position import Position, Sight
from indexer.milvus.tables import index_collections, index_positions
from indexer.models.tables import kept_models
from indexer.tables import galleries

LEASE_S = 15.0
GRACE_S = 60.0  # after which no call that was begun under a lost lease is under way
_ALL_SINCE = 2**63 - 1


log = logging.getLogger(__name__)


class PositionLost(IndexerError):
    """Another process moves the index on by now."""

    def __init__(self, model: str) -> None:
        super().__init__(f"the index of model {model} is another process's to move on")


class IndexPositions:
    """One model's position. Methods with a token raise PositionLost where it is no longer the
    holder's; all raise DatabaseUnavailable."""

    def __init__(self, database: Database, model: str) -> None:
        self._database = database
        self._model = model
        self._mine = index_positions.c.model == model
        self._parts = index_collections.c.model == model
        here = index_collections.c.gallery_id == galleries.c.id
        joined = galleries.outerjoin(index_positions, self._mine)
        columns = galleries.c.id, NEWEST_SEQ, index_collections.c.num_rows, index_positions
        self._look = (
            select(*columns)
            .select_from(joined.outerjoin(index_collections, self._parts & here))
            .where(is_named)
        )

    def read(self) -> tuple[int, Position | None]:
        """The newest change's number, and the position; None where there has been none."""
        with self._database.read() as connection:
            row = connection.execute(select(index_positions).where(self._mine)).one_or_none()
            return newest_seq(connection), None if row is None else _position(row)

    def look(self, gallery: str) -> Sight:
        """Raises GalleryNotFound."""
        row = gallery_row(self._database, self._look, gallery)
        position = None if row.stem is None else _position(row)
        return Sight(row.id, row.newest_seq, position, row.num_rows)

    def sizes(self) -> dict[int, int]:
        """How many rows each gallery's collection has."""
        columns = index_collections.c.gallery_id, index_collections.c.num_rows
        with self._database.read() as connection:
            return {
                row[0]: row[1] for row in connection.execute(select(*columns).where(self._parts))
            }

    def claim(self) -> tuple[str, Position] | None:
        """A token and the position, ours for LEASE_S; None while another has it."""
        with self._database.write() as connection:
            now = self._database.now(connection)
            new = {
                "model": self._model,
                "stem": f"passerby_{secrets.token_hex(4)}",
                "claimable_at": now,
            }
            connection.execute(self._database.insert(index_positions).on_conflict_do_nothing(), new)
            free = self._mine & (index_positions.c.claimable_at <= now)
            found = select(index_positions).where(free).with_for_update(skip_locked=True)
            row = connection.execute(found).one_or_none()
            if row is None:
                return None
            token = secrets.token_hex(16)
            values: dict[str, Any] = {"lease_token": token, "claimable_at": _after(now, LEASE_S)}
            if row.in_hand is not None or row.load_to is not None:
                # Whoever had it did not get that done; a page of rows may hold any.
                in_hand = _ALL_SINCE if row.load_to is not None else row.in_hand
                values |= {
                    "again_from": min(row.seq + 1, row.again_from or row.seq + 1),
                    "again_to": max(in_hand, row.again_to or 0),
                    "again_at": _after(now, GRACE_S),
                    "in_hand": None,
                }
            connection.execute(update(index_positions).where(self._mine).values(values))
            return token, _position(row)

    def release(self, token: str) -> None:
        """Give it back. What is in hand stays noted: a call that failed may still be carried out
        there."""
        with self._database.write() as connection:
            now = self._database.now(connection)
            self._change(connection, token, lease_token=None, claimable_at=now)

    def take_in_hand(self, token: str, seq: int, dropped: Collection[int]) -> None:
        """The changes up to this one are going to be written; the lease begins anew. dropped:
        galleries whose collections are to be missed by nobody from now on."""
        with self._database.write() as connection:
            self._renew(connection, token, in_hand=seq)
            self._put_sizes(connection, dict.fromkeys(dropped))

    def move(self, token: str, last: Change, sizes: Mapping[int, int]) -> None:
        """Milvus has everything up to this change. sizes: of the collections that were
        written."""
        with self._database.write() as connection:
            self._renew(
                connection, token, seq=last.seq, committed_at=last.committed_at, in_hand=None
            )
            self._put_sizes(connection, sizes)

    def begin(
        self, token: str, stem: str, kind: str, last: Change | None, load_to: int
    ) -> Position:
        """New collections are going to be filled from the rows, which hold the changes up to
        `last`, and images up to load_to."""
        with self._database.write() as connection:
            self._renew(
                connection,
                token,
                prefix=f"{stem}_{secrets.token_hex(4)}",
                kind=kind,
                seq=0 if last is None else last.seq,
                committed_at=None if last is None else last.committed_at,
                again_from=None,
                again_to=None,
                again_at=None,
                load_to=load_to,
                loaded_to=0,
            )
            connection.execute(delete(index_collections).where(self._parts))
            row = connection.execute(select(index_positions).where(self._mine)).one()
            return _position(row)

    def note_loaded(self, token: str, loaded_to: int) -> None:
        """The rows of images up to this one are in."""
        with self._database.write() as connection:
            self._renew(connection, token, loaded_to=loaded_to)

    def finish(self, token: str, sizes: Mapping[int, int]) -> Position:
        """All rows are in: the collections can be searched."""
        with self._database.write() as connection:
            self._renew(connection, token, load_to=None, loaded_to=None)
            self._put_sizes(connection, sizes)
            row = connection.execute(select(index_positions).where(self._mine)).one()
            return _position(row)

    def due_again(self) -> tuple[int, int] | None:
        """The changes that are to be applied once more, by now."""
        columns = index_positions.c.again_from, index_positions.c.again_to
        with self._database.read() as connection:
            due = index_positions.c.again_at <= self._database.now(connection)
            row = connection.execute(select(*columns).where(self._mine & due)).one_or_none()
        return None if row is None else (row.again_from, row.again_to)

    def settle(self, token: str, sizes: Mapping[int, int]) -> None:
        """They have been. sizes: as of `move`."""
        with self._database.write() as connection:
            self._renew(connection, token, again_from=None, again_to=None, again_at=None)
            self._put_sizes(connection, sizes)

    def dropped_models(self) -> list[str]:
        """Others that have collections still, and are kept no longer."""
        gone = select(kept_models.c.fingerprint).where(kept_models.c.dropped_at.is_not(None))
        mine = index_positions.c.model
        with self._database.read() as connection:
            found = select(mine).where(mine.in_(gone), mine != self._model)
            return list(connection.scalars(found))

    def forget(self) -> None:
        """There are no collections of this model any more."""
        with self._database.write() as connection:
            connection.execute(delete(index_collections).where(self._parts))
            connection.execute(delete(index_positions).where(self._mine))

    def renew(self, token: str) -> None:
        """The lease begins anew."""
        with self._database.write() as connection:
            self._renew(connection, token)

    @contextmanager
    def holding(self, token: str) -> Iterator[None]:
        """Keep the lease while one call takes long."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(LEASE_S / 3):
                try:
                    self.renew(token)
                except PositionLost:
                    return
                except IndexerError as error:  # the next step that needs it says so
                    log.warning("the lease on the index can't be renewed: %s", error)

        thread = threading.Thread(target=renew, name="index-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _renew(self, connection: Connection, token: str, **values: object) -> None:
        until = _after(self._database.now(connection), LEASE_S)
        self._change(connection, token, claimable_at=until, **values)

    def _change(self, connection: Connection, token: str, **values: object) -> None:
        held = self._mine & (index_positions.c.lease_token == token)
        if not connection.execute(update(index_positions).where(held).values(**values)).rowcount:
            raise PositionLost(self._model)

    def _put_sizes(self, connection: Connection, sizes: Mapping[int, int | None]) -> None:
        if not sizes:
            return
        written = self._parts & index_collections.c.gallery_id.in_(sizes)
        connection.execute(delete(index_collections).where(written))
        rows = [
            {"model": self._model, "gallery_id": gallery_id, "num_rows": num_rows}
            for gallery_id, num_rows in sizes.items()
            if num_rows is not None
        ]
        if rows:
            connection.execute(insert(index_collections), rows)


def _after(now: datetime, delay_s: float) -> datetime:
    return now + timedelta(seconds=delay_s)


def _position(row: Row[Any]) -> Position:
    again = None if row.again_from is None else (row.again_from, row.again_to)
    return Position(
        stem=row.stem,
        prefix=row.prefix,
        kind=row.kind,
        seq=row.seq,
        committed_at=row.committed_at,
        again=again,
        load_to=row.load_to,
        loaded_to=row.loaded_to or 0,
    )
