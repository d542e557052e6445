"""What the service is made of, and how it is started and stopped. wiring.py builds it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from app.access.shown import Shown
from app.models.encoders import EncoderCache
from app.models.follower import ModelFollower
from app.models.loaded import LoadedModel
from app.monitoring.metrics import Metrics
from app.monitoring.readiness import Watches
from app.monitoring.tracing import Tracing
from app.settings import Settings
from indexer.catalogue import Catalogue
from indexer.database import notices
from indexer.frames.worker import FrameWorker
from indexer.maps.runner import MapRunner
from indexer.storage.object_store import ObjectStore
from indexer.work.worker import Worker

if TYPE_CHECKING:
    from app.imports.runner import ImportRunner  # which is given some of these

STOP_TIMEOUT_S = 5.0

log = logging.getLogger("passerby")


@dataclass(frozen=True)
class Services:
    """The parts that routes and commands use. worker, imports, maps, frames: None where another
    process does their work."""

    settings: Settings
    catalogue: Catalogue
    store: ObjectStore
    model: LoadedModel
    """What this request is answered by."""
    models: ModelFollower
    encoders: EncoderCache
    worker: Worker | None
    watches: Watches
    metrics: Metrics
    tracing: Tracing
    shown: Shown = field(default_factory=Shown)
    imports: ImportRunner | None = None
    maps: MapRunner | None = None
    frames: FrameWorker | None = None

    def now(self) -> Services:
        """For a request that begins: with the model that is served at this moment."""
        return self.under(self.models.served)

    def under(self, model: LoadedModel) -> Services:
        """With this model."""
        return self if model is self.model else replace(self, model=model)


@contextmanager
def running(services: Services) -> Iterator[None]:
    """The indexes follow the catalogue and the worker works until the block is left."""
    try:
        with (
            services.models.running(),
            _working(services.worker),
            notices.listening(services.catalogue.database, _calls(services)),
            services.imports.running() if services.imports else nullcontext(),
            services.maps.running() if services.maps else nullcontext(),
            services.frames.running() if services.frames else nullcontext(),
        ):
            services.watches.start()
            try:
                yield
            finally:
                services.watches.stop()
    finally:
        services.catalogue.close()
        services.tracing.close()


@contextmanager
def _working(worker: Worker | None) -> Iterator[None]:
    if worker is None:
        yield
        return
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,), name="worker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        worker.nudge()
        thread.join(STOP_TIMEOUT_S)
        if thread.is_alive():
            # Its claim is under a lease: whoever starts next does the batch again.
            log.warning("the worker did not stop within %g s", STOP_TIMEOUT_S)


def _calls(services: Services) -> dict[notices.Channel, Callable[[], None]]:
    """Who is to hear of what other processes committed."""
    calls: dict[notices.Channel, Callable[[], None]] = {
        notices.CHANGES: services.models.nudge_indexes,
        notices.MODELS: services.models.nudge,
    }
    if services.worker is not None:
        calls[notices.PENDING] = services.worker.nudge
    return calls
