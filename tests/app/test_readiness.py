"""What fails or hangs shows within 5 s in /readyz, which never hangs itself; what heals, too."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from app.main import create_app
from app.monitoring.readiness import OK, Failing, Watch
from app.services import Services
from app.settings import Settings
from app.wiring import build_services
from tests.app.conftest import URL
from tests.conftest import ColourEncoder
from tests.postgresql import PostgresqlServer, running_postgresql

PROMISED_S = 5.0
AT_ONCE_S = 2.0  # a moment, where sixty clients share this process and others its cores
HEALED_S = 15.0  # the worker's next try, a new connection, a machine that has other things to do


class Moody(ColourEncoder):
    """Raises, or hangs, in text while it is told to."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.go = threading.Event()
        self.go.set()

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        assert self.go.wait(60)
        if self.error is not None:
            raise self.error
        return super().encode_text(texts)


def until(http: TestClient, wanted: Callable[[dict[str, Any]], bool], within_s: float) -> None:
    """Ask /readyz until it says so; each answer must come at once."""
    started = time.monotonic()
    while True:
        asked = time.monotonic()
        response = http.get("/readyz")
        answered = time.monotonic()
        assert answered - asked < AT_ONCE_S
        assert response.status_code == (200 if response.json()["ready"] else 503)
        if wanted(response.json()):
            return
        assert answered - started < within_s, response.json()
        time.sleep(0.05)


def is_ready(found: dict[str, Any]) -> bool:
    return bool(found["ready"])


def fails(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda found: not found["ready"] and found["checks"][name] != OK


@pytest.fixture
def moody() -> Iterator[Moody]:
    encoder = Moody()
    yield encoder
    encoder.go.set()


@pytest.fixture
def services(settings: Settings, moody: Moody) -> Services:
    return build_services(settings, with_worker=True, encoder=moody)


@pytest.fixture
def http(settings: Settings, services: Services) -> Iterator[TestClient]:
    with TestClient(create_app(settings, services), base_url=URL) as http:
        yield http


def freeze(server: PostgresqlServer, number: signal.Signals) -> None:
    """Stop or continue the server with every process it has."""
    assert server.process is not None
    main = server.process.pid
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    for pid in (main, *map(int, children)):
        os.kill(pid, number)


def test_postgresql_that_stops_or_freezes_shows_within_5_s_and_heals(tmp_path: Path) -> None:
    with running_postgresql() as server:
        others = set(threading.enumerate())  # of services that other tests share
        settings = Settings(data_dir=tmp_path, database_url=server.url)
        services = build_services(settings, with_worker=True, encoder=ColourEncoder())
        with TestClient(create_app(settings, services), base_url=URL) as http:
            assert http.get("/readyz").json()["ready"]
            server.stop()
            until(http, fails("database"), PROMISED_S)
            server.start()
            until(http, is_ready, HEALED_S)
            freeze(server, signal.SIGSTOP)
            try:
                until(http, fails("database"), PROMISED_S)
                time.sleep(2)
                mine = set(threading.enumerate()) - others
                watching = [t.name for t in mine if t.name.startswith("watch-")]
                assert watching
                assert len(watching) == len(set(watching)), "stuck threads pile up"
            finally:
                freeze(server, signal.SIGCONT)
            until(http, is_ready, HEALED_S)


def test_model_that_raises_or_hangs_shows_within_5_s_and_heals(
    http: TestClient, moody: Moody
) -> None:
    assert http.get("/readyz").json()["ready"]
    moody.error = RuntimeError("a secret of the GPU")
    until(http, fails("model"), PROMISED_S)
    assert "secret" not in http.get("/readyz").text
    assert http.get("/readyz").json()["checks"]["database"] == OK
    moody.error = None
    until(http, is_ready, PROMISED_S)
    moody.go.clear()
    until(http, fails("model"), PROMISED_S)
    moody.go.set()
    until(http, is_ready, PROMISED_S)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_worker_that_ended_shows_and_storage_too(
    http: TestClient, services: Services, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = settings.data_dir / "objects"
    folder.rename(settings.data_dir / "unmounted")

    def die(*_: object) -> None:
        sys.exit()  # no handler of the loop catches it

    assert services.worker is not None
    monkeypatch.setattr(services.worker, "drain", die)
    until(http, fails("worker"), PROMISED_S)
    until(http, fails("storage"), 2 * PROMISED_S)
    (settings.data_dir / "unmounted").rename(folder)
    until(http, lambda found: found["checks"]["storage"] == OK, 2 * PROMISED_S)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("name", ["imports", "maps"])
def test_loops_that_fail_hang_or_end_show_within_5_s(
    name: str, http: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert http.get("/readyz").json()["checks"][name] == OK
    runner = getattr(services, name)
    go = threading.Event()
    real = runner.run_once

    def fail() -> bool:
        raise RuntimeError("a secret of the archive")

    def hang() -> bool:
        assert go.wait(60)
        return False

    monkeypatch.setattr(runner, "run_once", fail)
    until(http, fails(name), PROMISED_S)
    assert "secret" not in http.get("/readyz").text
    monkeypatch.setattr(runner, "run_once", real)
    until(http, is_ready, PROMISED_S)
    monkeypatch.setattr("indexer.work.loop._STUCK_S", 2.0)
    monkeypatch.setattr(runner, "run_once", hang)
    until(http, fails(name), PROMISED_S)
    go.set()
    until(http, is_ready, PROMISED_S)
    monkeypatch.setattr(runner, "run_once", sys.exit)  # the loop's handlers don't catch it
    until(http, fails(name), PROMISED_S)


def test_health_answers_while_every_thread_hangs(http: TestClient, moody: Moody) -> None:
    http.post("/galleries", json={"name": "street"}).raise_for_status()
    moody.go.clear()
    with ThreadPoolExecutor(60) as pool:
        bodies = [{"gallery": "street", "text": f"red {number}"} for number in range(60)]
        asked = [pool.submit(http.post, "/search", json=body) for body in bodies]
        try:
            until(http, fails("model"), PROMISED_S)
            started = time.monotonic()
            assert http.get("/healthz").status_code == 200
            assert time.monotonic() - started < AT_ONCE_S
            assert not any(search.done() for search in asked)
        finally:
            moody.go.set()
        assert {search.result().status_code for search in asked} == {200}


def test_watch_tells_what_it_found_and_that_it_hangs() -> None:
    told, go = [Failing("shown", "why"), ValueError("secret"), None], threading.Event()
    asked: list[int] = []

    def check() -> None:
        asked.append(1)
        if len(asked) > len(told):
            go.wait(10)
        elif (error := told[len(asked) - 1]) is not None:
            raise error

    watch = Watch("part", check, every_s=0.2, hang_s=0.3)
    assert watch.state() == "not checked yet"
    watch.start()
    seen: list[str] = []
    deadline = time.monotonic() + 10
    while not seen or not seen[-1].startswith("no answer"):
        assert time.monotonic() < deadline, seen
        if (state := watch.state()) not in seen:
            seen.append(state)
        time.sleep(0.01)
    go.set()
    watch.stop()
    expected = ["shown", "failing, see the log", OK, "no answer for 0 s"]
    assert [state for state in seen if state != "not checked yet"] == expected
