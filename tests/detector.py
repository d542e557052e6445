"""A detector that is small and true, and frames for it: people are red or blue upright boxes."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from indexer.records import Box


class ColourDetector:
    """Finds what is plainly red, and what is plainly blue: at most one person of each."""

    fingerprint = "colours"
    max_side_px = 200

    def detect(
        self, pictures: Sequence[NDArray[np.uint8]]
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        return [self._detect(picture) for picture in pictures]

    def _detect(
        self, picture_HW3: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        boxes, scores = [], []
        for channel, score in ((0, 0.9), (2, 0.8)):
            others = [other for other in range(3) if other != channel]
            is_it_HW = (picture_HW3[..., channel] > 200) & (picture_HW3[..., others] < 60).all(-1)
            if is_it_HW.any():
                rows, columns = np.nonzero(is_it_HW)
                boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
                scores.append(score)
        return np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32)


DETECTOR = "python:tests.detector:make_detector"


def make_detector() -> ColourDetector:
    """What PASSERBY_DETECTOR names."""
    return ColourDetector()


def street(size: tuple[int, int] = (200, 100), **people: Box) -> bytes:
    """A frame, as a PNG: grey, with a box in the colour that is its name. size: width, height."""
    image = Image.new("RGB", size, (120, 120, 120))
    for colour, box in people.items():
        image.paste(colour, (box.x, box.y, box.x + box.width, box.y + box.height))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
