"""kill -9 at random under mixed load: nothing acknowledged is lost, nothing is there twice.

Every 5 s, with p = 0.3, one of the processes is killed, whatever state it is in.
SOAK_MINUTES=20 SOAK_SEED=0 SOAK_MODEL=small SOAK_READY_S=30
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from indexer.catalogue import Catalogue
from indexer.records import Image
from indexer.storage.object_store import ObjectStore
from tests.conftest import Pictures
from tests.postgresql import running_postgresql
from tests.soak.fleet import Passerby, Server, keeping_up, wait_until_ready
from tests.soak.load import GALLERY, Client, load, search_everything, wait_for
from tests.soak.options import MODEL, READY_S, SEED, minutes, quantile, show

pytestmark = pytest.mark.timeout(0)

KILL_EVERY_S, KILL_SHARE = 5.0, 0.3
NUM_CLIENTS, PAUSE_S = 4, 0.3
SETTLE_S = 300.0  # a dead worker's pictures come back one by one when their lease has ended


@dataclass
class Deployment:
    """What is run, and what of it is killed."""

    programs: list[Passerby]
    members: list[Passerby | Server]
    database_url: str
    folder: Path


@pytest.fixture(params=["sqlite", "postgresql"])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """SQLite: `serve`. PostgreSQL: it, `api` and `worker`. All are ready."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path / 'data' / 'passerby.db'}"
            programs = [Passerby("serve", tmp_path, url)]
            members: list[Passerby | Server] = [*programs]
        else:
            server = stack.enter_context(running_postgresql(folder=None))
            server.stop()
            url = server.url
            programs = [Passerby("api", tmp_path, url), Passerby("worker", tmp_path, url)]
            members = [*programs, Server(server)]
        stack.enter_context(keeping_up(members))
        wait_until_ready(programs)
        yield Deployment(programs, members, url, tmp_path)


class Clock:
    """How long it takes from each kill until all can be used again."""

    def __init__(self, programs: Sequence[Passerby]) -> None:
        self.ready_after_s: list[float] = []
        self.num_overtaken = 0  # killed again before
        self._programs = programs
        self._killed_at: float | None = None

    def killed(self) -> None:
        """Just now."""
        self.num_overtaken += self._killed_at is not None
        self._killed_at = time.monotonic()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look every 0.2 s."""
        left = threading.Event()
        thread = threading.Thread(target=self._watch, args=(left,), daemon=True)
        thread.start()
        try:
            yield
            wait_for(lambda: self._killed_at is None, 2 * READY_S, "it is not ready again")
        finally:
            left.set()
            thread.join()

    def _watch(self, left: threading.Event) -> None:
        with httpx.Client(timeout=10) as http:
            while not left.wait(0.2):
                killed_at = self._killed_at
                if killed_at is not None and self._is_usable(http) and killed_at == self._killed_at:
                    self._killed_at = None
                    self.ready_after_s.append(time.monotonic() - killed_at)

    def _is_usable(self, http: httpx.Client) -> bool:
        """All are ready, and a search, which no check from before the kill can answer, works."""
        question = {"gallery": GALLERY, "text": "red"}
        try:
            found = http.post(f"{self._programs[0].url}/search", json=question)
        except httpx.TransportError:
            return False
        return found.is_success and all(program.is_ready(http) for program in self._programs)


def test_nothing_is_lost_when_processes_are_killed(deployment: Deployment) -> None:
    api = deployment.programs[0]
    httpx.post(f"{api.url}/galleries", json={"name": GALLERY}).raise_for_status()
    clients = [Client(api.url, SEED, place, NUM_CLIENTS) for place in range(NUM_CLIENTS)]
    clock, dice = Clock(deployment.programs), random.Random(SEED)
    kills: Counter[str] = Counter()
    end = time.monotonic() + minutes(20)
    with load(clients, PAUSE_S), clock.running():
        while time.monotonic() < end:
            time.sleep(KILL_EVERY_S)
            if dice.random() < KILL_SHARE:
                victim = dice.choice(deployment.members)
                if victim.is_running():
                    victim.kill()
                    clock.killed()
                    kills[victim.name] += 1
    figures = verify(deployment, clients)
    counts = sum((client.counts for client in clients), Counter[str]())
    ready = clock.ready_after_s
    show(
        f"kill -9 at random, {minutes(20) / 60:g} minutes, seed {SEED}, model {MODEL}",
        {
            **{f"kills of {name}": number for name, number in kills.items()},
            **dict(sorted(counts.items())),
            "ready again, median / most": f"{quantile(ready, 0.5):.1f} / {max(ready):.1f} s"
            if ready
            else "never killed",
            "killed again before it was ready": clock.num_overtaken,
            **figures,
        },
    )
    assert [wrong for client in clients for wrong in client.wrong] == []
    assert kills, "nothing was killed: run it for longer"
    assert max(ready) < READY_S
    wanted = dict.fromkeys(("lost", "not searchable", "twice", "back from deletion"), 0)
    assert {name: figures[name] for name in wanted} == wanted
    assert figures["found by searching"] == figures["in the database"]


def verify(deployment: Deployment, clients: Sequence[Client]) -> dict[str, int]:
    """Compare what clients were told with rows, bytes, changes and what searching finds."""
    expected = {image: number for client in clients for number, image in client.present.items()}
    catalogue = Catalogue(deployment.database_url)
    store = ObjectStore(deployment.folder / "data" / "objects")

    def is_quiet() -> bool:
        return catalogue.gallery(GALLERY).counts.pending == 0

    settled_s = wait_for(is_quiet, SETTLE_S, "pictures are pending for ever")
    time.sleep(1)  # for the index to see the last one
    rows = {image.id: image for image in every_image(catalogue)}
    found = search_everything(deployment.programs[0].url)
    hashes = Counter(image.sha256 for image in rows.values())
    adds = count_adds(catalogue)
    catalogue.close()
    whole = [
        image_id
        for image_id, number in expected.items()
        if image_id in rows and store.get(rows[image_id].sha256) == Pictures().noise(number)
    ]
    return {
        "acknowledged and not deleted": len(expected),
        "lost": len(expected) - len(whole),
        "not searchable": sum(image.state != "searchable" for image in rows.values()),
        "twice": sum(number > 1 for number in hashes.values())
        + sum(adds[image_id] != 1 for image_id in rows),
        "back from deletion": len(rows.keys() - expected.keys()),
        "in the database": len(rows),
        "found by searching": len(found.keys() & rows.keys()) if len(found) == len(rows) else -1,
        "seconds until all were embedded": round(settled_s),
    }


def every_image(catalogue: Catalogue) -> Iterator[Image]:
    """Page by page."""
    last = 0
    while page := catalogue.list_images(GALLERY, after_id=last, limit=1000):
        yield from page
        last = page[-1].id


def count_adds(catalogue: Catalogue) -> Counter[int | None]:
    """How often each image was put into the index, from changes that have no gaps."""
    adds: Counter[int | None] = Counter()
    for first in itertools.count(1, 1000):
        changes, _ = catalogue.changes.page("any", first, 1000)
        assert [change.seq for change in changes] == [*range(first, first + len(changes))]
        adds.update(change.image_id for change in changes if change.op == "add")
        if len(changes) < 1000:
            return adds
    raise AssertionError
