"""1 to 32 workers on one PostgreSQL: the real queue and real vectors, an encoder that sleeps.

Each worker is a process that claims a batch, sleeps as long as a GPU would take, and finishes the
batch, until nothing is left; two cores suffice for that. What they encoded is counted: no picture
may be done twice, and changes must be numbered without gaps. B pictures a batch, D numbers each.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
from sqlalchemy import event

from benchmarks.performance.filled_postgresql import MODEL, add_pending, make_schema
from benchmarks.performance.row import Row, Size, at_most
from indexer.catalogue import Catalogue
from tests.postgresql import running_postgresql

if TYPE_CHECKING:
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier

_DIM = 512
_LEASE_S = 60.0
_SAMPLE_S = 0.02
_PATIENCE_S = 300.0
_WAITS = """SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'client backend'
 AND state = 'active' AND wait_event_type IN ('Lock', 'LWLock') AND pid <> pg_backend_pid()"""
_CHANGES = "SELECT count(*), count(DISTINCT image_id), min(seq), max(seq) FROM changes"


@dataclass(frozen=True)
class Plan:
    """batch: B. encode_s: of a batch. batches: for each worker."""

    workers: tuple[int, ...]
    batch: int
    encode_s: float
    batches: int
    backlog: int


_PLANS = {
    "full": Plan((1, 2, 4, 8, 16, 32), 256, 2.0, 6, 1_000_000),
    "tiny": Plan((1, 2), 4, 0.01, 2, 100),
}


@dataclass
class Part:
    """What one worker did. ids: of what it encoded. lost: how many of those were no longer its."""

    ids: list[int] = field(default_factory=list)
    claim_s: list[float] = field(default_factory=list)
    finish_s: list[float] = field(default_factory=list)
    began_at: float = 0.0
    ended_at: float = 0.0
    lost: int = 0


@dataclass(frozen=True)
class Run:
    """What all did. waits: how many sessions waited for each kind of lock, on average."""

    parts: list[Part]
    waits: dict[str, float]

    @property
    def num_pictures(self) -> int:
        """Encoded, each time counted."""
        return sum(len(part.ids) for part in self.parts)

    @property
    def num_again(self) -> int:
        """Encoded although they had been before, or lost after that."""
        distinct = {image_id for part in self.parts for image_id in part.ids}
        return self.num_pictures - len(distinct) + sum(part.lost for part in self.parts)

    def per_s(self, what: str) -> float:
        """Of ids or of claim_s: how many a second, of all workers while each worked."""
        worked = [part for part in self.parts if part.ids]
        return sum(len(getattr(part, what)) / (part.ended_at - part.began_at) for part in worked)

    def quantile_ms(self, what: str, share: float) -> float:
        """Of claims, or of finishes: so many took at most this long."""
        return 1000 * float(
            np.quantile([s for part in self.parts for s in getattr(part, what)], share)
        )


def measure(size: Size) -> list[Row]:
    """By number of workers; then a claim beside a backlog, and the log's own pace."""
    plan = _PLANS[size]
    rows: list[Row] = []
    with running_postgresql(folder=None) as server:
        make_schema(server.url, _DIM)
        num_done = 0
        for workers in plan.workers:
            add_pending(server.url, workers * plan.batches * plan.batch)
            run = simulate(server.url, workers, plan.batch, plan.encode_s)
            num_done += run.num_pictures
            rows += _tell(run, workers, plan, _count_gaps(server.url, num_done))
        rows += _beside_backlog(server.url, plan)
        rows += _hold_lock(server.url, plan)
    return rows


