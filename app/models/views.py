"""Kept models, told in the API's words."""

from __future__ import annotations

from app.models.schemas import ModelSummary
from indexer.catalogue import Catalogue
from indexer.models.kept import KeptModel
from indexer.models.progress import Progress

_JUST_KEPT = Progress(embedded=0, total=0, failed=0, is_complete=False)


def show_models(catalogue: Catalogue) -> list[ModelSummary]:
    """All of them, the served one first. Raises DatabaseUnavailable."""
    progress, processes = catalogue.models.progress(), catalogue.models.serving.live()

    def show(model: KeptModel) -> ModelSummary:
        now = progress.get(model.fingerprint, _JUST_KEPT)
        return ModelSummary(
            fingerprint=model.fingerprint,
            name=model.name,
            dim=model.dim,
            added_at=model.added_at,
            is_served=model.is_served,
            is_previous=model.is_previous,
            declined_at=model.declined_at,
            total=now.total,
            embedded=now.embedded,
            failed=now.failed,
            missing=now.missing,
            is_complete=now.is_complete,
            not_ready=[
                f"{one.process} on {one.host}"
                for one in processes
                if model.fingerprint not in one.ready
            ],
        )

    return [show(model) for model in catalogue.models.all()]


def models_under_way(catalogue: Catalogue) -> list[ModelSummary]:
    """Those that pictures still lack the vectors of. Raises DatabaseUnavailable."""
    if len(catalogue.models.all()) < 2:  # asked with each search on the page
        return []
    return [one for one in show_models(catalogue) if not one.is_complete]


def show_model(catalogue: Catalogue, fingerprint: str) -> ModelSummary:
    """One of them. Raises ModelNotKept, DatabaseUnavailable."""
    catalogue.models.find(fingerprint)
    return next(one for one in show_models(catalogue) if one.fingerprint == fingerprint)
