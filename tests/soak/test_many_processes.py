"""Two API processes and three workers on one PostgreSQL: each picture embedded once, both indexes
equal in the end, no change skipped by who follows.

The encoder is a small true one: what is proven is who takes which picture. SOAK_PICTURES=20000
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from indexer.catalogue import Catalogue
from tests.conftest import ColourEncoder, Pictures
from tests.postgresql import running_postgresql
from tests.soak import fleet
from tests.soak.fleet import Passerby, keeping_up, wait_until_ready
from tests.soak.load import GALLERY, camera_of, search_everything, wait_for
from tests.soak.options import PICTURES, show

pytestmark = pytest.mark.timeout(0)

NUM_APIS, NUM_WORKERS, NUM_CLIENTS, EACH = 2, 3, 6, 20


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Passerby]]:
    """Ready: APIs first, each with a data folder of its own but for the pictures."""
    monkeypatch.setattr(fleet, "MODEL", "colours")
    monkeypatch.setenv("PASSERBY_STORAGE_URL", str(tmp_path / "objects"))
    with running_postgresql(folder=None) as server:
        names = [f"api-{n}" for n in range(NUM_APIS)] + [f"worker-{n}" for n in range(NUM_WORKERS)]
        started = [Passerby(name.split("-")[0], tmp_path, server.url, name) for name in names]
        with keeping_up(started):
            wait_until_ready(started)
            yield started


class Follower:
    """Reads changes as an index does; what it saw, in its order."""

    def __init__(self, url: str) -> None:
        self.seen: list[tuple[int, int | None]] = []
        self._catalogue = Catalogue(url)

    def run(self, left: threading.Event) -> None:
        """Until told, and then to the end."""
        while True:
            last_look = left.is_set()
            after = self.seen[-1][0] if self.seen else 0
            found, _ = self._catalogue.changes.page("any", after + 1, 1000)
            self.seen += [(change.seq, change.image_id) for change in found]
            if not found and last_look:
                return self._catalogue.close()
            time.sleep(0.01)


def upload(url: str, first: int) -> list[int]:
    """EACH pictures from number `first` on; their ids."""
    numbers = range(first, min(first + EACH, PICTURES))
    files = [("files", (f"{number}.png", Pictures().noise(number))) for number in numbers]
    about = ",".join(f'"{number}.png": {{"camera": "{camera_of(number)}"}}' for number in numbers)
    answer = httpx.post(
        f"{url}/galleries/{GALLERY}/images",
        files=files,
        data={"metadata": f"{{{about}}}"},
        timeout=120,
    )
    results = answer.raise_for_status().json()["results"]
    assert {result["status"] for result in results} == {"accepted"}
    return [result["image_id"] for result in results]


def test_each_picture_is_embedded_once_and_every_index_has_it(
    programs: list[Passerby], tmp_path: Path
) -> None:
    apis = programs[:NUM_APIS]
    httpx.post(f"{apis[0].url}/galleries", json={"name": GALLERY}).raise_for_status()
    url = programs[0].database_url
    catalogue, follower, left = Catalogue(url), Follower(url), threading.Event()
    following = threading.Thread(target=follower.run, args=(left,), daemon=True)
    following.start()
    started = time.monotonic()
    with ThreadPoolExecutor(NUM_CLIENTS) as pool:
        firsts = range(0, PICTURES, EACH)
        urls = [apis[place % NUM_APIS].url for place in range(len(firsts))]
        ids = {image_id for part in pool.map(upload, urls, firsts) for image_id in part}
    uploaded_s = time.monotonic() - started

    def is_quiet() -> bool:
        return catalogue.gallery(GALLERY).counts.pending == 0

    wait_for(is_quiet, 3600, "pictures are pending for ever")
    embedded_s = time.monotonic() - started
    last = catalogue.changes.last()
    wait_for(lambda: {generation(api) for api in apis} == {last}, 60, "an index is behind")
    left.set()
    following.join()

    found = [search_everything(api.url) for api in apis]
    with catalogue.database.read() as connection:
        attempts = Counter(connection.scalars(text("SELECT attempts FROM images")))
    counts = catalogue.gallery(GALLERY).counts
    catalogue.close()
    given = [int(path.read_text()) for path in tmp_path.iterdir() if path.name.isdigit()]
    show(
        f"{NUM_APIS} APIs and {NUM_WORKERS} workers on one PostgreSQL",
        {
            "pictures": len(ids),
            "uploaded in": f"{uploaded_s:.0f} s",
            "embedded in": f"{embedded_s:.0f} s",
            "given to encoders": f"{sum(given)} ({', '.join(map(str, sorted(given)))})",
            "changes": last,
            "changes seen by a follower": len(follower.seen),
            "found through each API": [len(one) for one in found],
        },
    )
    assert len(ids) == counts.searchable == PICTURES
    assert counts.failed == 0
    assert attempts == {1: PICTURES}
    assert sum(given) == PICTURES
    assert [seq for seq, _ in follower.seen] == list(range(1, PICTURES + 1))
    assert Counter(image_id for _, image_id in follower.seen) == dict.fromkeys(ids, 1)
    assert found[0] == found[1]
    assert found[0].keys() == ids


def generation(api: Passerby) -> int:
    """The last change that the index of this process has."""
    question = {"gallery": GALLERY, "text": "red", "limit": 1}
    answer = httpx.post(f"{api.url}/search", json=question, timeout=30).raise_for_status().json()
    assert answer["model"] == ColourEncoder.fingerprint
    return int(answer["generation"])
