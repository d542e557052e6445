"""What a worker does beside embedding, a little at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from indexer.catalogue import Catalogue
from indexer.erasure.deletion import sweep
from indexer.erasure.replay import obey_in_parts
from indexer.erasure.retention import expire
from indexer.erasure.survey import adopt_strays
from indexer.models.removal import remove_dropped
from indexer.storage.object_store import ObjectStore

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


class _InParts:
    """Something long, done over as many calls as it needs; if it fails it begins anew."""

    def __init__(self, begin: Callable[[], Iterator[object]]) -> None:
        self._begin = begin
        self._rest: Iterator[object] | None = None

    def __call__(self, budget_s: float) -> None:
        deadline = time.monotonic() + budget_s
        parts, self._rest = self._rest or self._begin(), None
        for _ in parts:
            if time.monotonic() > deadline:
                self._rest = parts
                return


class Housekeeping:
    """Retention, the bytes of what was deleted, the erasure ledger, stray bytes, old changes, what
    dropped models left, and what SQLite's log keeps.

    Any number of workers may do all of it at the same time.
    """

    def __init__(self, catalogue: Catalogue, store: ObjectStore) -> None:
        self._catalogue = catalogue
        self._store = store
        now = time.monotonic()
        self._chores = [
            _Chore(lambda budget_s: expire(catalogue, store, budget_s), _MINUTE_S, now),
            _Chore(lambda budget_s: sweep(catalogue, store, budget_s), _MINUTE_S, now),
            _Chore(lambda _: catalogue.changes.prune(_KEPT_CHANGES), _MINUTE_S, now),
            _Chore(lambda _: catalogue.database.empty_log(), _MINUTE_S, now),
            _Chore(_InParts(lambda: remove_dropped(catalogue.database)), _MINUTE_S, now),
            # It was obeyed when the program started.
            _Chore(_InParts(lambda: obey_in_parts(catalogue, store)), _HOUR_S, now + _HOUR_S),
            _Chore(_InParts(self._look_through_storage), _DAY_S, now + _HOUR_S),
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

    def _look_through_storage(self) -> Iterator[object]:
        yield from obey_in_parts(self._catalogue, self._store, whole=True)
        yield from adopt_strays(self._catalogue, self._store)
        self._store.drop_abandoned()
