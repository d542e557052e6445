"""What the database tells of itself, for those who ask again and again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_FRESH_S = 2.0
_COST = 20  # reading may take this share of the time: one part in 20
_WAIT_S = 2.0

log = logging.getLogger("passerby.metrics")


class Fresh(Generic[T]):
    """Something that the database tells, read when asked for and kept for a moment; one reader at a
    time, in a thread that may hang. Thread-safe."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._figures: T | None = None
        self._stale_at = float("-inf")
        self._reading: threading.Event | None = None  # set when it is over

    def get(self) -> T | None:
        """None where the database doesn't answer, or not in time."""
        with self._lock:
            if time.monotonic() < self._stale_at:
                return self._figures
            if self._reading is None:
                self._reading = threading.Event()
                threading.Thread(target=self._look, name="figures", daemon=True).start()
            reading = self._reading
        if not reading.wait(_WAIT_S):
            return None
        with self._lock:
            return self._figures

    def _look(self) -> None:
        started = time.monotonic()
        figures, keep_s = None, _FRESH_S
        try:
            figures = self._read()
            keep_s = max(_FRESH_S, _COST * (time.monotonic() - started))
        except Exception as error:
            log.warning("figures can't be read: %s", error)
        with self._lock:
            self._figures = figures
            self._stale_at = time.monotonic() + keep_s
            assert self._reading is not None
            self._reading.set()
            self._reading = None
