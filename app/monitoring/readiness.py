"""Is the service able to do its work right now? Each part is asked by a thread of its own, again
and again, so that one that hangs holds up nobody who wants to know."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from app.models.follower import ModelFollower
from app.schemas import Readiness
from indexer.catalogue import Catalogue
from indexer.errors import IndexerError
from indexer.frames.worker import FrameWorker
from indexer.protocols import VectorIndex
from indexer.storage.object_store import ObjectStore
from indexer.work.worker import Worker

OK = "ok"
_UNASKED = "not checked yet"
_FIRST_S = 3.0  # how long a start waits for the first answers
_LEAVE_S = 0.5

log = logging.getLogger("passerby.readiness")


class Failing(Exception):
    """A part does not do its work. The first argument is shown, the second goes to the log."""


class Watch:
    """One part's check. What fails or hangs is known `every_s + hang_s` later, at most."""

    def __init__(
        self, name: str, check: Callable[[], None], every_s: float = 1.0, hang_s: float = 3.0
    ) -> None:
        """check: raises when something is wrong. hang_s: longer than it takes when all is well."""
        self.name = name
        self.checked_once = threading.Event()
        self._check = check
        self._every_s = every_s
        self._hang_s = hang_s
        self._found = _UNASKED
        self.took_s = 0.0  # the last check that ended
        self._moved_at = time.monotonic()  # when the check that runs began, or the last one ended
        self._running = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Check until stop()."""
        self._stop.clear()
        self._moved_at = time.monotonic()
        self._thread = threading.Thread(target=self._watch, name=f"watch-{self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """A check that hangs is left behind."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_LEAVE_S)
            self._thread = None

    def state(self) -> str:
        """`ok`, or what is wrong. Never waits."""
        silent_s = time.monotonic() - self._moved_at
        allowed_s = self._hang_s if self._running else self._every_s + self._hang_s
        if silent_s > allowed_s:
            return f"no answer for {silent_s:.0f} s"
        return self._found

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._moved_at, self._running = time.monotonic(), True
            found = self._ask()
            self._found = found
            self.took_s = time.monotonic() - self._moved_at
            self._moved_at, self._running = time.monotonic(), False
            self.checked_once.set()
            self._stop.wait(self._every_s)

    def _ask(self) -> str:
        try:
            self._check()
        except Exception as error:
            shown, why = "failing, see the log", str(error) or type(error).__name__
            if isinstance(error, Failing):
                shown, why = error.args
            if shown != self._found:  # the log has what changes, not every second
                expected = isinstance(error, (Failing, IndexerError))
                log.warning("%s: %s", self.name, why, exc_info=not expected)
            return shown
        if self._found not in (OK, _UNASKED):
            log.info("%s: ok", self.name)
        return OK


class Watches:
    """All parts of one process."""

    def __init__(
        self, *watches: Watch, models: Callable[[], Mapping[str, str]] | None = None
    ) -> None:
        """models: how each kept model stands here, of a process that answers searches."""
        self._watches = list(watches)
        self._models = models

    def add(self, watch: Watch) -> None:
        """One more, before start()."""
        self._watches.append(watch)

    def start(self, first_s: float = _FIRST_S) -> None:
        """Check until stop(); the first answers are there when this returns, if they come."""
        for watch in self._watches:
            watch.start()
        deadline = time.monotonic() + first_s
        for watch in self._watches:
            watch.checked_once.wait(max(0.0, deadline - time.monotonic()))

    def stop(self) -> None:
        """Ask no more."""
        for watch in self._watches:
            watch.stop()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Check until the block is left; the first answers come while it runs."""
        self.start(first_s=0)
        try:
            yield
        finally:
            self.stop()

    def seconds(self) -> dict[str, float]:
        """How long the last look at each part took."""
        return {watch.name: watch.took_s for watch in self._watches}

    def read(self) -> Readiness:
        """What was found last. Never waits."""
        states = {watch.name: watch.state() for watch in self._watches}
        models = None if self._models is None else dict(self._models())
        return Readiness(ready=set(states.values()) == {OK}, checks=states, models=models)


def watch_parts(
    catalogue: Catalogue,
    store: ObjectStore,
    worker: Worker | None,
    models: ModelFollower | None = None,
    frames: FrameWorker | None = None,
) -> Watches:
    """The watches of a process that has these parts."""
    watches = [
        Watch("database", catalogue.ping),
        # A bucket counts its requests, and may take a while over one.
        Watch("storage", store.check, every_s=5.0, hang_s=10.0),
    ]
    if models is not None:
        watches.append(Watch("model", lambda: check_model(models), every_s=2.0, hang_s=2.5))
        watches.append(Watch("index", lambda: check_index(models.served.live_index)))
    if worker is not None:
        watches.append(Watch("worker", lambda: check_worker(worker), every_s=0.5))
    if frames is not None:
        watches.append(Watch("detector", lambda: check_worker(frames)))
    return Watches(*watches, models=None if models is None else models.states)


def check_model(models: ModelFollower) -> None:
    """Is it the one that is to be served, and does a forward pass give a vector?"""
    models.served.query_vectors.encode("a person")
    if (why := models.behind()) is not None:
        raise Failing("another is served than is to be, see the log", why)


def check_index(live_index: VectorIndex) -> None:
    """Has the index everything that is committed?"""
    status = live_index.status()
    if status.error is not None:
        raise Failing("can't follow the catalogue, see the log", status.error)
    if status.loaded is not None:
        told = f"being built, {status.loaded:.0%} of it is there"
        raise Failing(told, told)
    if not status.in_step:
        raise Failing("catching up", f"the last look was {status.behind_s:.0f} s ago")


def check_worker(worker: Worker | FrameWorker) -> None:
    """Does its loop turn?"""
    status = worker.status()
    if not status.healthy:
        raise Failing("not working, see the log", status.error)


def watch_loop(name: str, trouble: Callable[[], str | None]) -> Watch:
    """Does this loop turn? trouble: why not, or None."""

    def check() -> None:
        if (why := trouble()) is not None:
            raise Failing("not working, see the log", why)

    return Watch(name, check, every_s=0.5)
