"""A commit is heard of at once on PostgreSQL, and by the next poll everywhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from indexer import change_log
from indexer.catalogue import Catalogue
from indexer.database import notices
from indexer.index.live_index import LiveIndex
from indexer.storage.object_store import ObjectStore
from indexer.work.worker import Worker
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.steps import add, wait_until

on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


@pytest.fixture
def other(database_url: str) -> Iterator[Catalogue]:
    """As another process has it."""
    other = Catalogue(database_url)
    yield other
    other.close()


class Bell:
    """Counts how often it is called."""

    def __init__(self) -> None:
        self.rings = 0

    def __call__(self) -> None:
        self.rings += 1


def append_change(catalogue: Catalogue) -> None:
    with catalogue.database.write() as connection:
        change_log.append(catalogue.database, connection, [(1, 1, "remove", None)])


@on_postgresql
def test_each_channel_is_heard_after_the_commit_and_only_then(
    catalogue: Catalogue, other: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    changes, pending = Bell(), Bell()
    calls = {notices.CHANGES: changes, notices.PENDING: pending}
    with notices.listening(catalogue.database, calls):
        wait_until(lambda: (changes.rings, pending.rings) == (1, 1))  # on connecting
        with pytest.raises(ZeroDivisionError), other.database.write() as connection:
            change_log.append(other.database, connection, [(1, 1, "remove", None)])
            raise ZeroDivisionError
        append_change(other)
        wait_until(lambda: changes.rings == 2)
        assert pending.rings == 1
        other.create_gallery("g")
        add(other, store, pictures.plain())
        wait_until(lambda: pending.rings == 2)
        assert changes.rings == 2, "what was rolled back was never told"


@on_postgresql
def test_listener_that_lost_its_connection_connects_again_and_calls_everybody(
    catalogue: Catalogue, other: Catalogue, postgresql_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.database.notices._FIRST_PAUSE_S", 0.05)
    bell = Bell()
    with notices.listening(catalogue.database, {notices.CHANGES: bell}):
        wait_until(lambda: bell.rings == 1)
        with psycopg.connect(postgresql_server, autocommit=True) as admin:
            ended = admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = %s AND query LIKE 'LISTEN%%'",
                [catalogue.database.engine.url.database],
            ).fetchall()
        assert len(ended) == 1
        wait_until(lambda: bell.rings == 2)
        append_change(other)
        wait_until(lambda: bell.rings == 3)


@on_postgresql
def test_worker_and_index_of_other_processes_do_not_wait_for_their_polls(
    catalogue: Catalogue,
    other: Catalogue,
    store: ObjectStore,
    encoder: ColourEncoder,
    pictures: Pictures,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("indexer.work.worker._POLL_S", 60.0)
    index = LiveIndex(catalogue, encoder.fingerprint, encoder.dim, tmp_path / "index", poll_s=60.0)
    index.start()
    worker, stop = Worker(other, store, encoder), threading.Event()
    working = threading.Thread(target=worker.run, args=(stop,), daemon=True)
    catalogue.create_gallery("g")
    with (
        notices.listening(catalogue.database, {notices.CHANGES: index.nudge}),
        notices.listening(other.database, {notices.PENDING: worker.nudge}),
    ):
        working.start()
        for seed in range(3):
            add(catalogue, store, pictures.noise(seed))
            wait_until(lambda expected=seed + 1: index.status().indexed == expected)
        stop.set()
        worker.nudge()
        working.join()
    index.stop()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_sqlite_has_no_notices(catalogue: Catalogue) -> None:
    bell, before = Bell(), threading.active_count()
    with notices.listening(catalogue.database, {notices.CHANGES: bell}):
        append_change(catalogue)
        assert threading.active_count() == before
    assert bell.rings == 0
