"""A real Prometheus on loopback, with the files of docker/monitoring/ and names as Docker has."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.postgresql import free_port

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "docker" / "monitoring"
DASHBOARD = json.loads((MONITORING / "grafana/dashboards/passerby.json").read_text())
RULES = [
    rule
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
_UNPACKED = ROOT / ".venv/prometheus/usr/bin"  # by `make test`
_PATIENCE_S = 30.0


def program_path(name: str) -> str:
    """prometheus or promtool, from the machine or as `make test` fetched it."""
    found = shutil.which(name) or shutil.which(name, path=str(_UNPACKED))
    assert found, f"{name} is not here: make prometheus"
    return found


def panels() -> list[dict[str, Any]]:
    """The dashboard's, without the lines that part them."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> dict[str, str]:
    """Every one of alarms and panels by where it stands, as Grafana would send it."""
    found = {f"alert {rule['alert']}": rule["expr"] for rule in RULES}
    for panel in panels():
        for target in panel["targets"]:
            place = f"panel {panel['title']}, {target['refId']}"
            found[place] = target["expr"].replace("$__rate_interval", "30s")
    return found


class Loopback:
    """A few addresses of 127.0.0.0/8 that nobody else uses, 1 to 254."""

    def __init__(self) -> None:
        self._prefix = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(256)}"

    def __getitem__(self, number: int) -> str:
        return f"{self._prefix}.{number}"


@contextmanager
def name_server(address: str, names: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """Answers on port 53 of `address` with the addresses (A) of these names, as Docker's does."""

    def answer(query: bytes) -> bytes:
        end = query.index(b"\0", 12)
        labels, place = [], 12
        while place < end:
            labels.append(query[place + 1 : place + 1 + query[place]].decode())
            place += 1 + query[place]
        found = names.get(".".join(labels), ())
        flags = 0x8580 if found else 0x8583  # no such name
        head = query[:2] + struct.pack(">5H", flags, 1, len(found), 0, 0)
        rows = (struct.pack(">3HIH", 0xC00C, 1, 1, 0, 4) + socket.inet_aton(a) for a in found)
        return head + query[12 : end + 5] + b"".join(rows)

    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind((address, 53))

    def serve() -> None:
        while True:
            query, asker = listener.recvfrom(4096)
            if query == b"end":
                return
            listener.sendto(answer(query), asker)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", (address, 53))
        thread.join()
        listener.close()


class Prometheus:
    """Its HTTP API."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/api/v1", timeout=20)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples at this moment. Fails where it can't be understood."""
        answer = self._http.get("/query", params={"query": expression})
        assert answer.status_code == 200, (expression, answer.text)
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def firing(self) -> set[str]:
        """The names of the alarms that fire."""
        alerts = self._http.get("/alerts").json()["data"]["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}

    def targets(self) -> dict[str, str]:
        """`up` or `down` by address."""
        active = self._http.get("/targets").json()["data"]["activeTargets"]
        return {one["labels"]["instance"]: one["health"] for one in active}

    def is_ready(self) -> bool:
        try:
            return self._http.get("/status/runtimeinfo").status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def running_prometheus(folder: Path, resolver: str) -> Iterator[Prometheus]:
    """On the configuration in `folder`, asking `resolver` for names. Only root may run it so."""
    (folder / "resolv.conf").write_text(f"nameserver {resolver}\n")
    port = free_port()
    command = [
        *("unshare", "--mount", "sh", "-ec", 'mount --bind "$0" /etc/resolv.conf; exec "$@"'),
        *(str(folder / "resolv.conf"), program_path("prometheus")),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ})
    found = Prometheus(f"http://127.0.0.1:{port}")
    try:
        wait_for(found.is_ready, lambda: (folder / "log").read_text()[-2000:])
        yield found
    finally:
        process.terminate()
        process.wait(20)


def hasten(folder: Path) -> None:
    """A copy of the configuration that looks every second, and whose alarms don't wait."""
    shutil.copytree(MONITORING, folder, dirs_exist_ok=True)
    for name, pattern, quick in (
        ("prometheus.yml", r"(interval): 15s", r"\1: 1s"),
        ("alerts.yml", r"\n +for: \w+", ""),
    ):
        text, number = re.subn(pattern, quick, (folder / name).read_text())
        assert number > 2, name
        (folder / name).write_text(text)


@contextmanager
def alertmanager() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """What takes alarms as an Alertmanager does: its address, and what it got so far."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if self.path == "/api/v2/alerts":
                got.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", got
    finally:
        server.shutdown()
        server.server_close()


def wait_for(come: Any, what: Any = lambda: "") -> None:
    """Until come() is true."""
    deadline = time.monotonic() + _PATIENCE_S
    while not come():
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)
