"""Why changes are numbered under a lock: a plain sequence loses some, in the same steps."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Connection, text

from indexer import change_log
from indexer.catalogue import Catalogue
from indexer.database.transactions import Database
from tests.indexer.steps import wait_until


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_follower_of_a_plain_sequence_loses_what_commits_late(catalogue: Catalogue) -> None:
    """The numbers are given in one order and become visible in another."""
    database = catalogue.database
    with database.write() as connection:
        connection.execute(text("CREATE TABLE plain (seq bigserial PRIMARY KEY, what text)"))

    def put(connection: Connection, what: str) -> None:
        connection.execute(text("INSERT INTO plain (what) VALUES (:what)"), {"what": what})

    def read_after(seen: int) -> list[tuple[int, str]]:
        newer = text("SELECT seq, what FROM plain WHERE seq > :seen ORDER BY seq")
        with database.read() as connection:
            return [(row.seq, row.what) for row in connection.execute(newer, {"seen": seen})]

    with database.write() as slow:
        put(slow, "slow")
        with database.write() as fast:
            put(fast, "fast")
        first = read_after(0)
    second = read_after(first[-1][0])
    assert (first, second) == ([(2, "fast")], []), "number 1 is skipped for ever"
    assert read_after(0) == [(1, "slow"), (2, "fast")], "though it is there"


def test_follower_of_changes_loses_nothing_in_the_same_steps(catalogue: Catalogue) -> None:
    database, log = catalogue.database, catalogue.changes
    trying = threading.Event()

    def append(connection: Connection, image_id: int) -> None:
        change_log.append(database, connection, [(1, image_id, "remove", None)])

    def append_fast() -> None:
        trying.set()
        with database.write() as connection:
            append(connection, 200)

    fast = threading.Thread(target=append_fast, daemon=True)
    with database.write() as slow:
        append(slow, 100)
        fast.start()
        assert trying.wait(10)
        wait_until_it_waits(database, fast)
        assert log.page("m", 1, 10) == ([], {}), "not before the number before it"
    fast.join(10)
    found, _ = log.page("m", 1, 10)
    assert [(change.seq, change.image_id) for change in found] == [(1, 100), (2, 200)]


def wait_until_it_waits(database: Database, writer: threading.Thread) -> None:
    """PostgreSQL tells; on SQLite a second writer can but wait."""
    if not database.is_postgresql:
        writer.join(0.2)
        assert writer.is_alive()
        return
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")

    def is_waiting() -> bool:
        with database.read() as connection:
            return connection.scalar(waiting) == 1

    wait_until(is_waiting)
