"""Floods and slow clients: /healthz goes on answering, p99 under 100 ms, and memory is bounded.

SOAK_ATTACK_S=20 SOAK_P99_MS=100: more where the machine has other work
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.app.program import Program, program
from tests.soak import hostile
from tests.soak.options import quantile, show

pytestmark = pytest.mark.timeout(0)
ATTACK_S = float(os.environ.get("SOAK_ATTACK_S", "20"))
P99_MS = float(os.environ.get("SOAK_P99_MS", "100"))
MOST_MB = 300  # above what it has at rest: 1,000 connections, and forms that are being read
ASK = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, str, int]]:
    # Nobody reads its log here: a pipe that is full would stop it.
    os.environ["PASSERBY_LOG_LEVEL"] = "error"
    with program("serve", "--port", "0", data_dir=tmp_path_factory.mktemp("data")) as served:
        del os.environ["PASSERBY_LOG_LEVEL"]
        url = httpx.URL(served.wait_for_url())
        httpx.post(f"{url}/galleries", json={"name": "street"}).raise_for_status()
        assert url.port is not None
        yield served, url.host, url.port


def ask_health(host: str, port: int, seconds: float) -> list[float]:
    """Milliseconds of each answer, connections being made anew; what isn't answered counts 5 s."""
    taken_ms = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        started = time.monotonic()
        try:
            with socket.create_connection((host, port), timeout=5) as raw:
                raw.settimeout(5)
                raw.sendall(ASK)
                answered = raw.recv(4096).startswith(b"HTTP/1.1 200 ")
        except OSError:
            answered = False
        taken_ms.append(1000 * (time.monotonic() - started) if answered else 5000.0)
        time.sleep(0.02)
    return taken_ms


def rss_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.mark.parametrize("name", ["nobody", *hostile.ATTACKS])
def test_health_answers_during(name: str, server: tuple[Program, str, int]) -> None:
    served, host, port = server
    before_mb = rss_mb(served.process.pid)
    words = [sys.executable, "-m", "tests.soak.hostile", name, host, str(port), str(ATTACK_S + 5)]
    attacker = subprocess.Popen(words) if name in hostile.ATTACKS else None
    try:
        time.sleep(2)
        taken_ms = ask_health(host, port, ATTACK_S)
        grown_mb = rss_mb(served.process.pid) - before_mb
    finally:
        if attacker is not None:
            attacker.send_signal(signal.SIGKILL)
            attacker.wait()
    show(
        f"/healthz while there are {name}",
        {
            "asked": len(taken_ms),
            "p50": f"{quantile(taken_ms, 0.5):.1f} ms",
            "p99": f"{quantile(taken_ms, 0.99):.1f} ms",
            "longest": f"{max(taken_ms):.1f} ms",
            "memory grew by": f"{grown_mb:.0f} MB",
        },
    )
    assert served.process.poll() is None
    assert quantile(taken_ms, 0.99) < P99_MS
    assert grown_mb < MOST_MB
