"""Rows as work: claimed under a lease, gone on with only by who holds its fencing token.

A table of work has the columns of tables.work_columns. Everything here is part of the caller's
write, and safe for any number of workers on any hosts.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, select, true, update

from indexer.database.transactions import Database
from indexer.errors import IndexerError


class LeaseLost(IndexerError):
    """The row is not ours any more: its work was cancelled, or another worker has it, or it is
    gone."""

    def __init__(self, table: str, row_id: int) -> None:
        super().__init__(f"row {row_id} of {table} is not this worker's any more")


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to go on with a row. attempts: claims of it, this one included, since something
    came of one."""

    id: int
    token: str
    seconds: float
    attempts: int


class Leases:
    """One table's rows as work, one at a time."""

    def __init__(
        self,
        database: Database,
        table: Table,
        *,
        unfinished: ColumnElement[bool],
        running: str,
        order: Collection[ColumnElement[Any]],
    ) -> None:
        """unfinished: which rows have work left. running: the state of one that is worked on.
        order: which is first."""
        self._database = database
        self._table = table
        self._unfinished = unfinished
        self._running = running
        self._order = order

    def claim(self, connection: Connection, lease_s: float, **values: object) -> Row[Any] | None:
        """The first row that nobody works on, ours for `lease_s`; as it is with `values` set."""
        columns = self._table.c
        row_id = connection.scalar(
            select(columns.id)
            .where(self._unfinished, columns.claimable_at <= self._database.now(connection))
            .order_by(*self._order)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if row_id is None:
            return None
        (row,) = take(self._database, connection, self._table, [row_id], lease_s, **values)
        return row

    def held(self, lease: Lease) -> ColumnElement[bool]:
        """The row, if it is ours still."""
        columns = self._table.c
        is_ours = (columns.id == lease.id) & (columns.lease_token == lease.token)
        return is_ours & (columns.state == self._running)

    def change(
        self,
        connection: Connection,
        lease: Lease,
        also: ColumnElement[bool] | None = None,
        /,
        **values: object,
    ) -> bool:
        """Set these values if the row is ours still, which is returned. also: what else must be."""
        condition = self.held(lease) & (true() if also is None else also)
        changed = connection.execute(update(self._table).where(condition).values(**values))
        return bool(changed.rowcount)

    def renew(
        self,
        connection: Connection,
        lease: Lease,
        also: ColumnElement[bool] | None = None,
        /,
        **values: object,
    ) -> None:
        """Begin the lease anew. Raises LeaseLost."""
        until = due_in(self._database, connection, lease.seconds)
        if not self.change(connection, lease, also, claimable_at=until, **values):
            raise LeaseLost(self._table.name, lease.id)

    def end(self, connection: Connection, lease: Lease, **values: object) -> None:
        """The work is over, as `values` say. Raises LeaseLost."""
        if not self.change(connection, lease, lease_token=None, **values):
            raise LeaseLost(self._table.name, lease.id)

    def give_back(
        self,
        connection: Connection,
        lease: Lease,
        delay_s: float = 0.0,
        *,
        count_attempt: bool = False,
        **values: object,
    ) -> None:
        """To be claimed after `delay_s`; `count_attempt` False forgets this attempt."""
        attempts = self._table.c.attempts - (0 if count_attempt else 1)
        due = due_in(self._database, connection, delay_s)
        values |= {"claimable_at": due, "lease_token": None, "attempts": attempts}
        self.change(connection, lease, **values)


def take(
    database: Database,
    connection: Connection,
    table: Table,
    ids: Collection[int],
    lease_s: float,
    **values: object,
) -> list[Row[Any]]:
    """Claim rows, which the caller has locked, under one token; they, with `values` set."""
    claimed = (
        update(table)
        .where(table.c.id.in_(ids))
        .values(
            attempts=table.c.attempts + 1,
            claimable_at=due_in(database, connection, lease_s),
            lease_token=secrets.token_hex(16),
            **values,
        )
    )
    return list(connection.execute(claimed.returning(table)))


def due_in(database: Database, connection: Connection, delay_s: float) -> datetime:
    """The time so many seconds from now, by the database's clock."""
    return database.now(connection) + timedelta(seconds=delay_s)
