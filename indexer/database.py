"""Connections and transactions on SQLite and PostgreSQL, and their errors in our words."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from sqlalchemy import Connection, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from indexer.errors import DatabaseUnavailable, StorageFull, StorageUnavailable

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

CHANGES_LOCK = 0x5041_5353_4552  # any fixed number; all programs on one database must agree
SCHEMA_LOCK = CHANGES_LOCK + 1
_BUSY_TIMEOUT_S = 15.0
_CONNECT_TIMEOUT_S = 5
_POOL_TIMEOUT_S = 10.0
_PG_OUT_OF_SPACE = ("53100", "53200")
_PG_READ_ONLY = "25006"
_SQLITE_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Database:
    """One engine. `read` and `write` are the only ways in; both raise this package's errors."""

    def __init__(self, url: str) -> None:
        """Opens nothing yet. Raises ValueError for a URL that names neither database."""
        self.engine = _make_engine(url)
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

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is durable once this returns. On SQLite writers take turns."""
        with self._translated(), self.engine.connect() as connection:
            connection.execution_options(begin_immediate=True)
            with connection.begin():
                yield connection

    def now(self, connection: Connection) -> datetime:
        """The database's clock: leases must not depend on how well the hosts' clocks agree."""
        if not self.is_postgresql:
            return datetime.now(UTC)
        moment = connection.execute(select(func.clock_timestamp())).scalar_one()
        assert isinstance(moment, datetime)
        return moment.astimezone(UTC)

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

    def close(self) -> None:
        """Close idle connections. The object can be used again."""
        self.engine.dispose()

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
                or state in (*_PG_OUT_OF_SPACE, _PG_READ_ONLY)
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
        if state == _PG_READ_ONLY or "readonly database" in said:
            raise StorageUnavailable(where) from error
        raise DatabaseUnavailable(where) from error


def _make_engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:  # the latter for a port that is no number
        place = url.rpartition("@")[2]  # without the password
        raise ValueError(f"database URL {place!r}: {error}") from error
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            pool_size=5,
            max_overflow=15,  # a server allows 100 as it comes, for all processes together
            pool_timeout=_POOL_TIMEOUT_S,
            connect_args={"connect_timeout": _CONNECT_TIMEOUT_S},
        )
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite") or not parsed.database:
        raise ValueError(
            f"database URL {parsed.render_as_string()!r}: "
            "expected sqlite:///FILE or postgresql://USER@HOST/NAME"
        )
    engine = create_engine(
        parsed,
        pool_size=10,
        max_overflow=30,
        # The driver starts no transactions by itself; _begin does, so that writers can say so.
        connect_args={"isolation_level": None, "timeout": _BUSY_TIMEOUT_S},
    )
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # an acknowledged upload survives a power cut
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("begin_immediate")
    # Deferred writers that read first can't be made to wait: they fail as soon as they write.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
