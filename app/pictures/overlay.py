"""Where the model looked, as a picture to lay over the one that it looked at."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_SIDE_PX = 512  # it is smooth: a browser may enlarge it
# Dark to bright, so that it reads in grey and by any eye: the anchors of matplotlib's inferno.
_PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)
_COLOURS = ((0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164))
_OPACITY = (0.45, 0.7)  # of the lowest and of the highest weight


def overlay_size(width_px: int, height_px: int) -> tuple[int, int]:
    """Width and height of the overlay over a picture of this size."""
    shrink = min(1.0, MAX_SIDE_PX / max(width_px, height_px))
    return max(1, round(width_px * shrink)), max(1, round(height_px * shrink))


def draw_overlay(heat_HW: NDArray[np.float32]) -> bytes:
    """A PNG: weights 0 to 1 darken or light up what is below; it can be seen through everywhere."""
    colours = np.array(_COLOURS, dtype=np.float64)
    channels = [np.interp(heat_HW, _PLACES, colours[:, channel]) for channel in range(3)]
    opacity_HW = 255 * np.interp(heat_HW, (0, 1), _OPACITY)
    pixels_HW4 = np.stack([*channels, opacity_HW], axis=-1).round().astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels_HW4, "RGBA").save(file, "PNG")
    return file.getvalue()
