"""Deleting a picture from its page."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.conftest import SERVER_GONE, NewPage, Watched
from tests.e2e.people import draw_person
from tests.e2e.server import Server


def test_delete_asks_first_then_removes_the_picture(
    fresh_server: Server, open_page: NewPage
) -> None:
    sent = [(f"red-{place}.jpg", draw_person("red", place), {}) for place in range(3)]
    fresh_server.fill("street", sent)
    page = open_page(fresh_server, "/?gallery=street&text=a+red+coat")
    expect(page.locator(".tile")).to_have_count(3)
    name = page.locator(".shot img").first.get_attribute("alt") or ""
    page.locator(".shot").first.click()
    address = page.url

    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete", exact=True).click()

    expect(page.locator(".tile")).to_have_count(2)
    expect(page.get_by_alt_text(name)).to_have_count(0)
    assert page.request.get(address).status == 404
    assert fresh_server.services.catalogue.gallery("street").counts.searchable == 2


def test_delete_that_fails_says_why(
    fresh_server: Server, open_page: NewPage, watched: Watched
) -> None:
    fresh_server.fill("street", [("red.jpg", draw_person("red"), {})])
    page = open_page(fresh_server, "/?gallery=street&text=a+red+coat")
    page.locator(".shot").first.click()
    page.get_by_role("button", name="Delete…").click()
    watched.expected = SERVER_GONE
    fresh_server.stop()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("The server can't be reached")
    fresh_server.start()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("heading", name="street is empty")).to_be_visible()
