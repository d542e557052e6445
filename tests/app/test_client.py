"""The client against the real server, and against one that fails as told."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app import cli
from app.access.schemas import KeyCreate
from app.client import Answered, AsyncPasserby, Passerby, Picture, Unreachable
from app.client.pictures import batches
from app.errors import CommandError
from app.main import create_app
from app.query.schemas import SearchFilters
from app.schemas import FileMetadata
from app.services import Services
from app.settings import Settings
from tests.app.conftest import both_databases
from tests.app.files import picture
from tests.app.serving import served
from tests.app.test_archives import zipped
from tests.conftest import Pictures
from tests.indexer.steps import run_python
from tests.postgresql import free_port


@pytest.fixture
def url(settings: Settings, services: Services) -> Iterator[str]:
    with served(create_app(settings, services), settings) as (host, port):
        yield f"http://{host}:{port}"


@both_databases
def test_client_does_the_whole_job(url: str, tmp_path: Path) -> None:
    (tmp_path / "red.jpg").write_bytes(picture("red"))
    known = Picture(picture("blue"), "blue.jpg", FileMetadata(camera="gate", tags=["night"]))
    seen: list[str] = []
    with Passerby(url) as passerby:
        assert passerby.create_gallery("street").counts.pending == 0
        sent = [tmp_path / "red.jpg", known, Picture(b"not one", "note.jpg"), known]
        results = passerby.upload("street", sent, lambda result: seen.append(result.status))
        assert [result.status for result in results] == seen
        assert seen == ["accepted", "accepted", "refused", "duplicate"]
        assert passerby.wait_until_embedded("street").counts.searchable == 2
        assert passerby.gallery("street").cameras == ["gate"]

        found = passerby.search("street", "someone in blue", limit=1)
        assert found.results[0].file_name == "blue.jpg"
        names = [hit.file_name for hit in passerby.ranking("street", "someone in blue", limit=1)]
        assert names == ["blue.jpg", "red.jpg"]
        at_gate = SearchFilters(cameras=["gate"])
        found = passerby.search("street", image_id=results[0].image_id, filters=at_gate)
        assert [hit.image_id for hit in found.results] == [results[1].image_id]

        ids = [image.id for image in passerby.images("street")]
        assert passerby.content(ids[0]) == picture("red")
        assert passerby.thumbnail(ids[0]).startswith(b"\xff\xd8")
        assert passerby.image(ids[1]).tags == ["night"]
        assert passerby.hold_image(ids[0], "case 7").legal_hold == "case 7"
        with pytest.raises(Answered, match="case 7") as refused:
            passerby.delete_image(ids[0])
        assert refused.value.problem.code == "legal_hold"
        passerby.hold_image(ids[0], None)
        passerby.delete_image(ids[0])
        assert passerby.change_gallery("street", {"retention_days": 30}).retention_days == 30
        assert passerby.readiness().ready
        assert "search" in {row.action for row in passerby.audit()}
        passerby.delete_gallery("street")
        assert passerby.galleries() == []


@both_databases
def test_client_imports_follows_and_cancels(url: str, tmp_path: Path) -> None:
    archive = tmp_path / "crops.zip"
    archive.write_bytes(zipped(("a.png", Pictures().noise(1)), ("b.png", b"no picture")))
    seen: list[str] = []
    with Passerby(url) as passerby:
        passerby.create_gallery("street")
        begun = passerby.import_archive("street", archive, idempotency_key="monday")
        again = passerby.import_archive("street", archive, idempotency_key="monday")
        assert (begun.id, begun.name) == (again.id, "crops.zip")
        ended = passerby.follow_import(begun.id, lambda now: seen.append(now.state))
        assert (ended.accepted, ended.refused, seen[-1]) == (1, 1, "done")
        told = [(entry.name, entry.code) for entry in passerby.import_entries(begun.id)]
        assert told == [("a.png", None), ("b.png", "not_a_picture")]
        refused = passerby.import_entries(begun.id, status="refused", after=0)
        assert [entry.name for entry in refused] == ["b.png"]
        assert [one.id for one in passerby.imports("street")] == [begun.id]
        with pytest.raises(Answered) as answered:
            passerby.cancel_import(begun.id)
        assert answered.value.problem.code == "import_ended"
        with pytest.raises(Answered) as answered:
            passerby.import_place("street", "/etc")
        assert answered.value.problem.code == "import_not_allowed"

        own = Picture(Pictures().noise(1), "a.png")
        here = hashlib.sha256(Pictures().noise(1)).hexdigest()
        assert passerby.known("street", [here, "0" * 64]) == {here}
        assert passerby.known("street", ["0" * 64] * 10_001) == set()
        deadline = time.monotonic() + 10  # it is embedded beside, and the index follows
        while not (found := passerby.search_by_picture("street", own).results):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert [hit.file_name for hit in found] == ["a.png"]


def test_async_client_imports(url: str, tmp_path: Path) -> None:
    archive = tmp_path / "crops.zip"
    archive.write_bytes(zipped(*[(f"{seed}.png", Pictures().noise(seed)) for seed in range(9)]))

    async def ask() -> tuple[int, list[str]]:
        async with AsyncPasserby(url) as passerby:
            await passerby.create_gallery("street")
            begun = await passerby.import_archive("street", archive)
            ended = await passerby.follow_import(begun.id)
            names = [entry.name async for entry in passerby.import_entries(begun.id)]
            return ended.accepted, names

    assert asyncio.run(ask()) == (9, [f"{seed}.png" for seed in range(9)])


def test_client_sends_an_import_again_under_the_same_key(tmp_path: Path) -> None:
    archive = tmp_path / "crops.zip"
    archive.write_bytes(zipped(("a.png", b"x" * 300_000)))
    keys: list[str] = []
    with (
        failing((0, {}, b""), (422, {}, b""), keys=keys) as server,
        Passerby(f"http://127.0.0.1:{server.server_port}") as passerby,
        pytest.raises(Answered),
    ):
        passerby.import_archive("street", archive)
    assert len(keys) == 2 and len(set(keys)) == 1 and len(keys[0]) == 32


def test_client_uses_its_key(url: str) -> None:
    with Passerby(url) as local:
        local.create_gallery("street")
        made = local.create_key(KeyCreate(name="desk", scopes=["search"], galleries=["street"]))
    with Passerby(url, key=made.secret) as desk:
        assert [gallery.name for gallery in desk.galleries()] == ["street"]
        with pytest.raises(Answered) as refused:
            desk.keys()
    assert refused.value.problem.code == "scope_missing"


def test_async_client_asks_many_at_a_time(url: str) -> None:
    async def ask() -> list[str]:
        async with AsyncPasserby(url) as passerby:
            await passerby.create_gallery("street")
            await passerby.upload("street", [Picture(picture("red"), "red.jpg")])
            await passerby.wait_until_embedded("street")
            texts = [f"coat {number}" for number in range(20)]
            found = await asyncio.gather(*[passerby.search("street", text) for text in texts])
            names = [image.file_name async for image in passerby.images("street")]
            return names + [one.results[0].file_name for one in found]

    assert asyncio.run(ask()) == ["red.jpg"] * 21


def test_client_needs_no_model_and_no_index() -> None:
    heavy = "{'torch', 'faiss', 'open_clip', 'fastapi', 'PIL'}"
    told = run_python(f"import sys, app.client; print({heavy} & set(sys.modules))")
    assert told.stdout.strip() == "set()", told.stderr


def test_both_clients_are_alike() -> None:
    def shapes(cls: type) -> dict[str, list[str]]:
        return {
            name.replace("aclose", "close"): list(inspect.signature(method).parameters)
            for name, method in inspect.getmembers(cls, inspect.isfunction)
            if not name.startswith("_")
        }

    assert shapes(Passerby) == shapes(AsyncPasserby)


@contextmanager
def failing(
    *answers: tuple[int, dict[str, str], bytes], keys: list[str] | None = None
) -> Iterator[HTTPServer]:
    """A server that gives these answers in turn, the last one for ever.

    keys: where it notes the Idempotency-Key of each request.
    """
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if keys is not None:
                keys.append(self.headers["Idempotency-Key"])
            status, headers, body = left.pop(0) if len(left) > 1 else left[0]
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if status == 0:  # as if the process was killed
                return
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            """Not to stderr."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


