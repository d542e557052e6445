"""What threads ask for at the same time, done in one go."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, cast

A = TypeVar("A")
V = TypeVar("V")


class Together(Generic[A, V]):
    """Calls `make` with what several threads ask for, one call at a time.

    Who finds it idle is served at once and alone. Who finds it busy waits, and when it is free,
    one of those who wait makes what all of them asked for, the oldest first.
    """

    def __init__(
        self,
        make: Callable[[Sequence[A]], Sequence[V]],
        *,
        most: int,
        wait_s: float = 0.0,
        apart: bool = False,
    ) -> None:
        """make: as many values as it is given, in their order. most: asked for in one call.

        wait_s: so long at most a call waits for as many as the last one had, where there was one
        to wait for. apart: what fails is made again one by one, so that each gets its own error;
        else all of a call get the same one.
        """
        self._make = make
        self._most = most
        self._wait_s = wait_s
        self._apart = apart
        self._lock = threading.Lock()
        self._free = threading.Condition(self._lock)  # a call is over
        self._come = threading.Condition(self._lock)  # one more waits
        self._waiting: deque[_Asked[A, V]] = deque()
        self._is_making = False
        self._last_size = 1

    def get(self, wanted: A) -> V:
        """Blocks until it is made. Raises what `make` does."""
        asked: _Asked[A, V] = _Asked(wanted)
        with self._lock:
            self._waiting.append(asked)
            self._come.notify()
        while batch := self._take(asked):
            try:
                self._answer(batch)
            finally:
                self._end(batch)
        return asked.answer()

    def _take(self, asked: _Asked[A, V]) -> list[_Asked[A, V]]:
        """What this thread has to make now; nothing once `asked` is answered."""
        with self._lock:
            others = self._is_making
            self._free.wait_for(lambda: asked.is_answered or not self._is_making)
            if asked.is_answered:
                return []
            self._is_making = True
            if others and self._wait_s:
                expected = min(self._last_size, self._most)
                self._come.wait_for(lambda: len(self._waiting) >= expected, self._wait_s)
            batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            self._last_size = len(batch)
            return batch

    def _answer(self, batch: Sequence[_Asked[A, V]]) -> None:
        try:
            values = self._make([asked.wanted for asked in batch])
        except Exception as error:
            if self._apart and len(batch) > 1:
                for asked in batch:
                    self._answer([asked])
            else:
                for asked in batch:
                    asked.error = error
        else:
            for asked, value in zip(batch, values, strict=True):
                asked.value, asked.error = value, None

    def _end(self, batch: Sequence[_Asked[A, V]]) -> None:
        with self._lock:
            for asked in batch:
                asked.is_answered = True
            self._is_making = False
            self._free.notify_all()


class _Asked(Generic[A, V]):
    """One thread's wish, and what became of it."""

    def __init__(self, wanted: A) -> None:
        self.wanted = wanted
        self.is_answered = False
        self.value: V | None = None
        # Until it is made: who makes it may be torn away, by Ctrl-C for one.
        self.error: Exception | None = RuntimeError("it was given up half-way")

    def answer(self) -> V:
        if self.error is not None:
            raise self.error
        return cast("V", self.value)
