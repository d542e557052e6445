"""Results as people: a card each, with the way over cameras; by keyboard, on a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.conftest import ColourEncoder
from tests.e2e.conftest import NewPage
from tests.e2e.people import street
from tests.e2e.server import Server, running_server
from tests.e2e.test_search import describe


class JoiningEncoder(ColourEncoder):
    """Knows that a coat is a person."""

    person_cosine = 0.97


@pytest.fixture(scope="module")
def joining(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("joining"), JoiningEncoder()) as started:
        started.fill("street", street())
        yield started


def test_people_are_cards_with_a_track(joining: Server, open_page: NewPage) -> None:
    page = open_page(joining)
    describe(page, "a person in a blue coat")
    page.locator("#as-people").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="3 people, best match first")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("3 people found")
    first = page.locator(".person").first
    expect(first.locator(".sightings img")).to_have_count(4)
    alts = [image.get_attribute("alt") or "" for image in first.locator("img").all()]
    assert [alt.split(",")[0] for alt in alts] == [f"Picture blue-{n}.jpg" for n in range(4)]
    expect(first.locator(".way")).to_have_text("north gate → south gate")
    track = first.get_by_role("img", name="Track over cameras")
    assert track.locator("circle").count() == 4
    expect(page.locator("#as-people")).to_be_focused()

    describe(page, "a person in a red coat")  # a new search stays with people
    expect(page.locator(".person").first.locator("img").first).to_have_attribute(
        "alt", re.compile("^Picture red-0.jpg")
    )
    page.locator(".person a").first.click()
    page.get_by_role("link", name="Back to the results").click()
    expect(page.locator(".person")).to_have_count(3)
    page.locator("#as-pictures").click()
    expect(page.locator(".tile")).to_have_count(12)


def test_more_people_come_below(joining: Server, open_page: NewPage) -> None:
    address = "/?text=blue+coat&by=person&gallery=street&limit=4"
    page = open_page(joining, address)
    expect(page.locator(".person")).to_have_count(2)
    page.get_by_role("link", name="Show more people").press("Enter")
    expect(page.locator(".person")).to_have_count(3)
    expect(page.get_by_role("heading", name="3 people, best match first")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("1 more, 3 people in all")
    expect(page.locator("#rank-3 a").first).to_be_focused()
    expect(page.get_by_role("link", name="Show more people")).to_have_count(0)
    alts = [image.get_attribute("alt") for image in page.locator(".person img").all()]
    assert len(set(alts)) == 12

    plain = open_page(joining, address, java_script_enabled=False)
    plain.get_by_role("link", name="Show more people").click()
    expect(plain.get_by_role("heading", name="People 3 to 3, best match first")).to_be_visible()
    expect(plain.locator("#rank-3")).to_be_visible()


def test_people_fit_a_phone_and_need_no_script(
    joining: Server, open_page: NewPage, tmp_path: Path
) -> None:
    address = "/?text=blue+coat&by=person&gallery=street"
    phone = {"width": 360, "height": 740}
    page = open_page(joining, address, viewport=phone, java_script_enabled=False)
    expect(page.locator(".person")).to_have_count(3)
    width = page.locator("body").bounding_box()
    assert width is not None and width["width"] <= 360
    card = page.locator(".person").first.bounding_box()
    assert card is not None and card["x"] >= 0 and card["x"] + card["width"] <= 360
    page.locator("#as-pictures").click()
    expect(page.locator(".tile")).to_have_count(12)


def test_no_switch_where_nobody_knows_people(server: Server, open_page: NewPage) -> None:
    page = open_page(server, "/?text=blue+coat&gallery=street")
    expect(page.locator(".tile")).to_have_count(12)
    expect(page.locator("#as-people")).to_have_count(0)