NONE = b'{"galleries": []}'


@pytest.mark.parametrize("first", [0, 408, 429, 502, 503, 504])
def test_client_asks_again_while_the_server_is_away(first: int) -> None:
    with (
        failing((first, {}, b""), (200, {}, NONE)) as server,
        Passerby(f"http://127.0.0.1:{server.server_port}", retries=1) as passerby,
    ):
        assert passerby.galleries() == []


def test_client_waits_as_long_as_it_is_told() -> None:
    with (
        failing((429, {"Retry-After": "1"}, b""), (200, {}, NONE)) as server,
        Passerby(f"http://127.0.0.1:{server.server_port}") as passerby,
    ):
        started = time.monotonic()
        passerby.galleries()
        assert time.monotonic() - started >= 1


def test_client_takes_what_is_gone_after_a_lost_answer_for_deleted() -> None:
    with (
        failing((0, {}, b""), (404, {}, b"")) as server,
        Passerby(f"http://127.0.0.1:{server.server_port}") as passerby,
    ):
        passerby.delete_image(7)
        with pytest.raises(Answered):  # this time it was never there
            passerby.delete_image(7)


def test_client_tells_of_answers_that_are_not_passerbys() -> None:
    with (
        failing((302, {"Location": "https://elsewhere"}, b"")) as server,
        Passerby(f"http://127.0.0.1:{server.server_port}") as passerby,
        pytest.raises(Answered, match="moved to https://elsewhere") as answered,
    ):
        passerby.galleries()
    assert answered.value.problem.code == "not_passerby"


