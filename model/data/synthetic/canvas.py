"""A drawing surface in body units, with cloth patterns and soft shading.

Two layers: colour, and shade (128 = as painted, less = in shadow). Shade is drawn with hard edges
and blurred once at the end, which gives folds and roundness for the price of a few polygons.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from model.data.synthetic.colours import RGB

Point = tuple[float, float]

NEUTRAL = 128


@dataclass(frozen=True)
class Cloth:
    """What a garment is made of."""

    colour: RGB
    pattern: str = "plain"  # plain, stripes, check, dots
    accent: RGB = (255, 255, 255)


class Canvas:
    """Points are (x, y) in figure heights: x from the body's axis, y from crown (0) to sole (1)."""

    def __init__(
        self, width_px: int, height_px: int, *, x0_px: float, y0_px: float, unit_px: float
    ):
        self.image = Image.new("RGB", (width_px, height_px))
        self.shade = Image.new("L", (width_px, height_px), NEUTRAL)
        self.x0_px, self.y0_px, self.unit_px = x0_px, y0_px, unit_px
        self.light_side = -1
        self._paint = ImageDraw.Draw(self.image)
        self._dim = ImageDraw.Draw(self.shade)

    def to_px(self, points: Iterable[Point]) -> list[Point]:
        unit = self.unit_px
        return [(self.x0_px + x * unit, self.y0_px + y * unit) for x, y in points]

    def shape(self, points: Sequence[Point], fill: Cloth | RGB, *, smooth: bool = True) -> None:
        """Fill a closed outline and make it neutral in shade."""
        outline = self.to_px(rounded(points) if smooth else points)
        self._dim.polygon(outline, fill=NEUTRAL)
        if isinstance(fill, Cloth) and fill.pattern not in ("plain", "print"):
            self._weave(outline, fill)
        else:
            self._paint.polygon(outline, fill=fill.colour if isinstance(fill, Cloth) else fill)

    def limb(self, ends: tuple[Point, Point], widths: Point, fill: Cloth | RGB) -> None:
        """A tapered, rounded bar (widths in figure heights), lit from the light's side."""
        self.shape(bar(ends, widths), fill, smooth=False)
        (ax, ay), (bx, by) = ends
        side = -self.light_side
        self.shadow(
            [
                (ax + side * widths[0] * 0.2, ay),
                (ax + side * widths[0] * 0.5, ay),
                (bx + side * widths[1] * 0.5, by),
                (bx + side * widths[1] * 0.2, by),
            ],
            82,
        )
        edge = [(ax - side * widths[0] * 0.5, ay), (bx - side * widths[1] * 0.5, by)]
        self.fold(edge, 92, 0.005)

    def dot(self, centre: Point, radius: Point, fill: RGB) -> None:
        """An ellipse."""
        (x, y), (rx, ry) = centre, radius
        box = self.to_px([(x - rx, y - ry), (x + rx, y + ry)])
        self._paint.ellipse([*box[0], *box[1]], fill=fill)
        self._dim.ellipse([*box[0], *box[1]], fill=NEUTRAL)

    def line(self, points: Sequence[Point], width: float, fill: RGB) -> None:
        width_px = max(1, round(width * self.unit_px))
        self._paint.line(self.to_px(points), fill=fill, width=width_px, joint="curve")

    def shadow(self, points: Sequence[Point], level: int) -> None:
        """Darken (level < 128) or lighten an area softly."""
        self._dim.polygon(self.to_px(points), fill=level)

    def fold(self, points: Sequence[Point], level: int = 88, width: float = 0.006) -> None:
        """A crease in cloth."""
        width_px = max(1, round(width * self.unit_px))
        self._dim.line(self.to_px(points), fill=level, width=width_px)

    def soft_shade(self, size_px: tuple[int, int]) -> NDArray[np.float32]:
        """Gain of each pixel: (height, width) float32, about 0.5 to 1.2. size_px: width, height."""
        small = self.shade.resize(size_px, Image.Resampling.BOX)
        small = small.filter(ImageFilter.GaussianBlur(0.0055 * size_px[1]))
        return np.asarray(small, dtype=np.float32) * (0.9 / NEUTRAL) + 0.1

    def _weave(self, outline: list[Point], cloth: Cloth) -> None:
        """Fill with a pattern that hangs still on the body, whatever the outline."""
        left, top = (int(min(axis)) for axis in zip(*outline, strict=True))
        right, bottom = (int(max(axis)) + 1 for axis in zip(*outline, strict=True))
        size = (right - left + 1, bottom - top + 1)
        mask = Image.new("1", size)
        ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in outline], fill=1)
        tile = Image.new("RGB", size, cloth.colour)
        draw = ImageDraw.Draw(tile)
        step = 0.034 * self.unit_px
        start_y = -((top - self.y0_px) % step)
        start_x = -((left - self.x0_px) % step)
        if cloth.pattern == "dots":
            _spread_dots(draw, size, (start_x, start_y), step * 0.8, cloth.accent)
        else:
            wide = cloth.pattern == "stripes"
            _rule_lines(draw, size, start_y, step, 0.42 if wide else 0.24, cloth.accent, 1)
            if not wide:
                _rule_lines(draw, size, start_x, step, 0.24, cloth.accent, 0)
        self.image.paste(tile, (left, top), mask)


def _rule_lines(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    start: float,
    step: float,
    share: float,
    fill: RGB,
    axis: int,
) -> None:
    at = start
    while at < size[axis]:
        box = (0, at, size[0], at + step * share) if axis else (at, 0, at + step * share, size[1])
        draw.rectangle(box, fill=fill)
        at += step


def _spread_dots(
    draw: ImageDraw.ImageDraw, size: tuple[int, int], start: Point, step: float, fill: RGB
) -> None:
    radius = step * 0.24
    rows = int(size[1] / step) + 2
    for row in range(rows):
        y = start[1] + row * step
        x = start[0] + (row % 2) * step / 2
        while x < size[0]:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
            x += step


def rounded(points: Sequence[Point]) -> list[Point]:
    """Cut the corners of a closed outline twice (Chaikin)."""
    outline = list(points)
    for _ in range(2):
        following = outline[1:] + outline[:1]
        outline = [
            point
            for (ax, ay), (bx, by) in zip(outline, following, strict=True)
            for point in (
                (ax * 0.78 + bx * 0.22, ay * 0.78 + by * 0.22),
                (ax * 0.22 + bx * 0.78, ay * 0.22 + by * 0.78),
            )
        ]
    return outline


# Half a circle in six points, from +90 to -90 degrees around an end of a bar.
_CAP = tuple((float(np.cos(a)), float(np.sin(a))) for a in np.linspace(np.pi / 2, -np.pi / 2, 6))


def bar(ends: tuple[Point, Point], widths: Point) -> list[Point]:
    """Outline of a tapered bar with round ends."""
    (ax, ay), (bx, by) = ends
    length = max(((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5, 1e-6)
    ux, uy = (bx - ax) / length, (by - ay) / length
    outline = []
    for (x, y), radius, sign in ((ends[1], widths[1] / 2, 1), (ends[0], widths[0] / 2, -1)):
        for along, across in _CAP:
            along, across = along * sign * radius, across * sign * radius
            outline.append((x + ux * along - uy * across, y + uy * along + ux * across))
    return outline
