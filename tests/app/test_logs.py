"""What is in the log, and what never is."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.responses import StreamingResponse
from starlette.routing import compile_path

from app.access import rules
from app.main import create_app
from app.monitoring.logs import WITHHELD, WaitingLines, choose_request_id, start_log
from app.services import Services
from app.settings import Settings
from tests.app.conftest import URL, Api
from tests.app.files import picture
from tests.app.serving import served

MARKER = "tall-stranger-with-umbrella"


@pytest.fixture
def log_to(settings: Settings) -> Iterator[Callable[..., io.StringIO]]:
    """Starts the log with changed settings, as the program does; what is written to it."""
    root = logging.getLogger()
    before = root.handlers, root.level, logging.getLogger("passerby").level

    def start(**changed: object) -> io.StringIO:
        stream = io.StringIO()
        start_log(settings.model_copy(update=changed), stream)
        return stream

    yield start
    root.handlers = before[0]
    root.setLevel(before[1])
    logging.getLogger("passerby").setLevel(before[2])


def break_off(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open route whose answer ends in the middle, by an error that quotes what was asked."""

    async def half(q: str) -> StreamingResponse:
        async def parts() -> Any:
            yield b"half"
            raise ValueError(f"no whole for {q}")

        return StreamingResponse(parts())

    app.get("/half")(half)
    pattern = compile_path("/half")[0]
    monkeypatch.setitem(rules._PATTERNS, ("GET", pattern), rules.OPEN)


