"""Slow and flooding clients against the real server: cut off, and nobody else notices."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from app.commands.server import server_config
from app.http.connections import Limits
from app.main import create_app
from app.services import Services
from app.settings import Settings
from tests.app.serving import served

QUICK = Limits(head_s=0.6, window_s=0.6, least_bytes_a_window=1_000, max_connections=20)
UPLOAD = (
    b"POST /galleries/street/images HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n"
)
PART = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'


@pytest.fixture
def address(
    settings: Settings, services: Services, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, int]]:
    monkeypatch.setattr(Limits, "of_process", lambda: QUICK)
    services.catalogue.create_gallery("street")
    with served(create_app(settings, services), settings) as address:
        yield address


def drip(raw: socket.socket, crumb: bytes, every_s: float = 0.1) -> bytes:
    """Send crumbs until there is an answer, or the end: what came."""
    raw.settimeout(every_s)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            raw.sendall(crumb)
            return raw.recv(1000)
        except TimeoutError:
            continue
        except OSError:
            return b""
    raise AssertionError("it was not cut off")


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n",
        UPLOAD + b"Content-Length: 100000\r\n\r\n" + PART,
        UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(PART), PART),
    ],
    ids=["nothing", "head", "body", "chunks"],
)
def test_dripping_client_is_cut_off(address: tuple[str, int], begin: bytes) -> None:
    started = time.monotonic()
    with socket.create_connection(address) as raw:
        raw.sendall(begin)
        crumb = b"1\r\nx\r\n" if b"chunked" in begin else b"x"
        answer = drip(raw, crumb)
        assert 0.3 < time.monotonic() - started < 5, answer
        assert answer.startswith(b"HTTP/1.1 408 ") or not begin
    assert httpx.get(f"http://{address[0]}:{address[1]}/healthz").status_code == 200


def test_second_request_of_a_connection_may_not_drip_either(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as raw:
        for _ in range(3):
            raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            time.sleep(0.4)  # together longer than a head may take
            assert raw.recv(65536).count(b"HTTP/1.1 200 ") == 1
        raw.sendall(b"GET /healthz HT")
        assert drip(raw, b"T").startswith(b"HTTP/1.1 4")


def test_steady_upload_longer_than_the_window_is_served(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as raw:
        raw.sendall(UPLOAD + b"Content-Length: 20000\r\n\r\n")
        for _ in range(20):
            raw.sendall(b"x" * 1_000)
            time.sleep(0.1)
        assert raw.recv(1000).startswith(b"HTTP/1.1 4")  # 400: it is no form


def test_client_that_takes_no_answer_is_cut_off(address: tuple[str, int]) -> None:
    ask = b"GET /static/vendor/swagger-ui/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(address)
        raw.sendall(ask * 20)
        time.sleep(3)
        raw.settimeout(5)
        taken = 0
        with pytest.raises(ConnectionError):
            while part := raw.recv(65536):
                taken += len(part)
            raise ConnectionError  # closed without a reset
    assert taken < 20 * 1_000_000


def test_many_connections_leave_room_for_the_next(address: tuple[str, int]) -> None:
    silent = [socket.create_connection(address) for _ in range(60)]
    try:
        for _ in range(5):
            url = f"http://{address[0]}:{address[1]}/healthz"
            assert httpx.get(url, timeout=0.5).status_code == 200
    finally:
        for raw in silent:
            raw.close()


@pytest.mark.parametrize(
    "flood",
    [
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\na: " + b"b" * 200_000 + b"\r\n\r\n",
        UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n",
    ],
    ids=["many headers", "a long header", "crumbs"],
)
def test_flood_is_refused(address: tuple[str, int], flood: bytes) -> None:
    with closing(socket.create_connection(address)) as raw:
        raw.settimeout(5)
        try:
            raw.sendall(flood)
            answer = raw.recv(1000)
        except ConnectionError:  # it was closed before all was sent
            answer = b"HTTP/1.1 400 "
        assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(("may_have", "held"), [(100, 50), (20_000, 4_000)])
def test_limits_leave_half_of_the_descriptors(may_have: int, held: int) -> None:
    code = (
        "import resource; from app.http.connections import Limits; "
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (64, {may_have})); "
        "print(Limits.of_process().max_connections)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == f"{held}\n"


def test_server_keeps_to_the_loop_whose_reads_are_bounded(settings: Settings) -> None:
    assert server_config(create_app(settings), settings).loop == "asyncio"
