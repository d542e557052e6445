"""Why this picture: the words and the places that the shipped model found it by."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from urllib.parse import quote_plus, urlencode

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from model.data.synthetic import draw_identity
from model.runtime import load_runtime
from tests.e2e.conftest import NewPage, Watched
from tests.e2e.server import SentFile, Server, running_server

SHOWN = draw_identity(20_000_000, seed=0, num_pictures=1)[0].captions[0].rstrip(".")
CAPTION = draw_identity(20_000_002, seed=0, num_pictures=1)[0].captions[0]


@pytest.fixture(scope="module")
def telling_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The shipped model on three people; the last picture is a frame with a box."""
    files: list[SentFile] = []
    for identity in range(20_000_000, 20_000_003):
        picture = draw_identity(identity, seed=0, num_pictures=1)[0].image
        files.append((f"{identity}.jpg", _jpeg(picture), {}))
    frame = Image.new("RGB", (900, 500), "gray")
    frame.paste(picture, (600, 60))
    files.append(("frame.jpg", _jpeg(frame), {"box": [600, 60, 128, 384]}))
    runtime = load_runtime("small", "cpu")
    with running_server(tmp_path_factory.mktemp("telling"), runtime) as server:
        server.fill("street", files)
        yield server


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=92)
    return file.getvalue()


def address(image_id: int, **search: str) -> str:
    came_from = urlencode({"gallery": "street", **search})
    return f"/pictures/{image_id}?{urlencode({'from': came_from})}"


def box_of(page: Page, selector: str) -> dict[str, float]:
    found = page.locator(selector).evaluate(
        "e => { const {x, y, width, height} = e.getBoundingClientRect();"
        " return {x, y, width, height}; }"
    )
    assert isinstance(found, dict)
    return found


def test_result_says_which_words_and_where(telling_server: Server, open_page: NewPage) -> None:
    page = open_page(telling_server, f"/?{urlencode({'gallery': 'street', 'text': CAPTION})}")
    page.locator(".shot").first.click()
    section = page.get_by_role("region", name="Why this picture")
    expect(section).to_contain_text("Most weight: ")
    assert page.locator("#why-words").inner_text() == CAPTION
    strong = page.locator("#why-words mark").all_inner_texts()
    told = page.locator("#why-said").inner_text()
    assert 0 < len(strong) < len(CAPTION.split()) / 2
    assert any(word.lower() in told for word in strong)
    tints = page.locator("#why-words :is(mark, span)").evaluate_all(
        "all => all.map(word => getComputedStyle(word).backgroundColor)"
    )
    assert len(tints) > 5
    assert len(set(tints)) > 3


def test_overlay_is_switched_by_keyboard_and_lies_on_the_box(
    telling_server: Server, open_page: NewPage
) -> None:
    page = open_page(telling_server, address(4, text=CAPTION))
    toggle = page.get_by_role("checkbox", name="Show where the model looked")
    overlay = page.get_by_role("img", name="Where the model looked")
    expect(toggle).to_be_visible()
    expect(overlay).to_be_hidden()
    toggle.focus()
    with page.expect_response("**/images/4/attention.png?*") as answered:
        page.keyboard.press("Space")
    assert answered.value.status == 200
    expect(overlay).to_be_visible()
    assert box_of(page, "#overlay image") == pytest.approx(box_of(page, ".frame rect"), abs=3)
    page.keyboard.press("Space")
    expect(overlay).to_be_hidden()


def test_parts_say_what_is_missing_and_where_each_is(
    telling_server: Server, open_page: NewPage
) -> None:
    wrong = "a purple suitcase"
    page = open_page(telling_server, address(1, text=f"{SHOWN}, with {wrong}"))
    expect(page.locator("#why-said")).to_contain_text("would fit better without: ")
    assert wrong in page.locator(".missed").all_inner_texts()
    part = page.locator(".part").first
    overlay = page.get_by_role("img", name="Where the model looked")
    with page.expect_response(f"**/images/1/attention.png?text={quote_plus(part.inner_text())}"):
        part.hover()
    expect(overlay).to_be_visible()
    page.mouse.move(0, 0)
    expect(overlay).to_be_hidden()
    part.focus()
    expect(overlay).to_be_visible()
    page.get_by_label("Show where the model looked").check()
    expect(page.locator("#overlay image")).to_have_attribute("href", re.compile("suitcase"))


def test_why_fits_a_phone_in_both_schemes(telling_server: Server, open_page: NewPage) -> None:
    for scheme in ("light", "dark"):
        page = open_page(telling_server, address(4, text=CAPTION), color_scheme=scheme)
        page.set_viewport_size({"width": 360, "height": 780})
        page.get_by_label("Show where the model looked").check()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert box_of(page, "#overlay image") == pytest.approx(box_of(page, ".frame rect"), abs=3)


def test_without_a_description_there_is_nothing_to_explain(
    telling_server: Server, server: Server, open_page: NewPage
) -> None:
    for asked, path in [
        (telling_server, "/pictures/1"),
        (telling_server, address(1, like="2")),
        (telling_server, address(1, text="x" * 2001)),
        (server, address(1, text="a red coat")),  # a model that can't tell
    ]:
        page = open_page(asked, path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.locator("#why, #overlay, #show-overlay").count() == 0, path


def test_explanation_that_fails_says_why(
    telling_server: Server, open_page: NewPage, watched: Watched
) -> None:
    watched.expected = ("503",)
    page = open_page(telling_server)
    lost: list[Route] = []

    def lose(route: Route) -> None:
        lost.append(route)
        route.fulfill(status=503, json={"detail": "Try again later.", "title": "Storage"})

    page.route("**/attention*", lose)
    page.goto(address(1, text="<b>a red coat</b> & 🧥"))
    expect(page.locator("#why-said")).to_have_text("Try again later.")
    expect(page.locator("#why-words")).to_have_text("<b>a red coat</b> & 🧥")
    expect(page.get_by_label("Show where the model looked")).to_be_hidden()
    page.unroute("**/attention*")
    page.route("**/attention.png*", lose)
    page.reload()
    expect(page.locator("#why-said")).to_contain_text("In the picture: ")
    expect(page.locator("#why-words")).to_have_text("<b>a red coat</b> & 🧥")
    page.get_by_label("Show where the model looked").click()
    expect(page.locator("#why-said")).to_contain_text("could not be loaded")
    expect(page.get_by_label("Show where the model looked")).not_to_be_checked()
    assert len(lost) == 2
