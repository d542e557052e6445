"""Descriptions to vectors, the latest ones kept. D: embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.kept import Kept
from indexer.protocols import TextEncoder
from indexer.together import Together

MOST_TEXTS = 16  # in a forward pass: with more, all clients wait for it, then it for all clients
WAIT_S = 0.002


@dataclass(frozen=True)
class QueryVector:
    """vector_D: unit, float32. truncated: the text had more tokens than the model reads."""

    vector_D: NDArray[np.float32]
    truncated: bool


class QueryVectors:
    """Encodes each description once while it is among the last `size` asked for, and what is
    asked for at the same time in one forward pass, where that changes no bit. Thread-safe."""

    def __init__(self, encoder: TextEncoder, size: int) -> None:
        self.model = encoder.fingerprint
        self._encoder = encoder
        self._kept: Kept[tuple[str, str], QueryVector] = Kept(size)
        # The next page's vector must be the first one's: by another process, or made anew.
        most = MOST_TEXTS if encoder.is_steady else 1
        self._together = Together(self._make, most=most, wait_s=WAIT_S, apart=True)

    def get(self, text: str) -> QueryVector:
        """The vector of `text`, which is normalised already.

        Raises RuntimeError if the model's answer is no unit vector, and what the encoder does.
        """
        kept = self._kept.get((self.model, text))
        return self._together.get(text) if kept is None else kept

    def encode(self, text: str) -> NDArray[np.float32]:
        """A forward pass, never from memory: the unit vector (D,).

        Raises RuntimeError if the model's answer is no unit vector.
        """
        vector_D: NDArray[np.float32] = self._encoder.encode_text([text])[0]
        return require_unit(vector_D, self.model)

    def _make(self, texts: Sequence[str]) -> list[QueryVector]:
        """Each text once, and none that was made while it waited."""
        found = {text: self._kept.get((self.model, text)) for text in texts}
        missing = [text for text, kept in found.items() if kept is None]
        vectors_MD = self._encoder.encode_text(missing) if missing else ()
        made = {
            text: QueryVector(require_unit(vector_D, self.model), self._encoder.is_truncated(text))
            for text, vector_D in zip(missing, vectors_MD, strict=True)
        }
        for text, query in made.items():
            self._kept.put((self.model, text), query)
        return [found[text] or made[text] for text in texts]


def require_unit(vector_D: NDArray[np.float32], model: str) -> NDArray[np.float32]:
    """The vector itself. Raises RuntimeError if it is no unit vector."""
    norm = float(np.linalg.norm(vector_D))
    if not abs(norm - 1) < 1e-3:  # also when it is not a number
        raise RuntimeError(f"the model {model} gave a vector of length {norm}, not 1")
    return vector_D
