"""Encoders, held to what they promise. Shapes: B batch, H, W pixels, D embedding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from indexer.protocols import ImageEncoder


def encode(encoder: ImageEncoder, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Unit vectors (B, D). Raises ValueError where the model gives anything else, which would fail
    in a search, and whatever the model raises."""
    vectors_BD = encoder.encode_image(pixels_BHW3)
    expected = (len(pixels_BHW3), encoder.dim)
    if vectors_BD.shape != expected:
        raise ValueError(f"the model gave shape {vectors_BD.shape}, expected {expected}")
    norms_B = np.linalg.norm(vectors_BD, axis=1)
    if not np.all(np.abs(norms_B - 1) < 0.01):
        raise ValueError("the model gave a vector that is not of length 1")
    return vectors_BD


def try_encoder(encoder: ImageEncoder) -> None:
    """Encode something that no encoder can fail on. Raises whatever it raises."""
    encode(encoder, np.full((1, *encoder.image_size, 3), 127, np.uint8))
