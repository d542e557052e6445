"""Hashes whose bytes may have no row: what is written down before bytes could be left behind.

Bytes live outside the database, so each step that could leave some behind notes their hash here
first, in a transaction that commits before it. deletion.sweep looks at them later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

from sqlalchemy import (
    Connection,
    Insert,
    Select,
    delete,
    exists,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from indexer.database.transactions import Database
from indexer.frames.tables import frames
from indexer.tables import images, orphans

T = TypeVar("T")

OWNERS = (images.c.sha256, frames.c.sha256)
"""Who keeps bytes in storage."""

_MANY = 1_000


class OrphanList:
    """Methods that take a connection run in the caller's write."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def announce(self, hashes: Collection[str], grace_s: float) -> None:
        """Note that bytes with these hashes are about to be stored, and may stay without a row."""
        with self._database.write() as connection:
            due = self._database.now(connection) + timedelta(seconds=grace_s)
            rows = [{"sha256": sha256, "sweep_at": due} for sha256 in sorted(hashes)]
            connection.execute(_renewing(self._database.insert(orphans)), rows)

    def adopt(self, hashes: Iterable[str], grace_s: float) -> None:
        """Have hashes looked at after `grace_s`, unless that is to happen anyway."""
        for some in in_parts(sorted(hashes)):
            with self._database.write() as connection:
                due = self._database.now(connection) + timedelta(seconds=grace_s)
                rows = [{"sha256": sha256, "sweep_at": due} for sha256 in some]
                connection.execute(self._database.insert(orphans).on_conflict_do_nothing(), rows)

    def due(self, limit: int) -> list[str]:
        """Hashes whose bytes should be looked at now, those that have waited longest first."""
        with self._database.read() as connection:
            due = orphans.c.sweep_at <= self._database.now(connection)
            longest = select(orphans.c.sha256).where(due).order_by(orphans.c.sweep_at)
            return list(connection.scalars(longest.limit(limit)))

    def defer(self, sha256: str, grace_s: float) -> None:
        """Have the others looked at first."""
        with self._database.write() as connection:
            due = self._database.now(connection) + timedelta(seconds=grace_s)
            mine = orphans.c.sha256 == sha256
            connection.execute(update(orphans).where(mine).values(sweep_at=due))

    def settle(self, connection: Connection, sha256: str) -> bool:
        """Strike a hash off the list; whether no row owns its bytes, so they must go.

        The caller holds the hash's lock and deletes the bytes before it commits.
        """
        # First of all, for it waits for a removal under way, whose row is there until it commits.
        struck = delete(orphans).where(orphans.c.sha256 == sha256).returning(orphans.c.sha256)
        if connection.execute(struck).one_or_none() is None:
            return False
        owned = or_(*(exists().where(column == sha256) for column in OWNERS))
        return not connection.scalar(select(owned))

    def strike(self, connection: Connection, hashes: Collection[str]) -> None:
        """Their bytes have rows now. Locked in the order of `add`: neither waits for the other."""
        mine = orphans.c.sha256.in_(hashes)
        in_order = select(orphans.c.sha256).where(mine).order_by(orphans.c.sha256)
        connection.execute(in_order.with_for_update())
        connection.execute(delete(orphans).where(mine))

    def add(self, connection: Connection, hashes: Select[str, datetime]) -> None:
        """Note hashes, in their order, each with the time from which on its bytes may go."""
        statement = self._database.insert(orphans).from_select(
            ["sha256", "sweep_at"], hashes.where(literal(True))
        )
        connection.execute(_renewing(statement))


def _renewing(statement: postgresql.Insert | sqlite.Insert) -> Insert:
    """Where a hash is noted already, with the new time. An update, not nothing: it locks the row,
    so settle waits for our commit."""
    return statement.on_conflict_do_update(
        index_elements=["sha256"], set_={"sweep_at": statement.excluded.sweep_at}
    )


def in_parts(values: Iterable[T]) -> Iterator[list[T]]:
    """Lists that a statement can take."""
    rest = iter(values)
    while some := list(islice(rest, _MANY)):
        yield some
