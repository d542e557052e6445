"""Pictures on disk, decoded when they are asked for.

Shapes: B batch, H, W height and width.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from model.errors import PictureError

THREADS = min(8, os.cpu_count() or 1)
"""Pillow decodes and resizes without the interpreter's lock."""


@dataclass(frozen=True)
class FilePictures:
    """The pictures in these files, squashed to `image_size` (height, width)."""

    paths: Sequence[str]
    image_size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.paths)

    def load(self, index_B: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """These pictures as uint8 (B, 3, H, W). Raises PictureError for one that can't be read."""
        pixels_BHW3 = np.empty((len(index_B), *self.image_size, 3), np.uint8)

        def fill(row: int) -> None:
            pixels_BHW3[row] = self._decode(int(index_B[row]))

        # A pool for each call costs little beside decoding, and survives fork and pickling.
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(fill, range(len(index_B))):
                pass
        return pixels_BHW3.transpose(0, 3, 1, 2)

    def _decode(self, index: int) -> NDArray[np.uint8]:
        path = self.paths[index]
        try:
            return decode_picture(path, self.image_size)
        except MemoryError:
            raise
        except Exception as error:  # Pillow's plugins raise nearly anything for a damaged file
            raise PictureError(Path(path), index, explain(error)) from error


def decode_picture(path: str, image_size: tuple[int, int]) -> NDArray[np.uint8]:
    """One picture, upright, squashed (bicubic) to height and width: RGB uint8 (H, W, 3).

    Raises whatever Pillow does for a file that can't be read.
    """
    height, width = image_size
    with Image.open(path) as image:
        # A large JPEG is decoded coarser, yet at least twice as fine as what is made of it.
        image.draft(None, (2 * max(image_size), 2 * max(image_size)))
        image.load()
        with suppress(Exception):  # damaged metadata is no reason to refuse a picture
            ImageOps.exif_transpose(image, in_place=True)
        return np.asarray(_to_rgb(image).resize((width, height), Image.Resampling.BICUBIC))


def read_size(path: str) -> tuple[int, int]:
    """Width and height by the file's header, in pixels as stored. Raises as decode_picture."""
    with Image.open(path) as image:
        return image.size


def explain(error: Exception) -> str:
    """Why a picture can't be read, in a few words."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, UnidentifiedImageError):
        return "expected a picture, got an empty file or one of another kind"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any mode as RGB; what is transparent becomes white."""
    if image.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion clips it to white
        high = np.asarray(image).astype(np.int32) >> 8
        return Image.fromarray(high.clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")
    return image.convert("RGB")
