"""What PASSERBY_MODEL wants: a model that is served by itself once every picture has its vector."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from app.access.caller import Caller
from app.models.on_record import switch_on_record
from indexer.catalogue import Catalogue
from indexer.errors import ModelIncomplete, ModelNotReady
from indexer.models.kept import KeptModel

_SETTING = Caller("PASSERBY_MODEL")

log = logging.getLogger("passerby.models")


class Wish:
    """One process's, granted once: what is chosen by command afterwards is not undone."""

    def __init__(self, catalogue: Catalogue, fingerprint: str | None) -> None:
        """fingerprint: of the model that the setting names; None where it names none."""
        self._catalogue = catalogue
        self._fingerprint = fingerprint

    def grant(self, kept: Sequence[KeptModel]) -> None:
        """If it can be by now. Raises DatabaseUnavailable, StorageFull."""
        if self._fingerprint is None:
            return
        model = next((one for one in kept if one.fingerprint == self._fingerprint), None)
        if model is None or model.is_served:
            self._fingerprint = None
        elif model.declined_at is not None:
            log.warning(
                "%s, which PASSERBY_MODEL names, is not served: another was chosen in its place; "
                "`passerby models switch %s` serves it",
                model.name,
                model.fingerprint,
            )
            self._fingerprint = None
        elif self._catalogue.models.progress()[model.fingerprint].is_complete:
            try:
                switch_on_record(
                    self._catalogue, _SETTING, model.fingerprint, force=False, by_setting=True
                )
            except (ModelIncomplete, ModelNotReady):
                return  # a picture came this moment, or a process is about to load it
            self._fingerprint = None
