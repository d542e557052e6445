"""Descriptions to vectors, the latest ones kept. D: embedding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.kept import Kept
from indexer.protocols import TextEncoder


@dataclass(frozen=True)
class QueryVector:
    """vector_D: unit, float32. truncated: the text had more tokens than the model reads."""

    vector_D: NDArray[np.float32]
    truncated: bool


class QueryVectors:
    """Encodes each description once while it is among the last `size` asked for. Thread-safe."""

    def __init__(self, encoder: TextEncoder, size: int) -> None:
        self.model = encoder.fingerprint
        self._encoder = encoder
        self._kept: Kept[tuple[str, str], QueryVector] = Kept(size)

    def get(self, text: str) -> QueryVector:
        """The vector of `text`, which is normalised already."""
        key = (self.model, text)
        if (kept := self._kept.get(key)) is not None:
            return kept
        made = QueryVector(self.encode(text), self._encoder.is_truncated(text))
        self._kept.put(key, made)
        return made

    def encode(self, text: str) -> NDArray[np.float32]:
        """A forward pass, never from memory: the unit vector (D,).

        Raises RuntimeError if the model's answer is no unit vector.
        """
        vector_D: NDArray[np.float32] = self._encoder.encode_text([text])[0]
        return require_unit(vector_D, self.model)


def require_unit(vector_D: NDArray[np.float32], model: str) -> NDArray[np.float32]:
    """The vector itself. Raises RuntimeError if it is no unit vector."""
    norm = float(np.linalg.norm(vector_D))
    if not abs(norm - 1) < 1e-3:  # also when it is not a number
        raise RuntimeError(f"the model {model} gave a vector of length {norm}, not 1")
    return vector_D
