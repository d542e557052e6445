"""What a worker does beside embedding, a little at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from indexer.catalogue import Catalogue
from indexer.deletion import sweep
from indexer.erasure import obey_ledger
from indexer.retention import expire
from indexer.storage import ObjectStore
from indexer.storage_survey import Part, adopt_strays

_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3_600.0, 86_400.0
_BUDGET_S = 2.0
_PATIENCE_S = 600.0  # so long it waits for a pause in the work
_AGAIN_S = 30.0  # after it failed
_KEPT_CHANGES = 1_000_000  # who is further behind builds its index from the rows


@dataclass(slots=True)
class _Chore:
    """do: works for about as many seconds as it is given. due: on the monotonic clock."""

    do: Callable[[float], object]
    every_s: float
    due: float


class Housekeeping:
    """Retention, the bytes of what was deleted, the erasure ledger, stray bytes, old changes.

    Any number of workers may do all of it at the same time.
    """

    def __init__(self, catalogue: Catalogue, store: ObjectStore) -> None:
        self._catalogue = catalogue
        self._store = store
        self._survey: Iterator[Part] | None = None
        now = time.monotonic()
        self._chores = [
            _Chore(lambda budget_s: expire(catalogue, store, budget_s), _MINUTE_S, now),
            _Chore(lambda budget_s: sweep(catalogue, store, budget_s), _MINUTE_S, now),
            _Chore(lambda _: catalogue.changes.prune(_KEPT_CHANGES), _MINUTE_S, now),
            # It was obeyed when the program started.
            _Chore(
                lambda budget_s: obey_ledger(catalogue, store, budget_s), _HOUR_S, now + _HOUR_S
            ),
            _Chore(self._look_for_strays, _DAY_S, now + _HOUR_S),
        ]

    def turn(self, step: Callable[[], AbstractContextManager[None]], *, is_idle: bool) -> None:
        """Do what is due, each thing for about 2 s; what is left goes on with the next turn.

        is_idle: False where there are pictures to embed; then only what has waited long is done.
        step: each thing is done within one. Raises StorageUnavailable, StorageFull,
        DatabaseUnavailable.
        """
        for chore in self._chores:
            started = time.monotonic()
            if started < chore.due + (0.0 if is_idle else _PATIENCE_S):
                continue
            chore.due = started + _AGAIN_S
            with step():
                chore.do(_BUDGET_S)
            is_done = time.monotonic() - started < _BUDGET_S
            chore.due = started + (chore.every_s if is_done else 0.0)

    def _look_for_strays(self, budget_s: float) -> None:
        deadline = time.monotonic() + budget_s
        parts = self._survey or adopt_strays(self._catalogue, self._store)
        self._survey = None  # if it fails it begins anew
        for _ in parts:
            if time.monotonic() > deadline:
                self._survey = parts
                return
        self._store.drop_abandoned()
