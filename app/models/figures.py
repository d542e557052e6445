"""Figures of the kept models for Prometheus, from any process: how far each is, and which one is
served. A label is a fingerprint: there are two or three."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.models.follower import ModelFollower
from app.monitoring.fresh import Fresh
from indexer.models.kept import KeptModel, KeptModels
from indexer.models.progress import Progress

_TOLD = {
    "served": "Whether searches are to use this kept model.",
    "vectors": "Searchable pictures that have this kept model's vector, about.",
    "missing": "Searchable pictures that will still get its vector, about.",
    "failed": "Searchable pictures that it can't embed.",
    "ready": "Whether this process can search by it.",
}


class ModelCollector(Collector):
    """What is only looked up when somebody asks."""

    def __init__(self, kept: KeptModels, models: ModelFollower | None) -> None:
        """models: of a process that answers searches."""
        self._models = models
        self._figures = Fresh(lambda: (kept.all(), kept.progress()))

    def collect(self) -> Iterable[Metric]:
        """Nothing where the database doesn't answer."""
        kept, progress = self._figures.get() or ([], {})
        families = {
            name: GaugeMetricFamily(f"passerby_model_{name}", told, labels=["model"])
            for name, told in _TOLD.items()
        }
        ready = set() if self._models is None else self._models.in_step()
        for model in kept:
            found = _figures(model, progress)
            if self._models is not None:
                found["ready"] = model.fingerprint in ready
            for name, value in found.items():
                families[name].add_metric([model.fingerprint], value)
        return families.values()


def _figures(model: KeptModel, progress: Mapping[str, Progress]) -> dict[str, float]:
    found: dict[str, float] = {"served": model.is_served}
    if (now := progress.get(model.fingerprint)) is not None:  # else it was kept just now
        found |= {"vectors": now.embedded, "missing": now.missing, "failed": now.failed}
    return found
