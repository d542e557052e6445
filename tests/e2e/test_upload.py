"""Uploading: choose, drop, follow until searchable, and what goes wrong on the way."""

from __future__ import annotations

import base64
import re

from playwright.sync_api import FilePayload, Page, Route, expect

from tests.conftest import Pictures
from tests.e2e.conftest import NewPage, Watched
from tests.e2e.people import COATS, draw_person
from tests.e2e.server import Server


def payload(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "image/jpeg", "buffer": content}


def choose(page: Page, *files: FilePayload) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose pictures…").click()
    chooser.value.set_files(list(files))


def drop(page: Page, name: str, content: bytes) -> None:
    """Drop one file on the target, as the browser would report it."""
    transfer = page.evaluate_handle(
        """([name, base64]) => {
            const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, {type: "image/jpeg"}));
            return transfer;
        }""",
        [name, base64.b64encode(content).decode()],
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})


def outcome(page: Page, name: str) -> str:
    return page.get_by_role("row", name=name).get_by_role("cell").nth(2).inner_text()


def test_upload_makes_a_gallery_and_follows_until_searchable(
    fresh_server: Server, open_page: NewPage
) -> None:
    page = open_page(fresh_server)
    page.get_by_role("link", name="Create a gallery and upload pictures").click()
    page.get_by_label("Name of the new gallery").fill("station-north")
    page.get_by_label("Camera").fill("gate 2")
    page.get_by_label("Captured, UTC").fill("2026-05-01T14:30")
    blue = draw_person("blue")
    choose(
        page,
        *(payload(f"{coat}.jpg", draw_person(coat)) for coat in COATS),
        payload("again.jpg", blue),
        payload('no "picture".jpg', b"nothing to see"),
        payload("half.jpg", blue[: len(blue) // 2]),
    )
    drop(page, "dropped.jpg", draw_person("red", place=9))
    page.get_by_role("button", name="Upload 7 pictures").click()

    expect(page.locator("#indexed-text")).to_have_text("4 of 4")
    expect(page.locator("#sent-text")).to_have_text("7 of 7 files")
    expect(page.locator("#tally")).to_have_text("4 accepted · 1 already there · 2 refused")
    expect(page.get_by_role("status")).to_have_text("Indexing finished: 4 searchable, 0 failed.")
    assert [outcome(page, f"{name}.jpg") for name in ("red", "dropped")] == ["Searchable"] * 2
    assert re.fullmatch(r"Already there as picture \d+", outcome(page, "again.jpg"))
    for refused in ('no "picture".jpg', "half.jpg"):
        assert re.fullmatch(r"[A-Z].+\.", outcome(page, refused)), refused

    page.get_by_label("Only problems").check()
    assert page.locator("#rows tr:visible").count() == 2
    page.get_by_role("link", name="Search this gallery").click()
    page.wait_for_load_state()  # Enter is for the script, which comes after the form
    page.get_by_label("Describe the person").fill("a blue coat")
    page.keyboard.press("Enter")
    expect(page.locator(".shot img").first).to_have_attribute("alt", "Picture blue.jpg")
    expect(page.locator(".camera").first).to_have_text("gate 2")
    expect(page.locator("time").first).to_have_text("1 May 2026, 14:30")


def test_upload_sends_in_batches(fresh_server: Server, open_page: NewPage) -> None:
    fresh_server.fill("street", [])
    page = open_page(fresh_server, "/upload?gallery=street")
    posts: list[str] = []
    page.on("request", lambda request: request.method == "POST" and posts.append(request.url))
    choose(page, *(payload(f"{place}.jpg", draw_person("red", place)) for place in range(45)))
    page.get_by_role("button", name="Upload 45 pictures").click()
    expect(page.locator("#indexed-text")).to_have_text("45 of 45")
    assert len(posts) == 3


def test_upload_goes_on_after_a_lost_connection(
    fresh_server: Server, open_page: NewPage, watched: Watched
) -> None:
    fresh_server.fill("street", [])
    page = open_page(fresh_server, "/upload?gallery=street")
    watched.expected = ("ERR_FAILED",)
    lost: list[Route] = []

    def lose_first(route: Route) -> None:
        if route.request.method == "POST" and not lost:
            lost.append(route)
            route.abort()
        else:
            route.continue_()

    page.route("**/galleries/street/images*", lose_first)
    choose(page, payload("red.jpg", draw_person("red")))
    page.get_by_role("button", name="Upload 1 picture").click()
    expect(page.locator("#problem")).to_contain_text("Trying again in 1 s")
    expect(page.locator("#indexed-text")).to_have_text("1 of 1")
    expect(page.locator("#problem")).to_be_hidden()


def test_upload_warns_before_it_is_left(fresh_server: Server, open_page: NewPage) -> None:
    fresh_server.fill("street", [])
    page = open_page(fresh_server, "/upload?gallery=street")
    held: list[Route] = []
    page.route("**/galleries/street/images", lambda route: held.append(route))
    choose(page, payload("red.jpg", draw_person("red")))
    page.get_by_role("button", name="Upload 1 picture").click()
    expect(page.locator("#rows tr")).to_have_class("sending")
    asked: list[str] = []

    def stay(dialog: object) -> None:
        asked.append(dialog.type)  # type: ignore[attr-defined]
        dialog.dismiss()  # type: ignore[attr-defined]

    page.on("dialog", stay)
    page.evaluate("location.assign('/')")
    page.wait_for_timeout(200)
    assert asked == ["beforeunload"]
    for route in held:
        route.continue_()
    expect(page.locator("#indexed-text")).to_have_text("1 of 1")


def test_upload_refuses_a_bad_gallery_name_in_words(
    fresh_server: Server, open_page: NewPage, watched: Watched
) -> None:
    page = open_page(fresh_server, "/upload")
    watched.expected = ("422",)
    choose(page, payload("red.jpg", draw_person("red")))
    page.get_by_role("button", name="Upload 1 picture").click()
    expect(page.locator("#problem")).to_have_text("Give the new gallery a name.")
    page.get_by_label("Name of the new gallery").fill("Not A Slug")
    page.get_by_role("button", name="Upload 1 picture").click()
    expect(page.locator("#problem")).to_contain_text("a-z, 0-9")
    page.get_by_label("Name of the new gallery").fill("a-slug")
    page.get_by_role("button", name="Upload 1 picture").click()
    expect(page.locator("#indexed-text")).to_have_text("1 of 1")


def test_upload_tells_what_could_not_be_indexed(
    fresh_server: Server, open_page: NewPage, pictures: Pictures
) -> None:
    damaged = bytearray(pictures.noise(1, size=(200, 300)))
    damaged[len(damaged) // 2 :: 7] = bytes(len(damaged[len(damaged) // 2 :: 7]))
    damaged[-12:] = pictures.noise(1)[-12:]  # it ends as a PNG does
    fresh_server.fill("street", [])
    page = open_page(fresh_server, "/upload?gallery=street")
    choose(page, payload("damaged.png", bytes(damaged)), payload("red.jpg", draw_person("red")))
    page.get_by_role("button", name="Upload 2 pictures").click()

    expect(page.locator("#indexed-text")).to_have_text("1 of 2, 1 failed")
    reason = outcome(page, "damaged.png")
    assert len(reason) > 20
    page.reload()
    expect(page.get_by_role("row", name="damaged.png")).to_contain_text(reason)
    page.get_by_role("link", name="damaged.png").click()
    expect(page.locator(".notice")).to_contain_text(reason)
    expect(page.get_by_role("link", name="More like this")).to_have_count(0)
