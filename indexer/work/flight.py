"""Batches that are worked on at the same time, and the threads that do it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from indexer.work.embedder import Batch

log = logging.getLogger(__name__)

T = TypeVar("T")

_POLL_S = 0.5


class Flight:
    """What one thread has begun and will answer for. batches: claimed, and not over."""

    def __init__(self, beat: Callable[[], None]) -> None:
        """beat: called twice a second while it waits."""
        self.batches: list[Batch] = []
        self._beat = beat
        self._begun: set[Future[Any]] = set()

    def begin(self, work: Callable[[], T]) -> Future[T]:
        """Do it in a thread of its own, which nobody waits for when the program ends.

        Raises RuntimeError where the system has no thread left.
        """
        future: Future[T] = Future()
        self._begun.add(future)

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

        try:
            threading.Thread(target=run, name="worker stage", daemon=True).start()
        except RuntimeError:
            self._begun.discard(future)  # nobody would ever end it
            raise
        return future

    def wait_for(self, future: Future[T] | None) -> T | None:
        """What came of it; None for nothing. Raises what it raised."""
        if future is None:
            return None
        while not wait([future], _POLL_S).done:
            self._beat()
        self._begun.discard(future)
        return future.result()

    def land(self) -> list[Batch]:
        """Wait for all that was begun, however it ends; the batches that are not over then."""
        for future in list(self._begun):
            try:
                self.wait_for(future)
            except Exception as error:
                log.warning("what was begun meanwhile failed too: %s", error)
        return self.batches
