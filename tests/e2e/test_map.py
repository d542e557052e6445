"""The map in Chromium: drawn, zoomed, pointed at; by mouse, by keyboard alone, on a phone."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Page, expect

from indexer.ingest import accept
from indexer.records import ImageMetadata
from tests.app.program import program
from tests.conftest import ColourEncoder, Pictures
from tests.e2e.conftest import NewPage
from tests.e2e.people import street
from tests.e2e.server import Server, running_server, wait_until

MAP = "/galleries/street/map"
ASKED = "/map?gallery=street&text=a+person+in+a+blue+coat"
NUM_PICTURES = 12 + 60


class JoiningEncoder(ColourEncoder):
    """Knows that a coat is a person."""

    person_cosine = 0.97


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The three coats and sixty pictures of noise, with a map."""
    with running_server(tmp_path_factory.mktemp("mapped"), JoiningEncoder()) as started:
        others = [(f"{seed}.png", Pictures().noise(seed), {}) for seed in range(60)]
        started.fill("street", [*street(), *others])
        draw(started.url)
        yield started


def draw(url: str) -> None:
    httpx.post(f"{url}{MAP}", json={"perplexity": 8}).raise_for_status()
    wait_until(lambda: httpx.get(f"{url}{MAP}").json()["state"] == "done", "the map is drawn", 90)


def open_map(open_page: NewPage, server: Server, path: str = ASKED, **options: object) -> Page:
    page = open_page(server, path, **options)
    expect(page.get_by_role("status")).to_have_text(f"The map shows {NUM_PICTURES} pictures.")
    return page


def zoomed(page: Page) -> int:
    """How many pictures are in view."""
    title = page.locator("#in-view-title").inner_text()
    return int(title.split(":")[1].split()[0])


def place_of_first_hit(page: Page) -> tuple[float, float]:
    """On the screen: where its card points to when its line has the focus."""
    page.locator("#hits a").first.focus()
    page.locator("#map-view").scroll_into_view_if_needed()
    box = page.locator("#map-view").bounding_box()
    found = page.evaluate(
        """async () => {
            const points = await (await fetch("/galleries/street/map/points")).json();
            const id = Number(document.querySelector("#hits a").dataset.id);
            const at = points.ids.indexOf(id);
            return [points.x[at], points.y[at]];
        }"""
    )
    assert box is not None
    unit = 0.92 * min(box["width"], box["height"] - 2) / 2
    middle_x, middle_y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    return middle_x + unit * found[0], middle_y - unit * found[1]


def pixels(page: Page, colour: str) -> int:
    """How many of the canvas have this colour."""
    count: int = page.evaluate(
        """(colour) => {
            const canvas = document.getElementById("canvas");
            const { width, height } = canvas;
            const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
            const wanted = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
            let count = 0;
            for (let i = 0; i < data.length; i += 4) {
                const near = wanted.every((part, at) => Math.abs(data[i + at] - part) < 4);
                if (near && data[i + 3] > 200) count++;
            }
            return count;
        }""",
        colour,
    )
    return count


def test_map_is_asked_for_on_its_page(fresh_server: Server, open_page: NewPage) -> None:
    fresh_server.fill("street", street())
    page = open_page(fresh_server, "/?gallery=street&text=a+blue+coat")
    page.locator("#on-map").click()
    expect(page.get_by_role("heading", name="No map of street yet")).to_be_visible()
    expect(page.locator("#text")).to_have_value("a blue coat")
    page.get_by_role("button", name="Draw the map").click()
    expect(page.locator("#map-view")).to_be_visible(timeout=90_000)
    expect(page.locator("#map-said")).to_contain_text("12 pictures, drawn")
    assert page.url.endswith("/map?text=a+blue+coat&gallery=street&on=map")
    fresh_server.post_files("yard", [])
    page.goto("/map?gallery=yard")
    expect(page.get_by_role("button", name="Draw the map")).to_be_disabled()


def test_pointing_shows_a_thumbnail_and_a_click_opens_it(
    mapped: Server, open_page: NewPage
) -> None:
    page = open_map(open_page, mapped)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    x, y = place_of_first_hit(page)
    page.locator("#canvas").focus()
    expect(page.locator("#map-card")).to_be_hidden()
    page.mouse.move(x, y)
    card = page.locator("#map-card")
    expect(card).to_be_visible()
    expect(card).to_contain_text(re.compile("Rank [1-4], (north|south) gate, 1 May 2026, 10:"))
    page.locator("#map-card-image").evaluate("image => image.decode()")  # fails if it can't be
    shown = [path for path in asked if path.endswith("/thumbnail")]
    assert len(set(shown)) <= 12, "only what is shown is asked for"
    page.mouse.click(x, y)
    expect(page).to_have_url(re.compile(r"/pictures/\d+\?from="))
    page.get_by_role("link", name="Back to the results").click()
    expect(page).to_have_url(re.compile("/map.*blue"))


