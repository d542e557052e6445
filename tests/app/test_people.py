"""POST /search with group_by person: cards, their sightings, filters, records, refusals."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from app.settings import Settings
from tests.app.conftest import Api, assert_problem, both_databases, both_indexes
from tests.app.files import picture

SEEN = {
    "red1.jpg": {"camera": "south", "captured_at": "2026-05-01T12:30:00Z"},
    "red2.jpg": {"camera": "north", "captured_at": "2026-05-01T12:00:00Z"},
    "red3.jpg": {"camera": "south"},
    "green.jpg": {"camera": "north", "captured_at": "2026-05-01T13:00:00Z"},
}
COLOURS = {"red1": ("red", 0), "red2": ("red", 7), "red3": ("red", 9), "green": ("green", 0)}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"person_cosine": 0.97})


@pytest.fixture
def seen(api: Api) -> dict[str, int]:
    """A person in red seen three times, one in green once: name -> id."""
    files = [(f"{name}.jpg", picture(*colour)) for name, colour in COLOURS.items()]
    return dict(zip(COLOURS, api.fill(*files, metadata=SEEN), strict=True))


@both_databases
@both_indexes
def test_people_come_with_their_sightings_in_the_order_of_time(
    api: Api, seen: dict[str, int]
) -> None:
    found = api.search(text="red", group_by="person").json()
    assert found["next_cursor"] is None
    in_red, in_green = found["results"]
    assert (in_red["rank"], in_green["rank"]) == (1, 2)
    person = in_red["person"]
    sightings = [sighting["image_id"] for sighting in person["sightings"]]
    assert sightings == [seen["red2"], seen["red1"], seen["red3"]]
    assert in_red["score"] == max(sighting["score"] for sighting in person["sightings"])
    assert person["cameras"] == ["north", "south"]
    assert (person["first_seen"], person["last_seen"]) == (
        "2026-05-01T12:00:00Z",
        "2026-05-01T12:30:00Z",
    )
    assert [each["image_id"] for each in in_green["person"]["sightings"]] == [seen["green"]]
    ungrouped = api.search(text="red").json()["results"]
    assert ungrouped[0]["image_id"] == in_red["image_id"]
    assert {result["person"] for result in ungrouped} == {None}


def test_people_are_counted_and_filtered(api: Api, seen: dict[str, int]) -> None:
    (only,) = api.search(text="red", group_by="person", limit=1).json()["results"]
    assert len(only["person"]["sightings"]) == 3
    south = api.search(text="red", group_by="person", filters={"cameras": ["south"]}).json()
    (in_red,) = south["results"]
    sightings = {each["image_id"] for each in in_red["person"]["sightings"]}
    assert sightings == {seen["red1"], seen["red3"]}
    least = api.search(text="red", group_by="person", min_score=0.9).json()["results"]
    assert [len(result["person"]["sightings"]) for result in least] == [3]
    like = api.search(image_id=seen["red1"], group_by="person").json()["results"]
    shown = [each["image_id"] for result in like for each in result["person"]["sightings"]]
    assert sorted(shown) == sorted({*seen.values()} - {seen["red1"]})


@both_databases
def test_people_without_pictures_that_are_gone(api: Api, seen: dict[str, int]) -> None:
    api.services.catalogue.holdings.remove_image(seen["red2"])
    in_red = api.search(text="red", group_by="person").json()["results"][0]
    sightings = {each["image_id"] for each in in_red["person"]["sightings"]}
    assert sightings == {seen["red1"], seen["red3"]}


@both_databases
def test_all_pictures_of_people_are_on_record(api: Api, seen: dict[str, int]) -> None:
    api.search(text="red", group_by="person", limit=1)
    (row,) = api.services.catalogue.audit.rows()
    assert set(row.deed.image_ids) == {seen["red1"], seen["red2"], seen["red3"]}
    assert (row.deed.result_count, row.deed.what) == (1, 'red {"group_by": "person"}')


def people_of(page: dict[str, Any]) -> list[list[int]]:
    """The pictures of each person on a page."""
    return [
        [each["image_id"] for each in result["person"]["sightings"]] for result in page["results"]
    ]


def crowd(number: int, first: int = 0) -> list[tuple[str, bytes]]:
    """Pictures of people some of whom are seen again and again, by a seed."""
    draw = random.Random(first)
    colours = ("red", "green", "blue")
    return [(f"{n}.jpg", picture(draw.choice(colours), n)) for n in range(first, first + number)]


@both_databases
@pytest.mark.parametrize("threshold", [0.97, 0.999])
def test_pages_of_people_show_each_picture_once(
    api: Api, threshold: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.people.MAX_HITS", 12)  # fewer than there are pictures
    object.__setattr__(api.services, "person_cosine", threshold)
    ids = api.fill(*crowd(40))
    for asked in ({}, {"min_score": 0.2}, {"unlike": [ids[3]]}):
        ranking = ids_of(api, **asked)
        for limit in (1, 2, 7):
            pages = list(all_pages(api, limit=limit, **asked))
            people = [person for page in pages for person in people_of(page)]
            shown = [image_id for person in people for image_id in person]
            assert len(shown) == len(set(shown))
            assert set(ranking) <= set(shown) <= set(ids)
            best = [result["image_id"] for page in pages for result in page["results"]]
            assert best == sorted(best, key=ranking.index), "best first over all pages"
            ranks = [result["rank"] for page in pages for result in page["results"]]
            assert ranks == list(range(1, len(people) + 1))
            assert all(page["results"] for page in pages), "none is empty"


def ids_of(api: Api, **asked: Any) -> list[int]:
    return [hit["image_id"] for hit in api.search(text="red", limit=100, **asked).json()["results"]]


def all_pages(api: Api, **asked: Any) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        given = {} if cursor is None else {"cursor": cursor}
        page = api.search(text="red", group_by="person", **asked, **given).json()
        yield page
        cursor = page["next_cursor"]
        if cursor is None:
            return


@both_databases
@both_indexes
def test_pages_of_people_hold_while_pictures_come_and_go(api: Api) -> None:
    object.__setattr__(api.services, "person_cosine", 0.999)
    first = api.fill(*crowd(30))
    shown: list[int] = []
    gone: set[int] = set()
    for number, page in enumerate(all_pages(api, limit=3)):
        assert page["indexed"] == len(first) - len(gone)
        shown += [image_id for person in people_of(page) for image_id in person]
        api.fill(*crowd(6, first=100 * (number + 1)))
        left = [image_id for image_id in first if image_id not in shown]
        for victim in {shown[0], *left[:1]} - gone:
            api.services.catalogue.holdings.remove_image(victim)
            gone.add(victim)
        api.services.model.live_index.catch_up()
    assert len(shown) == len(set(shown))
    assert set(shown) | gone == set(first), "what came since is of no page, all else of one"


def test_people_are_refused_by_name(api: Api, seen: dict[str, int]) -> None:
    cursor = api.search(text="red", limit=1).json()["next_cursor"]  # of pictures
    for wrong, field in (({"cursor": cursor}, "cursor"), ({"limit": 101}, "limit")):
        response = api.search(text="red", group_by="person", **wrong)
        problem = assert_problem(response, 422, "validation_failed")
        assert [error["field"] for error in problem["errors"]] == [field]
    empty = api.post("/galleries", {"name": "empty"})
    assert empty.status_code == 201
    found = api.post("/search", {"gallery": "empty", "text": "red", "group_by": "person"})
    assert found.json()["results"] == []


def test_people_need_a_threshold(shared_api: Api) -> None:
    problem = assert_problem(
        shared_api.search(text="red", group_by="person"), 409, "people_unavailable"
    )
    assert "colour-grid" in problem["detail"]
