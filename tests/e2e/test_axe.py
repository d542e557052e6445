"""Every page gone over by axe-core, which finds nothing: light and dark, desktop and phone.

The shipped model and drawn people, so that all parts of a page are there: verdict, people, why.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page

from app.loading import load_encoder
from app.settings import Settings
from app.wiring import draw_identities
from indexer.records import Box
from tests.detector import DETECTOR, street
from tests.e2e.conftest import NewPage, Watched
from tests.e2e.server import Server, running_server, wait_until

DESCRIBED = "/?gallery=town&text=a+woman+in+a+red+coat+and+black+trousers,+no+hat"
PAGES = {
    "welcome": "/",
    "results": f"{DESCRIBED}&camera=harbour-1&after=2020-01-01T00:00",
    "verdict": DESCRIBED,
    "refined": f"{DESCRIBED}&right=1&wrong=2",
    "people": f"{DESCRIBED}&by=person",
    "like": "/?gallery=town&like=1",
    "nothing": "/?gallery=town&text=x&after=2099-01-01T00:00",
    "wrong": "/?gallery=town&text=x&after=never",
    "no gallery": "/?gallery=nowhere",
    "map": "/map?gallery=town&text=a+man+in+a+blue+coat&camera=harbour-1",
    "no map": "/map?gallery=yard",
    "picture": "/pictures/1?from=text%3Da%2Bman",
    "frame": "/pictures/105?from=text%3Da%2Bman",
    "hits in frames": "/?gallery=crossing&text=a+man",
    "why": "/pictures/1?text=a+man+in+a+blue+coat+and+white+shoes",
    "no picture": "/pictures/999999",
    "cases": "/casebook?gallery=town",
    "case": "/casebook/1",
    "closed case": "/casebook/2",
    "add to a case": "/casebook/add?image_id=1&from=gallery%3Dtown%26text%3Da%2Bman",
    "no case": "/casebook/999999",
    "upload": "/upload?gallery=town",
    "imports": "/upload/imports",
    "import": "/upload/imports/1",
    "login": "/login",
    "no page": "/nowhere",
}
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves the gallery `town`: 26 drawn people, and an import that refused something; and
    `crossing`: a frame with two people."""
    folder = tmp_path_factory.mktemp("town")
    encoder = load_encoder(Settings(data_dir=folder))
    with running_server(folder, encoder, detector=DETECTOR) as started:
        drawn = draw_identities(0, 26, 4, seed=9)
        started.fill(
            "town",
            [
                (
                    f"{number}.jpg",
                    as_jpeg(picture.image),
                    {"camera": picture.camera, "captured_at": picture.captured_at.isoformat()},
                )
                for number, picture in enumerate(drawn)
            ],
        )
        start_import(started)
        draw_map(started)
        started.post_files("yard", [])
        started.fill_frames("crossing", [street(red=Box(20, 20, 20, 60), blue=Box(90, 20, 20, 60))])
        begin_cases(started)
        yield started


def as_jpeg(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "JPEG")
    return content.getvalue()


def start_import(server: Server) -> None:
    """One entry that is no picture."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        info = tarfile.TarInfo("notes.txt")
        info.size = 5
        archive.addfile(info, io.BytesIO(b"notes"))
    headers = {"content-type": "application/x-tar"}
    url = f"{server.url}/galleries/town/imports?file_name=crops.tar"
    job = httpx.post(url, content=packed.getvalue(), headers=headers).raise_for_status().json()
    wait_until(
        lambda: httpx.get(f"{server.url}/imports/{job['id']}").json()["state"] == "done",
        "the import is done",
    )


def draw_map(server: Server) -> None:
    url = f"{server.url}/galleries/town/map"
    httpx.post(url, json={}).raise_for_status()
    wait_until(lambda: httpx.get(url).json()["state"] == "done", "the map is drawn", 90)


def begin_cases(server: Server) -> None:
    """One with pictures, notes and an emptied place, and a closed one."""
    for number, is_open in ((1, True), (2, False)):
        case = httpx.post(f"{server.url}/galleries/town/cases", json={"name": f"Case {number}"})
        url = f"{server.url}/cases/{case.raise_for_status().json()['id']}"
        found = {"by": "description", "text": "a man", "rank": 1, "score": 0.5}
        for image_id in (1, 2, 102 + number):
            body = {"image_id": image_id, "note": "him", "found": found}
            httpx.post(f"{url}/exhibits", json=body).raise_for_status()
        httpx.delete(f"{server.url}/images/{102 + number}").raise_for_status()
        httpx.patch(url, json={"version": 1, "is_open": is_open}).raise_for_status()


def findings(page: Page) -> list[str]:
    """What axe-core has against the page as it is."""
    response = Axe().run(page).response
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:200]}"
        for rule in response["violations"]
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize(("size", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_axe_finds_nothing(
    town: Server, open_page: NewPage, watched: Watched, size: str, scheme: str
) -> None:
    watched.expected = ("404", "422", "does not conform to the required format")
    page = open_page(town, viewport=SIZES[size], color_scheme=scheme)
    found = {}
    for name, path in PAGES.items():
        page.goto(path)
        page.wait_for_load_state("networkidle")
        for summary in page.locator("summary").all():
            if summary.is_visible():
                summary.click()
        found[name] = findings(page)
    assert {name: told for name, told in found.items() if told} == {}


def test_axe_would_find_something(town: Server, open_page: NewPage) -> None:
    page = open_page(town)
    page.evaluate("document.getElementById('gallery').labels[0].remove()")
    assert any(told.startswith("select-name (critical)") for told in findings(page))
