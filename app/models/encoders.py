"""The encoders of this process: each model is loaded once, whoever needs it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from app.errors import CommandError
from indexer.models.kept import KeptModel
from indexer.protocols import ImageEncoder, TextEncoder


class Encoder(ImageEncoder, TextEncoder, Protocol):
    """Pictures and texts into one space."""


@runtime_checkable
class Described(Protocol):
    """An encoder whose checkpoint says something of itself."""

    @property
    def card(self) -> Mapping[str, object]: ...


class EncoderCache:
    """Loads encoders, and keeps them. Thread-safe."""

    def __init__(self, load: Callable[[str], Encoder]) -> None:
        """load: makes an encoder of its name, or raises CommandError."""
        self._load = load
        self._kept: dict[str, Encoder] = {}
        self._turn = threading.Lock()  # two at a time would need the memory of both

    def named(self, name: str) -> Encoder:
        """What this name loads now. Raises CommandError."""
        with self._turn:
            encoder = self._load(name)
            return self._kept.setdefault(encoder.fingerprint, encoder)

    def of(self, model: KeptModel) -> Encoder:
        """A kept model's. Raises CommandError where it can't be loaded, or its name loads another
        by now."""
        encoder = self._kept.get(model.fingerprint) or self.named(model.name)
        if encoder.fingerprint != model.fingerprint:
            raise CommandError(
                f"{model.name} is another model by now: its fingerprint is {encoder.fingerprint}, "
                f"not {model.fingerprint}"
            )
        return encoder

    def loaded(self, fingerprint: str) -> Encoder | None:
        """A model's, where somebody needed it before."""
        return self._kept.get(fingerprint)

    def forget(self, fingerprint: str) -> None:
        """Its memory is free again once nobody uses it."""
        self._kept.pop(fingerprint, None)
