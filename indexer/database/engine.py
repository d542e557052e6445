"""Engines for SQLite and PostgreSQL: what a URL may say, the pool, and every limit of time."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine
    from sqlalchemy.engine import ExceptionContext
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

PG_READ_ONLY = "25006"
_BUSY_TIMEOUT_S = 15
_POOL_TIMEOUT_S = 5.0
# For a connection that is made, is idle, or has sent what nobody acknowledges: a server that
# vanished without a word is given up within 12 s. What the URL says wins over these.
_PG_CONNECTING = {
    "connect_timeout": "3",  # for each host
    "target_session_attrs": "primary",  # of several hosts the one that can be written
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
# What the server ends. The last one is for a process that froze while it held locks.
_PG_SESSION_S = {
    "lock_timeout": _BUSY_TIMEOUT_S,
    "statement_timeout": 600,
    "idle_in_transaction_session_timeout": 30,
}
# Whoever waited for a lock must see what its last holder committed, whatever the server's default.
_PG_ISOLATION = r"-c default_transaction_isolation=read\ committed"
_SEVERAL_HOSTS = re.compile(
    r"(?P<start>[^:/?]+://(?:[^/?]*@)?)(?P<hosts>[^/?@]*,[^/?@]*)(?P<path>/[^?]*)?(?:\?(?P<query>.*))?"
)


def make_engines(url: str) -> tuple[Engine, Engine]:
    """For transactions, and for statements that stand alone. Opens nothing yet.

    Raises ValueError for a URL that names neither database.
    """
    place = url.rpartition("@")[2]  # without the password
    try:
        parsed = make_url(_spread_hosts(url))
        if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
            return _make_postgresql(parsed.set(drivername="postgresql+psycopg"))
    except (ArgumentError, ValueError) as error:  # the latter for a port that is no number
        raise ValueError(f"database URL {place!r}: {error}") from error
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite") or not parsed.database:
        raise ValueError(
            f"database URL {parsed.render_as_string()!r}: expected sqlite:///FILE or "
            "postgresql://USER@HOST/NAME, with several hosts as HOST1:PORT1,HOST2:PORT2"
        )
    return _make_sqlite(parsed)


def _spread_hosts(url: str) -> str:
    """`//user@a:1,b:2/name`, as libpq has it, for SQLAlchemy: `//user@/name?host=a:1&host=b:2`."""
    found = _SEVERAL_HOSTS.fullmatch(url)
    if found is None:
        return url
    hosts = [f"host={host}" for host in found["hosts"].split(",")]
    query = "&".join([*hosts, *filter(None, [found["query"]])])
    return f"{found['start']}{found['path'] or '/'}?{query}"


def _make_postgresql(url: URL) -> tuple[Engine, Engine]:
    settings = {name: value for name, value in _PG_CONNECTING.items() if name not in url.query}
    limits = [f"-c {name}={seconds}s" for name, seconds in _PG_SESSION_S.items()]
    given = url.normalized_query.get("options", ())
    settings["options"] = " ".join([_PG_ISOLATION, *limits, *given])
    make = partial(
        create_engine,
        url,
        hide_parameters=True,  # messages go to the log, where what people asked must not be
        max_overflow=0,  # to make one anew costs the server as much as dozens of searches do
        pool_timeout=_POOL_TIMEOUT_S,
        connect_args=settings,
    )
    # Together 20: a server allows 100 as it comes, for all processes. Alone, each takes no time.
    engines = (
        make(pool_size=15, pool_pre_ping=True),
        make(pool_size=5, isolation_level="AUTOCOMMIT"),
    )
    for engine in engines:
        engine.dialect.create_connect_args(url)  # raises where its hosts can't be understood
        event.listen(engine, "handle_error", partial(_drop_read_only, engines[1]))
    return engines


def _drop_read_only(alone: Engine, context: ExceptionContext) -> None:
    """A connection that may not write is replaced: it was made to a server, or in a session, that
    is read-only, and would stay so for as long as it lives, also when the database is writable.
    So are those that only read: they would go on doing so where nothing is written any more."""
    if getattr(context.original_exception, "sqlstate", None) == PG_READ_ONLY:
        context.is_disconnect = True
        alone.dispose()


def _make_sqlite(url: URL) -> tuple[Engine, Engine]:
    make = partial(
        create_engine,
        url,
        hide_parameters=True,
        pool_size=10,
        max_overflow=30,
        # The driver starts no transactions by itself; _begin does, so that writers can say so.
        connect_args={"isolation_level": None, "timeout": float(_BUSY_TIMEOUT_S)},
    )
    engine, alone = make(), make()
    event.listen(engine, "begin", _begin_sqlite)
    for one in (engine, alone):
        event.listen(one, "connect", _configure_sqlite)
    return engine, alone


def _configure_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # an acknowledged upload survives a power cut
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA secure_delete = ON")  # a deleted vector is not left in a free page
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("begin_immediate")
    # Deferred writers that read first can't be made to wait: they fail as soon as they write.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
