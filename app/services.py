"""What the service is made of, and how it is started and stopped. wiring.py builds it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.access.shown import Shown
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
    worker: Worker | None
    watches: Watches
    metrics: Metrics
    tracing: Tracing
    shown: Shown = field(default_factory=Shown)
    imports: ImportRunner | None = None
    maps: MapRunner | None = None
    frames: FrameWorker | None = None


@contextmanager
def running(services: Services) -> Iterator[None]:
    """The live index follows the catalogue and the worker works until the block is left."""
    services.model.live_index.start()
    stop = threading.Event()
    worker = services.worker
    thread = None
    if worker is not None:
        thread = threading.Thread(target=worker.run, args=(stop,), name="worker", daemon=True)
        thread.start()
    if services.model.judge is not None:
        warming = threading.Thread(target=services.model.judge.warm, args=(stop,), daemon=True)
        warming.start()
    try:
        with (
            notices.listening(services.catalogue.database, _calls(services)),
            services.imports.running() if services.imports else nullcontext(),
            services.maps.running() if services.maps else nullcontext(),
            services.frames.running() if services.frames else nullcontext(),
        ):
            services.watches.start()
            yield
    finally:
        services.watches.stop()
        stop.set()
        if worker is not None and thread is not None:
            worker.nudge()
            thread.join(STOP_TIMEOUT_S)
            if thread.is_alive():
                # Its claim is under a lease: whoever starts next does the batch again.
                log.warning("the worker did not stop within %g s", STOP_TIMEOUT_S)
        services.model.live_index.stop()
        services.catalogue.close()
        services.tracing.close()


def _calls(services: Services) -> dict[notices.Channel, Callable[[], None]]:
    """Who is to hear of what other processes committed."""
    calls: dict[notices.Channel, Callable[[], None]] = {
        notices.CHANGES: services.model.live_index.nudge
    }
    if services.worker is not None:
        calls[notices.PENDING] = services.worker.nudge
    return calls
