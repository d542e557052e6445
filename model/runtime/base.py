"""What runs both towers of an encoder.

Shapes: B batch, H, W height and width, L tokens, D embedding.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Multiplied = Literal["float32", "bfloat16"]
"""In which precision numbers are multiplied; sums are float32 always."""


@dataclass(frozen=True)
class Limits:
    """How much an engine takes in one call: what bounds its memory, and suits it."""

    pictures: int = 64
    texts: int = 64


class Engine(Protocol):
    """Both towers of one encoder on one kind of machine. Many threads may call it at once."""

    @property
    def name(self) -> str:
        """What runs it, in which precision and where: `torch float32 on cpu`."""
        ...

    @property
    def limits(self) -> Limits: ...

    @property
    def is_steady(self) -> bool:
        """Whether a text's vector is the same to the last bit, whatever is encoded beside it."""
        ...

    def encode_pixels(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """RGB of the encoder's image size, 1 <= B <= limits.pictures -> unit (B, D)."""
        ...

    def encode_tokens(self, tokens_BL: NDArray[np.int64]) -> NDArray[np.float32]:
        """CLIP's tokens, 0 after the end, L the longest text's, 1 <= B <= limits.texts -> unit
        (B, D)."""
        ...