def ask_everything(host: str, port: int) -> list[int]:
    """Say the marker wherever a client can: statuses of the answers, 0 for none."""
    upload = {"files": [("files", (f"{MARKER}.jpg", picture("red")))]}
    known = {"data": {"metadata": json.dumps({f"{MARKER}.jpg": {"camera": MARKER, "no": MARKER}})}}
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/search", {"json": {"gallery": "street", "text": MARKER}}),
        ("POST", "/search", {"json": {"gallery": "street", "text": MARKER, MARKER: MARKER}}),
        ("POST", "/search", {"json": {"gallery": "street", "text": MARKER * 1000}}),
        ("POST", "/search", {"json": {"gallery": MARKER, "text": MARKER}}),
        ("POST", "/search", {"content": f'{{"text": "{MARKER}'.encode()}),
        ("GET", f"/?gallery=street&text={MARKER}&q={MARKER}", {}),
        ("GET", f"/half?q={MARKER}", {}),
        ("GET", "/galleries", {"headers": {"Authorization": f"Bearer {MARKER}"}}),
        ("GET", "/galleries", {"headers": {"Cookie": f"session={MARKER}"}}),
        ("POST", "/galleries/street/images", upload),
        ("POST", "/galleries/street/images", upload | known),
    ]
    statuses = []
    with httpx.Client(base_url=f"http://{host}:{port}") as http:
        for method, path, how in asked:
            if "content" in how:
                how["headers"] = {"Content-Type": "application/json"}
            try:
                statuses.append(http.request(method, path, **how).status_code)
            except httpx.TransportError:
                statuses.append(0)
    with socket.create_connection((host, port)) as raw:
        raw.sendall(f"GET /?q={MARKER} HTTP/1.1\r\n{MARKER} no colon\r\n\r\n".encode())
        raw.recv(1000)
    return statuses


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_log_never_tells_what_was_asked(
    log_format: str,
    settings: Settings,
    services: Services,
    log_to: Callable[..., io.StringIO],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(text: str, *_: object, **__: object) -> None:
        try:
            raise KeyError(text)
        except KeyError as error:
            raise ValueError(f"can't read {text}") from error

    services.catalogue.create_gallery("street")
    app = create_app(settings, services)
    break_off(app, monkeypatch)
    written = log_to(log_format=log_format, log_level="debug")
    with served(app, settings) as (host, port):
        calm = ask_everything(host, port)
        monkeypatch.setattr(services.model.query_vectors, "get", fail)
        monkeypatch.setattr("app.ingest.uploads.accept", lambda *all: fail(all[4]))
        broken = ask_everything(host, port)
    written_by_then = written.getvalue()
    assert calm[0] == 200
    assert broken[0] == broken[9] == 500
    assert 0 in broken  # the half answer
    assert "POST /search 500" in written_by_then
    assert "in find_people" in written_by_then  # where it happened is told
    assert WITHHELD in written_by_then
    assert MARKER not in written_by_then


def test_allowed_log_tells_queries_and_causes(
    settings: Settings,
    services: Services,
    log_to: Callable[..., io.StringIO],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(text: str) -> None:
        raise ValueError(f"can't read {text}")

    services.catalogue.create_gallery("street")
    monkeypatch.setattr(services.model.query_vectors, "get", fail)
    changed = settings.model_copy(update={"log_queries": True})
    written = log_to(log_queries=True)
    with TestClient(create_app(changed, replace(services, settings=changed)), base_url=URL) as http:
        body = {"gallery": "street", "text": MARKER}
        assert http.post("/search", json=body).status_code == 500
    told = [line.partition("]: ")[2] for line in written.getvalue().splitlines()]
    assert f"search in street for '{MARKER}'" in told
    assert f"ValueError: can't read {MARKER}" in written.getvalue()


def test_json_lines_hold_the_request(
    api: Api, log_to: Callable[..., io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = log_to(log_format="json")

    def say(gallery: str, *_: object, **__: object) -> None:
        logging.getLogger("passerby.anywhere").info("deep in a thread")
        raise ZeroDivisionError

    monkeypatch.setattr(api.services.model.live_index, "search", say)
    headers = {"X-Request-ID": "proxy-0123"}
    body = {"gallery": "street", "text": "red"}
    answer = api.http.post("/search", json=body, headers=headers)
    assert answer.headers["x-request-id"] == "proxy-0123"
    said, failed, request = map(json.loads, written.getvalue().splitlines())
    assert said["message"] == "deep in a thread"
    assert {line["request_id"] for line in (said, failed, request)} == {"proxy-0123"}
    assert "ZeroDivisionError" in failed["exception"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", request["time"])
    assert request.pop("ms") > 0
    fields = ("level", "logger", "method", "path", "route", "status")
    assert [request[name] for name in fields] == [
        *("info", "passerby.http", "POST", "/search", "/search", 500)
    ]


def test_text_lines_stay_lines_whatever_the_path(
    api: Api, log_to: Callable[..., io.StringIO]
) -> None:
    written = log_to()
    api.http.get("/images/7%0A2026-01-01 INFO forged%1b[31m")
    api.http.get("/static/mark.svg")
    first, second = written.getvalue().splitlines()
    assert r"/images/7\n2026-01-01 INFO forged\x1b[31m 422" in first
    assert re.search(r"INFO passerby.http \[\w{32}\]: GET /static/mark.svg 200", second)


@pytest.mark.parametrize("given", [None, "", "short", "x" * 65, "with space", "a/b/c/d/e", "ä" * 9])
def test_request_id_that_is_none_is_replaced(given: str | None) -> None:
    chosen = choose_request_id(given)
    assert chosen != given
    assert re.fullmatch(r"[0-9a-f]{32}", chosen)


def test_log_that_nobody_reads_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.monitoring.logs._MOST_WAITING", 10)
    ours, theirs = os.pipe()
    waiting = WaitingLines(theirs)
    os.close(theirs)
    log = logging.getLogger("passerby.test.pipe")
    monkeypatch.setattr(log, "handlers", [waiting])
    monkeypatch.setattr(log, "propagate", False)
    for number in range(100):  # of 10 KB each; a pipe holds 64
        log.warning("%d %s", number, "x" * 10_000)
    read, last = [], ""
    with os.fdopen(ours) as pipe:
        while not last.startswith("the last"):
            log.warning("the last")
            read.append(last := pipe.readline())
    assert "lines are missing here" in "".join(read)
    numbers = [int(line.split()[0]) for line in read if line[0].isdigit()]
    assert numbers == sorted(set(numbers))
