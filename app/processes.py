"""Several processes that do the same, started again when they end, and stopped together."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from app.errors import CommandError
from indexer.errors import IndexerError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

log = logging.getLogger("passerby.processes")

STOP_S = 30.0  # then a process that was told to stop is killed
_LOOK_S = 0.2
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_SOUND_S = 60.0  # who has answered for so long had no trouble with its start
_STOPPING = signal.SIGINT, signal.SIGTERM

Serve = Callable[[int, Callable[[], None]], None]
"""What a process does: given its place, from 0 on, and what to call when it answers. Raises
CommandError or IndexerError where it can't."""


class _Place:
    """One of the processes, and those that came before it in its place."""

    def __init__(self, number: int, serve: Serve) -> None:
        self.number = number
        self.answers_since: float | None = None
        self.has_answered = False
        self.due = 0.0
        self.reason = ""
        self._serve = serve
        self._pause_s = _FIRST_PAUSE_S
        self._process: multiprocessing.process.BaseProcess | None = None
        self._told: Connection | None = None

    @property
    def process(self) -> multiprocessing.process.BaseProcess | None:
        """None between two."""
        return self._process

    def start(self) -> None:
        """Begin one. Whoever calls this must have no threads: it is a fork."""
        context = multiprocessing.get_context("fork")
        self._told, telling = context.Pipe(duplex=False)
        what = self._serve, self.number, telling, os.getpid()
        self._process = context.Process(target=_run, args=what, name=f"process {self.number}")
        # Until it has handlers of its own: by ours it would take note, and go on.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        telling.close()
        self.reason, self.answers_since = "", None

    def look(self) -> bool:
        """Take in what it told; whether it has ended."""
        assert self._process is not None and self._told is not None
        has_ended = not self._process.is_alive()  # before all that it told is read
        while self._told.poll():
            try:
                told: str | None = self._told.recv()
            except EOFError:
                break
            if told is None:
                self.answers_since, self.has_answered = time.monotonic(), True
                log.info("process %d answers", self.number)
            else:
                self.reason = told
        if not has_ended:
            return False
        self.reason = self.reason or _tell_end(self._process.exitcode)
        self._told.close()
        since, self._process, self._told = self.answers_since, None, None
        if since is not None and time.monotonic() - since > _SOUND_S:
            self._pause_s = _FIRST_PAUSE_S
        self.due = time.monotonic() + self._pause_s
        return True

    def begin_pause(self) -> float:
        """How long until the next is due; the pause after that one is twice as long."""
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, _LONGEST_PAUSE_S)
        return pause_s


def supervise(number: int, serve: Serve, announce: Callable[[], None]) -> None:
    """Run `serve` in so many processes until SIGINT or SIGTERM.

    The first is started alone: what keeps it from answering would keep all. announce: called when
    it answers. Raises CommandError where one ends before it has answered for the first time, or
    where the last one ends and can't be started again.
    """
    places = [_Place(place, serve) for place in range(number)]
    with _asked_to_stop() as is_asked:
        try:
            _start_all(places, announce, is_asked)
            while not is_asked():
                _turn(places, is_asked)
        finally:
            _stop(places)


def _start_all(
    places: list[_Place], announce: Callable[[], None], is_asked: Callable[[], bool]
) -> None:
    first = places[0]
    first.start()
    while not first.has_answered and not is_asked():
        _turn([first], is_asked)
    if is_asked():
        return
    announce()
    for place in places[1:]:
        place.start()


def _turn(places: list[_Place], is_asked: Callable[[], bool]) -> None:
    """Wait a little for what happens to these, and start again what is due."""
    wait([one.process.sentinel for one in places if one.process is not None], _LOOK_S)
    if is_asked():  # then they end because they were told to as well
        return
    for place in places:
        if place.process is None:
            if time.monotonic() >= place.due:
                place.start()
        elif place.look():
            others = any(one.process is not None for one in places)
            if not place.has_answered or not (others or place.answers_since):
                raise CommandError(f"process {place.number}: {place.reason}")
            pause_s = place.begin_pause()
            log.warning(
                "process %d ended (%s): it is started again in %g s",
                place.number,
                place.reason,
                pause_s,
            )


def _stop(places: list[_Place]) -> None:
    """All are told at once; none is left when this returns."""
    running = [place.process for place in places if place.process is not None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + STOP_S
    for process in running:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            log.warning("%s did not stop within %g s and was killed", process.name, STOP_S)
            process.kill()
            process.join()


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether SIGINT or SIGTERM came in the block."""
    asked: list[int] = []  # no Event: a second signal that interrupts its lock would wait for ever
    before = [signal.signal(number, lambda told, _: asked.append(told)) for number in _STOPPING]
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in zip(_STOPPING, before, strict=True):
            signal.signal(number, handler)


def _run(serve: Serve, place: int, telling: Connection, parent_id: int) -> None:
    """The process itself. It does not outlive the one that started it, however that ends."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    following = threading.Thread(target=_follow, args=(parent_id,), name="parent", daemon=True)
    following.start()
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        serve(place, lambda: telling.send(None))
    except (CommandError, IndexerError) as error:
        telling.send(str(error))
        sys.exit(1)
    except KeyboardInterrupt:  # while it started
        sys.exit(130)
    finally:
        logging.shutdown()  # the interpreter does not end as others do, which would do that


def _follow(parent_id: int) -> None:
    while os.getppid() == parent_id:
        time.sleep(_LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)


def _tell_end(code: int | None) -> str:
    if code is not None and code < 0:
        return f"it was ended by {signal.Signals(-code).name}"
    return f"it ended with {code}"
