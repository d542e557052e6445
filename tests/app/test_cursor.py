"""Pages of POST /search: one ranking over all of them, and every cursor that is none."""

from __future__ import annotations

import random
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from app.query.cursor import Bookmark, make_cursor, read_cursor
from app.query.schemas import MAX_CURSOR_CHARS, SearchRequest
from app.schemas import MAX_ID
from indexer.records import Generation, Hit, Place
from indexer.tables import changes
from tests.app.conftest import Api, assert_problem, both_databases, both_indexes
from tests.app.files import picture


def fill(api: Api, number: int, first: int = 0) -> list[int]:
    """Pictures of changing likeness to red, north and south by turns."""
    files = [
        (f"{n}.jpg", picture(("red", "green", "blue")[n % 3], n))
        for n in range(first, first + number)
    ]
    cameras = {name: {"camera": "north" if n % 2 else "south"} for n, (name, _) in enumerate(files)}
    return api.fill(*files, metadata=cameras)


def pages(api: Api, **asked: Any) -> list[dict[str, Any]]:
    """All pages of a search."""
    found = [api.search(**asked).json()]
    while found[-1]["next_cursor"]:
        found.append(api.search(**asked, cursor=found[-1]["next_cursor"]).json())
        assert len(found) < 30
    return found


def ids_of(found: list[dict[str, Any]]) -> list[int]:
    return [hit["image_id"] for page in found for hit in page["results"]]


@both_databases
def test_pages_join_to_the_whole_ranking(api: Api) -> None:
    ids = fill(api, 11)
    for asked in (
        {"text": "red"},
        {"text": "red", "filters": {"cameras": ["north"]}},
        {"image_id": ids[0]},
        {"text": "red", "min_score": 0.5},
    ):
        whole = api.search(**asked, limit=50).json()
        assert whole["next_cursor"] is None
        split = pages(api, **asked, limit=2)
        assert [hit for page in split for hit in page["results"]] == whole["results"]
        assert {page["generation"] for page in split} == {whole["generation"]}
        assert len(split) == (len(whole["results"]) + 1) // 2, "none is empty"


@both_databases
@both_indexes
def test_pages_hold_while_pictures_come_and_go(api: Api) -> None:
    fill(api, 9)
    first = api.search(text="red", limit=50).json()["results"]
    page = api.search(text="red", limit=3).json()
    shown, gone = ids_of([page]), []
    while page["next_cursor"]:
        fill(api, 4, first=100 * len(shown))
        victim = next(hit["image_id"] for hit in reversed(first) if hit["image_id"] not in gone)
        if len(gone) < 2:
            api.services.catalogue.holdings.remove_image(victim)
            gone.append(victim)
            api.services.model.live_index.catch_up()
        page = api.search(text="red", limit=3, cursor=page["next_cursor"]).json()
        assert page["indexed"] == 9 - len(gone)
        assert [hit["rank"] for hit in page["results"]] == list(
            range(len(shown) + 1, len(shown) + 1 + len(page["results"]))
        )
        shown += ids_of([page])
    assert shown == [hit["image_id"] for hit in first if hit["image_id"] not in gone]


def test_cursor_of_another_question_is_refused(api: Api) -> None:
    fill(api, 4)
    cursor = api.search(text="red", limit=1).json()["next_cursor"]
    for other in (
        {"text": "blue"},
        {"image_id": 1},
        {"text": "red", "filters": {"cameras": ["north"]}},
        {"text": "red", "min_score": 0.1},
    ):
        problem = assert_problem(api.search(**other, cursor=cursor), 422, "validation_failed")
        assert [error["field"] for error in problem["errors"]] == ["cursor"]
        assert "of another search" in problem["detail"]
    assert api.search(text="red", limit=3, reason="more", cursor=cursor).status_code == 200


def test_damaged_cursor_is_refused(api: Api) -> None:
    fill(api, 3)
    cursor = api.search(text="red", limit=1).json()["next_cursor"]
    swapped = cursor[:10] + ("A" if cursor[10] != "A" else "B") + cursor[11:]
    for damaged in ("", "x", "\u00fc" * 8, "=" * 8, cursor[:-1], cursor + "AAAA", swapped):
        problem = assert_problem(api.search(text="red", cursor=damaged), 422, "validation_failed")
        assert "cursor: damaged" in problem["detail"]
    assert_problem(api.search(text="red", cursor="A" * 9999), 422, "validation_failed")


