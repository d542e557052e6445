"""A thread that does one piece of work after another, and can say whether it does."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from indexer.errors import IndexerError

log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 2.0  # whoever repairs something wants to see it work
_STUCK_S = 60.0  # longer than any step takes while storage and database answer at all
_JOIN_S = 5.0


class Loop:
    """Turns until it is stopped. What fails is logged, told by trouble() and tried again."""

    def __init__(
        self,
        name: str,
        turn: Callable[[], bool],
        poll_s: float = 1.0,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """name: a plural. turn: does a piece of work; whether there was any. poll_s: how long to
        wait where there was none. around: entered by the thread, for as long as it turns."""
        self._name = name
        self._turn = turn
        self._poll_s = poll_s
        self._around = around
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._moved_at = 0.0
        self._error: str | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Turn until the block is left, and a little longer where a turn takes its time: what it
        works on is under a lease, and whoever starts next goes on."""
        self._stop.clear()
        self._moved_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self.nudge()
            self._thread.join(_JOIN_S)

    @property
    def is_stopping(self) -> bool:
        """Whether a long turn should end early."""
        return self._stop.is_set()

    @property
    def error(self) -> str | None:
        """Why the last turn failed, or None."""
        return self._error

    def nudge(self) -> None:
        """There is work: don't wait for the next poll."""
        self._wake.set()

    def beat(self) -> None:
        """Part of a turn is done."""
        self._moved_at = time.monotonic()

    def trouble(self) -> str | None:
        """Why it can't be working, or None."""
        if self.is_stopping:
            return None
        if self._thread is None or not self._thread.is_alive():
            return "it does not run"
        for_s = time.monotonic() - self._moved_at
        return f"stuck for {for_s:.0f} s" if for_s > _STUCK_S else self._error

    def _run(self) -> None:
        with self._around():
            self._turn_until_stopped()

    def _turn_until_stopped(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self.is_stopping:
            self._wake.clear()
            self.beat()
            try:
                wait_s = 0.0 if self._turn() else self._poll_s
                self._error, pause_s = None, _FIRST_PAUSE_S
            except Exception as error:
                self._error = str(error) or type(error).__name__
                unknown = None if isinstance(error, IndexerError) else error
                log.warning("%s pause for %g s: %s", self._name, pause_s, error, exc_info=unknown)
                wait_s, pause_s = pause_s, min(2 * pause_s, _LONGEST_PAUSE_S)
            if wait_s and not self.is_stopping:
                self._wake.wait(wait_s)
