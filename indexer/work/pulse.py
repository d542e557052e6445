"""What a worker is at, whether that takes too long, and what has come of its work so far."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

_LEAST_S = 4.0  # nothing that takes less is called stuck
_MOST_S = 60.0  # nothing that takes longer is believed; a first time has this long
_PATIENCE = 4  # times the slowest of the last ones
_REMEMBERED = 20


@dataclass(frozen=True, slots=True)
class Lap:
    """One step that is over. started_ns: since 1970."""

    step: str
    started_ns: int
    seconds: float


@dataclass(frozen=True, slots=True)
class WorkTotals:
    """Since the worker was made. failed: pictures by kind. steps: (times, seconds) by step."""

    batches: int
    embedded: int
    failed: Mapping[str, int]
    steps: Mapping[str, tuple[int, float]]


@dataclass(slots=True)
class _Lane:
    """What one thread is at. since: by the pulse's clock."""

    step: str
    since: float
    allowed_s: float


class Pulse:
    """Kept by the threads of one worker, read by any.

    A worker that hangs can't say so, so each step announces itself, and is held against what it
    took before: four times the slowest of the last twenty, for as many pictures, but from 4 to
    60 seconds. What was never done yet has 60.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._lanes: dict[int, _Lane] = {}  # by thread
        self._slowest: dict[str, deque[float]] = {}  # seconds a picture
        self._batches = self._embedded = 0
        self._failed: Counter[str] = Counter()
        self._times: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def start(self) -> None:
        """This thread's loop begins to turn."""
        self._enter("turn", _LEAST_S)

    def stop(self) -> None:
        """It turns no more, on purpose."""
        with self._lock:
            self._lanes.pop(threading.get_ident(), None)

    @contextmanager
    def turning(self) -> Iterator[None]:
        """This thread's loop turns in the block."""
        self.start()
        try:
            yield
        finally:
            self.stop()

    @contextmanager
    def step(
        self, name: str, num_pictures: int = 1, laps: list[Lap] | None = None, of: str = ""
    ) -> Iterator[None]:
        """What is done in the block, by this thread.

        num_pictures: how many it is done to, where that matters. laps: gets this one too. of: whose
        step it is, where some take longer than others.
        """
        turns = threading.get_ident() in self._lanes
        started, started_ns = self._clock(), time.time_ns()
        lane = self._enter(name, self._allowance(name + of, num_pictures))
        try:
            yield
        finally:
            took_s = self._clock() - started
            self._remember(name + of, (self._clock() - lane.since) / num_pictures)
            with self._lock:
                self._times[name] += 1
                self._seconds[name] += took_s
            if laps is not None:
                laps.append(Lap(name, started_ns, took_s))
            if turns:
                self._enter("turn", _LEAST_S)
            else:
                self.stop()

    def beat(self) -> None:
        """Part of this thread's step is done: its time begins anew."""
        lane = self._lanes.get(threading.get_ident())
        if lane is not None:
            self._remember(lane.step, self._clock() - lane.since)
            with self._lock:
                lane.since = self._clock()

    def count_batch(self) -> None:
        """A batch of rows that were claimed is over."""
        with self._lock:
            self._batches += 1

    def count_embedded(self, num_pictures: int) -> None:
        """So many became searchable."""
        with self._lock:
            self._embedded += num_pictures

    def count_failed(self, kind: str) -> None:
        """A picture was given up. kind: one of a few words."""
        with self._lock:
            self._failed[kind] += 1

    def totals(self) -> WorkTotals:
        """What has come of it so far."""
        with self._lock:
            steps = {name: (self._times[name], self._seconds[name]) for name in self._times}
            return WorkTotals(self._batches, self._embedded, dict(self._failed), steps)

    def trouble(self) -> str | None:
        """Why it can't be working, or None."""
        with self._lock:
            if not self._lanes:
                return "it does not run"
            for lane in self._lanes.values():
                for_s = self._clock() - lane.since
                if for_s > lane.allowed_s:
                    return f"stuck for {for_s:.1f} s in the step {lane.step!r}"
            return None

    def _enter(self, name: str, allowed_s: float) -> _Lane:
        with self._lock:
            lane = _Lane(name, self._clock(), allowed_s)
            self._lanes[threading.get_ident()] = lane
            return lane

    def _allowance(self, name: str, num_pictures: int) -> float:
        with self._lock:
            before = self._slowest.get(name)
            if not before:
                return _MOST_S
            return min(_MOST_S, max(_LEAST_S, _PATIENCE * max(before) * num_pictures))

    def _remember(self, name: str, seconds: float) -> None:
        with self._lock:
            self._slowest.setdefault(name, deque(maxlen=_REMEMBERED)).append(seconds)