def test_cursor_of_another_model_release_or_past_is_outdated(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(api, 3)
    cursor = api.search(text="red", limit=1).json()["next_cursor"]
    request = SearchRequest(gallery="street", text="red", limit=1)
    bookmark, model = read_cursor(cursor, request, ["another", api.services.model.fingerprint])
    assert model == "colour-grid"
    dropped = make_cursor(bookmark, request, "another")
    problem = assert_problem(api.search(text="red", cursor=dropped), 409, "cursor_outdated")
    assert "expected colour-grid. Search again" in problem["detail"]
    with monkeypatch.context() as newer:
        newer.setattr("app.query.cursor._VERSION", 9)
        assert_problem(api.search(text="red", cursor=cursor), 409, "cursor_outdated")
    page = api.http.get("/", params={"gallery": "street", "text": "blue", "cursor": cursor})
    assert page.status_code == 422
    assert "Search again" in page.text
    with api.services.catalogue.database.write() as connection:  # as a restored backup has it
        later = changes.c.committed_at
        found = connection.execute(changes.select().order_by(changes.c.seq.desc())).first()
        assert found is not None
        connection.execute(
            update(changes)
            .where(changes.c.seq == found.seq)
            .values({later: found.committed_at + timedelta(seconds=1)})
        )
    assert_problem(api.search(text="red", cursor=cursor), 409, "cursor_outdated")


def test_forged_cursor_breaks_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(api, 3)
    cursor = api.search(text="red", limit=1).json()["next_cursor"]
    body = bytearray(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    monkeypatch.setattr("app.query.cursor._check", lambda _: bytes(8))
    for start, end in ((1, 9), (9, 17), (17, 25), (25, 33), (33, 41), (41, 49)):
        for byte in (0x00, 0x7F, 0x80, 0xFF):
            forged = bytearray(body)
            forged[start:end] = bytes([byte]) * (end - start)
            forged[-8:] = bytes(8)
            token = urlsafe_b64encode(bytes(forged)).rstrip(b"=").decode()
            assert api.search(text="red", cursor=token).status_code in (200, 409, 422)


@pytest.mark.parametrize(
    "shown",
    [b"no zlib", zlib.compress(b"123"), zlib.compress(b""), zlib.compress(bytes(8))[:-4]],
    ids=["damaged", "odd", "empty", "cut off"],
)
def test_cursor_with_forged_pictures_is_refused(
    api: Api, shown: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(api, 3)
    monkeypatch.setattr("app.query.cursor._pack_ids", lambda _: shown)
    cursor = api.search(text="red", limit=1).json()["next_cursor"]
    assert_problem(api.search(text="red", cursor=cursor), 422, "validation_failed")


def test_cursor_is_no_bomb(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(api, 3)
    monkeypatch.setattr("app.query.cursor._pack_ids", lambda _: zlib.compress(bytes(8_000_000)))
    cursor = api.search(text="red", limit=1).json()["next_cursor"]
    assert len(cursor) < MAX_CURSOR_CHARS
    assert_problem(api.search(text="red", cursor=cursor), 422, "validation_failed")


@given(st.frozensets(st.integers(1, MAX_ID), max_size=60))
def test_cursor_keeps_what_was_shown(shown: frozenset[int]) -> None:
    request = SearchRequest(gallery="street", text="red", group_by="person")
    place = Place(Generation(7, datetime(2026, 5, 1, tzinfo=UTC)), 3, Hit(9, 0.25))
    bookmark = Bookmark(place, 2, shown)
    token = make_cursor(bookmark, request, "model")
    assert token is not None
    assert read_cursor(token, request, ["model"]) == (bookmark, "model")


def test_cursor_of_too_many_pictures_is_none() -> None:
    request = SearchRequest(gallery="street", text="red", group_by="person")
    place = Place(Generation(7, datetime(2026, 5, 1, tzinfo=UTC)), 3, Hit(9, 0.25))
    draw = random.Random(0)
    many = frozenset(draw.sample(range(1, 1_000_000), 4_000))
    assert make_cursor(Bookmark(place, 2, many), request, "model") is not None
    more = frozenset(draw.sample(range(1, 1_000_000), 12_000))
    assert make_cursor(Bookmark(place, 2, more), request, "model") is None


def test_each_page_is_on_record(api: Api) -> None:
    fill(api, 4)
    found = pages(api, text="red", limit=2)
    rows = [row.deed for row in api.services.catalogue.audit.rows() if row.deed.action == "search"]
    assert [list(deed.image_ids) for deed in rows] == [ids_of([page]) for page in found]
    assert [deed.what for deed in rows] == ["red", 'red {"continued": true}']
