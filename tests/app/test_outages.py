"""Disk full, storage gone, database gone: said so, nothing half-written, fine again afterwards."""

from __future__ import annotations

import errno
import time
from typing import Any

import pytest

from indexer.errors import DatabaseUnavailable, StorageFull
from tests.app.conftest import Api, assert_problem
from tests.app.files import picture

WHOLE = picture("red")


def test_upload_keeps_what_was_durable_when_storage_fills_up(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = api.services.store.put, []

    def put(sha256: str, file: Any) -> None:
        calls.append(sha256)
        if len(calls) > 2:
            raise StorageFull(f"storage /secret/place: {errno.ENOSPC}")
        real(sha256, file)

    monkeypatch.setattr(api.services.store, "put", put)
    files = [(f"{number}.jpg", picture("green", number)) for number in range(4)]
    answer = api.upload(*files)
    assert answer.status_code == 202
    statuses = [result["status"] for result in answer.json()["results"]]
    assert statuses == ["accepted", "accepted", "refused", "refused"]
    problem = answer.json()["results"][2]["problem"]
    assert (problem["code"], problem["status"]) == ("storage_full", 507)
    assert "secret" not in answer.text
    # Nothing accepted at all: the answer itself is the problem.
    assert_problem(api.upload(files[2]), 507, "storage_full")
    monkeypatch.undo()
    assert api.upload(*files).json()["accepted"] == 2
    api.wait()
    assert api.http.get("/galleries/street").json()["counts"]["searchable"] == 4


def test_upload_with_the_storage_folder_gone_works_again_later(api: Api) -> None:
    folder = api.services.settings.data_dir / "objects"
    folder.rename(folder.with_name("unmounted"))
    folder.touch()
    assert_problem(api.upload(("a.jpg", WHOLE)), 503, "storage_unavailable")
    folder.unlink()
    folder.with_name("unmounted").rename(folder)
    api.fill(("a.jpg", WHOLE))
    assert api.search(text="red").json()["results"][0]["file_name"] == "a.jpg"


def test_database_gone_is_a_problem_until_it_is_back(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise DatabaseUnavailable("database secret-host: connection refused")

    for way_in in ("read", "rows"):
        monkeypatch.setattr(api.services.catalogue.database, way_in, gone)
    for response in (
        api.search(text="red"),
        api.upload(("a.jpg", WHOLE)),
        api.http.get("/galleries"),
        api.http.get("/images/1"),
    ):
        assert "secret" not in assert_problem(response, 503, "database_unavailable")["detail"]
    deadline = time.monotonic() + 5
    while (ready := api.http.get("/readyz")).json()["checks"]["database"] == "ok":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert "secret" not in ready.text
    assert api.http.get("/healthz").status_code == 200
    monkeypatch.undo()
    api.fill(("a.jpg", WHOLE))