def test_client_says_where_nobody_answers() -> None:
    with (
        Passerby(f"http://127.0.0.1:{free_port()}", retries=1) as passerby,
        pytest.raises(Unreachable, match=r"GET /galleries, sent 2x: .*refused"),
    ):
        passerby.galleries()


def test_batches_keep_the_order_and_names_apart() -> None:
    names = ["a.jpg", "b.jpg", "a.jpg", *[f"{number}.jpg" for number in range(150)]]
    cut = list(batches(Picture(b"x", name) for name in names))
    assert [picture.name for batch in cut for picture in batch] == names
    assert [len(batch) for batch in cut] == [2, 100, 51]


@pytest.mark.parametrize(
    ("url", "key", "message"),
    [
        ("http://passerby.example.org", "secret", "could be overheard"),
        ("ftp://127.0.0.1", None, "expected https://HOST"),
        ("127.0.0.1:8000", None, "expected https://HOST"),
        ("https://me:secret@host", None, "expected https://HOST"),
    ],
)
def test_client_refuses_servers(url: str, key: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Passerby(url, key=key)


def test_commands_work_on_a_server(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with Passerby(url) as local:
        key = local.create_key(KeyCreate(name="ops", scopes=["admin", "ingest", "search"]))
    monkeypatch.setenv("PASSERBY_SERVER", url)
    monkeypatch.setenv("PASSERBY_KEY", key.secret)

    def run(*words: str) -> str:
        result = CliRunner().invoke(cli.app, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "Made gallery street." in run("galleries", "create", "street")
    assert "kept 30 days" in run("galleries", "set", "street", "--retention-days", "30")
    with Passerby(url, key=key.secret) as passerby:
        passerby.upload("street", [Picture(picture("red"), "red.jpg")])
        passerby.wait_until_embedded("street")
    assert "street" in run("galleries", "list")
    assert "red.jpg" in run("search", "a red coat", "-g", "street", "--reason", "case 7")
    desk = run("keys", "create", "desk", "--scope", "search").strip()
    assert desk.startswith("passerby_")
    assert "Revoked key desk." in run("keys", "revoke", "desk")
    assert "revoked 20" in run("keys", "list")
    rows = [json.loads(line) for line in run("audit", "export").splitlines()]
    assert ("ops", "search", "case 7") in {
        (row["who"], row["action"], row["reason"]) for row in rows
    }
    assert "Deleted gallery street." in run("galleries", "delete", "street", "--yes")
    monkeypatch.setenv("PASSERBY_KEY", desk)
    with pytest.raises(CommandError, match="key"):
        run("galleries", "list")
    with pytest.raises(CommandError, match="--data-dir is of this machine"):
        run("galleries", "list", "--data-dir", "data")
