"""Kept models: which are, how far they are, and which one searches use."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from app.deps import AppCaller, AppServices, require_json
from app.errors import CommandError, FieldError, ProblemError, invalid
from app.http.documentation import problems
from app.loading import full_name
from app.models.on_record import (
    drop_on_record,
    keep_on_record,
    roll_back_on_record,
    switch_on_record,
)
from app.models.schemas import ModelKeep, ModelList, ModelSummary
from app.models.views import show_model, show_models

router = APIRouter(tags=["models"])

Fingerprint = Annotated[str, Path(max_length=128, description="The model's fingerprint.")]
Force = Annotated[
    bool,
    Query(
        description="Also where pictures lack its vector, which are not found then, or processes "
        "have not loaded it, which go on with the other until they have."
    ),
]
SERVING = ("origin_refused", "model_not_kept", "model_incomplete", "model_not_ready")


@router.get("/models", summary="List the kept models", responses=problems())
def list_all(services: AppServices) -> ModelList:
    """How far each one is, the one that searches use first."""
    return ModelList(models=show_models(services.catalogue))


@router.post(
    "/models",
    status_code=201,
    summary="Keep a model",
    dependencies=[Depends(require_json)],
    responses=problems(
        "malformed_json",
        "model_unloadable",
        "origin_refused",
        "request_too_large",
        "storage_full",
        "unsupported_media_type",
        "validation_failed",
    ),
)
def keep(request: ModelKeep, services: AppServices, caller: AppCaller) -> ModelSummary:
    """From now on every picture gets its vectors too, and workers embed those that are there:
    `missing` tells how many are left. Searches stay with the one that is served. It is loaded to
    learn its fingerprint, which may take minutes."""
    name = request.name
    if name.startswith("python:"):
        message = "python: names code, which `passerby models keep` on the server takes alone"
        raise invalid([FieldError("name", message)])
    try:
        name = full_name(name) or name
        encoder = services.encoders.named(name)
    except (CommandError, OSError, ValueError) as error:
        raise ProblemError("model_unloadable", f"{error}.") from error
    model = keep_on_record(services.catalogue, caller, name, encoder)
    services.models.nudge()
    return show_model(services.catalogue, model.fingerprint)


@router.post(
    "/models/rollback",
    summary="Search by the model before again",
    responses=problems(*SERVING, "no_previous_model", "validation_failed", "storage_full"),
)
def roll_back(
    services: AppServices,
    caller: AppCaller,
    served: Annotated[
        str | None,
        Query(
            max_length=128,
            description="Fingerprint of the one that is rolled back from: where it is not served "
            "any more, nothing is done, so that this may be sent again.",
        ),
    ] = None,
    force: Force = False,
) -> ModelSummary:
    """The one that searches used before the last switch; at once, in one transaction."""
    model = roll_back_on_record(services.catalogue, caller, served=served, force=force)
    services.models.look()
    return show_model(services.catalogue, model.fingerprint)


@router.post(
    "/models/{fingerprint}/serve",
    summary="Search by a kept model from now on",
    responses=problems(*SERVING, "validation_failed", "storage_full"),
)
def serve(
    fingerprint: Fingerprint, services: AppServices, caller: AppCaller, force: Force = False
) -> ModelSummary:
    """In one transaction, once every picture has its vector and every process is ready. Searches
    that have begun, and their next pages, stay with the model that they began with."""
    switch_on_record(services.catalogue, caller, fingerprint, force=force)
    services.models.look()
    return show_model(services.catalogue, fingerprint)


@router.delete(
    "/models/{fingerprint}",
    status_code=204,
    summary="Keep a model no longer",
    responses=problems(
        "origin_refused",
        "model_not_kept",
        "model_served",
        "model_set",
        "validation_failed",
        "storage_full",
    ),
)
def drop(fingerprint: Fingerprint, services: AppServices, caller: AppCaller) -> None:
    """Workers remove its vectors. Pages of searches that began with it can't be gone on with."""
    setting = full_name(services.settings.model)
    drop_on_record(services.catalogue, caller, fingerprint, setting)
    services.models.look()
