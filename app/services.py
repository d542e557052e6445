"""What the service is made of, and how it is started and stopped. wiring.py builds it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.access.shown import Shown
from app.monitoring.metrics import Metrics
from app.monitoring.readiness import Watches
from app.monitoring.tracing import Tracing
from app.pictures.explanations import Explanations
from app.query.picture import PictureVectors
from app.query.verdict import Judge
from app.query_vectors import QueryVectors
from app.settings import Settings
from indexer.catalogue import Catalogue
from indexer.database import notices
from indexer.frames.worker import FrameWorker
from indexer.maps.runner import MapRunner
from indexer.protocols import VectorIndex
from indexer.storage.object_store import ObjectStore
from indexer.work.worker import Worker

if TYPE_CHECKING:
    from app.imports.runner import ImportRunner  # which is given some of these

STOP_TIMEOUT_S = 5.0

log = logging.getLogger("passerby")


@dataclass(frozen=True)
class Services:
    """The parts that routes and commands use. worker, imports, maps, frames: None where another
    process does their work; explanations: None where the model can't give any."""

    settings: Settings
    catalogue: Catalogue
    store: ObjectStore
    query_vectors: QueryVectors
    picture_vectors: PictureVectors
    live_index: VectorIndex
    worker: Worker | None
    explanations: Explanations | None
    watches: Watches
    metrics: Metrics
    tracing: Tracing
    judge: Judge | None = None  # None where nobody measured what the model's scores are worth
    shown: Shown = field(default_factory=Shown)
    person_cosine: float | None = None
    """Mean cosine above which pictures are one person; None where nobody knows it."""
    imports: ImportRunner | None = None
    maps: MapRunner | None = None
    frames: FrameWorker | None = None
    model_card: Mapping[str, object] = field(default_factory=dict)
    """What the checkpoint says of itself; empty for a model that is none of ours."""


@contextmanager
def running(services: Services) -> Iterator[None]:
    """The live index follows the catalogue and the worker works until the block is left."""
    services.live_index.start()
    stop = threading.Event()
    worker = services.worker
    thread = None
    if worker is not None:
        thread = threading.Thread(target=worker.run, args=(stop,), name="worker", daemon=True)
        thread.start()
    if services.judge is not None:
        warming = threading.Thread(target=services.judge.warm, args=(stop,), daemon=True)
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
        services.live_index.stop()
        services.catalogue.close()
        services.tracing.close()


def _calls(services: Services) -> dict[notices.Channel, Callable[[], None]]:
    """Who is to hear of what other processes committed."""
    calls: dict[notices.Channel, Callable[[], None]] = {notices.CHANGES: services.live_index.nudge}
    if services.worker is not None:
        calls[notices.PENDING] = services.worker.nudge
    return calls
