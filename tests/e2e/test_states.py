"""What the page says when there is nothing to show, not yet, or something is wrong."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.conftest import ColourEncoder
from tests.e2e.conftest import SERVER_GONE, NewPage, Watched
from tests.e2e.people import street
from tests.e2e.server import Server, running_server


def test_no_gallery_invites_to_make_one(fresh_server: Server, open_page: NewPage) -> None:
    page = open_page(fresh_server)
    expect(page.get_by_role("heading", name="No gallery yet")).to_be_visible()
    page.get_by_role("link", name="Create a gallery").click()
    expect(page.get_by_label("Name of the new gallery")).to_be_visible()


def test_empty_gallery_invites_to_upload(fresh_server: Server, open_page: NewPage) -> None:
    fresh_server.fill("street", [])
    page = open_page(fresh_server)
    expect(page.get_by_role("heading", name="street is empty")).to_be_visible()
    page.get_by_role("link", name="Upload pictures").click()
    expect(page.get_by_label("Gallery", exact=True)).to_have_value("street")


def test_upload_link_follows_the_chosen_gallery(fresh_server: Server, open_page: NewPage) -> None:
    fresh_server.fill("airport", [])
    fresh_server.fill("street", [])
    page = open_page(fresh_server)
    page.get_by_label("Gallery", exact=True).select_option("street")
    expect(page.get_by_role("heading", name="street is empty")).to_be_visible()
    page.get_by_role("link", name="Upload", exact=True).click()
    expect(page.get_by_label("Gallery", exact=True)).to_have_value("street")


def test_results_refresh_while_pictures_are_indexed(tmp_path: Path, open_page: NewPage) -> None:
    with running_server(tmp_path, ColourEncoder(), with_worker=False) as server:
        server.post_files("street", street())
        page = open_page(server, "/?gallery=street&text=a+red+coat")
        expect(page.locator(".notice")).to_contain_text("12 of 12 pictures are still being indexed")
        page.get_by_label("Describe the person").fill("half a thou")
        server.work()
        expect(page.locator(".tile")).to_have_count(12)
        expect(page.locator(".notice")).to_have_count(0)
        expect(page.get_by_label("Describe the person")).to_have_value("half a thou")


def test_no_match_offers_to_clear_the_filters(server: Server, open_page: NewPage) -> None:
    page = open_page(server, "/?gallery=street&text=a+red+coat&after=2030-01-01T00:00")
    expect(page.get_by_role("heading", name="No picture passes these filters")).to_be_visible()
    page.get_by_role("link", name="Search without filters").click()
    expect(page.locator(".tile")).to_have_count(12)


def test_wrong_addresses_are_explained(
    server: Server, open_page: NewPage, watched: Watched
) -> None:
    watched.expected = ("404", "422", "does not conform")
    page = open_page(server, "/?gallery=nowhere")
    for path, words in [
        ("/?gallery=nowhere", "There is no gallery named 'nowhere'."),
        ("/?gallery=%00%0A", "There is no gallery named"),
        ("/pictures/999999", "There is no image 999999."),
        ("/pictures/abc", "image_id"),
        ("/?gallery=street&like=999999", "There is no image 999999."),
        ("/?gallery=street&like=abc", "There is no image"),
        ("/?gallery=street&text=x&after=yesterday", "From: expected a date and a time"),
        ("/?gallery=street&text=x&after=2026-05-02T00:00&before=2026-05-01T00:00", "Until must"),
        (f"/?gallery=street&text={'x' * 2001}", "2,001 characters; at most 2,000"),
        ("/?gallery=street&text=%01", "Description: describe a person: the text is empty."),
        ("/?gallery=street&text=x&camera=%00", "Cameras: "),
        ("/?gallery=street&text=x&before=0001-01-01T00:00%2B14:00", "Until: expected a date"),
    ]:
        answer = page.goto(path)
        assert answer is not None
        assert answer.status in (404, 422), path
        expect(page.locator("main")).to_contain_text(words)


def test_pasted_description_is_not_cut_in_silence(server: Server, open_page: NewPage) -> None:
    page = open_page(server)
    box = page.get_by_label("Describe the person")
    box.fill("red " * 600)
    page.keyboard.press("Enter")
    assert box.evaluate("box => box.validationMessage").startswith("At most 2,000 characters")
    assert page.locator(".rank").count() == 0
    box.fill("red")
    page.keyboard.press("Enter")
    expect(page.locator(".rank")).to_have_count(12)


def test_long_description_is_said_to_be_cut(server: Server, open_page: NewPage) -> None:
    page = open_page(server)
    page.get_by_label("Describe the person").fill("a red coat and " * 100)
    page.keyboard.press("Enter")
    expect(page.get_by_text("longer than the model reads")).to_be_visible()


def test_server_gone_is_said_and_recovered_from(
    fresh_server: Server, open_page: NewPage, watched: Watched
) -> None:
    fresh_server.fill("street", street())
    page = open_page(fresh_server, "/?gallery=street&text=a+red+coat")
    watched.expected = SERVER_GONE
    fresh_server.stop()
    page.get_by_label("Describe the person").fill("a blue coat")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The server can't be reached")
    expect(page.locator(".tile")).to_have_count(12)
    fresh_server.start()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".shot img").first).to_have_attribute("alt", re.compile("Picture blue"))
