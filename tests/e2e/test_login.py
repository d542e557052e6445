"""Logging in by a key, in a real browser under the real headers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from indexer.tables import galleries
from tests.conftest import ColourEncoder
from tests.e2e.conftest import NewPage, Watched
from tests.e2e.people import street
from tests.e2e.server import Server, running_server


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Server]:
    """Serves `street`, which asks for reasons, to holders of a key."""
    with running_server(tmp_path, ColourEncoder()) as server:
        server.fill("street", street())
        with server.services.catalogue.database.write() as connection:
            connection.execute(galleries.update().values(reason_required=True))
        yield server


def test_person_logs_in_says_why_searches_deletes_and_leaves(
    guarded: Server, open_page: NewPage, watched: Watched
) -> None:
    secret, _ = guarded.services.catalogue.keys.create("Mo", ["search", "admin"])
    watched.expected = ("401", "422")
    page = open_page(guarded, "/?gallery=street&text=red")
    expect(page).to_have_title("Log in · Passerby")
    page.get_by_label("Access key").fill("passerby_wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("This key is unknown, expired or ended.")
    page.get_by_label("Access key").fill(secret)
    page.get_by_role("button", name="Log in").click()

    expect(page.get_by_role("heading", name="Say why you look")).to_be_visible()
    page.get_by_label("Reason").fill("case 12")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".tile").first).to_be_visible()
    assert "reason=case+12" in page.url
    page.locator(".shot").first.click()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_url("**/?text=red*")
    assert guarded.services.catalogue.gallery("street").counts.searchable == len(street()) - 1

    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_title("Log in · Passerby")
    page.goto("/")
    expect(page).to_have_title("Log in · Passerby")
    deeds = [row.deed for row in guarded.services.catalogue.audit.rows()]
    assert {deed.who for deed in deeds if deed.key_id} == {"Mo"}
    kinds = [deed.action for deed in deeds if deed.key_id]
    assert kinds[:2] == ["login", "search"]
    assert "delete" in kinds
    assert {deed.reason for deed in deeds if deed.action in ("search", "view")} == {"case 12"}
