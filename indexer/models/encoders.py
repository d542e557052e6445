"""The encoders of the kept models, as far as this process could load them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from indexer.errors import IndexerError
from indexer.models.kept import KeptModel, KeptModels
from indexer.protocols import ImageEncoder
from indexer.work.loop import Loop

log = logging.getLogger(__name__)

_POLL_S = 2.0
_AGAIN_S = 60.0  # after one could not be loaded: whoever puts its folder there needs no restart

Load = Callable[[KeptModel], ImageEncoder]


class ModelNotLoaded(IndexerError):
    """No encoder of the served model is there."""


class Encoders:
    """Which encoders make vectors of new pictures: that of the served model first. Safe for many
    threads."""

    def __init__(self, *encoders: ImageEncoder) -> None:
        self._current = encoders

    def current(self) -> tuple[ImageEncoder, ...]:
        """The served model's first. Raises ModelNotLoaded where that is not there."""
        if not self._current:
            raise ModelNotLoaded("no encoder has been loaded")
        return self._current

    def nudge(self) -> None:
        """Something has changed: look at once."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Follow what is kept until the block is left."""
        yield


class KeptEncoders(Encoders):
    """Those of the kept models, followed: loaded when one is kept, let go when it is dropped."""

    def __init__(
        self,
        models: KeptModels,
        load: Load,
        *loaded: ImageEncoder,
        on_gone: Callable[[str], object] = lambda _: None,
    ) -> None:
        """load: raises where it can't, with a reason for people. loaded: what there is already, the
        served model's first. on_gone: given the fingerprint of one that was let go.

        What it loads must be of the fingerprint that is kept: another folder may have its name.
        """
        super().__init__(*loaded)
        self._models = models
        self._load = load
        self._on_gone = on_gone
        self._loaded = {encoder.fingerprint: encoder for encoder in loaded}
        self._faults: dict[str, tuple[float, str]] = {}  # when it was found, and the reason
        self._served_fault: str | None = None
        self._turn = threading.Lock()
        self._loop = Loop("kept models", self._follow, _POLL_S)

    def current(self) -> tuple[ImageEncoder, ...]:
        if not self._current:
            raise ModelNotLoaded(self._served_fault or "no model is kept yet")
        return self._current

    def nudge(self) -> None:
        self._loop.nudge()

    def faults(self) -> dict[str, str]:
        """Why kept models could not be loaded, by fingerprint."""
        return {model: reason for model, (_, reason) in list(self._faults.items())}

    @contextmanager
    def running(self) -> Iterator[None]:
        with self._loop.running():
            yield

    def follow(self) -> None:
        """Load and let go what changed. Raises DatabaseUnavailable."""
        with self._turn:
            kept = self._models.all()
            mine = {model.fingerprint for model in kept}
            for gone in self._loaded.keys() - mine:
                del self._loaded[gone]
                self._on_gone(gone)
            self._faults = {name: fault for name, fault in self._faults.items() if name in mine}
            for model in kept:  # the served one first, and used while others are loaded
                self._ensure(model)
                self._choose(kept)

    def _follow(self) -> bool:
        self.follow()
        return False

    def _ensure(self, model: KeptModel) -> None:
        found_at, _ = self._faults.get(model.fingerprint, (-_AGAIN_S, ""))
        if model.fingerprint in self._loaded or time.monotonic() < found_at + _AGAIN_S:
            return
        try:
            encoder = self._load(model)
            if encoder.fingerprint != model.fingerprint:
                raise ModelNotLoaded(
                    f"{model.name} is model {encoder.fingerprint} here, not {model.fingerprint}"
                )
        except Exception as error:
            reason = str(error) or type(error).__name__
            log.error("kept model %s can't be loaded: %s", model.name, reason)
            self._faults[model.fingerprint] = time.monotonic(), reason
        else:
            self._loaded[model.fingerprint] = encoder
            self._faults.pop(model.fingerprint, None)

    def _choose(self, kept: list[KeptModel]) -> None:
        found = [self._loaded[m.fingerprint] for m in kept if m.fingerprint in self._loaded]
        served, self._served_fault = kept[0], None
        if served.fingerprint not in self._loaded:
            reason = self._faults[served.fingerprint][1]
            self._served_fault = f"the served model {served.name} can't be loaded: {reason}"
            found = []
        self._current = tuple(found)
