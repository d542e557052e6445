"""Nobody here fits well: said above the pictures, which stay where they were."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from indexer.ingest import accept
from indexer.records import ImageMetadata
from tests.colours import CalibratedColours
from tests.e2e.conftest import NewPage
from tests.e2e.people import COATS, draw_person
from tests.e2e.server import Server, running_server
from tests.e2e.test_search import describe


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gallery with enough pictures to tell: 35 of each coat."""
    with running_server(tmp_path_factory.mktemp("crowd"), CalibratedColours()) as started:
        catalogue, store = started.services.catalogue, started.services.store
        catalogue.create_gallery("crowd")
        for coat in COATS:
            for place in range(35):
                file = io.BytesIO(draw_person(coat, place))
                accept(catalogue, store, "crowd", file, f"{coat}-{place}.jpg", ImageMetadata())
        started.wait_until_indexed("crowd")
        yield started


@pytest.mark.parametrize("width", [1280, 360])
def test_page_says_that_nobody_fits_and_shows_the_nearest(
    crowd: Server, open_page: NewPage, width: int, tmp_path: Path
) -> None:
    page = open_page(crowd, viewport={"width": width, "height": 900})
    describe(page, "a person in a white coat")
    expect(page.locator(".verdict")).to_contain_text("Nobody here fits well.")
    expect(page.locator(".heading h2")).to_contain_text("The nearest all the same")
    expect(page.get_by_role("status")).to_contain_text("Nobody here fits well")
    assert page.locator(".tile").count() > 10
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=tmp_path / f"unlikely-{width}.png")


def test_page_says_that_somebody_fits_or_that_it_is_open(crowd: Server, open_page: NewPage) -> None:
    page = open_page(crowd)
    describe(page, "a person in a red coat")
    expect(page.locator(".verdict")).to_contain_text("Somebody here fits unusually well.")
    expect(page.locator(".verdict")).to_contain_text("never evidence")
    expect(page.locator(".heading h2")).not_to_contain_text("all the same")
    describe(page, "red coat")
    expect(page.locator(".verdict")).to_contain_text("too few words")
    page.get_by_role("link", name="Show more").click()
    expect(page.locator(".verdict")).to_have_count(1)


def test_page_of_few_pictures_says_nothing(server: Server, open_page: NewPage) -> None:
    page = open_page(server)
    describe(page, "a person in a white coat indeed")
    expect(page.locator(".tile").first).to_be_visible()
    expect(page.locator(".verdict")).to_have_count(0)
