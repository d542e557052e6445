"""What a PostgreSQL URL may say, and the limits of time that connections get."""

from __future__ import annotations

import threading

import psycopg
import pytest
from sqlalchemy import func, make_url, select, text
from sqlalchemy.exc import DBAPIError

from indexer.catalogue import Catalogue
from indexer.database.engine import make_engines
from indexer.database.transactions import Database
from indexer.errors import DatabaseUnavailable, StorageUnavailable
from indexer.tables import galleries

on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


@pytest.mark.parametrize(
    ("url", "hosts", "ports"),
    [
        ("postgresql://u:p%2C@h1:1,h2:2/d?sslmode=require", "h1,h2", "1,2"),
        ("postgresql+psycopg://u@h1,h2,h3/d", "h1,h2,h3", ",,"),
        ("postgresql://u@h1:1/d?application_name=a,b", "h1", 1),
    ],
)
def test_url_may_name_several_hosts(url: str, hosts: str, ports: str | int) -> None:
    engine, _ = make_engines(url)
    _, given = engine.dialect.create_connect_args(engine.url)
    assert (given["host"], given.get("port"), given["dbname"]) == (hosts, ports, "d")
    assert given["user"] == "u"


def test_url_with_hosts_that_are_none_is_refused() -> None:
    with pytest.raises(ValueError, match="database URL") as caught:
        make_engines("postgresql://u:hunter2@h1:port,h2/d")
    assert "hunter2" not in str(caught.value)


def test_what_was_asked_is_not_in_messages(catalogue: Catalogue) -> None:
    with pytest.raises(DBAPIError) as caught, catalogue.database.engine.connect() as connection:
        connection.execute(text("SELECT :asked FROM galleries WHERE nothing"), {"asked": "hunter2"})
    assert "hunter2" not in str(caught.value)


@on_postgresql
def test_session_has_limits_that_the_url_may_change(database_url: str) -> None:
    def limits(url: str) -> list[str]:
        database = Database(url)
        names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        with database.read() as connection:
            found = [str(connection.scalar(text(f"SHOW {name}"))) for name in names]
        database.close()
        return found

    assert limits(database_url) == ["15s", "10min", "30s"]
    assert limits(with_options(database_url, "-c lock_timeout=1s"))[0] == "1s"


@on_postgresql
def test_migration_has_no_limits(catalogue: Catalogue) -> None:
    with catalogue.database.write() as connection:
        catalogue.database.lift_limits(connection)
        assert connection.scalar(text("SHOW lock_timeout")) == "0"
        assert connection.scalar(text("SHOW statement_timeout")) == "0"
    with catalogue.database.read() as connection:
        assert connection.scalar(text("SHOW lock_timeout")) == "15s"


@on_postgresql
def test_lock_that_somebody_keeps_is_not_waited_for_for_ever(
    catalogue: Catalogue, database_url: str
) -> None:
    hasty = Database(with_options(database_url, "-c lock_timeout=50ms"))
    with catalogue.database.write() as connection:
        catalogue.database.lock(connection, 1)
        with pytest.raises(DatabaseUnavailable, match="lock timeout"), hasty.write() as other:
            hasty.lock(other, 1)
    with hasty.write() as other:
        hasty.lock(other, 1)
    hasty.close()


@on_postgresql
def test_process_that_froze_in_a_transaction_loses_its_locks_and_its_writes(
    catalogue: Catalogue, database_url: str
) -> None:
    frozen = Catalogue(with_options(database_url, "-c idle_in_transaction_session_timeout=1s"))
    freed = threading.Event()

    def wait_for_lock() -> None:
        with catalogue.database.write() as connection:
            catalogue.database.lock(connection, 1)
        freed.set()

    waiting = threading.Thread(target=wait_for_lock, daemon=True)
    with (
        pytest.raises(DatabaseUnavailable, match="idle-in-transaction"),
        frozen.database.write() as connection,
    ):
        frozen.database.lock(connection, 1)
        now = frozen.database.now(connection)
        connection.execute(galleries.insert().values(name="g", created_at=now))
        waiting.start()
        assert freed.wait(60)
    waiting.join()
    assert catalogue.galleries() == []
    assert frozen.create_gallery("g").name == "g", "it goes on with another connection"
    frozen.close()


@on_postgresql
def test_connection_made_while_the_database_was_read_only_is_replaced(
    catalogue: Catalogue, database_url: str, postgresql_server: str
) -> None:
    name = make_url(database_url).database
    session = select(func.pg_backend_pid())
    before = catalogue.database.rows(session)
    assert catalogue.database.rows(session) == before
    with psycopg.connect(postgresql_server, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        with pytest.raises(StorageUnavailable, match="read-only"):
            catalogue.create_gallery("g")
        admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    assert catalogue.create_gallery("g").name == "g"
    assert catalogue.database.rows(session) != before, "where they read, nobody writes any more"


def with_options(url: str, options: str) -> str:
    """The same database with other limits."""
    changed = make_url(url).update_query_dict({"options": options})
    return changed.render_as_string(hide_password=False)
