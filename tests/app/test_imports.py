"""Bulk imports over HTTP: taken in by a worker, told, cancelled, gone on with; no bytes left."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from app.imports import runner as runner_module
from app.imports.runner import ImportRunner
from app.imports.sweep import sweep_archives
from app.main import create_app
from app.services import Services
from app.settings import Settings
from app.wiring import build_services
from indexer.errors import StorageFull
from indexer.imports.tables import imports
from indexer.ingest import keep
from tests.app.conftest import URL, Api, assert_problem, both_databases
from tests.app.test_archives import tarred, zipped
from tests.conftest import ColourEncoder, Pictures

ZIP = {"content-type": "application/zip"}
TAR = {"content-type": "application/x-tar"}


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    root = tmp_path / "root"
    root.mkdir()
    return Settings(
        data_dir=tmp_path / "data",
        database_url=database_url,
        import_from=(str(root),),
        worker_lease_s=5.0,
    )


def noise(*seeds: int) -> list[tuple[str, bytes]]:
    return [(f"{seed}.png", Pictures().noise(seed)) for seed in seeds]


def send(api: Api, data: bytes, expected: int = 202, **headers: str) -> Any:
    response = api.http.post(
        "/galleries/street/imports?file_name=a.zip", content=data, headers={**ZIP, **headers}
    )
    assert response.status_code == expected, response.text
    return response.json()


def wait(api: Api, job: Any, *states: str) -> Any:
    deadline = time.monotonic() + 20
    while (now := api.http.get(f"/imports/{job['id']}").json())["state"] not in states:
        assert time.monotonic() < deadline, now
        time.sleep(0.02)
    return now


def entries(api: Api, job: Any, **wanted: Any) -> list[Any]:
    response = api.http.get(f"/imports/{job['id']}/entries", params=wanted)
    found: list[Any] = response.json()["entries"]
    return found


def archives(api: Api) -> set[str]:
    return set(api.services.store.archives())


def wait_until_gone(api: Api) -> None:
    """An archive goes right after its import is told to be over."""
    deadline = time.monotonic() + 20
    while archives(api):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@both_databases
def test_archive_goes_in_entry_by_entry_and_is_gone(api: Api) -> None:
    api.fill(*noise(1))
    rows = b"file,camera\n2.png,gate\nnone.png,gate\n"
    bad = [("../x.png", b"x"), ("text.png", b"no picture"), ("metadata.csv", rows)]
    job = send(api, tarred(*noise(1, 2, 3), *bad))
    assert (job["state"], job["name"], job["gallery"]) == ("waiting", "a.zip", "street")
    done = wait(api, job, "done", "failed")
    assert (done["state"], done["problem"], done["ended_at"] is None) == ("done", None, False)
    counts = {name: done[name] for name in ("total", "accepted", "duplicate", "refused")}
    assert counts == {"total": 6, "accepted": 2, "duplicate": 1, "refused": 3}
    assert done["remaining"] == 0
    told = [(entry["name"], entry["code"] or entry["status"]) for entry in entries(api, job)]
    assert told == [
        ("1.png", "duplicate"),
        ("2.png", "accepted"),
        ("3.png", "accepted"),
        ("../x.png", "unsafe_name"),
        ("text.png", "not_a_picture"),
        ("metadata.csv:3", "no_such_file"),
    ]
    page = api.http.get(f"/imports/{job['id']}/entries?status=refused&limit=2").json()
    assert [len(page["entries"]), page["next_after"]] == [2, 4]
    assert len(entries(api, job, status="refused", after=4)) == 1
    api.wait()
    ids = [entry["image_id"] for entry in entries(api, job, status="accepted")]
    assert api.http.get(f"/images/{ids[0]}").json()["camera"] == "gate"
    wait_until_gone(api)
    listed = api.http.get("/galleries/street/imports").json()
    assert [one["id"] for one in listed["imports"]] == [job["id"]]
    deeds = [row.deed for row in api.services.catalogue.audit.rows()]
    assert [(deed.action, deed.what) for deed in deeds if deed.action == "import"] == [
        ("import", "import archive a.zip")
    ]


def test_events_follow_an_import_to_its_end(api: Api) -> None:
    job = send(api, zipped(*noise(1, 2)))
    told = api.http.get(f"/imports/{job['id']}/events")
    assert told.headers["content-type"].startswith("text/event-stream")
    last = told.text.strip().split("\n\n")[-1].split("\n")
    assert last[0] == "event: end" and json.loads(last[1].removeprefix("data: "))["accepted"] == 2


@both_databases
def test_same_key_and_request_give_the_same_import(api: Api) -> None:
    data = zipped(*noise(1))
    first = send(api, data, **{"idempotency-key": "k-1"})
    assert send(api, data, **{"idempotency-key": "k-1"})["id"] == first["id"]
    assert send(api, data)["id"] != first["id"]
    other = api.http.post(
        "/galleries/street/imports",
        content=zipped(*noise(2)),
        headers={**ZIP, "idempotency-key": "k-1"},
    )
    assert_problem(other, 422, "idempotency_key_reused")
    again = {**ZIP, "idempotency-key": "two words"}
    refused = api.http.post("/galleries/street/imports", content=data, headers=again)
    assert_problem(refused, 422, "validation_failed")


def test_damaged_archive_fails_with_what_went_in(api: Api) -> None:
    data = tarred(*[(name, data + bytes(4096)) for name, data in noise(1, 2, 3)])
    job = wait(api, send(api, data[:9000]), "failed")
    assert (job["accepted"], job["total"]) == (1, None)
    assert job["problem"]["code"] == "damaged_archive"
    wait_until_gone(api)


def test_what_is_no_archive_is_refused(api: Api) -> None:
    def post(data: bytes, kind: str) -> Any:
        headers = {"content-type": kind}
        return api.http.post("/galleries/street/imports", content=data, headers=headers)

    assert_problem(post(b"hello", "application/zip"), 415, "not_an_archive")
    assert_problem(post(b"hello", "image/png"), 415, "unsupported_media_type")
    assert_problem(post(b"{", "application/json"), 400, "malformed_json")
    assert_problem(post(b'{"from": ""}', "application/json"), 422, "validation_failed")
    assert_problem(post(b'{"from": "/etc"}', "application/json"), 403, "import_not_allowed")
    assert archives(api) == set()


def test_folder_of_the_server_goes_in(api: Api, settings: Settings) -> None:
    root = Path(settings.import_from[0])
    for name, data in noise(1, 2):
        (root / name).write_bytes(data)
    job = wait(api, api.post("/galleries/street/imports", {"from": str(root)}).json(), "done")
    assert (job["source"], job["accepted"], job["total"]) == ("folder", 2, 2)


class Held:
    """A service whose runner is moved by hand, as others that died would have left it."""

    def __init__(self, services: Services, api: Api) -> None:
        self.services = services
        self.api = api
        assert services.worker is not None
        self.runner = ImportRunner(
            services.settings,
            services.catalogue,
            services.store,
            on_kept=services.worker.nudge,
            count=lambda *_: None,
        )


@pytest.fixture
def held(settings: Settings, encoder: ColourEncoder) -> Iterator[Held]:
    services = build_services(settings, with_worker=True, encoder=encoder)
    object.__setattr__(services, "imports", None)
    with TestClient(create_app(settings, services), base_url=URL) as http:
        services.catalogue.create_gallery("street")
        yield Held(services, Api(http, services))


def break_at(monkeypatch: pytest.MonkeyPatch, number: int, error: BaseException) -> None:
    """The group of this number (from 1) is kept, and then this happens; once."""
    calls = 0

    def breaking(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        outcome = keep(*given)
        if calls == number:
            raise error
        return outcome

    monkeypatch.setattr("app.imports.progress.keep", breaking)


@both_databases
@pytest.mark.parametrize("size", [1, 2, 3, 16])
def test_crash_after_a_commit_neither_loses_nor_repeats_an_entry(
    held: Held, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("app.imports.progress.GROUP_PICTURES", size)
    job = send(held.api, zipped(*noise(1, 2, 2, 3), ("x.png", b"x"), *noise(4)))
    break_at(monkeypatch, 1 if size == 16 else 2, RuntimeError("killed"))
    with pytest.raises(RuntimeError):
        held.runner.run_once()
    assert not held.runner.run_once()  # its lease runs
    expire(held)
    assert held.runner.run_once()
    done = held.api.http.get(f"/imports/{job['id']}").json()
    assert (done["state"], done["accepted"], done["duplicate"], done["refused"]) == (
        "done", 4, 1, 1,
    )  # fmt: skip
    assert [entry["position"] for entry in entries(held.api, job)] == [0, 1, 2, 3, 4, 5]


def expire(held: Held) -> None:
    """Its worker is dead for long."""
    with held.services.catalogue.database.write() as connection:
        connection.execute(update(imports).values(claimable_at=datetime(2026, 1, 1, tzinfo=UTC)))


@both_databases
def test_full_disk_pauses_and_the_import_goes_on(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = send(held.api, zipped(*noise(1, 2, 3)))
    with monkeypatch.context() as patch:
        patch.setattr("indexer.storage.object_store._require_space", full_disk)
        held.runner.run_once()
    paused = held.api.http.get(f"/imports/{job['id']}").json()
    assert (paused["state"], paused["problem"]["code"]) == ("paused", "storage_full")
    assert archives(held.api)
    for _ in range(5):  # outages never use up its attempts
        expire(held)
        with monkeypatch.context() as patch:
            patch.setattr("indexer.storage.object_store._require_space", full_disk)
            held.runner.run_once()
    expire(held)
    held.runner.run_once()
    done = held.api.http.get(f"/imports/{job['id']}").json()
    assert (done["state"], done["accepted"]) == ("done", 3)


def full_disk(*_: Any) -> None:
    raise StorageFull("no space")


@both_databases
def test_cancelled_import_stops_and_its_archive_is_gone(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = send(held.api, zipped(*noise(1, 2, 3)))

    def cancelling(*given: Any) -> Any:
        outcome = keep(*given)
        if held.services.catalogue.imports.find(job["id"]).is_active:
            response = held.api.http.delete(f"/imports/{job['id']}")
            assert response.json()["state"] == "cancelled"
        return outcome

    monkeypatch.setattr("app.imports.progress.GROUP_PICTURES", 1)
    monkeypatch.setattr("app.imports.progress.keep", cancelling)
    held.runner.run_once()
    now = held.api.http.get(f"/imports/{job['id']}").json()
    assert (now["state"], now["accepted"]) == ("cancelled", 1)
    assert archives(held.api) == set()
    again = held.api.http.post(f"/imports/{job['id']}/cancel")
    assert_problem(again, 409, "import_ended")
    assert not held.runner.run_once()
    assert len(held.services.catalogue.list_images("street")) == 1
    whats = [row.deed.what for row in held.services.catalogue.audit.rows()]
    assert f"cancel import {job['id']}" in whats


@both_databases
def test_what_is_deleted_meanwhile_does_not_come_back(held: Held) -> None:
    (image_id,) = held.api.fill(*noise(2))
    job = send(held.api, zipped(*noise(1, 2)))
    assert held.api.http.delete(f"/images/{image_id}").status_code == 204
    held.runner.run_once()
    codes = [(entry["status"], entry["code"]) for entry in entries(held.api, job)]
    assert codes == [("accepted", None), ("refused", "erased_meanwhile")]
    (kept,) = held.services.catalogue.list_images("street")
    assert not held.services.store.exists(hashlib.sha256(Pictures().noise(2)).hexdigest())
    held.api.http.delete(f"/images/{kept.id}")
    assert [entry["status"] for entry in entries(held.api, job)] == ["refused"]
    later = send(held.api, zipped(*noise(2)))
    held.runner.run_once()
    assert [entry["status"] for entry in entries(held.api, later)] == ["accepted"]


@both_databases
def test_gallery_takes_its_imports_along(held: Held) -> None:
    job = send(held.api, zipped(*noise(1)))
    assert held.api.http.delete("/galleries/street").status_code == 204
    assert_problem(held.api.http.get(f"/imports/{job['id']}"), 404, "import_not_found")
    assert archives(held.api) == set()
    assert not held.runner.run_once()


@both_databases
def test_import_that_brings_its_worker_down_is_given_up(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = send(held.api, zipped(*noise(1)))

    def broken(_: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(runner_module, "look_through", broken)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            held.runner.run_once()
        expire(held)
    assert held.runner.run_once()
    now = held.api.http.get(f"/imports/{job['id']}").json()
    assert (now["state"], now["problem"]["code"]) == ("failed", "never_finished")


def test_sweep_removes_archives_that_nobody_needs(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, imports = held.services.store, held.services.catalogue.imports
    job = send(held.api, zipped(*noise(1)))
    (needed,) = archives(held.api)
    store.put_archive("stray", io.BytesIO(b"x"))
    assert sweep_archives(held.services.catalogue, store) == 0
    monkeypatch.setattr("app.imports.sweep._GRACE", timedelta(-1))
    assert sweep_archives(held.services.catalogue, store) == 1
    assert archives(held.api) == {needed}
    imports.cancel(job["id"])  # by a process that dies right then
    assert sweep_archives(held.services.catalogue, store) == 1
    assert archives(held.api) == set() and imports.archives(active=False) == {}


@both_databases
def test_two_runners_share_no_import(held: Held) -> None:
    jobs = [send(held.api, zipped(*noise(*range(10 * n, 10 * n + 10)))) for n in range(4)]
    threads = [threading.Thread(target=run_all, args=(held,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for job in jobs:
        now = held.api.http.get(f"/imports/{job['id']}").json()
        assert (now["state"], now["accepted"], now["duplicate"]) == ("done", 10, 0)


def run_all(held: Held) -> None:
    runner = Held(held.services, held.api).runner
    while runner.run_once():
        pass


def test_known_pictures_are_told_by_their_hash(api: Api) -> None:
    api.fill(*noise(1, 2))
    hashes = [hashlib.sha256(Pictures().noise(seed)).hexdigest() for seed in (3, 2, 1)]
    answer = api.post("/galleries/street/images/known", {"sha256": hashes})
    assert answer.json() == {"known": hashes[1:]}
    many = api.post("/galleries/street/images/known", {"sha256": ["0" * 64] * 10_000})
    assert many.json() == {"known": []}
    for bad in ([], ["0" * 64] * 10_001, ["A" * 64], ["../x"]):
        response = api.post("/galleries/street/images/known", {"sha256": bad})
        assert_problem(response, 422, "validation_failed")
    missing = api.post("/galleries/none/images/known", {"sha256": hashes})
    assert_problem(missing, 404, "gallery_not_found")


def test_archive_is_cut_off_at_its_limit(settings: Settings, encoder: ColourEncoder) -> None:
    small = settings.model_copy(update={"max_archive_bytes": 2048})
    services = build_services(small, with_worker=False, encoder=encoder)
    with TestClient(create_app(small, services), base_url=URL) as http:
        services.catalogue.create_gallery("street")

        def chunks() -> Iterator[bytes]:
            yield from [zipped(("a.png", b"x"))] * 30

        response = http.post("/galleries/street/imports", content=chunks(), headers=ZIP)
        assert_problem(response, 413, "request_too_large")
        assert services.store.archives() == {}
