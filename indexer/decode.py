"""Bytes to pixels, safely: what is accepted is known from the header, memory is bounded.

Boxes and sizes are of the upright picture; "raw" is as stored, before EXIF orientation.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from indexer.errors import BadPicture, StorageUnavailable
from indexer.picture_file import PictureFile, inspect
from indexer.records import Box, PictureHeader, PictureLimits

# Ours is a limit on memory, for each picture by its format; Pillow's is on pixels, for all alike.
Image.MAX_IMAGE_PIXELS = None
PngImagePlugin.MAX_TEXT_MEMORY = 4 * 2**20

_DEFAULT_LIMITS = PictureLimits()
_FORMATS = ("JPEG", "PNG", "WEBP")
_CONTENT_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_JPEG_SCALES = (1, 2, 4, 8)
_WEBP_BYTES_PER_PX = 16  # libwebp's two canvases, Pillow's copy, and the picture; measured
_BYTES_PER_PX = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}  # all others 4
_WORKING_BYTES = 6 * 2**20  # strips, codecs' tables
_STRIP_PX = 2**16
_REDUCING_GAP = 2  # what is read is at least this much finer than what is made


def read_header(
    file: BinaryIO, limits: PictureLimits = _DEFAULT_LIMITS, box: Box | None = None
) -> PictureHeader:
    """What the file says it is, checked against limits; its pixels are not decoded.

    box: checked too. Raises BadPicture.
    """
    described = inspect(file)
    with _opened(file, described) as image:
        raw = image.size
        width_px, height_px = raw[::-1] if _orientation(image) >= 5 else raw
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
    height_px, width_px = size
    described = inspect(file)
    with _opened(file, described) as image:
        return np.asarray(_render(image, described, box, (width_px, height_px), limits))


def decode_reduced(
    file: BinaryIO, max_side_px: int, limits: PictureLimits = _DEFAULT_LIMITS
) -> NDArray[np.uint8]:
    """The whole picture, upright, its longer side at most `max_side_px`; never larger than it is.

    Returns RGB (H, W, 3). Raises as `decode`.
    """
    described = inspect(file)
    with _opened(file, described) as image:
        raw = image.size
        upright = raw[::-1] if _orientation(image) >= 5 else raw
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
        width_px, height_px = raw[::-1] if _orientation(image) >= 5 else raw
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


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 for anything else that may stand there."""
    exif = Image.Exif()
    try:
        # Not image.getexif(): for PNG that decodes the whole picture in search of it.
        exif.load(image.info.get("exif", b""))
        found = exif.get(_ORIENTATION_TAG, 1)
    except Exception:  # damaged metadata is no reason to refuse a picture
        return 1
    return found if found in _UPRIGHT else 1


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
    orientation = _orientation(image)
    raw_width, raw_height = image.size
    region = _raw_region(box, orientation, raw_width, raw_height)
    raw_target = target[::-1] if orientation >= 5 else target
    finest = min(
        (region[2] - region[0]) // (_REDUCING_GAP * raw_target[0]),
        (region[3] - region[1]) // (_REDUCING_GAP * raw_target[1]),
    )
    wanted = max(scale for scale in _JPEG_SCALES if scale <= max(finest, 1))
    if described.format != "JPEG":
        wanted = 1
    scale = _jpeg_scale(image, described, wanted, limits)
    if scale > 1:
        image.draft(image.mode, (raw_width // scale, raw_height // scale))
    image.load()
    zoom_x, zoom_y = image.size[0] / raw_width, image.size[1] / raw_height
    zoomed = (region[0] * zoom_x, region[1] * zoom_y, region[2] * zoom_x, region[3] * zoom_y)
    made = _resize_region(image, zoomed, raw_target)
    return made.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else made


def _raw_region(
    box: Box | None, orientation: int, raw_width: int, raw_height: int
) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) in the raw picture of an upright box."""
    if box is None:
        return 0, 0, raw_width, raw_height
    left, top, right, bottom = box.x, box.y, box.x + box.width, box.y + box.height
    if orientation >= 5:  # upright columns are raw rows
        left, top, right, bottom = top, left, bottom, right
    if orientation in (2, 3, 7, 8):
        left, right = raw_width - right, raw_width - left
    if orientation in (3, 4, 6, 7):
        top, bottom = raw_height - bottom, raw_height - top
    return left, top, right, bottom


def _resize_region(
    image: Image.Image, region: tuple[float, float, float, float], target: tuple[int, int]
) -> Image.Image:
    """Bicubic after averaging whole pixels, strip by strip: a second full picture won't fit."""
    left, top = int(region[0]), int(region[1])
    right = min(-int(-region[2] // 1), image.size[0])
    bottom = min(-int(-region[3] // 1), image.size[1])
    factor_x = max(1, int((right - left) / (_REDUCING_GAP * target[0])))
    factor_y = max(1, int((bottom - top) / (_REDUCING_GAP * target[1])))
    rows = max(1, _STRIP_PX // (right - left) // factor_y) * factor_y
    reduced = Image.new("RGB", (-(-(right - left) // factor_x), -(-(bottom - top) // factor_y)))
    for start in range(top, bottom, rows):
        strip = _to_rgb(image.crop((left, start, right, min(start + rows, bottom))))
        reduced.paste(strip.reduce((factor_x, factor_y)), (0, (start - top) // factor_y))
    inner = (
        (region[0] - left) / factor_x,
        (region[1] - top) / factor_y,
        min((region[2] - left) / factor_x, reduced.size[0]),
        min((region[3] - top) / factor_y, reduced.size[1]),
    )
    return reduced.resize(target, Image.Resampling.BICUBIC, box=inner)


def _to_rgb(strip: Image.Image) -> Image.Image:
    """Any mode Pillow makes of JPEG, PNG and WebP, as RGB; what is transparent becomes white."""
    if strip.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion clips it to white
        high = np.asarray(strip).astype(np.int32) >> 8
        return Image.fromarray(high.clip(0, 255).astype(np.uint8)).convert("RGB")
    if strip.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in strip.info:
        over = strip.convert("RGBA")
        white = Image.new("RGBA", over.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, over).convert("RGB")
    return strip.convert("RGB")
