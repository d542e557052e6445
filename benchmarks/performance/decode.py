"""Reading JPEGs as the encoder takes them, against Pillow in full: time, and how alike they are.

Times are of the CPU, so that what else the machine does weighs little.
"""

from __future__ import annotations

import io
import time

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.performance.camera import crop_people, draw_camera_frame, save_jpeg
from benchmarks.performance.row import Row, Size, at_least, at_most, take_turns
from indexer.pictures.decode import decode, decode_boxes
from indexer.records import Box

_TARGET = (384, 128)


def measure(size: Size) -> list[Row]:
    """A camera's whole frame, people cut out of it, and several people in one frame."""
    frame, boxes = draw_camera_frame(1)
    rounds = 25 if size == "full" else 1
    rows = _compare("1920x1080 JPEG to 384x128", save_jpeg(frame), rounds, bound=2.0)
    rows += _compare("progressive 1920x1080", save_jpeg(frame, progressive=True), rounds)
    crop = save_jpeg(crop_people(frame, boxes)[-1], quality=90)
    rows += _compare("person crop", crop, rounds)
    return [*rows, _share(save_jpeg(frame), boxes, rounds)]


def _compare(name: str, jpeg: bytes, rounds: int, bound: float | None = None) -> list[Row]:
    turns = take_turns(
        {
            "ours": lambda: decode(io.BytesIO(jpeg), _TARGET),
            "in full": lambda: decode_in_full(jpeg),
        },
        rounds,
        time.thread_time,
    )
    value, against = 1e3 * turns.median_s("ours"), 1e3 * turns.median_s("in full")
    ratio = turns.ratio("in full", "ours")
    error = decode(io.BytesIO(jpeg), _TARGET) - decode_in_full(jpeg).astype(np.float64)
    rms = float(np.sqrt((error**2).mean()))
    if bound is None:
        return [Row(name, value, "ms", against, ratio)]
    return [
        at_least(bound, name, value, "ms", against=against, ratio=ratio),
        at_most(2.0, f"{name}: RMS from in full", rms, "of 255"),
    ]


def _share(jpeg: bytes, boxes: list[Box], rounds: int) -> Row:
    """Everybody in one frame, against reading the frame for each of them."""
    turns = take_turns(
        {
            "together": lambda: decode_boxes(io.BytesIO(jpeg), _TARGET, boxes),
            "apart": lambda: [decode(io.BytesIO(jpeg), _TARGET, box) for box in boxes],
        },
        rounds,
        time.thread_time,
    )
    each = 1e3 / len(boxes)
    return Row(
        f"a person of {len(boxes)} in one 1920x1080 frame",
        each * turns.median_s("together"),
        "ms",
        each * turns.median_s("apart"),
        turns.ratio("apart", "together"),
    )


def decode_in_full(jpeg: bytes) -> NDArray[np.uint8]:
    """As one would with Pillow: every pixel, then antialiased to the size."""
    with Image.open(io.BytesIO(jpeg)) as image:
        upright = image.convert("RGB").resize(_TARGET[::-1], Image.Resampling.BICUBIC)
    return np.asarray(upright)
