"""Two buttons on each hit: the right person, the wrong one."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.conftest import NewPage
from tests.e2e.server import Server
from tests.e2e.test_search import coats, follow, names


def test_marks_refine_show_and_clear(server: Server, open_page: NewPage) -> None:
    page = open_page(server, "/?gallery=street&text=a+red+coat")
    before = names(page)
    green = next(name for name in before if name.startswith("green"))
    right = page.get_by_role("button", name=f"Right person: picture {green}")
    assert right.get_attribute("aria-pressed") == "false"
    right.focus()
    page.keyboard.press("Space")
    expect(right).to_have_attribute("aria-pressed", "true")
    expect(right).to_be_focused()
    assert coats(page)[:4] == ["green"] * 4
    wrong = names(page)[1]
    page.get_by_role("button", name=f"Wrong person: picture {wrong}").click()
    expect(page.locator(".tile")).to_have_count(11)
    assert wrong not in names(page)
    expect(page.get_by_role("region", name="Pictures that you marked")).to_be_visible()
    page.get_by_role("link", name="is the wrong person").click()
    expect(page.locator(".tile")).to_have_count(12)
    page.get_by_role("link", name="Clear marks").click()
    expect(page.get_by_role("region", name="Pictures that you marked")).to_have_count(0)
    assert names(page) == before


def test_marks_work_without_javascript(server: Server, open_page: NewPage) -> None:
    page = open_page(server, "/?gallery=street&text=a+red+coat", java_script_enabled=False)
    first = names(page)[0]
    follow(page.get_by_role("button", name=f"Wrong person: picture {first}"))
    assert first not in names(page)
    assert len(names(page)) == 11
    page.get_by_label("Describe the person").fill("a blue coat")
    follow(page.get_by_role("button", name="Search", exact=True))
    assert first not in names(page), "marks outlast another wording"
