"""Bytes to pixels, safely: what is accepted is known from the header, memory is bounded.

Boxes and sizes are of the upright picture; "raw" is as stored, before EXIF orientation.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from indexer.errors import BadPicture, StorageUnavailable
from indexer.pictures.file import PictureFile, inspect
from indexer.pictures.region import cut_out, find_raw_region, read_orientation
from indexer.records import Box, PictureHeader, PictureLimits

# Ours is a limit on memory, for each picture by its format; Pillow's is on pixels, for all alike.
Image.MAX_IMAGE_PIXELS = None
PngImagePlugin.MAX_TEXT_MEMORY = 4 * 2**20

_DEFAULT_LIMITS = PictureLimits()
_FORMATS = ("JPEG", "PNG", "WEBP")
_CONTENT_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_JPEG_SCALES = (1, 2, 4, 8)
_WEBP_BYTES_PER_PX = 16  # libwebp's two canvases, Pillow's copy, and the picture; measured
_BYTES_PER_PX = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}  # all others 4
_WORKING_BYTES = 6 * 2**20  # strips, codecs' tables
_JPEG_GAP = 1.4  # a coarser JPEG is at least this much finer than what is made of it


def read_header(
    file: BinaryIO, limits: PictureLimits = _DEFAULT_LIMITS, box: Box | None = None
) -> PictureHeader:
    """What the file says it is, checked against limits; its pixels are not decoded.

    box: checked too. Raises BadPicture.
    """
    described = inspect(file)
    with _opened(file, described) as image:
        raw = image.size
        width_px, height_px = raw[::-1] if read_orientation(image) >= 5 else raw
        if min(raw) < limits.min_side_px:
            raise BadPicture(
                "picture_too_small",
                f"the picture is {width_px}x{height_px} pixels; expected at least "
                f"{limits.min_side_px} on each side",
            )
        _jpeg_scale(image, described, 1, limits)
    if box is not None:
        _check_box(box, width_px, height_px, limits)
    return PictureHeader(described.format, _CONTENT_TYPES[described.format], width_px, height_px)


def decode(
    file: BinaryIO,
    size: tuple[int, int],
    box: Box | None = None,
    limits: PictureLimits = _DEFAULT_LIMITS,
) -> NDArray[np.uint8]:
    """The picture, or its box, upright and squashed to `size` (height_px, width_px).

    Returns RGB (H, W, 3). Raises BadPicture; StorageUnavailable when the file can't be read.
    """
    return decode_boxes(file, size, [box], limits)[0]


def decode_boxes(
    file: BinaryIO,
    size: tuple[int, int],
    boxes: Sequence[Box | None],
    limits: PictureLimits = _DEFAULT_LIMITS,
) -> list[NDArray[np.uint8]]:
    """What `decode` makes of each box, in their order; those of one scale share one reading."""
    described = inspect(file)
    made: dict[int, NDArray[np.uint8]] = {}
    while len(made) < len(boxes):
        with _opened(file, described) as image:
            raw, orientation = image.size, read_orientation(image)
            scales = {
                place: _scale_for(image, described, box, size[::-1], limits)
                for place, box in enumerate(boxes)
                if place not in made
            }
            scale = min(scales.values())
            _load(image, scale)
            for place in [place for place, own in scales.items() if own == scale]:
                cut = cut_out(image, raw, orientation, boxes[place], size[::-1])
                made[place] = np.asarray(cut)
    return [made[place] for place in range(len(boxes))]


def decode_reduced(
    file: BinaryIO, max_side_px: int, limits: PictureLimits = _DEFAULT_LIMITS
) -> NDArray[np.uint8]:
    """The whole picture, upright, its longer side at most `max_side_px`; never larger than it is.

    Returns RGB (H, W, 3). Raises as `decode`.
    """
    described = inspect(file)
    with _opened(file, described) as image:
        raw = image.size
        upright = raw[::-1] if read_orientation(image) >= 5 else raw
        target = _reduce(upright, max_side_px)
        return np.asarray(_render(image, described, None, target, limits))


def make_thumbnail(
    file: BinaryIO,
    box: Box | None = None,
    max_side_px: int = 320,
    limits: PictureLimits = _DEFAULT_LIMITS,
) -> bytes:
    """The picture, or its box, upright as a JPEG whose longer side is at most `max_side_px`.

    Never larger than the original. Raises as `decode`.
    """
    described = inspect(file)
    with _opened(file, described) as image:
        raw = image.size
        width_px, height_px = raw[::-1] if read_orientation(image) >= 5 else raw
        if box is not None:
            width_px, height_px = box.width, box.height
        target = _reduce((width_px, height_px), max_side_px)
        thumbnail = _render(image, described, box, target, limits)
    jpeg = io.BytesIO()
    thumbnail.save(jpeg, "JPEG", quality=85)
    return jpeg.getvalue()


def _reduce(size: tuple[int, int], max_side_px: int) -> tuple[int, int]:
    """Width and height in proportion, the longer one at most `max_side_px`; never larger."""
    shrink = min(1.0, max_side_px / max(size))
    return max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))


@contextmanager
def _opened(file: BinaryIO, described: PictureFile) -> Iterator[Image.Image]:
    """Pillow's many errors as BadPicture; the disk's stay the disk's."""
    file.seek(0)
    try:
        with Image.open(file, formats=_FORMATS) as image:
            yield image
    except (BadPicture, MemoryError):
        raise
    except UnidentifiedImageError as error:
        detail = f"the file starts like a {described.format} but its header is damaged"
        raise BadPicture("not_a_picture", detail) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise StorageUnavailable(f"reading a picture: {error}") from error
        detail = f"the {described.format} picture is damaged: {error}"
        raise BadPicture("undecodable_picture", detail) from error


