"""Pictures as cameras send them, for measures: drawn streets with the grain of a sensor."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from indexer.records import Box
from model.data.street import draw_frame

_GRAIN = 6.0  # standard deviation, of 255: without it a JPEG is too small, and read too fast
_BUSY = (18, 25)  # frames of the street with four people each, near and far


def draw_camera_frame(number: int) -> tuple[Image.Image, list[Box]]:
    """A frame of 1920x1080 and where the people in it are. number: 0 or 1."""
    frame = draw_frame(_BUSY[number], seed=0, identities=range(300), size=(1080, 1920))
    boxes = [Box(*person.box) for person in frame.people]
    grain = np.random.default_rng(number).normal(0, _GRAIN, (1080, 1920, 1))
    pixels = (np.asarray(frame.image) + grain).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels), boxes


def crop_people(frame: Image.Image, boxes: list[Box]) -> list[Image.Image]:
    """Everybody cut out."""
    return [frame.crop((box.x, box.y, box.x + box.width, box.y + box.height)) for box in boxes]


def save_jpeg(image: Image.Image, quality: int = 85, *, progressive: bool = False) -> bytes:
    """The file's bytes."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, progressive=progressive)
    return file.getvalue()