def simulate(url: str, workers: int, batch: int, encode_s: float) -> Run:
    """Until nothing is pending."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ready, told = context.Barrier(workers + 1), context.Queue()
    arguments = (told, url, ready, batch, encode_s)
    processes = [
        context.Process(target=_work, args=(*arguments, place * encode_s / workers))
        for place in range(workers)
    ]
    for process in processes:
        process.start()
    ready.wait(_PATIENCE_S)
    with _sampling(url) as waits:
        parts = [told.get(timeout=_PATIENCE_S) for _ in processes]
    for process in processes:
        process.join()
    return Run(parts, waits)


def _work(
    told: Queue[Part], url: str, ready: Barrier, batch: int, encode_s: float, begin_s: float
) -> None:
    """begin_s: after the others; workers that all commit at the same moment are no likely ones."""
    catalogue, part = Catalogue(url), Part()
    vectors_BD = np.random.default_rng(0).standard_normal((batch, _DIM), np.float32)
    vectors_BD /= np.linalg.norm(vectors_BD, axis=1, keepdims=True)
    catalogue.ping()
    ready.wait()
    time.sleep(begin_s)
    part.began_at = time.time()
    while True:
        started = time.perf_counter()
        claims = catalogue.queue.claim(batch, _LEASE_S)
        part.claim_s.append(time.perf_counter() - started)
        if not claims:
            break
        time.sleep(encode_s)
        part.ids += [claim.image_id for claim in claims]
        started = time.perf_counter()
        kept = catalogue.queue.finish(claims, {MODEL: vectors_BD[: len(claims)]})
        part.finish_s.append(time.perf_counter() - started)
        part.lost += len(claims) - kept
        part.ended_at = time.time()
    catalogue.close()
    told.put(part)


@contextmanager
def _sampling(url: str) -> Iterator[dict[str, float]]:
    """Filled once the block is left."""
    seen: Counter[str] = Counter()
    found: dict[str, float] = {}
    stop = threading.Event()

    def sample() -> None:
        looks = 0
        with psycopg.connect(url, autocommit=True) as connection:
            while not stop.wait(_SAMPLE_S):
                looks += 1
                seen.update(event for (event,) in connection.execute(_WAITS))
        found.update({event: number / max(looks, 1) for event, number in seen.items()})

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def _tell(run: Run, workers: int, plan: Plan, num_gaps: int) -> Iterator[Row]:
    name = f"{workers} workers" if workers > 1 else "1 worker"
    ideal = workers * plan.batch / plan.encode_s
    pictures = run.per_s("ids")
    yield Row(
        f"{name}: pictures, against an encoder's pace alone",
        pictures,
        "/s",
        ideal,
        pictures / ideal,
    )
    yield Row(f"{name}: claims", run.per_s("claim_s"), "/s")
    for what in ("claim", "finish"):
        p50, p99 = (run.quantile_ms(f"{what}_s", share) for share in (0.5, 0.99))
        yield Row(f"{name}: {what}, p50", p50, "ms")
        yield Row(f"{name}: {what}, p99", p99, "ms")
    yield Row(
        f"{name}: of them waiting for the number of a change", run.waits.get("advisory", 0.0), ""
    )
    others = sum(number for event, number in run.waits.items() if event != "advisory")
    yield Row(f"{name}: of them waiting for other locks", others, "")
    yield at_most(0, f"{name}: pictures encoded twice or in vain", run.num_again, "")
    yield at_most(0, f"{name}: change numbers missing or twice", num_gaps, "")


def _count_gaps(url: str, num_done: int) -> int:
    """Of the changes, which began with 1 and are one for each picture."""
    with psycopg.connect(url) as connection:
        found = connection.execute(_CHANGES).fetchone()
    assert found is not None
    number, distinct, first, last = map(int, found)
    return abs(number - num_done) + abs(distinct - num_done) + abs(first - 1) + abs(last - num_done)


def _beside_backlog(url: str, plan: Plan) -> Iterator[Row]:
    """Claims where many more wait, and where as many are under a lease as 32 workers hold."""
    add_pending(url, plan.backlog)
    catalogue = Catalogue(url)
    leased = 32 * 3 if plan.backlog > 1000 else 2  # at most three batches of each are in flight
    first = [_time_claim(catalogue, plan.batch) for _ in range(8)]
    for _ in range(leased):
        catalogue.queue.claim(plan.batch, 600.0)
    last = [_time_claim(catalogue, plan.batch) for _ in range(8)]
    catalogue.close()
    value, against = 1000 * float(np.median(last)), 1000 * float(np.median(first))
    yield Row(
        f"claim {plan.batch} of {plan.backlog:,} beside {leased * plan.batch:,} under leases",
        value,
        "ms",
        against,
        against / value,
    )


def _time_claim(catalogue: Catalogue, batch: int) -> float:
    started = time.perf_counter()
    assert len(catalogue.queue.claim(batch, 600.0)) == batch
    return time.perf_counter() - started


def _hold_lock(url: str, plan: Plan) -> Iterator[Row]:
    """The bound of all workers together: from the lock on numbers to the end of the commit, which
    writes vectors and rows to the disk as well, they take turns."""
    catalogue, vectors_BD = Catalogue(url), np.full((plan.batch, _DIM), _DIM**-0.5, np.float32)
    locked: list[float] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "pg_advisory_xact_lock" in statement:
            locked.append(time.perf_counter())

    event.listen(catalogue.database.engine, "after_cursor_execute", note)
    seconds = []
    for _ in range(100 if plan.backlog > 1000 else 3):
        claims = catalogue.queue.claim(plan.batch, _LEASE_S)
        assert catalogue.queue.finish(claims, {MODEL: vectors_BD}) == plan.batch
        seconds.append(time.perf_counter() - locked.pop())
    catalogue.close()
    yield Row(f"finish {plan.batch}, from the lock on", 1000 * float(np.median(seconds)), "ms")