def _check_box(box: Box, width_px: int, height_px: int, limits: PictureLimits) -> None:
    right, bottom = box.x + box.width, box.y + box.height
    if min(box.x, box.y) < 0 or right > width_px or bottom > height_px:
        raise BadPicture(
            "box_outside_picture",
            f"box [{box.x}, {box.y}, {box.width}, {box.height}] reaches outside the picture, "
            f"which is {width_px}x{height_px} pixels",
            "box",
        )
    if min(box.width, box.height) < limits.min_side_px:
        raise BadPicture(
            "box_too_small",
            f"box [{box.x}, {box.y}, {box.width}, {box.height}]: expected at least "
            f"{limits.min_side_px} pixels on each side",
            "box",
        )


def _jpeg_scale(
    image: Image.Image, described: PictureFile, wanted: int, limits: PictureLimits
) -> int:
    """The JPEG scale to decode at: `wanted`, or coarser where memory asks for it.

    Raises BadPicture for what fits at no scale; formats but JPEG have only scale 1.
    """
    num_px = image.size[0] * image.size[1]
    base = _WORKING_BYTES + described.kept_bytes + described.coefficients_per_px * num_px
    per_px = _BYTES_PER_PX.get(image.mode, 4)
    if described.format == "WEBP":
        per_px = _WEBP_BYTES_PER_PX
    for scale in _JPEG_SCALES if described.format == "JPEG" else (1,):
        needed = base + per_px * num_px / scale**2
        if scale >= wanted and needed <= limits.max_decoded_bytes:
            return scale
    raise BadPicture(
        "picture_too_large",
        f"decoding this {described.format} of {image.size[0]}x{image.size[1]} pixels takes "
        f"{needed / 2**20:,.0f} MB of memory, at most {limits.max_decoded_bytes / 2**20:g} are "
        "allowed; send it smaller, or as a baseline JPEG",
    )


def _render(
    image: Image.Image,
    described: PictureFile,
    box: Box | None,
    target: tuple[int, int],
    limits: PictureLimits,
) -> Image.Image:
    """The upright region as RGB of `target` (width, height), antialiased."""
    raw, orientation = image.size, read_orientation(image)
    _load(image, _scale_for(image, described, box, target, limits))
    return cut_out(image, raw, orientation, box, target)


def _scale_for(
    image: Image.Image,
    described: PictureFile,
    box: Box | None,
    target: tuple[int, int],
    limits: PictureLimits,
) -> int:
    """The coarsest JPEG scale that leaves the region fine enough for `target`, or what must be."""
    orientation = read_orientation(image)
    region = find_raw_region(box, orientation, *image.size)
    raw_target = target[::-1] if orientation >= 5 else target
    finest = min(
        (region[2] - region[0]) / (_JPEG_GAP * raw_target[0]),
        (region[3] - region[1]) / (_JPEG_GAP * raw_target[1]),
    )
    wanted = max(scale for scale in _JPEG_SCALES if scale <= max(finest, 1))
    return _jpeg_scale(image, described, wanted if described.format == "JPEG" else 1, limits)


def _load(image: Image.Image, scale: int) -> None:
    if scale > 1:
        image.draft(image.mode, (image.size[0] // scale, image.size[1] // scale))
    image.load()
