"""POST /search/image: a picture of one's own finds its like, and is kept nowhere."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from httpx import Response

from tests.app.conftest import Api, assert_problem, both_databases
from tests.app.files import bomb, picture


def ask(api: Api, file: bytes, **options: Any) -> Response:
    """POST /search/image in `street`."""
    return api.http.post(
        "/search/image",
        files={"picture": ("mine.jpg", file)},
        data={"options": json.dumps({"gallery": "street", **options})},
    )


@both_databases
def test_picture_finds_its_like_and_is_not_stored(api: Api) -> None:
    colours = ("red", "green", "blue")
    ids = api.fill(*((f"{colour}.jpg", picture(colour)) for colour in colours))
    mine = picture("green", 9)
    found = ask(api, mine, limit=2, reason="case 4").json()
    assert found["results"][0]["image_id"] == ids[1]
    assert found["results"][0]["score"] > 0.99
    assert found["timing_ms"]["encode"] > 0
    rest = ask(api, mine, limit=2, cursor=found["next_cursor"]).json()
    assert rest["next_cursor"] is None
    assert {hit["image_id"] for page in (found, rest) for hit in page["results"]} == set(ids)
    sha256 = hashlib.sha256(mine).hexdigest()
    rows = [row.deed for row in api.services.catalogue.audit.rows() if row.deed.action == "search"]
    assert [row.what for row in rows] == [
        f"like a picture sent, SHA-256 {sha256}",
        f'like a picture sent, SHA-256 {sha256} {{"continued": true}}',
    ]
    assert rows[0].reason == "case 4"
    assert not api.services.store.exists(sha256)
    folder = Path(api.services.settings.data_dir)
    assert not any(mine in path.read_bytes() for path in folder.rglob("*") if path.is_file())


@both_databases
def test_marks_move_a_search_by_ones_own_picture(api: Api) -> None:
    red, green, blue = api.fill(*((f"{one}.jpg", picture(one)) for one in ("red", "green", "blue")))
    mine = picture("red", 9)

    def found(**marks: Any) -> list[tuple[int, float]]:
        hits = ask(api, mine, **marks).json()["results"]
        return [(hit["image_id"], hit["score"]) for hit in hits]

    assert found()[0][0] == red
    assert found(like=[blue])[0][0] == blue
    left = found(unlike=[green])
    assert [image_id for image_id, _ in left] == [red, blue]
    assert left[0][1] < found()[0][1], "it moved"
    page = ask(api, mine, unlike=[green], limit=1).json()
    rest = ask(api, mine, unlike=[green], cursor=page["next_cursor"]).json()
    assert [hit["image_id"] for hit in rest["results"]] == [blue]
    other = ask(api, mine, unlike=[red], cursor=page["next_cursor"])
    assert_problem(other, 422, "validation_failed")
    assert_problem(ask(api, mine, like=[red], unlike=[red]), 422, "validation_failed")
    assert_problem(ask(api, mine, like=[99]), 404, "image_not_found")
    whats = [row.deed.what or "" for row in api.services.catalogue.audit.rows()]
    assert any(what.endswith(f", like [{blue}]") for what in whats)


def test_picture_search_takes_the_options_of_a_search(api: Api) -> None:
    api.fill(
        ("a.jpg", picture("red")), ("b.jpg", picture("red", 1)), metadata={"a.jpg": {"camera": "n"}}
    )
    found = ask(api, picture("red", 2), filters={"cameras": ["n"]}).json()["results"]
    assert [hit["camera"] for hit in found] == ["n"]
    assert ask(api, picture("blue"), min_score=1).json()["results"] == []
    whole, part = (
        ask(api, picture("red", 2), box=box).json()["results"][0]["score"]
        for box in (None, [0, 0, 32, 32])
    )
    assert whole == pytest.approx(part, abs=0.01)


def test_picture_search_of_another_picture_is_another_question(api: Api) -> None:
    api.fill(("a.jpg", picture("red")), ("b.jpg", picture("green")))
    cursor = ask(api, picture("red", 2), limit=1).json()["next_cursor"]
    problem = assert_problem(ask(api, picture("blue"), cursor=cursor), 422, "validation_failed")
    assert "of another search" in problem["detail"]


@pytest.mark.parametrize(
    ("file", "status", "code"),
    [
        (b"", 422, "empty_file"),
        (b"GIF89a" + bytes(99), 415, "not_a_picture"),
        (picture("red")[:300], 422, "truncated_picture"),
        (bomb(), 422, "picture_too_large"),
        (b"\xff\xd8" + bytes(33 * 2**20), 413, "file_too_large"),
    ],
    ids=["empty", "gif", "cut", "bomb", "large"],
)
def test_picture_that_cannot_be_used_says_why(
    shared_api: Api, file: bytes, status: int, code: str
) -> None:
    assert_problem(ask(shared_api, file), status, code)


@pytest.mark.parametrize(
    ("parts", "status", "code"),
    [
        ({"data": {"options": "{}"}}, 422, "validation_failed"),
        ({"files": {"picture": ("a.jpg", b"x")}}, 422, "validation_failed"),
        ({"files": {"picture": ("a", b"x")}, "data": {"options": "["}}, 422, "validation_failed"),
        ({"files": {"picture": ("a", b"x")}, "data": {"options": "{}"}}, 422, "validation_failed"),
        (
            {"files": [("picture", ("a", b"x"))] * 2, "data": {"options": '{"gallery": "street"}'}},
            413,
            "too_many_files",
        ),
        ({"json": {"gallery": "street"}}, 415, "unsupported_media_type"),
    ],
)
def test_form_that_is_no_picture_search(
    shared_api: Api, parts: dict[str, Any], status: int, code: str
) -> None:
    if "files" not in parts and "data" in parts:
        parts = {"files": {"other": ("a", b"x")}, **parts}
    assert_problem(shared_api.http.post("/search/image", **parts), status, code)


def test_picture_search_asks_for_a_reason_and_for_sight(api: Api) -> None:
    api.fill(("a.jpg", picture("red")))
    api.services.catalogue.change_gallery("street", {"reason_required": True})
    assert_problem(ask(api, picture("red")), 422, "reason_required")
    assert_problem(ask(api, picture("red"), gallery="nowhere"), 404, "gallery_not_found")


def test_page_searches_by_a_picture_that_is_sent(api: Api) -> None:
    api.fill(("a.jpg", picture("red")), ("b.jpg", picture("blue")))
    sent = {"files": {"picture": ("mine.jpg", picture("blue", 3))}, "data": {"gallery": "street"}}
    page = api.http.post("/", **sent)
    assert page.status_code == 200
    assert "Most like the picture that you sent" in page.text
    assert page.text.index("b.jpg") < page.text.index("a.jpg")
    wrong = api.http.post("/", files={"picture": ("x", b"no")}, data={"gallery": "street"})
    assert wrong.status_code == 415
    assert "Not a picture" in wrong.text
    assert api.http.post("/", files={"other": ("x", b"no")}).status_code == 422
