"""What stands between the camera and somebody, and what the camera does to the light."""

from io import BytesIO
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from model.data.synthetic.canvas import NEUTRAL, Canvas, rounded
from model.data.synthetic.colours import darker, lighter
from model.data.synthetic.view import Occluder, Scene

STANDARD_HEIGHT_PX = 384


def draw_occluder(canvas: Canvas, occluder: Occluder, rng: Random) -> None:
    """Paint over the person what is in the way."""
    w, h = canvas.image.size
    draw = ImageDraw.Draw(canvas.image)
    x = w * (0.5 + occluder.image_side * occluder.edge)
    y = h * occluder.edge
    if occluder.kind == "pole":
        half = w * 0.035
        _flatten(canvas, (x - half, 0, x + half, h))
        draw.rectangle((x - half, 0, x + half, h), fill=(92, 96, 100))
        draw.rectangle((x - half * 0.3, 0, x + half * 0.3, h), fill=(134, 138, 142))
    elif occluder.kind == "railing":
        for top in (y, y + (h - y) * 0.55):
            draw.rectangle((0, top, w, top + h * 0.016), fill=(74, 78, 84))
        for post in range(7):
            left = w * (post / 6 + rng.uniform(-0.01, 0.01))
            draw.rectangle((left, y, left + w * 0.034, h), fill=(86, 90, 96))
    elif occluder.kind == "car":
        _flatten(canvas, (0, y + 0.02 * h, w, h))
        _draw_car(draw, (w, h), y, rng)
    else:
        border = w if occluder.image_side > 0 else 0
        _flatten(canvas, (min(x, border), 0.2 * h, max(x, border), h))
        _draw_passer_by(draw, (w, h), x, occluder.image_side, rng)


def _flatten(canvas: Canvas, box_px: tuple[float, float, float, float]) -> None:
    """The person's folds don't show on what is in front."""
    ImageDraw.Draw(canvas.shade).rectangle(box_px, fill=NEUTRAL)


def _draw_car(draw: ImageDraw.ImageDraw, size: tuple[int, int], top: float, rng: Random) -> None:
    w, h = size
    paint = rng.choice(((60, 62, 68), (206, 206, 204), (96, 40, 40), (52, 66, 92)))
    nose = rng.choice((-1, 1))
    outline = [
        (-0.2 * w, top + 0.01 * h),
        (0.6 * w, top),
        (1.2 * w, top + 0.03 * h),
        (1.2 * w, h * 1.1),
        (-0.2 * w, h * 1.1),
    ]
    if nose < 0:
        outline = [(w - x, y) for x, y in outline]
    draw.polygon(rounded(outline), fill=paint)
    draw.rectangle((0, top + 0.045 * h, w, top + 0.052 * h), fill=lighter(paint, 0.3))
    draw.rectangle((0, top + 0.075 * h, w, h), fill=darker(paint, 0.3))
    lamp = 0.12 * w if nose < 0 else 0.82 * w
    draw.ellipse(
        (lamp - 0.07 * w, top + 0.05 * h, lamp + 0.07 * w, top + 0.075 * h), fill=(240, 236, 210)
    )


def _draw_passer_by(
    draw: ImageDraw.ImageDraw, size: tuple[int, int], edge: float, side: int, rng: Random
) -> None:
    """The rim of another person in plain grey-blue clothes, cut by the picture's border."""
    w, h = size
    coat = rng.choice(((78, 82, 90), (104, 98, 92), (66, 70, 84)))
    middle = edge + side * 0.2 * w
    head = (middle + side * 0.02 * w, 0.12 * h)
    draw.ellipse(
        (head[0] - 0.1 * w, head[1] - 0.055 * h, head[0] + 0.1 * w, head[1] + 0.055 * h),
        fill=(60, 48, 42),
    )
    body = [
        (edge + side * 0.1 * w, 0.18 * h),
        (edge, 0.23 * h),
        (edge, 0.5 * h),
        (edge + side * 0.03 * w, 0.58 * h),
    ]
    legs = [(edge + side * 0.05 * w, h), (edge + side * w, h), (edge + side * w, 0.18 * h)]
    draw.polygon([*body, *legs], fill=coat)
    draw.polygon(
        [
            (edge + side * 0.03 * w, 0.58 * h),
            (edge + side * 0.05 * w, h),
            (edge + side * w, h),
            (edge + side * w, 0.58 * h),
        ],
        fill=darker(coat, 0.4),
    )


def expose(image: Image.Image, shade_HW: NDArray[np.float32], scene: Scene) -> Image.Image:
    """The camera's picture of what is there.

    image: RGB; shade_HW: gain of each pixel. Returns RGB of the same size, with the scene's light,
    colour cast, blur, sensor noise and JPEG traces.
    """
    height = image.height
    pixels = np.asarray(image, dtype=np.float32)
    gain = np.array(scene.cast, dtype=np.float32) * np.float32(scene.light)
    lit = pixels * (shade_HW[..., None] * gain)
    # Black cloth still has folds: what multiplies to nothing needs a little added.
    lit += (shade_HW[..., None] - 1) * 22
    blur_px = scene.blur_px * height / STANDARD_HEIGHT_PX
    soft = Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))
    soft = soft.filter(ImageFilter.GaussianBlur(blur_px))
    noise = np.random.default_rng(scene.grain).standard_normal(shade_HW.shape, dtype=np.float32)
    noisy = np.asarray(soft, dtype=np.float32) + noise[..., None] * np.float32(scene.noise)
    picture = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=scene.quality)
    developed = Image.open(buffer)
    developed.load()
    return developed.convert("RGB") if developed.mode != "RGB" else developed
