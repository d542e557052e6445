"""Transactions, and failures of two databases in one set of words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url, text

from indexer.catalogue import Catalogue
from indexer.database.transactions import Database
from indexer.errors import DatabaseUnavailable, StorageUnavailable
from tests.indexer.steps import at_once


@pytest.mark.parametrize(
    "url", ["", "mysql://u@h/d", "sqlite://", "nonsense", "postgresql://u:hunter2@h:port/d"]
)
def test_url_of_another_database_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="database URL") as caught:
        Database(url)
    assert "hunter2" not in str(caught.value)


def test_sqlite_is_durable_and_checks_references(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    for pragma, expected in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
        with database.read() as connection:
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == expected
    database.close()


def test_write_is_rolled_back_whole(catalogue: Catalogue) -> None:
    with pytest.raises(ZeroDivisionError), catalogue.database.write() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
        raise ZeroDivisionError
    with catalogue.database.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM alembic_version")) == 1


def test_read_sees_one_moment(catalogue: Catalogue) -> None:
    count = text("SELECT count(*) FROM galleries")
    with catalogue.database.read() as connection:
        assert connection.scalar(count) == 0
        catalogue.create_gallery("g")
        assert connection.scalar(count) == 0


def test_writers_that_read_first_take_turns(catalogue: Catalogue) -> None:
    """Deferred SQLite transactions would fail here with "database is locked"."""
    with catalogue.database.write() as connection:
        connection.execute(text("CREATE TABLE counter (n INTEGER)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))

    def increment() -> None:
        for _ in range(5):
            with catalogue.database.write() as connection:
                catalogue.database.lock(connection, 1)
                n = connection.scalar(text("SELECT n FROM counter"))
                connection.execute(text("UPDATE counter SET n = :n"), {"n": (n or 0) + 1})

    assert at_once([increment] * 8) == [None] * 8
    with catalogue.database.read() as connection:
        assert connection.scalar(text("SELECT n FROM counter")) == 40


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_who_waited_for_a_lock_sees_what_was_committed_whatever_the_servers_default(
    catalogue: Catalogue,
) -> None:
    name = catalogue.database.engine.url.database
    with catalogue.database.write() as connection:
        level = "default_transaction_isolation = 'repeatable read'"
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET {level}")
    catalogue.close()  # the setting is for new connections
    test_writers_that_read_first_take_turns(catalogue)
    test_read_sees_one_moment(catalogue)


def test_read_only_database_is_unavailable_storage(catalogue: Catalogue) -> None:
    name = make_url(str(catalogue.database.engine.url)).database
    statements = {
        True: f"ALTER DATABASE {name} SET default_transaction_read_only = on",
        False: "PRAGMA query_only = ON",
    }
    with catalogue.database.engine.connect() as connection:
        connection.exec_driver_sql(statements[catalogue.database.is_postgresql])
        connection.commit()
    if catalogue.database.is_postgresql:
        catalogue.close()  # the setting is for new connections
    with pytest.raises(StorageUnavailable, match=r"read-?only"):
        catalogue.create_gallery("g")
    assert catalogue.galleries() == []


def end_sessions(admin: psycopg.Connection[Any], database: str | None) -> int:
    """How many there were on this database."""
    mine = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    return len(admin.execute(mine, [database]).fetchall())


def test_database_that_comes_back_is_used_again(
    catalogue: Catalogue, database_url: str, database_kind: str, request: pytest.FixtureRequest
) -> None:
    catalogue.create_gallery("g")
    assert not catalogue.reason_required("g")
    url = make_url(database_url)
    if database_kind == "postgresql":
        server = request.getfixturevalue("postgresql_server")
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS false")
            end_sessions(admin, url.database)
            for ask in (catalogue.gallery, catalogue.reason_required):
                with pytest.raises(DatabaseUnavailable, match="not currently accepting"):
                    ask("g")
            admin.execute(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS true")
    else:
        folder = Path(str(url.database)).parent
        catalogue.close()
        moved = folder.rename(folder.with_name(f"{folder.name}-away"))
        with pytest.raises(DatabaseUnavailable, match="unable to open"):
            catalogue.ping()
        moved.rename(folder)
    assert catalogue.gallery("g").name == "g"


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_nobody_notices_a_connection_that_was_lost_while_it_rested(
    catalogue: Catalogue, postgresql_server: str
) -> None:
    catalogue.create_gallery("g")
    assert not catalogue.reason_required("g")
    with psycopg.connect(postgresql_server, autocommit=True) as admin:
        ended = end_sessions(admin, catalogue.database.engine.url.database)
    assert ended >= 2, "one for transactions, one for queries that stand alone"
    assert not catalogue.reason_required("g")
    assert catalogue.gallery("g").name == "g"


def test_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"not a database. " * 100)
    with pytest.raises(DatabaseUnavailable, match=r"a\.db: file is not a database"):
        Catalogue(f"sqlite:///{path}").ping()


def test_damaged_database_is_unavailable(sqlite_template: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    whole = sqlite_template.read_bytes()
    path.write_bytes(whole[:4096] + b"\x99" * (len(whole) - 4096))
    with pytest.raises(DatabaseUnavailable, match="malformed"):
        Catalogue(f"sqlite:///{path}").galleries()


def test_password_is_not_in_messages() -> None:
    away = Database("postgresql://someone:hunter2@127.0.0.1:9/none")
    with pytest.raises(DatabaseUnavailable) as caught, away.read():
        pass
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
