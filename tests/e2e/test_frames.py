"""A hit opens in its frame: by mouse, by keys alone, and on a phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import FilePayload, Page, expect

from indexer.records import Box
from tests.conftest import ColourEncoder
from tests.detector import DETECTOR, street
from tests.e2e.conftest import NewPage
from tests.e2e.server import Server, running_server

RED, BLUE = Box(80, 40, 60, 180), Box(400, 60, 50, 150)
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves the gallery `crossing`: one frame with somebody red and somebody blue."""
    folder = tmp_path_factory.mktemp("crossing")
    with running_server(folder, ColourEncoder(), detector=DETECTOR) as server:
        server.fill_frames("crossing", [street(size=(640, 360), red=RED, blue=BLUE)])
        yield server


def box_shown(page: Page) -> tuple[str | None, ...]:
    rect = page.locator(".frame svg:not(.others) rect")
    return tuple(rect.get_attribute(name) for name in ("x", "y", "width", "height"))


def test_hit_opens_in_its_frame_and_leads_to_the_others(
    crossing: Server, open_page: NewPage
) -> None:
    page = open_page(crossing, "/?gallery=crossing&text=red")
    page.get_by_role("link", name="Picture frame-0.png in its frame").first.click()
    expect(page.get_by_role("heading", name="In frame 1")).to_be_visible()
    expect(page.get_by_text("Found with score 0.90, beside 1 other person.")).to_be_visible()
    loaded_size = "image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])"
    assert page.locator(".frame img").evaluate(loaded_size) == [640, 360]
    near(box_shown(page), RED)
    page.locator(".others a").click()
    expect(page.get_by_text("Found with score 0.80")).to_be_visible()
    near(box_shown(page), BLUE)
    page.get_by_role("link", name="Back to the results").click()
    expect(page.locator(".tile")).to_have_count(2)


def near(shown: tuple[str | None, ...], box: Box) -> None:
    """The detector looks at 200 pixels a side: 4 of the frame's are one of its."""
    for given, expected in zip(shown, (box.x, box.y, box.width, box.height), strict=True):
        assert abs(int(given or -99) - expected) <= 4


def test_others_are_reached_by_keys_alone(crossing: Server, open_page: NewPage) -> None:
    page = open_page(crossing, "/pictures/1")
    other = page.locator(".others a")
    for _ in range(30):
        page.keyboard.press("Tab")
        if other.evaluate("a => a === document.activeElement"):
            break
    else:
        raise AssertionError("Tab does not lead to the other person")
    assert other.locator("rect").evaluate("rect => getComputedStyle(rect).strokeWidth") == "4px"
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{crossing.url}/pictures/2")


@pytest.mark.parametrize("scripts", [True, False])
def test_frame_fits_a_phone(crossing: Server, open_page: NewPage, scripts: bool) -> None:
    page = open_page(crossing, "/pictures/1", java_script_enabled=scripts, **PHONE)
    expect(page.get_by_role("heading", name="In frame 1")).to_be_visible()
    image = page.locator(".frame img").bounding_box()
    overlay = page.locator(".others").bounding_box()
    assert image is not None
    assert overlay is not None
    assert image["width"] <= 390
    for side in ("x", "y", "width", "height"):
        assert abs(image[side] - overlay[side]) < 1, "boxes lie over the picture"
    page.get_by_role("list", name="Other people in this frame").get_by_role("link").click()
    expect(page).to_have_url(f"{crossing.url}/pictures/2")


def test_frames_are_uploaded_on_the_page(crossing: Server, open_page: NewPage) -> None:
    page = open_page(crossing, "/upload?gallery=crossing")
    both = street(size=(640, 360), red=BLUE, blue=RED)
    nobody = street(size=(640, 360))
    files: list[FilePayload] = [
        {"name": name, "mimeType": "image/png", "buffer": content}
        for name, content in (("both.png", both), ("nobody.png", nobody), ("again.png", both))
    ]
    page.locator("#files").set_input_files(files)
    page.get_by_label("These are whole frames: find the people in them").press("Space")
    page.get_by_role("button", name="Upload 3 pictures").press("Enter")
    expect(page.get_by_role("row", name="both.png")).to_contain_text("2 people found")
    expect(page.get_by_role("row", name="nobody.png")).to_contain_text("Nobody found")
    expect(page.get_by_role("row", name="again.png")).to_contain_text("Already there as frame")
    page.get_by_role("link", name="2 people found").click()
    expect(page.get_by_text("beside 1 other person.")).to_be_visible()


def test_page_offers_no_frames_without_a_detector(server: Server, open_page: NewPage) -> None:
    page = open_page(server, "/upload?gallery=street")
    expect(page.get_by_role("button", name="Choose pictures…")).to_be_visible()
    expect(page.locator("#as-frames")).to_have_count(0)


def test_picture_of_no_frame_has_no_others(server: Server, open_page: NewPage) -> None:
    page = open_page(server, "/pictures/1")
    expect(page.locator(".frame img")).to_be_visible()
    expect(page.locator(".others")).to_have_count(0)


def test_whoever_is_shown_is_on_record(crossing: Server, open_page: NewPage) -> None:
    open_page(crossing, "/pictures/1")
    deeds = [row.deed for row in crossing.services.catalogue.audit.newest(20)]
    assert any(deed.what == "frame 1" and set(deed.image_ids) == {1, 2} for deed in deeds)
