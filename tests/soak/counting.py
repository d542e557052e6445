"""`passerby` with the small colour encoder, which notes how many pictures it was given.

The number stands in the file SOAK_COUNTS/PID; the worker's own probe is not counted.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import app.cli
import app.wiring
from tests.conftest import ColourEncoder


class CountingEncoder(ColourEncoder):
    """Writes down what it did before anybody can make use of it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / str(os.getpid())
        self._num_pictures = 0

    def encode_image(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        vectors_BD = super().encode_image(pixels_BHW3)
        self._num_pictures += sum(len(np.unique(pixels)) > 1 for pixels in pixels_BHW3)
        self._path.write_text(str(self._num_pictures))
        return vectors_BD


if __name__ == "__main__":
    app.wiring.load_encoder = lambda _: CountingEncoder(Path(os.environ["SOAK_COUNTS"]))
    app.cli.main()
