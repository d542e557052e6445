"""Kept models changed, each change with its row in the audit log."""

from __future__ import annotations

from app.access.audit import put_on_record
from app.access.caller import Caller
from app.errors import ProblemError
from indexer.catalogue import Catalogue
from indexer.errors import ModelServed, NoPreviousModel
from indexer.models.kept import KeptModel
from indexer.protocols import TextEncoder


def keep_on_record(
    catalogue: Catalogue, caller: Caller, name: str, encoder: TextEncoder
) -> KeptModel:
    """From now on every picture gets this encoder's vector. Raises DatabaseUnavailable,
    StorageFull."""
    _record(catalogue, caller, f"keep {encoder.fingerprint} ({name})")
    return catalogue.models.keep(encoder.fingerprint, name, encoder.dim)


def switch_on_record(
    catalogue: Catalogue,
    caller: Caller,
    fingerprint: str,
    *,
    force: bool,
    by_setting: bool = False,
) -> KeptModel:
    """Searches use this model from now on. Raises as KeptModels.switch, StorageFull."""
    if not force:
        catalogue.models.require_servable(fingerprint)
    _record(catalogue, caller, f"serve {fingerprint}{', forced' if force else ''}")
    return catalogue.models.switch(fingerprint, force=force, by_setting=by_setting)


def roll_back_on_record(
    catalogue: Catalogue, caller: Caller, *, served: str | None, force: bool
) -> KeptModel:
    """Searches use the model again that they used before. served: the one that they use; where they
    use another by now, nothing is done.

    Raises as KeptModels.roll_back, StorageFull.
    """
    kept = catalogue.models.all()
    if served is not None:
        for model in kept:
            if model.is_served and model.fingerprint != served:
                return model
    before = next((model.fingerprint for model in kept if model.is_previous), None)
    if before is None:
        raise NoPreviousModel
    if not force:
        catalogue.models.require_servable(before)
    _record(catalogue, caller, f"roll back to {before}{', forced' if force else ''}")
    return catalogue.models.roll_back(served=served, force=force)


def drop_on_record(
    catalogue: Catalogue, caller: Caller, fingerprint: str, setting: str | None
) -> None:
    """It is kept no longer, and its vectors go. setting: what PASSERBY_MODEL names, by full name.

    Raises ModelNotKept, ModelServed, StorageFull, DatabaseUnavailable, and ProblemError where the
    next start would keep it again.
    """
    model = catalogue.models.find(fingerprint)
    if model.is_served:
        raise ModelServed(fingerprint)
    if model.name == setting:
        raise ProblemError(
            "model_set",
            f"PASSERBY_MODEL names {model.name}: the next start would keep it again, and serve it. "
            "Unset it, or name the one that is served, and start anew; then drop it.",
        )
    _record(catalogue, caller, f"drop {fingerprint}")
    catalogue.models.drop(fingerprint)


def _record(catalogue: Catalogue, caller: Caller, what: str) -> None:
    put_on_record(catalogue, caller, "settings", what=f"models: {what}")
