"""Many readers or one writer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class ReadWriteLock:
    """A writer waits for the readers there are; new readers wait for it once its patience is over.

    Till then they may pass: one that reads for long would else keep all others waiting behind the
    writer. Not reentrant.
    """

    def __init__(self, patience_s: float = 0.25) -> None:
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._num_readers = 0
        self._waiting_since: list[float] = []  # writers
        self._is_writing = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Shared with other readers."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_writing and not self._is_pressing())
            self._num_readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._num_readers -= 1
                self._changed.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Alone."""
        with self._changed:
            since = time.monotonic()
            self._waiting_since.append(since)
            try:
                self._changed.wait_for(lambda: not self._is_writing and not self._num_readers)
                self._is_writing = True
            finally:
                self._waiting_since.remove(since)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()

    def _is_pressing(self) -> bool:
        now = time.monotonic()
        return any(now - since >= self._patience_s for since in self._waiting_since)