def test_map_zooms_by_wheel_and_moves_by_dragging(mapped: Server, open_page: NewPage) -> None:
    page = open_map(open_page, mapped)
    wait_until(lambda: zoomed(page) == NUM_PICTURES, "all are in view")
    x, y = place_of_first_hit(page)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -1200)
    wait_until(lambda: zoomed(page) < NUM_PICTURES / 2, "few are in view")
    few = zoomed(page)
    first = page.locator("#hits a").first.get_attribute("data-id")
    expect(page.locator(f"#in-view-list a[data-id='{first}']")).to_be_visible()
    page.mouse.down()
    page.mouse.move(x + 900, y, steps=5)
    page.mouse.up()
    expect(page.locator(f"#in-view-list a[data-id='{first}']")).to_have_count(0)
    page.get_by_role("button", name="Show the whole map").click()
    wait_until(lambda: zoomed(page) == NUM_PICTURES, "all are in view again")
    assert few > 0


def test_query_and_hits_are_marked(mapped: Server, open_page: NewPage) -> None:
    accent = "#0b6670"
    plain = open_map(open_page, mapped, "/map?gallery=street")
    assert pixels(plain, accent) == 0
    page = open_map(open_page, mapped)
    assert pixels(page, accent) > 200
    expect(page.locator("#hits li")).to_have_count(48)


def test_map_by_keyboard_alone(mapped: Server, open_page: NewPage) -> None:
    page = open_map(open_page, mapped)
    page.locator("#text").focus()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "canvas":
            break
    for _ in range(6):
        page.keyboard.press("+")
    wait_until(lambda: zoomed(page) < NUM_PICTURES, "it has zoomed in")
    for _ in range(40):
        page.keyboard.press("ArrowLeft")
    wait_until(lambda: zoomed(page) < 6, "it has moved to the edge")
    page.keyboard.press("0")
    wait_until(lambda: zoomed(page) == NUM_PICTURES, "all are in view")
    while page.evaluate("!document.activeElement.closest('#hits')"):
        page.keyboard.press("Tab")
    expect(page.locator("#map-card")).to_be_visible()
    expect(page.locator("#map-card")).to_contain_text("Rank 1,")
    page.keyboard.press("Tab")
    expect(page.locator("#map-card")).to_contain_text("Rank 2,")
    while page.evaluate("!document.activeElement.closest('#in-view')"):
        page.keyboard.press("Tab")
    expect(page.locator("#map-card")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/pictures/\d+\?from="))


def test_colours_have_a_legend(mapped: Server, open_page: NewPage) -> None:
    page = open_map(open_page, mapped)
    legend = page.locator("#legend")
    expect(legend).to_contain_text("north gate")
    expect(legend).to_contain_text("no camera")
    page.locator("#colour").select_option("time")
    expect(legend).to_contain_text("1 May 2026, 08:00")
    expect(legend.locator(".ramp")).to_be_visible()
    page.locator("#colour").select_option("person")
    expect(legend).to_contain_text("3 people with several pictures")


def test_filters_let_other_pictures_be_faint(mapped: Server, open_page: NewPage) -> None:
    orange = "#e69f00"  # south gate
    all_of_them = pixels(open_map(open_page, mapped, "/map?gallery=street"), orange)
    page = open_map(open_page, mapped, "/map?gallery=street&camera=north+gate")
    assert pixels(page, orange) == 0 < all_of_them
    page.get_by_role("link", name="Remove the filter camera north gate").click()
    expect(page).to_have_url(re.compile("/map"))


def test_map_fits_a_phone_and_is_touched(mapped: Server, open_page: NewPage) -> None:
    phone = {"width": 390, "height": 844}
    page = open_map(open_page, mapped, viewport=phone, has_touch=True, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    x, y = place_of_first_hit(page)
    page.locator("#canvas").focus()
    page.touchscreen.tap(x, y)
    card = page.locator("#map-card")
    expect(card).to_contain_text("Tap to open")
    box = card.bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390
    card.tap()
    expect(page).to_have_url(re.compile(r"/pictures/\d+\?from="))


def test_hits_are_there_without_scripts(mapped: Server, open_page: NewPage) -> None:
    page = open_page(mapped, ASKED, java_script_enabled=False)
    expect(page.locator("#hits img")).to_have_count(48)
    expect(page.locator("noscript p")).to_be_visible()
    page.get_by_role("button", name="Draw it anew").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Draw it anew")).to_be_visible()


@pytest.mark.timeout(200)
def test_worker_killed_while_it_draws_is_replaced(
    tmp_path: Path, open_page: NewPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSERBY_WORKER_LEASE_S", "5")
    with running_server(tmp_path, ColourEncoder(), with_worker=False) as server:
        catalogue, store = server.services.catalogue, server.services.store
        catalogue.create_gallery("street")
        for seed in range(300):
            file = io.BytesIO(Pictures().noise(seed))
            accept(catalogue, store, "street", file, f"{seed}.png", ImageMetadata())
        server.work()
        server.services.model.live_index.catch_up()
        page = open_page(server, "/map?gallery=street")
        page.get_by_role("button", name="Draw the map").click()
        expect(page.locator("#drawing-said")).to_have_text("Waiting for a worker")
        with program("worker", data_dir=tmp_path) as first:
            expect(page.locator("#drawing-said")).to_contain_text("Drawing the map", timeout=90_000)
            first.process.kill()
            first.finish()
        assert httpx.get(f"{server.url}{MAP}").json()["state"] == "running"
        with program("worker", data_dir=tmp_path):
            expect(page.locator("#map-view")).to_be_visible(timeout=120_000)
        expect(page.locator("#map-said")).to_contain_text("300 pictures, drawn")
