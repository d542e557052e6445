"""Whole frames over HTTP: sent, looked at, listed, deleted, and on record."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from typer.testing import CliRunner

from app import cli
from app.client import Passerby, Picture
from app.errors import CommandError
from app.loading import load_detector
from app.main import create_app
from app.settings import Settings
from app.wiring import build_services
from indexer.records import Box
from tests.app.conftest import URL, Api, assert_problem, both_databases
from tests.app.files import picture
from tests.app.serving import served
from tests.conftest import ColourEncoder
from tests.detector import DETECTOR, street
from tests.indexer.steps import DAMAGED, wait_until

RED, BLUE = Box(40, 20, 20, 60), Box(120, 30, 16, 48)
FRAME = street(red=RED, blue=BLUE)


@pytest.fixture
def frames_api(settings: Settings, encoder: ColourEncoder) -> Iterator[Api]:
    """The running service with a detector and an empty gallery `street`."""
    settings = settings.model_copy(update={"detector": DETECTOR})
    services = build_services(settings, with_worker=True, encoder=encoder)
    with TestClient(create_app(settings, services), base_url=URL) as http:
        services.catalogue.create_gallery("street")
        yield Api(http, services)


def send(api: Api, *files: tuple[str, bytes], metadata: Any = None) -> Response:
    return api.http.post(
        "/galleries/street/frames",
        files=[("files", file) for file in files],
        data={"metadata": json.dumps(metadata or {})},
    )


def send_and_wait(api: Api, data: bytes = FRAME, metadata: Any = None) -> dict[str, Any]:
    """The frame once everybody in it can be found."""
    response = send(api, ("a.png", data), metadata=metadata)
    assert response.status_code == 202, response.text
    (result,) = response.json()["results"]
    assert result["status"] == "accepted", result
    deadline = time.monotonic() + 20
    while (frame := api.http.get(f"/frames/{result['frame_id']}").json())["state"] == "pending":
        assert time.monotonic() < deadline, "still pending"
        time.sleep(0.02)
    api.wait()
    return dict(frame)


@both_databases
def test_people_in_a_frame_are_found_by_words(frames_api: Api) -> None:
    about = {"camera": "gate-1", "captured_at": "2026-05-01T12:00:00Z", "tags": ["night"]}
    frame = send_and_wait(frames_api, metadata={"a.png": about})
    assert frame["state"] == "done"
    assert frame["detector"] == "colours"
    assert [person["box"] for person in frame["people"]] == [[40, 20, 20, 60], [120, 30, 16, 48]]
    assert [person["score"] for person in frame["people"]] == [0.9, 0.8]
    (best, _) = frames_api.search(text="blue").json()["results"]
    assert best["box"] == [120, 30, 16, 48]
    assert best["frame_id"] == frame["id"]
    assert {name: best[name] for name in about} == about
    image = frames_api.http.get(f"/images/{best['image_id']}").json()
    assert (image["frame_id"], image["detection_score"]) == (frame["id"], 0.8)
    assert frames_api.http.get(frame["content_url"]).content == FRAME
    thumbnail = frames_api.http.get(best["thumbnail_url"])
    assert thumbnail.headers["content-type"] == "image/jpeg"


def test_frames_are_listed_page_by_page_with_counts(frames_api: Api) -> None:
    first = send_and_wait(frames_api)
    second = send_and_wait(frames_api, street())
    page = frames_api.http.get("/galleries/street/frames", params={"limit": 1}).json()
    assert [frame["id"] for frame in page["frames"]] == [first["id"]]
    assert page["counts"] == {"pending": 0, "done": 2, "failed": 0, "people": 2}
    after = {"after_id": page["next_after_id"], "state": "done"}
    page = frames_api.http.get("/galleries/street/frames", params=after).json()
    assert [frame["id"] for frame in page["frames"]] == [second["id"]]
    assert page["next_after_id"] is None


def test_each_file_has_its_own_result(frames_api: Api) -> None:
    first = send_and_wait(frames_api)
    response = send(frames_api, ("again.png", FRAME), ("b.txt", b"no picture"))
    again, refused = response.json()["results"]
    assert (again["status"], again["duplicate_of"]) == ("duplicate", first["id"])
    assert (refused["status"], refused["problem"]["code"]) == ("refused", "not_a_picture")


def test_frame_with_a_box_is_refused(frames_api: Api) -> None:
    response = send(frames_api, ("a.png", FRAME), metadata={"a.png": {"box": [0, 0, 30, 30]}})
    problem = assert_problem(response, 422, "validation_failed")
    assert problem["errors"][0]["field"] == "metadata.a.png.box"


def test_without_a_detector_frames_are_refused(api: Api) -> None:
    problem = assert_problem(send(api, ("a.png", FRAME)), 409, "no_detector")
    assert "PASSERBY_DETECTOR" in problem["detail"]
    asked = api.post("/galleries/street/frames/known", {"sha256": ["0" * 64]})
    assert_problem(asked, 409, "no_detector")


@both_databases
def test_known_frames_are_told_by_their_hash(frames_api: Api) -> None:
    frames_api.fill(("image.png", picture("green")))
    failed = send(frames_api, ("bad.png", DAMAGED)).json()["results"][0]["frame_id"]
    send_and_wait(frames_api)
    wait_until(lambda: frames_api.http.get(f"/frames/{failed}").json()["state"] == "failed")
    hashes = [hashlib.sha256(data).hexdigest() for data in (picture("green"), DAMAGED, FRAME)]
    answer = frames_api.post("/galleries/street/frames/known", {"sha256": hashes})
    assert answer.json() == {"known": hashes[2:]}, "not images, nor what is to be tried again"
    bad = frames_api.post("/galleries/street/frames/known", {"sha256": ["A" * 64]})
    assert_problem(bad, 422, "validation_failed")
    missing = frames_api.post("/galleries/none/frames/known", {"sha256": hashes})
    assert_problem(missing, 404, "gallery_not_found")


def test_deleted_frame_is_gone_with_its_people(frames_api: Api) -> None:
    frame = send_and_wait(frames_api)
    assert frames_api.http.delete(f"/frames/{frame['id']}").status_code == 204
    for path in (f"/frames/{frame['id']}", frame["content_url"]):
        assert_problem(frames_api.http.get(path), 404, "frame_not_found")
    for person in frame["people"]:
        response = frames_api.http.get(f"/images/{person['image_id']}")
        assert_problem(response, 404, "image_not_found")
    assert frames_api.search(text="red").json()["results"] == []
    assert_problem(frames_api.http.delete(f"/frames/{frame['id']}"), 404, "frame_not_found")


def test_looks_and_deletions_are_on_record_with_whom_they_show(frames_api: Api) -> None:
    frame = send_and_wait(frames_api)
    people = [person["image_id"] for person in frame["people"]]
    before = frames_api.services.catalogue.audit.newest(1)[0].seq
    frames_api.http.get(f"/frames/{frame['id']}")
    frames_api.http.get(frame["content_url"])
    frames_api.http.get("/galleries/street/frames")
    frames_api.http.delete(f"/frames/{frame['id']}", params={"reason": "asked to"})
    rows = [row.deed for row in frames_api.services.catalogue.audit.rows(before)]
    name = f"frame {frame['id']}"
    assert [(row.action, row.what) for row in rows] == [
        ("view", f"{name}: details"),
        ("view", f"{name}: content"),
        ("view", "frames: details"),
        ("delete", name),
    ]
    assert all(list(row.image_ids) == people for row in rows)
    assert rows[-1].reason == "asked to"


def test_gallery_that_asks_for_a_reason_asks_for_frames_too(frames_api: Api) -> None:
    frame = send_and_wait(frames_api)
    frames_api.services.catalogue.change_gallery("street", {"reason_required": True})
    paths = (f"/frames/{frame['id']}", frame["content_url"], "/galleries/street/frames")
    for path in paths:
        assert_problem(frames_api.http.get(path), 422, "reason_required")
    for path in paths:
        assert frames_api.http.get(path, params={"reason": "case 7"}).status_code == 200


def test_metrics_count_frames(frames_api: Api) -> None:
    send_and_wait(frames_api)
    told = frames_api.http.get("/metrics").text
    assert 'passerby_frames{state="done"} 1.0' in told
    assert 'passerby_frames{state="pending"} 0.0' in told


def test_readiness_tells_of_the_detector(frames_api: Api) -> None:
    assert frames_api.http.get("/readyz").json()["checks"]["detector"] == "ok"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("python:tests.detector", "expected python:MODULE:FUNCTION"),
        ("python:no_such_module:make", "ModuleNotFoundError"),
        ("python:tests.detector:Box", "TypeError"),
        ("python:tests.conftest:ColourEncoder", "ColourEncoder, which has no max_side_px, detect"),
        ("python:builtins:dict", "which has no fingerprint, max_side_px, detect"),
        ("mobilenet", "expected one of small, fasterrcnn_mobilenet_v3_large_320_fpn"),
        ("retinanet_resnet50_fpn", "not in the cache, expected .*/checkpoints/retinanet_resnet50"),
        ("small:/no/such/file", "/no/such/file: no such weight file"),
    ],
)
def test_detector_that_is_none_is_told_at_the_start(name: str, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        load_detector(Settings(detector=name))


def test_picture_of_no_frame_names_none(shared_api: Api) -> None:
    image = shared_api.http.get("/images/1").json()
    assert (image["frame_id"], image["detection_score"]) == (None, None)


def test_box_sent_by_hand_stays_when_nothing_of_its_frame_is_found(frames_api: Api) -> None:
    frames_api.fill(("red.jpg", picture("red")))
    frame = send_and_wait(frames_api, street())
    assert frames_api.http.delete(f"/frames/{frame['id']}").status_code == 204
    assert frames_api.services.catalogue.gallery("street").counts.searchable == 1


def test_client_sends_lists_shows_and_deletes_frames(
    settings: Settings, encoder: ColourEncoder
) -> None:
    settings = settings.model_copy(update={"detector": DETECTOR})
    services = build_services(settings, with_worker=True, encoder=encoder)
    app = create_app(settings, services)
    with served(app, settings) as (host, port), Passerby(f"http://{host}:{port}") as passerby:
        passerby.create_gallery("street")
        (sent,) = passerby.upload_frames("street", [Picture(FRAME, "a.png")])
        assert sent.frame_id is not None
        wait_until(lambda: passerby.frame(sent.frame_id or 0).state == "done")
        passerby.wait_until_embedded("street")
        (frame,) = passerby.frames("street", state="done")
        assert len(frame.people) == 2
        assert passerby.known_frames("street", [frame.sha256, "0" * 64]) == {frame.sha256}
        assert passerby.frame_counts("street").model_dump() == {
            "pending": 0,
            "done": 1,
            "failed": 0,
            "people": 2,
        }
        assert passerby.frame_content(frame.id) == FRAME
        assert not passerby.prove_deleted(frame.id, is_frame=True).is_gone
        passerby.delete_frame(frame.id)
        proof = passerby.prove_deleted(frame.id, is_frame=True)
        left = {trace.place for trace in proof.traces if trace.advice}
        assert left <= {"SQLite's log"}, "what is read at this moment"
        assert proof.is_frame


def test_command_proves_that_a_frame_is_gone(
    frames_api: Api, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    frame = send_and_wait(frames_api, street())
    monkeypatch.setenv("PASSERBY_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("PASSERBY_DATABASE_URL", settings.database)
    command = ["prove-deleted", str(frame["id"]), "--frame"]
    told = CliRunner().invoke(cli.app, command)
    assert told.exit_code == 1
    assert f"LEFT row: it is there: DELETE /frames/{frame['id']}" in told.output
    frames_api.http.delete(f"/frames/{frame['id']}")
    told = CliRunner().invoke(cli.app, command)
    assert "ok   row: gone" in told.output
    assert "ok   ledger: erased 20" in told.output
