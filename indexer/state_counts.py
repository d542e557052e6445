"""How many pictures galleries have, by state; of large ones, as it was a moment ago."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from indexer.records import Counts, State
from indexer.tables import images

_SHARE = 20  # counting may take this part of the time
_FEW = 100_000  # so many together are counted each time
_GROUPS: tuple[tuple[State, ...], ...] = (("pending", "failed"), ("searchable",))
"""What waits is few, mostly: how many is known at once, also where all others are millions."""

Numbers = dict[str, int]  # by state


@dataclass(slots=True)
class _Kept:
    """Numbers of many. until: they are given so long, by the monotonic clock."""

    numbers: Numbers
    until: float


class StateCounts:
    """Counts of galleries; many are kept for 20 times as long as counting took, and while they are
    counted anew. Safe for many threads."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, tuple[State, ...]], _Kept] = {}
        self._lock = threading.Lock()

    def read(self, connection: Connection, gallery_ids: Sequence[int]) -> dict[int, Counts]:
        """Of each of these galleries, by id."""
        waiting, searchable = (self._read(connection, gallery_ids, group) for group in _GROUPS)
        return {one: Counts(**waiting[one], **searchable[one]) for one in gallery_ids}

    def _read(
        self, connection: Connection, gallery_ids: Sequence[int], states: tuple[State, ...]
    ) -> dict[int, Numbers]:
        with self._lock:
            now = time.monotonic()
            kept = {one: self._kept.get((one, states)) for one in gallery_ids}
            due = [one for one, last in kept.items() if last is None or last.until <= now]
            for one in due:
                if (last := kept[one]) is not None:
                    last.until = math.inf  # one counts, and others don't wait for it
        found = {one: last.numbers for one, last in kept.items() if last is not None}
        return found | self._count(connection, due, states) if due else found

    def _count(
        self, connection: Connection, gallery_ids: Sequence[int], states: tuple[State, ...]
    ) -> dict[int, Numbers]:
        columns = images.c.gallery_id, images.c.state
        mine = images.c.gallery_id.in_(gallery_ids) & images.c.state.in_(states)
        counted = select(*columns, func.count()).where(mine).group_by(*columns)
        found: dict[int, Numbers] = {one: dict.fromkeys(states, 0) for one in gallery_ids}
        kept: dict[tuple[int, tuple[State, ...]], _Kept] = {}
        started = time.monotonic()
        try:
            for gallery_id, state, number in connection.execute(counted):
                found[gallery_id][state] = number
            ended = time.monotonic()
            if sum(sum(numbers.values()) for numbers in found.values()) > _FEW:
                until = ended + _SHARE * (ended - started)
                kept = {(one, states): _Kept(numbers, until) for one, numbers in found.items()}
        finally:
            with self._lock:
                for one in gallery_ids:
                    self._kept.pop((one, states), None)
                self._kept |= kept
        return found
