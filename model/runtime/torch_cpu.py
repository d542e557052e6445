"""Both towers by torch as they are, on any device.

Shapes: B batch, H, W height and width, L tokens, D embedding.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from model.encoder import DualEncoder
from model.runtime.base import Limits


class TorchEngine:
    """A DualEncoder where it is, in the precision of its weights."""

    limits = Limits()
    is_steady = False  # torch chooses how to multiply by the size

    def __init__(self, encoder: DualEncoder) -> None:
        self._encoder = encoder

    @property
    def name(self) -> str:
        precision = str(self._encoder.image_mean.dtype).removeprefix("torch.")
        return f"torch {precision} on {self._encoder.device}"

    def encode_pixels(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Engine."""
        pixels_B3HW = torch.from_numpy(np.ascontiguousarray(pixels_BHW3)).permute(0, 3, 1, 2)
        return self._encoder.encode_image(pixels_B3HW).cpu().numpy()

    def encode_tokens(self, tokens_BL: NDArray[np.int64]) -> NDArray[np.float32]:
        """See Engine."""
        return self._encoder.encode_text(torch.from_numpy(tokens_BL)).cpu().numpy()
