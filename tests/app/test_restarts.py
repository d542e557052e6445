"""The database's server is stopped, killed, or replaced by its standby, under a running service.

Requests meanwhile are told 503 at once, everything goes on by itself afterwards, and what was
acknowledged is there.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from app.wiring import build_services
from indexer.database.transactions import Database
from indexer.errors import DatabaseUnavailable
from tests.app.conftest import URL, Api, assert_problem
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.steps import at_once, wait_until
from tests.postgresql import STOPS, PostgresqlServer, postgresql_servers, running_postgresql


@contextmanager
def serving(folder: Path, database_url: str) -> Iterator[Api]:
    """API, worker and index in this process, on this database."""
    settings = Settings(data_dir=folder / "data", database_url=database_url)
    services = build_services(settings, with_worker=True, encoder=ColourEncoder())
    with TestClient(create_app(settings, services), base_url=URL) as http:
        services.catalogue.create_gallery("street")
        yield Api(http, services)


@contextmanager
def uploading(api: Api, numbers: Iterator[int]) -> Iterator[dict[int, str]]:
    """Upload one picture after the other, whatever is answered; those accepted, by id."""
    acknowledged: dict[int, str] = {}
    left = threading.Event()

    def upload() -> None:
        while not left.is_set():
            name = f"{next(numbers)}.png"
            answer = api.upload((name, Pictures().noise(int(name[:-4]))))
            if answer.status_code == 202:
                (result,) = answer.json()["results"]
                acknowledged[result["image_id"]] = name
            else:
                assert_problem(answer, 503, "database_unavailable")
                time.sleep(0.05)

    thread = threading.Thread(target=upload)
    thread.start()
    try:
        wait_until(lambda: len(acknowledged) >= 5)
        yield acknowledged
        seen = len(acknowledged)
        wait_until(lambda: len(acknowledged) > seen, timeout_s=30)
    finally:
        left.set()
        thread.join()


def assert_away(api: Api) -> None:
    """Every one of many requests at once is told so quickly, and leaves no thread behind."""

    def search() -> float:
        started = time.monotonic()
        assert_problem(api.search(text="red"), 503, "database_unavailable")
        return time.monotonic() - started

    before = threading.active_count()
    taken_s = at_once([search] * 60)
    assert not [taken for taken in taken_s if isinstance(taken, Exception)], taken_s
    assert max(float(str(taken)) for taken in taken_s) < 10
    assert threading.active_count() <= before + 40, "a pool of threads, not one a request"
    assert api.http.get("/healthz").status_code == 200
    wait_until(lambda: api.http.get("/readyz").json()["checks"]["database"] != "ok", timeout_s=5)


def assert_nothing_lost(api: Api, acknowledged: dict[int, str]) -> None:
    """It is ready by itself, and finds every picture that it acknowledged once."""
    wait_until(lambda: api.http.get("/readyz").status_code == 200, timeout_s=30)
    api.wait()
    results = api.search(text="red", limit=1000).json()["results"]
    found = {result["image_id"]: result["file_name"] for result in results}
    assert len(found) == len(results) == api.services.model.live_index.status().indexed
    assert acknowledged.items() <= found.items()


def test_service_outlives_every_way_in_which_the_database_stops(tmp_path: Path) -> None:
    numbers = itertools.count()
    acknowledged: dict[int, str] = {}
    with running_postgresql() as server, serving(tmp_path, server.url) as api:
        for how in STOPS:
            with uploading(api, numbers) as meanwhile:
                server.stop(how)
                assert_away(api)
                server.start()
            acknowledged |= meanwhile
            assert_nothing_lost(api, acknowledged)


@pytest.fixture
def replicated() -> Iterator[tuple[PostgresqlServer, PostgresqlServer]]:
    """A primary, and the standby without which it commits nothing."""
    with postgresql_servers(2) as (primary, standby):
        primary.make()
        primary.start()
        standby.make_standby_of(primary)
        standby.start()
        with psycopg.connect(primary.url, autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            admin.execute("SELECT pg_reload_conf()")
        yield primary, standby


def test_service_moves_to_the_standby_once_it_is_promoted(
    replicated: tuple[PostgresqlServer, PostgresqlServer], tmp_path: Path
) -> None:
    primary, standby = replicated
    url = f"postgresql://postgres@127.0.0.1:{standby.port},127.0.0.1:{primary.port}/postgres"
    with serving(tmp_path, url) as api:
        with pytest.raises(DatabaseUnavailable, match="standby"), Database(standby.url).read():
            pass
        with uploading(api, itertools.count()) as acknowledged:
            primary.stop("kill")
            assert_away(api)
            standby.promote()
            with psycopg.connect(standby.url, autocommit=True) as admin:
                admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
                admin.execute("SELECT pg_reload_conf()")
        assert_nothing_lost(api, acknowledged)
