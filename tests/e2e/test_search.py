"""Searching: describe, filter, look closer, come back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import NewPage
from tests.e2e.server import Server


def names(page: Page) -> list[str]:
    """The file names of the results, best first."""
    return [
        (image.get_attribute("alt") or "").removeprefix("Picture ")
        for image in page.locator(".tile img").all()
    ]


def coats(page: Page) -> list[str]:
    return [name.split("-")[0] for name in names(page)]


def describe(page: Page, text: str) -> None:
    """Type a description, press Enter, and wait for its results."""
    page.get_by_label("Describe the person").fill(text)
    page.keyboard.press("Enter")
    expect(page).to_have_title(re.compile(re.escape(text)))


def follow(link: Locator) -> None:
    """Click what leads to another page, and wait for that one: without a script nothing does."""
    with link.page.expect_navigation():
        link.click()


def test_search_ranks_the_described_person_first(server: Server, open_page: NewPage) -> None:
    page = open_page(server)
    describe(page, "a person in a blue coat")

    assert coats(page)[:4] == ["blue"] * 4
    expect(page.locator(".rank")).to_have_text([f"Rank {rank}" for rank in range(1, 13)])
    scores = [float(text) for text in page.locator(".score").all_inner_texts()]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1]
    expect(page.get_by_role("status")).to_have_text("12 pictures found")
    expect(page.locator(".facts")).to_contain_text("12 pictures searched")
    expect(page.get_by_label("Describe the person")).to_be_focused()


def test_search_address_can_be_shared(server: Server, open_page: NewPage) -> None:
    page = open_page(server)
    describe(page, "a person in a red coat")
    other = open_page(server, page.url)
    assert names(other) == names(page)
    expect(other.get_by_label("Describe the person")).to_have_value("a person in a red coat")


def test_example_chip_searches_for_its_words(server: Server, open_page: NewPage) -> None:
    page = open_page(server)
    chip = page.locator(".chips a").first
    words = chip.inner_text()
    chip.click()
    expect(page.get_by_label("Describe the person")).to_have_value(words)
    expect(page.get_by_role("heading", name="12 pictures, best match first")).to_be_visible()


def test_camera_filter_keeps_that_cameras_pictures(server: Server, open_page: NewPage) -> None:
    page = open_page(server)
    describe(page, "a green coat")
    page.locator("#cameras-summary").click()
    page.get_by_role("checkbox", name="north gate").check()

    expect(page.locator(".tile")).to_have_count(6)
    assert set(page.locator(".camera").all_inner_texts()) == {"north gate"}
    assert coats(page)[:2] == ["green", "green"]
    expect(page.get_by_role("checkbox", name="north gate")).to_be_focused()

    page.get_by_role("link", name="Remove the filter camera north gate").click()
    expect(page.locator(".tile")).to_have_count(12)


def test_tag_filter_keeps_pictures_that_carry_all_tags(server: Server, open_page: NewPage) -> None:
    page = open_page(server)
    describe(page, "a coat")
    expect(page.locator("#tags-chosen")).to_have_text("none of 3")
    page.locator("#tags-summary").click()
    page.get_by_role("checkbox", name="blue").check()
    expect(page.locator(".tile")).to_have_count(4)
    assert set(coats(page)) == {"blue"}
    assert "tag=blue" in page.url
    page.get_by_role("checkbox", name="red").check()
    expect(page.get_by_role("heading", name="No picture passes these filters")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#tags-summary")).to_be_focused()
    page.get_by_role("link", name="Remove the filter tag blue").click()
    expect(page.locator(".tile")).to_have_count(4)
    assert set(coats(page)) == {"red"}


def test_time_filter_includes_its_start_and_excludes_its_end(
    server: Server, open_page: NewPage
) -> None:
    page = open_page(server)
    describe(page, "a red coat")
    page.get_by_role("textbox", name="From").fill("2026-05-01T08:15")
    page.get_by_role("textbox", name="Until").fill("2026-05-01T09:15")
    page.get_by_role("button", name="Search").click()

    expect(page.locator(".tile")).to_have_count(4)
    assert sorted(names(page)) == ["green-0.jpg", "red-1.jpg", "red-2.jpg", "red-3.jpg"]


def test_more_like_this_finds_the_same_coat(server: Server, open_page: NewPage) -> None:
    page = open_page(server)
    describe(page, "a green coat")
    first = names(page)[0]
    page.get_by_role("link", name=f"More like picture {first}").click()

    expect(page.locator(".asked")).to_contain_text(first)
    assert coats(page)[:3] == ["green"] * 3
    assert first not in names(page)


def test_picture_page_tells_everything_and_leads_back(server: Server, open_page: NewPage) -> None:
    page = open_page(server)
    describe(page, "a blue coat")
    page.locator("#cameras-summary").click()
    page.get_by_role("checkbox", name="south gate").check()
    expect(page.locator(".tile")).to_have_count(6)
    asked, found = page.url, names(page)
    page.locator(".shot").first.click()

    expect(page.get_by_role("heading", name=found[0])).to_be_visible()
    coat, shot = re.fullmatch(r"(\w+)-(\d)\.jpg", found[0]).groups()  # type: ignore[union-attr]
    told = dict(
        zip(page.locator("dt").all_inner_texts(), page.locator("dd").all_inner_texts(), strict=True)
    )
    assert told["Camera"] == "south gate"
    assert told["Captured"] == f"1 May 2026, 10:{15 * int(shot):02} UTC"
    assert told["Tags"] == coat
    assert told["External id"] == f"{coat}-{shot}"
    assert told["State"].startswith("searchable since")
    assert re.fullmatch(r"72 . 192 px, image/jpeg, \d+ kB", told["Picture"])
    assert re.fullmatch("[0-9a-f]{64}", told["SHA-256"])
    loaded_width = "image => image.decode().then(() => image.naturalWidth)"
    assert page.locator(".frame img").evaluate(loaded_width) == 72

    page.get_by_role("link", name="Back to the results").click()
    assert (page.url, names(page)) == (asked, found)
    page.go_back()
    page.go_back()
    expect(page.locator(".tile")).to_have_count(6)
    assert (page.url, names(page)) == (asked, found)


def test_back_returns_to_the_search_before(server: Server, open_page: NewPage) -> None:
    page = open_page(server)
    describe(page, "a red coat")
    describe(page, "a blue coat")
    page.go_back()
    expect(page).to_have_title(re.compile("a red coat"))
    assert coats(page)[:4] == ["red"] * 4
    expect(page.get_by_label("Describe the person")).to_have_value("a red coat")


def test_show_more_goes_on_where_the_results_ended(server: Server, open_page: NewPage) -> None:
    page = open_page(server, "/?gallery=street&text=a+red+coat&limit=5")
    before = names(page)
    page.get_by_role("link", name="Show more").click()
    expect(page.locator(".tile")).to_have_count(10)
    assert names(page)[:5] == before
    expect(page.locator("#rank-6 a.shot")).to_be_focused()
    expect(page.get_by_role("heading", name="10 pictures, best match first")).to_be_visible()
    page.keyboard.press("Tab")
    page.get_by_role("link", name="Show more").press("Enter")
    expect(page.locator(".tile")).to_have_count(12)
    expect(page.get_by_role("link", name="Show more")).to_have_count(0)
    assert len(set(names(page))) == 12


def test_show_more_is_a_page_of_its_own_without_javascript(
    server: Server, open_page: NewPage
) -> None:
    page = open_page(server, "/?gallery=street&text=a+red+coat&limit=5", java_script_enabled=False)
    before = names(page)
    page.get_by_role("link", name="Show more").click()
    expect(page.get_by_role("heading", name="Pictures 6 to 10, best match first")).to_be_visible()
    assert not set(names(page)) & set(before)
    page.get_by_role("link", name="From the best match on").click()
    assert names(page) == before


def test_typing_during_a_search_is_not_lost(server: Server, open_page: NewPage) -> None:
    page = open_page(server)
    page.route("**/?gallery=*", lambda route: (page.wait_for_timeout(150), route.continue_())[1])
    box = page.get_by_label("Describe the person")
    box.fill("a red coat")
    page.keyboard.press("Enter")
    box.press_sequentially(" and a hat")
    expect(page.locator(".rank").first).to_be_visible()
    expect(box).to_have_value("a red coat and a hat")
    page.get_by_role("textbox", name="From").fill("2026-05-01T08:15")
    page.get_by_role("textbox", name="Until").fill(
        "2026-05-01T09:15"
    )  # leaving the first one searches
    expect(page).to_have_url(re.compile("after=2026-05-01T08"))
    expect(page.get_by_role("textbox", name="Until")).to_have_value("2026-05-01T09:15")


def test_search_works_without_javascript(server: Server, open_page: NewPage) -> None:
    page = open_page(server, java_script_enabled=False)
    page.get_by_label("Describe the person").fill("a person in a green coat")
    page.locator("#cameras-summary").click()
    page.get_by_role("checkbox", name="south gate").check()
    follow(page.get_by_role("button", name="Search"))
    assert coats(page)[:2] == ["green", "green"]
    assert set(page.locator(".camera").all_inner_texts()) == {"south gate"}
    follow(page.locator(".like").first)
    assert coats(page)[0] == "green"
    page.locator(".shot").first.click()
    expect(page.get_by_text("Back to the results")).to_be_visible()
    page.locator(".chips, .crumb").first.get_by_role("link").click()
    expect(page.locator(".asked")).to_be_visible()


def test_keyboard_alone_gets_from_question_to_picture(server: Server, open_page: NewPage) -> None:
    page = open_page(server)
    press = page.keyboard.press

    def tab_to(selector: str, most: int = 40) -> None:
        for _ in range(most):
            press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        pytest.fail(f"Tab does not reach {selector}")

    press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    press("Enter")
    tab_to("#text", most=2)
    page.keyboard.type("a blue coat")
    press("Enter")
    expect(page.locator(".tile")).to_have_count(12)
    tab_to("#cameras-summary")
    press("Enter")
    tab_to("#camera-2", most=2)
    press("Space")
    expect(page.locator(".tile")).to_have_count(6)
    press("Escape")
    expect(page.locator("#cameras-summary")).to_be_focused()
    expect(page.get_by_role("checkbox", name="south gate")).to_be_hidden()
    tab_to("#rank-1 .shot")
    outline = page.locator("#rank-1 .shot").evaluate("e => getComputedStyle(e).outlineStyle")
    assert outline == "solid"
    press("Enter")
    expect(page.get_by_role("link", name="More like this")).to_be_visible()
    tab_to("#delete")
    press("Enter")
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    press("Escape")
    expect(page.locator("#delete")).to_be_focused()
