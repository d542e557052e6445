"""A region of an opened picture, upright and in the size that is wanted.

"Raw" is as stored, before EXIF orientation; boxes and targets are of the upright picture.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from indexer.records import Box

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
_STRIP_PX = 2**16
_REDUCING_GAP = 3  # whole pixels are averaged to at least this much finer than what is made


def read_orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 for anything else that may stand there."""
    exif = Image.Exif()
    try:
        # Not image.getexif(): for PNG that decodes the whole picture in search of it.
        exif.load(image.info.get("exif", b""))
        found = exif.get(_ORIENTATION_TAG, 1)
    except Exception:  # damaged metadata is no reason to refuse a picture
        return 1
    return found if found in _UPRIGHT else 1


def find_raw_region(
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


def cut_out(
    image: Image.Image,
    raw: tuple[int, int],
    orientation: int,
    box: Box | None,
    target: tuple[int, int],
) -> Image.Image:
    """The upright region of a picture that was `raw` (width, height) before it was loaded.

    orientation: from before it was loaded too, as its header has it and boxes are meant: a PNG
    may bring another after its pixels.
    """
    region = find_raw_region(box, orientation, *raw)
    scale = _find_scale(raw, image.size)
    zoomed = (region[0] / scale, region[1] / scale, region[2] / scale, region[3] / scale)
    made = _resize_region(image, zoomed, target[::-1] if orientation >= 5 else target)
    return made.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else made


def _find_scale(raw: tuple[int, int], loaded: tuple[int, int]) -> int:
    """How many raw pixels a pixel that was loaded spans; the last may span fewer, so sizes divided
    by each other would be off."""
    return next(
        scale for scale in (1, 2, 4, 8) if loaded == (-(-raw[0] // scale), -(-raw[1] // scale))
    )


def _resize_region(
    image: Image.Image, region: tuple[float, float, float, float], target: tuple[int, int]
) -> Image.Image:
    """Bicubic after averaging whole pixels; other modes strip by strip: no second picture fits."""
    if image.mode == "RGB" and "transparency" not in image.info:
        inside = (*region[:2], min(region[2], image.size[0]), min(region[3], image.size[1]))
        return image.resize(target, Image.Resampling.BICUBIC, inside, _REDUCING_GAP)
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
