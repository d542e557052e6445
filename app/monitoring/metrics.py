"""Figures for Prometheus: what this process did, and where its parts and the catalogue stand.

Labels are words of this program, never what somebody sent: their number is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from app import __version__
from app.errors import KINDS
from app.models.figures import ModelCollector
from app.models.follower import ModelFollower
from app.monitoring.fresh import Fresh
from app.monitoring.machine import MachineCollector
from app.monitoring.readiness import OK, Watches
from indexer.catalogue import Catalogue
from indexer.figures import Figures, read_figures
from indexer.protocols import VectorIndex
from indexer.work.worker import Worker

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
REQUEST_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
STAGE_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_NO_FOLDERS: Mapping[str, Path] = MappingProxyType({})


class Metrics:
    """One process's figures, in a registry of their own."""

    def __init__(
        self,
        catalogue: Catalogue,
        watches: Watches,
        worker: Worker | None = None,
        models: ModelFollower | None = None,
        folders: Mapping[str, Path] = _NO_FOLDERS,
    ) -> None:
        """models: of a process that answers searches. folders: whose disks are told, by what they
        keep."""
        # /metrics must not wait for the threads that requests work in.
        self.threads = ThreadPoolExecutor(2, thread_name_prefix="metrics")
        self._registry = CollectorRegistry()
        names = ("method", "route", "status")
        self._requests = Counter(
            "passerby_http_requests",
            "Requests answered. status 0: the client left before.",
            names,
            registry=self._registry,
        )
        self._request_s = Histogram(
            "passerby_http_request_seconds",
            "From the head of a request to the end of its answer.",
            names[:2],
            buckets=REQUEST_BUCKETS_S,
            registry=self._registry,
        )
        self._search_s = Histogram(
            "passerby_search_seconds",
            "Searches by stage: encode, index, rows, and whole.",
            ["stage"],
            buckets=STAGE_BUCKETS_S,
            registry=self._registry,
        )
        self._problems = Counter(
            "passerby_problems",
            "Requests answered with a problem, by its code.",
            ["code"],
            registry=self._registry,
        )
        for code, kind in KINDS.items():
            if kind.status >= 500:  # from 0 on: Prometheus sees no rise in what begins with 1
                self._problems.labels(code)
        self._received = Counter(
            "passerby_pictures_received",
            "Files of uploads: accepted, duplicate, or refused with a problem's code.",
            ["outcome", "code"],
            registry=self._registry,
        )
        build = Gauge("passerby_build_info", "Always 1.", ["version"], registry=self._registry)
        build.labels(__version__).set(1)
        ProcessCollector(registry=self._registry)
        self._registry.register(MachineCollector(folders))
        self._registry.register(PartsCollector(catalogue, watches, worker, models))
        self._registry.register(ModelCollector(catalogue.models, models))

    def count_request(
        self, method: str, route: str, status: int, seconds: float, problem: str | None = None
    ) -> None:
        """A request is over. route: the template of its path, "" where there is none. problem: the
        code of what it was answered with."""
        method = method if method in METHODS else "other"
        route = route or "none"
        self._requests.labels(method, route, str(status)).inc()
        self._request_s.labels(method, route).observe(seconds)
        if problem is not None:
            self._problems.labels(problem).inc()

    def count_search(self, seconds: Mapping[str, float]) -> None:
        """A search is answered. seconds: by stage."""
        for stage, took_s in seconds.items():
            self._search_s.labels(stage).observe(took_s)

    def count_picture(self, outcome: str, code: str = "") -> None:
        """A file of an upload was dealt with. code: of the problem with it."""
        self._received.labels(outcome, code).inc()

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """(text, its content type), in the format that an Accept header asks for.

        Returns within seconds, without the catalogue's figures when the database hangs.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class PartsCollector(Collector):
    """What is only looked up when somebody asks."""

    def __init__(
        self,
        catalogue: Catalogue,
        watches: Watches,
        worker: Worker | None,
        models: ModelFollower | None,
    ) -> None:
        self._figures = Fresh(lambda: read_figures(catalogue.database))
        self._audit = catalogue.audit
        self._watches = watches
        self._worker = worker
        self._models = models

    def collect(self) -> Iterable[Metric]:
        """Everything, as it is now; the catalogue as it was 2 seconds ago at most, mostly."""
        ready = GaugeMetricFamily(
            "passerby_ready", "Whether a part does its work, as /readyz has it.", labels=["part"]
        )
        for part, state in self._watches.read().checks.items():
            ready.add_metric([part], state == OK)
        yield ready
        took = GaugeMetricFamily(
            "passerby_ready_check_seconds",
            "How long the last look at a part took: the database's ping, a forward pass.",
            labels=["part"],
        )
        for part, seconds in self._watches.seconds().items():
            took.add_metric([part], seconds)
        yield took
        yield CounterMetricFamily(
            "passerby_audit_refusals",
            "What was refused because it could not be put on record.",
            self._audit.num_refused,
        )
        figures = self._figures.get()
        yield _gauge("passerby_database_up", "Whether it told its figures.", figures is not None)
        if figures is not None:
            yield from _tell_catalogue(figures)
        if self._models is not None:
            yield from _tell_index(self._models.served.live_index, figures)
        if self._worker is not None:
            yield from _tell_worker(self._worker)


def _tell_catalogue(figures: Figures) -> Iterable[Metric]:
    pictures = GaugeMetricFamily(
        "passerby_pictures", "In all galleries together.", labels=["state"]
    )
    for state in ("pending", "searchable", "failed"):
        pictures.add_metric([state], getattr(figures, state))
    yield pictures
    frames = GaugeMetricFamily(
        "passerby_frames", "Whole frames in all galleries together.", labels=["state"]
    )
    for state in ("pending", "done", "failed"):
        frames.add_metric([state], figures.frames.get(state, 0))
    yield frames
    yield _gauge("passerby_queue_depth", "Pictures that wait for a vector.", figures.pending)
    yield _gauge(
        "passerby_queue_oldest_seconds",
        "How long the first of them has waited.",
        figures.oldest_pending_s,
    )


def _tell_index(live_index: VectorIndex, figures: Figures | None) -> Iterable[Metric]:
    status = live_index.status()
    if figures is not None:
        behind = max(0, figures.newest_seq - status.generation)
        yield _gauge("passerby_index_changes_behind", "Changes it has not applied.", behind)
    yield _gauge("passerby_index_seconds_behind", "Since it last had everything.", status.behind_s)
    yield _gauge("passerby_index_vectors", "Vectors it searches.", status.indexed)
    built = 1.0 if status.loaded is None else status.loaded
    yield _gauge("passerby_index_built_share", "How much of it is built; 1 when all is.", built)
    if status.snapshot_age_s is not None:
        yield _gauge(
            "passerby_index_snapshot_age_seconds",
            "Since its last snapshot was written; since its start, where none was.",
            status.snapshot_age_s,
        )


def _tell_worker(worker: Worker) -> Iterable[Metric]:
    totals = worker.pulse.totals()
    yield CounterMetricFamily("passerby_worker_batches", "Batches it worked on.", totals.batches)
    yield CounterMetricFamily(
        "passerby_pictures_embedded", "Pictures that it made searchable.", totals.embedded
    )
    failed = CounterMetricFamily(
        "passerby_pictures_failed", "Pictures that it gave up.", labels=["kind"]
    )
    for kind, number in totals.failed.items():
        failed.add_metric([kind], number)
    yield failed
    steps = SummaryMetricFamily(
        "passerby_worker_step_seconds", "What its batches spend their time with.", labels=["step"]
    )
    for step, (times, seconds) in totals.steps.items():
        steps.add_metric([step], times, seconds)
    yield steps


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(name, told, value)
