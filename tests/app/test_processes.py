"""`passerby api --processes N`: real processes on one port, killed and started again."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from app.errors import CommandError
from app.settings import load_settings
from app.wiring import make_data_dir
from tests.app.files import picture
from tests.app.program import ROOT, Program, program
from tests.postgresql import free_port


def children(parent: int) -> set[int]:
    """The processes that this one began and that are not over."""
    listed = subprocess.run(
        ["ps", "--ppid", str(parent), "-o", "pid=,stat="], capture_output=True, text=True
    )
    found = (line.split() for line in listed.stdout.splitlines())
    return {int(pid) for pid, stat in found if not stat.startswith("Z")}


def wait_until(is_so: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_ready(port: int) -> bool:
    """Whether the process that tells of itself on this port is."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def start(served: Program, metrics_port: int) -> tuple[str, set[int]]:
    """Where both processes answer, and which they are."""
    url = served.wait_for_url()
    wait_until(lambda: is_ready(metrics_port) and is_ready(metrics_port + 1))
    return url, children(served.process.pid)


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_processes_share_port_and_database_and_are_replaced(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSERBY_DATABASE_URL", database_url)
    monkeypatch.setenv("PASSERBY_PROCESSES", "2")
    first_port = free_port(2)
    words = ("api", "--port", "0", "--metrics-port", str(first_port))
    with program(*words, data_dir=tmp_path) as served, program("worker", data_dir=tmp_path):
        url, before = start(served, first_port)
        assert len(before) == 2
        httpx.post(f"{url}/galleries", json={"name": "street"}).raise_for_status()
        files = [("files", (f"{n}.jpg", picture("red", n))) for n in range(3)]
        httpx.post(f"{url}/galleries/street/images", files=files).raise_for_status()

        def search() -> httpx.Response:  # a connection each, which either process may take
            return httpx.post(f"{url}/search", json={"gallery": "street", "text": "red"})

        def num_searchable() -> int:
            return int(httpx.get(f"{url}/galleries/street").json()["counts"]["searchable"])

        wait_until(lambda: num_searchable() == 3)
        found = [len(search().json()["results"]) for _ in range(10)]
        assert found == [3] * 10, "of what is called searchable, each process finds all"
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        assert {search().status_code for _ in range(10)} == {200}
        wait_until(lambda: is_ready(first_port) and is_ready(first_port + 1))
        after = children(served.process.pid)
        assert len(after) == 2
        assert after - before and killed not in after
        answer = httpx.get(f"{url}/metrics")
        assert (answer.status_code, answer.json()["code"]) == (409, "several_processes")
        figures = httpx.get(f"http://127.0.0.1:{first_port + 1}/metrics").text
        assert "passerby_index_vectors 3.0" in figures
        code, err, took_s = served.stop(signal.SIGTERM)
        assert (code, "Traceback" in err) == (0, False), err
        assert took_s < 6
        assert "it was ended by SIGKILL): it is started again in 0.5 s" in err
        assert not any(Path(f"/proc/{one}").exists() for one in after)


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    first_port = free_port(2)
    words = ("api", "--processes", "2", "--port", "0", "--metrics-port", str(first_port))
    with program(*words, data_dir=tmp_path) as served:
        _, started = start(served, first_port)
        served.process.kill()
        wait_until(lambda: not any(Path(f"/proc/{one}").exists() for one in started), 10)


def test_program_ends_with_the_reason_when_no_process_can_start(tmp_path: Path) -> None:
    """One alone that can't is tried again; at the start, and when it is the last, it ends all."""
    first_port = free_port(2)
    words = ("api", "--processes", "2", "--port", "0", "--metrics-port", str(first_port))
    with program(*words, data_dir=tmp_path) as served:
        _, started = start(served, first_port)
        with sqlite3.connect(tmp_path / "passerby.db") as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        for one in started:
            os.kill(one, signal.SIGKILL)
        code, _, err = served.finish()
        assert code == 1
        assert err.splitlines()[-1].startswith("passerby: ") and "newer program" in err
    with program(*words, data_dir=tmp_path) as refused:
        code, _, err = refused.finish()
    assert code == 1
    (line,) = err.splitlines()
    assert line.startswith("passerby: ") and "newer program" in line


SLOW = """
import sys, time
from app.errors import CommandError
from app.processes import supervise

def serve(place, answers):
    print("begins", flush=True)
    {work}

try:
    supervise(3, serve, lambda: None)
except CommandError as error:
    sys.exit(str(error))
"""


def supervised(work: str) -> subprocess.Popen[str]:
    """Three processes that do this, with `place` and `answers`, in a group of their own."""
    return subprocess.Popen(
        [sys.executable, "-c", SLOW.format(work=work)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("work", ["time.sleep(60)", "answers(); time.sleep(60)"])
def test_all_may_be_told_to_stop_at_once(number: signal.Signals, work: str) -> None:
    """As a terminal does by Ctrl-C, and systemd: no process that ends by it has failed."""
    with supervised(work) as running:
        assert running.stdout is not None
        for _ in range(3 if "answers" in work else 1):
            running.stdout.readline()
        os.killpg(running.pid, number)
        _, err = running.communicate(timeout=10)
        assert (running.returncode, err) == (0, "")


EARLY = """
import time
from app.processes import _asked_to_stop, _Place

with _asked_to_stop():
    for _ in range(5):
        place = _Place(0, lambda *_: time.sleep(60))
        place.start()
        place.process.terminate()
        place.process.join(5)
        print(place.process.exitcode)
        place.process.kill()
"""


def test_process_is_stopped_however_early() -> None:
    """One that was told so before it had handlers of its own took note by its parent's, and went
    on."""
    made = subprocess.run([sys.executable, "-c", EARLY], cwd=ROOT, capture_output=True, text=True)
    assert (made.stdout.split(), made.stderr) == (["-15"] * 5, "")


def test_process_that_says_nothing_is_told_of() -> None:
    with supervised("import os; os.kill(os.getpid(), 9)") as running:
        _, err = running.communicate(timeout=10)
        assert (running.returncode, err) == (1, "process 0: it was ended by SIGKILL\n")


def test_those_that_start_together_share_the_data_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as starting:
        list(starting.map(make_data_dir, [tmp_path] * 400))
    assert not list(tmp_path.iterdir())


def test_metrics_ports_that_are_not_there_are_told() -> None:
    with pytest.raises(CommandError, match=r"^PASSERBY_METRICS_PORT: expected at most 65533: "):
        load_settings(processes=3, metrics_port=65_534)
    assert load_settings(processes=3, metrics_port=65_533).of_process(2).metrics_port == 65_535
    assert load_settings(processes=3, metrics_port=0).of_process(2).metrics_port == 0
