"""Has every kept model loaded in this process, and follows which one searches use."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from app.errors import AppError
from app.models.loaded import LoadedModel
from indexer.errors import IndexerError
from indexer.models.kept import KeptModel, KeptModels

POLL_S = 1.0
BEAT_S = 5.0  # well below the time after which this process counts as gone
RETRY_S = 30.0
_STOP_S = 5.0

log = logging.getLogger("passerby.models")

Load = Callable[[KeptModel], LoadedModel]
OnLook = Callable[[Sequence[KeptModel]], object]


@dataclass(frozen=True)
class _Failure:
    """A model that could not be loaded: why, and from when on it is tried again."""

    reason: str
    retry_at: float


class ModelFollower:
    """The models of this process. Another one is loaded in a thread, beside the searches; it counts
    as ready once it has made a vector and its index is in step. The ones that were served before
    stay as they are for as long as they are kept. Thread-safe."""

    def __init__(
        self,
        kept: KeptModels,
        load: Load,
        first: LoadedModel,
        on_look: OnLook = lambda _: None,
        on_gone: Callable[[str], object] = lambda _: None,
    ) -> None:
        """first: what is served to begin with, not started. on_look: given the kept models after
        each look at the database. on_gone: given the fingerprint of one that was dropped."""
        self._kept = kept
        self._load = load
        self._served = first
        self._ready = {first.fingerprint: first}
        self._failed: dict[str, _Failure] = {}
        self._loading: str | None = None
        self._wanted = first.fingerprint  # what the database serves
        self._on_look, self._on_gone = on_look, on_gone
        self._process = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._said: frozenset[str] = frozenset()  # in the last heartbeat
        self._said_at = float("-inf")
        self._turn = threading.Lock()  # one look at a time
        self._trouble: str | None = None
        self._wake, self._stop = threading.Event(), threading.Event()

    @property
    def served(self) -> LoadedModel:
        """What a request that begins now is answered by."""
        return self._served

    def ready(self) -> Mapping[str, LoadedModel]:
        """By fingerprint, all that searches can be answered by here."""
        return dict(self._ready)

    def in_step(self) -> frozenset[str]:
        """Fingerprints of those whose index has all that is committed."""
        ready = self.ready()
        return frozenset(name for name, one in ready.items() if one.live_index.status().in_step)

    def behind(self) -> str | None:
        """Why this process does not serve what the database does; None where all is well."""
        wanted = self._wanted
        if wanted == self._served.fingerprint:
            return None
        failed = self._failed.get(wanted)
        return f"model {wanted} is served, and " + (failed.reason if failed else "not loaded yet")

    def states(self) -> dict[str, str]:
        """What is to be said of each model here: served, ready, catching up, loading, failed."""
        failed, loading = dict(self._failed), self._loading
        states = dict.fromkeys(failed, "can't be loaded, see the log")
        if loading is not None:
            states[loading] = "loading"
        in_step = self.in_step()
        for fingerprint in self.ready():
            states[fingerprint] = "ready" if fingerprint in in_step else "catching up"
        states[self._served.fingerprint] = "served"
        return states

    def nudge(self) -> None:
        """Something about the models was committed: look now, not at the next poll."""
        self._wake.set()

    def nudge_indexes(self) -> None:
        """Something about the pictures was."""
        for model in self.ready().values():
            model.live_index.nudge()

    def catch_up(self) -> None:
        """Have everything in all indexes that was committed before this call: what was deleted can
        be found by no model. Raises DatabaseUnavailable."""
        for model in self.ready().values():
            model.live_index.catch_up()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Follow until the block is left. Raises DatabaseUnavailable."""
        self._start(self._served)
        self.look()
        thread = threading.Thread(target=self._follow, name="models", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._wake.set()
            thread.join(_STOP_S)
            with suppress(IndexerError):
                self._kept.serving.leave(self._process)
            for model in self.ready().values():
                model.live_index.stop()

    def look(self) -> Sequence[KeptModel]:
        """Bring this process in line with what the database says now, the kept models.
        Raises DatabaseUnavailable."""
        with self._turn:
            kept = self._kept.all()
            self._follow_served(kept)
            self._let_go({model.fingerprint for model in kept})
            self._load_next(kept)
            self._beat()
        return kept

    def _follow(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(POLL_S)
            self._wake.clear()
            try:
                self._on_look(self.look())
            except Exception as error:
                if str(error) != self._trouble:  # the log has what changes, not every second
                    expected = isinstance(error, IndexerError)
                    log.warning("models: can't be followed: %s", error, exc_info=not expected)
                self._trouble = str(error)
            else:
                self._trouble = None

    def _follow_served(self, kept: Sequence[KeptModel]) -> None:
        wanted = next((model.fingerprint for model in kept if model.is_served), None)
        if wanted is None:  # a database that was wiped
            return
        self._wanted = wanted
        model = self._ready.get(wanted)
        if model is not None and model is not self._served:
            log.info("searches use the model %s (%s) now", wanted, model.name)
            self._served = model

    def _let_go(self, kept: set[str]) -> None:
        """Of models that are kept no longer."""
        for fingerprint in (self._ready.keys() | self._failed.keys()) - kept:
            if fingerprint == self._served.fingerprint:
                continue
            self._failed.pop(fingerprint, None)
            self._on_gone(fingerprint)
            gone = self._ready.pop(fingerprint, None)
            if gone is not None:
                log.info("the model %s (%s) is dropped", fingerprint, gone.name)
                threading.Thread(target=gone.live_index.stop, daemon=True).start()

    def _load_next(self, kept: Sequence[KeptModel]) -> None:
        """One at a time, the served one first."""
        if self._loading is not None:
            return
        now = time.monotonic()
        for model in kept:
            failed = self._failed.get(model.fingerprint)
            if model.fingerprint in self._ready or (failed and now < failed.retry_at):
                continue
            self._loading = model.fingerprint
            name = f"load-{model.fingerprint[:8]}"
            threading.Thread(target=self._bring, args=(model,), name=name, daemon=True).start()
            return

    def _bring(self, model: KeptModel) -> None:
        try:
            loaded = self._load(model)
            self._start(loaded)
            loaded.query_vectors.encode("a person")
        except Exception as error:
            reason = f"{model.name} can't be loaded: {error}"
            before = self._failed.get(model.fingerprint)
            if before is None or before.reason != reason:
                expected = isinstance(error, (AppError, IndexerError))
                log.warning("models: %s", reason, exc_info=not expected)
            self._failed[model.fingerprint] = _Failure(reason, time.monotonic() + RETRY_S)
        else:
            self._failed.pop(model.fingerprint, None)
            self._ready[model.fingerprint] = loaded
            log.info("the model %s (%s) is ready", model.fingerprint, model.name)
            if self._stop.is_set():
                loaded.live_index.stop()
        finally:
            self._loading = None
            self.nudge()

    def _start(self, model: LoadedModel) -> None:
        """It is in step, and follows, when this returns."""
        model.live_index.start()
        if model.judge is not None:
            warm = model.judge.warm
            threading.Thread(target=warm, args=(self._stop,), name="warm", daemon=True).start()

    def _beat(self) -> None:
        ready, now = self.in_step(), time.monotonic()
        if ready != self._said or now - self._said_at > BEAT_S:
            self._kept.serving.heartbeat(self._process, ready)
            self._said, self._said_at = ready, now
