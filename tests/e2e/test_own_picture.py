"""Searching by a picture of one's own: chosen, dropped, without JavaScript, page after page."""

from __future__ import annotations

from base64 import b64encode

from playwright.sync_api import Page, expect

from tests.e2e.conftest import NewPage, Watched
from tests.e2e.people import draw_person
from tests.e2e.server import Server
from tests.e2e.test_search import coats, names


def choose(page: Page, coat: str) -> None:
    """Open the field and give it a picture of somebody in this coat."""
    page.locator("#own-summary").click()
    mine = {"name": "mine.jpg", "mimeType": "image/jpeg", "buffer": draw_person(coat, place=50)}
    page.locator("#picture").set_input_files(mine)  # type: ignore[arg-type]


def test_chosen_picture_is_searched_by(server: Server, open_page: NewPage) -> None:
    page = open_page(server, "/?gallery=street&camera=south+gate")
    choose(page, "green")
    expect(page.get_by_text("Most like the picture that you sent")).to_be_visible()
    expect(page.get_by_alt_text("Picture mine.jpg, the one compared with")).to_be_visible()
    assert coats(page)[:2] == ["green", "green"]
    assert set(page.locator(".camera").all_inner_texts()) == {"south gate"}
    page.get_by_role("link", name="Back to describing").click()
    expect(page.get_by_text("Most like")).to_have_count(0)


def test_dropped_picture_is_searched_by(server: Server, open_page: NewPage) -> None:
    page = open_page(server)
    data = page.evaluate_handle(
        """async (base64) => {
            const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], "dropped.jpg", { type: "image/jpeg" }));
            return data;
        }""",
        b64encode(draw_person("blue", place=50)).decode(),
    )
    page.dispatch_event("body", "drop", {"dataTransfer": data})
    expect(page.get_by_alt_text("Picture dropped.jpg, the one compared with")).to_be_visible()
    assert coats(page)[:4] == ["blue"] * 4


def test_pages_of_a_picture_search_go_on(server: Server, open_page: NewPage) -> None:
    page = open_page(server, "/?gallery=street&limit=5")
    page.evaluate(
        "document.querySelector('#search').insertAdjacentHTML("
        "'beforeend', '<input type=hidden name=limit value=5>')"
    )
    choose(page, "red")
    expect(page.locator(".tile")).to_have_count(5)
    page.get_by_role("link", name="Show more").click()
    expect(page.locator(".tile")).to_have_count(10)
    assert len(set(names(page))) == 10


def test_marks_and_filters_are_of_the_same_picture(server: Server, open_page: NewPage) -> None:
    page = open_page(server)
    choose(page, "green")
    expect(page.get_by_text("Most like the picture that you sent")).to_be_visible()
    first = names(page)[0]
    page.locator(".tile").first.get_by_role("button", name="Wrong person").click()
    expect(page.get_by_text("Refined by what you marked.")).to_be_visible()
    expect(page.get_by_alt_text("Picture mine.jpg, the one compared with")).to_be_visible()
    assert first not in names(page)
    page.get_by_label("Take back").click()
    expect(page.get_by_text("Refined by what you marked.")).to_have_count(0)
    assert names(page)[0] == first
    page.locator(".tile").first.get_by_role("button", name="Right person").press("Enter")
    expect(page.get_by_text("Refined by what you marked.")).to_be_visible()
    choose(page, "blue")
    expect(page.get_by_text("Refined by what you marked.")).to_have_count(0)
    assert coats(page)[:2] == ["blue", "blue"]


def test_what_is_no_picture_is_said(server: Server, open_page: NewPage, watched: Watched) -> None:
    watched.expected = ("415",)
    page = open_page(server)
    page.locator("#own-summary").click()
    junk = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"}
    page.locator("#picture").set_input_files(junk)  # type: ignore[arg-type]
    expect(page.get_by_role("heading", name="Not a picture")).to_be_visible()


def test_own_picture_works_without_javascript(server: Server, open_page: NewPage) -> None:
    page = open_page(server, java_script_enabled=False)
    choose(page, "blue")
    page.get_by_role("button", name="Search by it").click()
    expect(page.get_by_text("Most like the picture that you sent")).to_be_visible()
    assert coats(page)[:4] == ["blue"] * 4
    expect(page.locator(".marks").first).to_be_hidden()
