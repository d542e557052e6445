"""Cases on the page: by keyboard, on a phone, by dragging, and without scripts."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.cases.verify import check_case
from indexer.access.audit_log import Deed
from tests.e2e.conftest import NewPage, Watched
from tests.e2e.people import street
from tests.e2e.server import Server
from tests.e2e.test_search import follow

RED = "/?gallery=street&text=a+red+coat"
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture
def town(fresh_server: Server) -> Server:
    fresh_server.fill("street", street())
    return fresh_server


def begin(server: Server, *image_ids: int, name: str = "Harbour") -> None:
    """A case with these pictures, made by somebody else."""
    deed, book = Deed(who="somebody", action="case"), server.services.catalogue.cases
    case = book.create("street", name, "", deed)
    for image_id in image_ids:
        book.exhibits.add(case.id, image_id, deed, f"note on {image_id}")


def order(page: Page) -> list[str]:
    """The notes of the pictures, from the first to the last."""
    return [field.input_value() for field in page.locator(".noting textarea").all()]


def fits(page: Page, size: str) -> bool:
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width <= SIZES[size]["width"]


@pytest.mark.parametrize("size", SIZES)
def test_hits_are_collected_by_keyboard_and_exported(
    town: Server, open_page: NewPage, watched: Watched, tmp_path: Path, size: str
) -> None:
    page = open_page(town, RED, viewport=SIZES[size])
    link = page.locator("a.collect-link").first
    link.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Add to a case")
    expect(dialog.get_by_role("radio", name="A new one")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type("Harbour")
    page.keyboard.press("Tab")
    page.keyboard.type("He runs")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(link).to_be_focused()
    expect(link).to_have_text("In a case")
    expect(page.locator("#announcer")).to_have_text("Added to Harbour")
    assert fits(page, size)

    page.locator("a.collect-link").nth(1).press("Enter")
    expect(dialog.get_by_role("radio", name="Harbour")).to_be_checked()
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()

    page.get_by_role("link", name="Cases", exact=True).press("Enter")
    page.get_by_role("link", name="Harbour").press("Enter")
    expect(page.locator(".noting textarea").first).to_have_value("He runs")
    assert order(page) == ["He runs", ""]
    assert "Found by “a red coat” · rank 1" in page.locator("#exhibits").inner_text()
    page.get_by_role("button", name="Move down: number 1").press("Enter")
    expect(page.locator(".noting textarea").nth(1)).to_have_value("He runs")
    expect(page.get_by_role("button", name="Move up: number 2")).to_be_focused()
    page.locator(".noting textarea").first.fill("The bag")
    page.get_by_role("button", name="Save the note on number 1").press("Enter")
    expect(page.locator("#announcer")).to_have_text("Note saved")
    assert order(page) == ["The bag", "He runs"]
    assert fits(page, size)

    with page.expect_download() as download:
        page.get_by_role("link", name="Export").press("Enter")
    download.value.save_as(tmp_path / "case.zip")
    assert check_case(tmp_path / "case.zip").is_whole
    with zipfile.ZipFile(tmp_path / "case.zip") as archive:
        archive.extract("case.html", tmp_path)
    watched.expected = ("request to file://",)  # and no other
    report = page.context.new_page()
    report.goto(f"file://{tmp_path / 'case.html'}")
    expect(report.get_by_role("heading", name="Harbour")).to_be_visible()
    loaded = "image => image.complete && image.naturalWidth > 0"
    assert all(image.evaluate(loaded) for image in report.get_by_role("img").all())
    report.close()


def test_pictures_are_dragged_to_another_place(town: Server, open_page: NewPage) -> None:
    begin(town, 1, 2, 3)
    page = open_page(town, "/casebook/1", viewport={"width": 1280, "height": 1600})
    page.locator(".grip").nth(2).drag_to(page.locator("#exhibits > li").first)
    expect(page.locator(".noting textarea").first).to_have_value("note on 3")
    assert order(page) == ["note on 3", "note on 1", "note on 2"]
    page.locator(".grip").first.drag_to(page.locator("#exhibits > li").nth(2))
    expect(page.locator(".noting textarea").first).to_have_value("note on 1")
    assert order(page) == ["note on 1", "note on 2", "note on 3"]


def test_note_that_is_typed_outlasts_other_steps_and_other_people(
    town: Server, open_page: NewPage, watched: Watched
) -> None:
    begin(town, 1, 2)
    page = open_page(town, "/casebook/1")
    page.locator(".noting textarea").first.fill("mine")
    other = open_page(town, "/casebook/1")
    other.locator(".noting textarea").first.fill("theirs")
    other.get_by_role("button", name="Save the note on number 1").click()
    expect(other.locator("#announcer")).to_have_text("Note saved")
    page.get_by_role("button", name="Move down: number 1").click()
    expect(page.locator(".noting textarea").nth(1)).to_have_value("mine")
    watched.expected = ("409",)
    page.get_by_role("button", name="Save the note on number 2").click()
    alert = page.get_by_role("alert").first
    expect(alert).to_contain_text("was changed meanwhile")
    expect(alert).to_contain_text("mine")
    exhibits = town.services.catalogue.cases.exhibits.all(1)
    assert [one.note for one in exhibits] == ["note on 2", "theirs"]


def test_note_outlasts_a_reason_that_holds_no_more_and_a_case_that_is_gone(
    town: Server, open_page: NewPage, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.access.shown.SAME_FOR_S", 0.0)
    begin(town, 1, 2)
    catalogue = town.services.catalogue
    page = open_page(town, "/casebook/1")
    catalogue.change_gallery("street", {"reason_required": True})
    watched.expected = ("422", "404")
    note, save = page.locator(".noting textarea").first, page.get_by_role("button", name="Save the")
    note.fill("mine")
    save.first.click()
    expect(page.get_by_role("alert")).to_contain_text("Say why you look. Nothing was changed")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Look in another tab").click()
    opened.value.get_by_label("Reason").fill("case 12")
    opened.value.get_by_role("button", name="Show the case").click()
    expect(opened.value.get_by_role("heading", name="Harbour")).to_be_visible()
    save.first.click()
    expect(page.locator("#announcer")).to_have_text("Note saved")
    assert catalogue.cases.exhibits.all(1)[0].note == "mine"
    catalogue.cases.delete(1, Deed(who="somebody", action="case"))
    note.fill("more")
    save.first.click()
    expect(page.get_by_role("alert")).to_contain_text("No such case")
    expect(note).to_have_value("more")


def test_cases_work_without_scripts(town: Server, open_page: NewPage) -> None:
    page = open_page(town, RED, java_script_enabled=False)
    page.locator("a.collect-link").first.click()
    page.get_by_label("Name of the new one").fill("Harbour")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("a.collect-link").first).to_have_text("In a case")
    page.locator(".shot").nth(1).click()
    page.get_by_role("link", name="Add to a case").click()
    page.get_by_label("Note").fill("the second")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("link", name="Cases", exact=True).click()
    page.get_by_role("link", name="Harbour").click()
    follow(page.get_by_role("button", name="Move up: number 2"))
    assert order(page) == ["the second", ""]
    page.locator("summary", has_text="Remove…").first.click()
    follow(page.get_by_role("button", name="Remove it").first)
    assert order(page) == [""]
    page.get_by_text("Rename or describe").click()
    page.get_by_label("Name", exact=True).fill("Port")
    page.get_by_role("button", name="Save", exact=True).first.click()
    expect(page.get_by_role("heading", name="Port")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("button", name="Open again")).to_be_visible()
    page.get_by_text("Delete…").click()
    page.get_by_role("button", name="Delete the case").click()
    expect(page.get_by_text("None in street yet")).to_be_visible()


def test_deleted_picture_is_an_empty_place(town: Server, open_page: NewPage) -> None:
    begin(town, 1, 2)
    assert open_page(town, "/").request.delete("/images/1").ok
    page = open_page(town, "/casebook/1")
    expect(page.get_by_role("heading", name="A picture that was deleted")).to_be_visible()
    assert order(page) == ["note on 2"]
    page.get_by_role("button", name="Move down: number 1, a picture that was deleted").click()
    expect(page.locator("#exhibits > li").nth(1)).to_contain_text("deleted")
