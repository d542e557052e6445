"""An archive dropped on the upload page becomes an import, with a page that follows it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from indexer.imports.jobs import ImportRequest
from tests.conftest import Pictures
from tests.e2e.conftest import NewPage
from tests.e2e.server import Server

SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 375, "height": 720}}


def archive(folder: Path, num_pictures: int = 12) -> Path:
    path = folder / "crops.tar"
    files = [(f"{seed}.png", Pictures().noise(seed)) for seed in range(num_pictures)]
    files += [("../way-out.png", b"x"), ("notes.txt", b"no picture"), ("again.png", files[0][1])]
    with tarfile.open(path, "w") as packed:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("size", SIZES)
def test_archive_on_the_upload_page_becomes_an_import(
    fresh_server: Server, open_page: NewPage, tmp_path: Path, size: str
) -> None:
    fresh_server.services.catalogue.create_gallery("street")
    page = open_page(fresh_server, "/upload?gallery=street", viewport=SIZES[size])
    page.locator("#files").set_input_files(archive(tmp_path))
    page.get_by_role("button", name="Upload 1 file").press("Enter")
    page.get_by_role("link", name="follow it").press("Enter")
    page.get_by_text("Done", exact=True).wait_for()
    assert page.locator("#tally").inner_text() == "12 accepted · 1 already there · 2 refused"
    reasons = page.locator("#entries tbody tr").all_inner_texts()
    assert "../way-out.png" in reasons[0] and "leads out of the archive" in reasons[0]
    assert "not_a_picture" in reasons[1]
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= SIZES[size]["width"], "the page is wider than the window"
    page.get_by_role("link", name="Already there").press("Enter")
    page.get_by_text("again.png").wait_for()
    page.get_by_role("link", name="Imports").press("Enter")
    page.get_by_role("link", name="crops.tar").wait_for()


def test_import_is_followed_and_cancelled(
    fresh_server: Server, open_page: NewPage, tmp_path: Path
) -> None:
    fresh_server.with_worker = False
    fresh_server.stop()
    fresh_server.start()
    fresh_server.services.catalogue.create_gallery("street")
    page = open_page(fresh_server, "/upload?gallery=street")
    page.locator("#files").set_input_files(archive(tmp_path))
    page.get_by_role("button", name="Upload 1 file").click()
    page.get_by_role("link", name="follow it").click()
    page.get_by_text("Waiting", exact=True).wait_for()
    lease = fresh_server.services.catalogue.imports.work.claim(60.0)
    assert lease is not None
    page.get_by_text("Running", exact=True).wait_for()
    page.get_by_role("button", name="Cancel the import").press("Enter")
    page.get_by_text("Cancelled", exact=True).wait_for()
    assert fresh_server.services.store.archives() == {}


def test_page_without_javascript_tells_and_cancels(
    fresh_server: Server, open_page: NewPage, tmp_path: Path
) -> None:
    fresh_server.services.catalogue.create_gallery("street")
    asked = ImportRequest("folder", "/srv/crops", "somebody", "")
    job, _ = fresh_server.services.catalogue.imports.create("street", asked)
    page = open_page(fresh_server, f"/upload/imports/{job.id}", java_script_enabled=False)
    page.get_by_text("Import 1 into").wait_for()
    page.goto(f"/upload/imports/{job.id}")
    page.get_by_text("Failed", exact=True).wait_for()  # it is in no allowed place
    assert "PASSERBY_IMPORT_FROM" in page.locator("#problem").inner_text()
