"""Connections and transactions on SQLite and PostgreSQL, and their errors in our words."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, cast

from sqlalchemy import Connection, Row, Select, Table, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from indexer.database.engine import PG_READ_ONLY, make_engines
from indexer.errors import DatabaseUnavailable, StorageFull, StorageUnavailable

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Function

CHANGES_LOCK = 0x5041_5353_4552  # any fixed number; all programs on one database must agree
SCHEMA_LOCK = CHANGES_LOCK + 1
AUDIT_LOCK = CHANGES_LOCK + 2
_PG_OUT_OF_SPACE = ("53100", "53200")
_PATIENCE_MS = 200  # writers wait as long
_SQLITE_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Database:
    """One engine. `read`, `rows` and `write` are the only ways in; all raise this package's
    errors."""

    def __init__(self, url: str) -> None:
        """Opens nothing yet. Raises ValueError for a URL that names neither database."""
        self.engine, self._alone = make_engines(url)
        self.is_postgresql = self.engine.dialect.name == "postgresql"
        self.place = self.engine.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one moment, however many statements it runs."""
        options = {"isolation_level": "REPEATABLE READ"} if self.is_postgresql else {}
        with self._translated(), self.engine.connect() as connection:
            connection.execution_options(**options)
            with connection.begin():
                yield connection

    def rows(
        self, statement: Select[Any], parameters: Mapping[str, object] | None = None
    ) -> Sequence[Row[Any]]:
        """What one SELECT finds, without a transaction around it: one message in place of three.

        Asked again, once, where the connection turns out to be lost.
        """
        with self._translated():
            try:
                return self._select(statement, parameters)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            return self._select(statement, parameters)

    def _select(
        self, statement: Select[Any], parameters: Mapping[str, object] | None
    ) -> Sequence[Row[Any]]:
        with self._alone.connect() as connection:
            return connection.execute(statement, parameters or {}).all()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is durable once this returns. On SQLite writers take turns."""
        with self._translated(), self.engine.connect() as connection:
            connection.execution_options(begin_immediate=True)
            with connection.begin():
                yield connection

    @contextmanager
    def own_connection(self) -> Iterator[psycopg.Connection[Any]]:
        """The driver's connection, without transactions; it is closed when the block is left.

        PostgreSQL only. What fails inside the block is raised as it is.
        """
        assert self.is_postgresql
        with self._translated():
            pooled = self.engine.connect()
        with pooled:
            pooled.execution_options(isolation_level="AUTOCOMMIT")
            try:
                yield cast("psycopg.Connection[Any]", pooled.connection.driver_connection)
            finally:
                pooled.invalidate()  # it may be lost, and nobody else shall listen on it

    def lift_limits(self, connection: Connection) -> None:
        """Let this transaction's statements take, and wait for others, as long as they must."""
        if self.is_postgresql:
            for limit in ("statement_timeout", "lock_timeout"):
                connection.execute(text(f"SET LOCAL {limit} = 0"))

    @property
    def clock(self) -> Function[datetime] | datetime:
        """The database's, as `now` has it, for a statement that compares with it."""
        return func.clock_timestamp() if self.is_postgresql else datetime.now(UTC)

    def now(self, connection: Connection) -> datetime:
        """The database's clock: leases must not depend on how well the hosts' clocks agree."""
        clock = self.clock
        if isinstance(clock, datetime):
            return clock
        return connection.execute(select(clock)).scalar_one().astimezone(UTC)

    def lock(self, connection: Connection, key: int) -> None:
        """Exclude other holders of `key` until this transaction ends.

        On SQLite a write transaction excludes all others as it is.
        """
        if self.is_postgresql:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})

    def lock_bytes(self, connection: Connection, sha256: str) -> None:
        """Exclude others that store or delete the bytes with this hash."""
        digest = hashlib.blake2b(sha256.encode(), digest_size=8, person=b"bytes").digest()
        self.lock(connection, int.from_bytes(digest, "big", signed=True))

    def insert(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        """An INSERT that can be told what to do where the row is there."""
        return postgresql.insert(table) if self.is_postgresql else sqlite.insert(table)

    def empty_log(self) -> bool:
        """Leave nothing of what was deleted in SQLite's write-ahead log, which keeps it until it
        happens to be written over; whether that was possible, or somebody is reading.

        PostgreSQL's is left alone: there it is the server's business.
        """
        if self.is_postgresql:
            return True
        with self._translated(), self.engine.connect() as connection:
            connection.detach()  # closed afterwards: only this one is impatient
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
            return not connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]

    def close(self) -> None:
        """Close idle connections. The object can be used again."""
        self.engine.dispose()
        self._alone.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeout as error:
            raise DatabaseUnavailable(f"database {self.place}: all connections busy") from error
        except (OperationalError, InterfaceError) as error:
            self._raise_as_ours(error)
        except DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None)
            damaged = getattr(error.orig, "sqlite_errorcode", None) in _SQLITE_DAMAGED
            if (
                damaged
                or error.connection_invalidated
                or state in (*_PG_OUT_OF_SPACE, PG_READ_ONLY)
            ):
                self._raise_as_ours(error)
            raise

    def _raise_as_ours(self, error: DBAPIError) -> NoReturn:
        """The one place that knows how each database says full, read-only and gone."""
        said = str(error.orig).strip().partition("\n")[0]
        where = f"database {self.place}: {said}"
        state = getattr(error.orig, "sqlstate", None)
        if state in _PG_OUT_OF_SPACE or "disk is full" in said or "No space left" in said:
            raise StorageFull(where) from error
        if state == PG_READ_ONLY or "readonly database" in said:
            raise StorageUnavailable(where) from error
        raise DatabaseUnavailable(where) from error
