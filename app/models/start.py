"""Which model a process begins with: what the database says, and what the setting does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from app.errors import CommandError
from app.models.encoders import EncoderCache
from indexer.models.encoders import KeptEncoders
from indexer.models.kept import KeptModel, KeptModels

FIRST = "small"
"""The model of a new database where no setting names one."""


@dataclass(frozen=True)
class Choice:
    """wanted: fingerprint of the model that the setting names, where it does."""

    served: KeptModel
    wanted: str | None = None


Choose = Callable[[KeptModels, EncoderCache, str | None], Choice]

log = logging.getLogger("passerby.models")


def choose_served(kept: KeptModels, encoders: EncoderCache, name: str | None) -> Choice:
    """The model that the database serves, loaded. The one that PASSERBY_MODEL names, if it does, is
    kept from now on, and served at once where there is no other.

    Raises CommandError where one of them can't be loaded, unless the setting says what to serve in
    place of the other and nobody else can; DatabaseUnavailable.
    """
    served, wanted = kept.served(), None
    if served is None or name is not None:
        encoder = encoders.named(name or FIRST)
        wanted = kept.keep(encoder.fingerprint, name or FIRST, encoder.dim)
        served = kept.served()
    assert served is not None
    try:
        encoders.of(served)
    except CommandError as error:
        if wanted is None or _is_loaded_elsewhere(kept, served):
            raise CommandError(
                f"the model that is served can't be loaded: {error}; put it back where it was, or "
                "name another in PASSERBY_MODEL"
            ) from error
        log.error(
            "%s; %s, which PASSERBY_MODEL names, is served in its place: pictures that lack its "
            "vector can't be found until they have it",
            error,
            wanted.name,
        )
        served = kept.switch(wanted.fingerprint, force=True, by_setting=True)
    return Choice(served, None if wanted is None else wanted.fingerprint)


def choose_complete(kept: KeptModels, encoders: EncoderCache, name: str | None) -> Choice:
    """For one search: the model of this name where all pictures have its vector, else the one that
    is served. Raises as choose_served."""
    served = kept.served()
    if served is None:
        return choose_served(kept, encoders, name)
    if name is not None and name != served.name:
        progress = kept.progress()
        for model in kept.all():
            if model.name == name and progress[model.fingerprint].is_complete:
                return Choice(model)
        log.warning("%s is not complete, or not kept: %s is asked", name, served.name)
    return Choice(served)


def follow_encoders(kept: KeptModels, encoders: EncoderCache, choice: Choice) -> KeptEncoders:
    """What a worker embeds by: first the chosen model, loaded. Raises CommandError."""
    return KeptEncoders(kept, encoders.of, encoders.of(choice.served), on_gone=encoders.forget)


def _is_loaded_elsewhere(kept: KeptModels, model: KeptModel) -> bool:
    return any(model.fingerprint in one.ready for one in kept.serving.live())
