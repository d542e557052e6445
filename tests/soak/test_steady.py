"""20 searches a second with ingestion: no error, memory flat, and how long searches take.

Searches are due at fixed moments, whether or not those before were answered, and their time counts
from then. The first fifth is warm-up; in runs of less than 10 minutes caches still fill after it,
so memory is told but not judged. SOAK_MINUTES=60 SOAK_SEED=0 SOAK_MODEL=small
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.postgresql import running_postgresql
from tests.soak.fleet import Passerby, keeping_up, wait_until_ready
from tests.soak.load import COLOURS, GALLERY, Client, load
from tests.soak.options import MODEL, SEED, minutes, quantile, show

pytestmark = pytest.mark.timeout(0)

SEARCHES_PER_S = 20
PICTURES_PER_S = 2.0
SAMPLE_EVERY_S = 2.0
MOST_GROWTH, JUDGED_FROM_S = 0.05, 600.0


class Ingester(Client):
    """Puts pictures in, and takes the oldest out once there are `num_kept`."""

    num_kept = 0

    def act(self) -> None:
        self._upload([self._new_number() for _ in range(4)])
        while len(self.present) > self.num_kept:
            self._delete(next(iter(self.present)))


@pytest.fixture(params=["sqlite", "postgresql"])
def programs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Passerby]]:
    """SQLite: `serve`. PostgreSQL: `api` and `worker`. All are ready."""
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path / 'data' / 'passerby.db'}"
        if request.param == "postgresql":
            url = stack.enter_context(running_postgresql(folder=None)).url
        commands = ["serve"] if request.param == "sqlite" else ["api", "worker"]
        started = [Passerby(command, tmp_path, url) for command in commands]
        stack.enter_context(keeping_up(started))
        wait_until_ready(started)
        yield started


class Searcher:
    """Asks on time, from as many threads as it takes."""

    def __init__(self, url: str) -> None:
        self.taken_s: list[tuple[float, float]] = []  # when it was due, how long it took
        self.errors: list[str] = []
        self._http = httpx.Client(base_url=url, timeout=30)
        self._random = random.Random(SEED)

    def run(self, end: float) -> None:
        """Until `end` (monotonic)."""
        due = time.monotonic()
        with ThreadPoolExecutor(64) as pool:
            while due < end:
                time.sleep(max(0.0, due - time.monotonic()))
                # Half are asked for the first time, and half again and again.
                number = self._random.choice([self._random.randrange(10**9), 0])
                text = f"a {self._random.choice(COLOURS)} coat {number}"
                pool.submit(self._search, text, due)
                due += 1 / SEARCHES_PER_S

    def _search(self, text: str, due: float) -> None:
        question = {"gallery": GALLERY, "text": text, "limit": 20}
        try:
            answer = self._http.post("/search", json=question)
        except httpx.HTTPError as error:
            self.errors.append(repr(error))
            return
        if not answer.is_success:
            self.errors.append(f"{answer.status_code} {answer.text}")
        self.taken_s.append((due, time.monotonic() - due))


class Scales:
    """Weighs processes now and then."""

    def __init__(self, programs: list[Passerby]) -> None:
        self.samples: dict[str, list[int]] = {program.name: [] for program in programs}
        self._programs = programs

    def run(self, left: threading.Event) -> None:
        """Until told."""
        while not left.wait(SAMPLE_EVERY_S):
            for program in self._programs:
                self.samples[program.name].append(program.rss_bytes())

    def growth(self, name: str) -> tuple[float, float, float]:
        """MB after the warm-up, MB in the end, and the ratio less 1, of medians of tenths."""
        steady = self.samples[name][len(self.samples[name]) // 5 :]
        tenth = max(1, len(steady) // 10)
        first, last = (
            quantile([float(s) for s in part], 0.5) for part in (steady[:tenth], steady[-tenth:])
        )
        return first / 1e6, last / 1e6, last / first - 1


def test_memory_is_flat_and_nothing_fails(programs: list[Passerby]) -> None:
    api = programs[0]
    httpx.post(f"{api.url}/galleries", json={"name": GALLERY}).raise_for_status()
    ingester, searcher, scales = Ingester(api.url, SEED, 0, 1), Searcher(api.url), Scales(programs)
    pids = [program.process.pid for program in programs if program.process]
    left = threading.Event()
    weighing = threading.Thread(target=scales.run, args=(left,), daemon=True)
    started, lasts_s = time.monotonic(), minutes(60)
    warm = started + lasts_s / 5
    ingester.num_kept = int(PICTURES_PER_S * lasts_s / 5)  # reached when the warm-up ends
    with load([ingester], pause_s=4 / PICTURES_PER_S):
        weighing.start()
        searcher.run(started + lasts_s)
    left.set()
    weighing.join()
    taken_ms = [1000 * taken for due, taken in searcher.taken_s if due >= warm]
    growth = {name: scales.growth(name) for name in scales.samples}
    show(
        f"{SEARCHES_PER_S} searches/s for {lasts_s / 60:g} minutes on {len(programs)} processes, "
        f"model {MODEL}",
        {
            "searches": len(searcher.taken_s),
            "errors": len(searcher.errors),
            **{
                f"p{100 * share:g}": f"{quantile(taken_ms, share):.0f} ms"
                for share in (0.5, 0.95, 0.99)
            },
            **{
                f"memory of {name}": f"{first:.0f} -> {last:.0f} MB ({ratio:+.1%})"
                for name, (first, last, ratio) in growth.items()
            },
            **dict(sorted(ingester.counts.items())),
        },
    )
    assert (searcher.errors, ingester.wrong) == ([], [])
    assert pids == [program.process.pid for program in programs if program.process]
    if lasts_s >= JUDGED_FROM_S:
        assert max(ratio for _, _, ratio in growth.values()) < MOST_GROWTH
