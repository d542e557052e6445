"""A measured figure, what it stands against and what it was to be; and taking turns to measure."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Size = Literal["full", "tiny"]


@dataclass(frozen=True)
class Row:
    """value, against: in `unit`, from one run. ratio: how many times as good as `against`. target:
    what the ratio, or the value where there is none, was to be. held: whether it is; None where
    nothing was promised."""

    name: str
    value: float
    unit: str
    against: float | None = None
    ratio: float | None = None
    target: str | None = None
    held: bool | None = None


def at_least(
    bound: float,
    name: str,
    value: float,
    unit: str,
    *,
    against: float | None = None,
    ratio: float | None = None,
) -> Row:
    """A row that holds where its ratio, or else its value, reaches the bound."""
    return _judged(">=", bound, Row(name, value, unit, against, ratio))


def at_most(
    bound: float,
    name: str,
    value: float,
    unit: str,
    *,
    against: float | None = None,
    ratio: float | None = None,
) -> Row:
    """A row that holds where its ratio, or else its value, stays within the bound."""
    return _judged("<=", bound, Row(name, value, unit, against, ratio))


def _judged(sign: Literal["<=", ">="], bound: float, row: Row) -> Row:
    number = row.value if row.ratio is None else row.ratio
    held = number >= bound if sign == ">=" else number <= bound
    target = f"{sign} {bound:g}" + (f" {row.unit}" if row.ratio is None else "x")
    return Row(row.name, row.value, row.unit, row.against, row.ratio, target, held)


@dataclass(frozen=True)
class Turns:
    """Seconds of each way in each round."""

    seconds: Mapping[str, list[float]]

    def median_s(self, way: str) -> float:
        """Of one way over all rounds."""
        return statistics.median(self.seconds[way])

    def ratio(self, slow: str, fast: str) -> float:
        """How many times as long `slow` takes: the median of the rounds' ratios."""
        pairs = zip(self.seconds[slow], self.seconds[fast], strict=True)
        return statistics.median(slow_s / fast_s for slow_s, fast_s in pairs)


def take_turns(
    ways: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Turns:
    """Run each way once unmeasured, then all by turns, so that a busy machine slows all alike.

    clock: time.process_time or thread_time for what was computed, without what was waited for.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for run in ways.values():
        run()
    for _ in range(rounds):
        for name, run in ways.items():
            started = clock()
            run()
            seconds[name].append(clock() - started)
    return Turns(seconds)
