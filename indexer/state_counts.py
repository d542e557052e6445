"""How many pictures galleries have, by state; of large ones, as it was a moment ago."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from indexer.records import Counts, State
from indexer.tables import images

_SHARE = 20  # counting may take this part of the time
_FEW = 100_000  # so many together are counted each time
_GROUPS: tuple[tuple[State, ...], ...] = (("pending", "failed"), ("searchable",))
"""What waits is few, mostly: how many is known at once, also where all others are millions."""


class StateCounts:
    """Counts of galleries; many are kept for 20 times as long as counting took. Safe for many
    threads."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, State], int] = {}
        self._until: dict[tuple[int, tuple[State, ...]], float] = {}

    def read(self, connection: Connection, gallery_ids: Sequence[int]) -> dict[int, Counts]:
        """Of each of these galleries, by id."""
        now = time.monotonic()
        for states in _GROUPS:
            due = [one for one in gallery_ids if self._until.get((one, states), 0.0) <= now]
            if due:
                self._count(connection, due, states)
        return {
            gallery_id: Counts(
                **{
                    state: self._numbers.get((gallery_id, state), 0)
                    for states in _GROUPS
                    for state in states
                }
            )
            for gallery_id in gallery_ids
        }

    def _count(
        self, connection: Connection, gallery_ids: Sequence[int], states: tuple[State, ...]
    ) -> None:
        columns = images.c.gallery_id, images.c.state
        mine = images.c.gallery_id.in_(gallery_ids) & images.c.state.in_(states)
        counted = select(*columns, func.count()).where(mine).group_by(*columns)
        started = time.monotonic()
        found = {(gallery_id, state): n for gallery_id, state, n in connection.execute(counted)}
        ended = time.monotonic()
        kept_s = _SHARE * (ended - started) if sum(found.values()) > _FEW else 0.0
        for gallery_id in gallery_ids:
            for state in states:
                self._numbers[gallery_id, state] = found.get((gallery_id, state), 0)
            self._until[gallery_id, states] = ended + kept_s
