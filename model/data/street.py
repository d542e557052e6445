"""Drawn camera frames with several people in each: what a person detector learns and is tried on.

The same number, seed and city always give the same frame, and its people are those of
`synthetic.draw_identity`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np
from PIL import Image, ImageFilter

from model.data.synthetic.canvas import NEUTRAL, Canvas
from model.data.synthetic.caption import write_captions
from model.data.synthetic.figure import draw_person
from model.data.synthetic.optics import STANDARD_HEIGHT_PX, expose
from model.data.synthetic.outfit import Identity, pick, sample_identity
from model.data.synthetic.scene import draw_place
from model.data.synthetic.view import CAMERAS, Scene, View, sample_scene, sample_view

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels of the frame"""

_FIRST_DAY = datetime(2026, 4, 6, 6, tzinfo=UTC)
_KEY = (255, 0, 254)  # what nobody wears
_CROWDS = {0: 1.5, 1: 2.0, 2: 2.5, 3: 2.5, 4: 2.0, 5: 1.5, 6: 1.0, 8: 0.7}
_MOST_COVERED = 0.5  # of the smaller one of two boxes
_SMALLEST = 0.06  # height of a person, in heights of the frame


@dataclass(frozen=True)
class PersonInFrame:
    """identity: for evaluation only. caption: what a witness says."""

    identity: int
    box: Box
    caption: str


@dataclass(frozen=True)
class Frame:
    """One frame and who is in it, whoever stands behind first."""

    camera: str
    captured_at: datetime  # aware, UTC
    image: Image.Image  # RGB
    people: tuple[PersonInFrame, ...]


@dataclass(frozen=True)
class _Figure:
    """Somebody cut out, no wider than they are. image: RGBA; shade: L."""

    image: Image.Image
    shade: Image.Image


def draw_frame(
    number: int,
    *,
    seed: int,
    identities: Sequence[int],
    city: str = "harbour",
    size: tuple[int, int] = (540, 960),
) -> Frame:
    """One frame with a few of `identities`, or nobody. size: (height, width) in pixels."""
    rng = Random(f"{seed}/{city}/frame {number}")
    camera = rng.choice(CAMERAS[city])
    scene = replace(sample_scene(camera, sample_view(camera, rng), rng), occluder=None)
    image = Image.new("RGB", size[::-1])
    shade = Image.new("L", size[::-1], NEUTRAL)
    draw_place(image, scene)
    chosen = rng.sample(identities, min(pick(rng, _CROWDS), len(identities)))
    people = []
    for identity, place in zip(chosen, _places(len(chosen), size, rng), strict=False):
        view = sample_view(camera, rng)
        who = sample_identity(identity, city, Random(f"{seed}/{city}/{identity}/outfit"))
        box = _paste(_cut_out(who, view, scene, place[3]), place, image, shade)
        words = Random(f"{seed}/{city}/frame {number}/{identity}")
        (caption,) = write_captions(who, view, scene, words, num_captions=1, city=city)
        people.append(PersonInFrame(identity, box, caption))
    gain_HW = np.asarray(shade, dtype=np.float32) * (0.9 / NEUTRAL) + 0.1
    moment = _FIRST_DAY + timedelta(seconds=rng.randrange(14 * 24 * 3600))
    return Frame(camera.name, moment, expose(image, gain_HW, scene), tuple(people))


def _places(num: int, size: tuple[int, int], rng: Random) -> list[Box]:
    """Where people stand, far ones first: who is lower in the frame is nearer, so larger. Fewer
    than `num` where there is no room without covering somebody."""
    height_px, width_px = size
    tallest = rng.uniform(0.25, 0.9)  # who stands at the lower edge
    places: list[Box] = []
    for _ in range(6 * num):
        near = rng.random()
        tall = max(_SMALLEST, tallest * (0.25 + 0.75 * near) * rng.uniform(0.85, 1.1)) * height_px
        foot, wide = height_px * (0.66 + 0.36 * near), 0.36 * tall
        x = rng.uniform(-wide / 4, width_px - 0.75 * wide)
        place = (round(x), round(foot - tall), round(wide), round(tall))
        if len(places) < num and all(_covered(place, other) < _MOST_COVERED for other in places):
            places.append(place)
    return sorted(places, key=lambda place: place[1] + place[3])


def _covered(one: Box, other: Box) -> float:
    """The share of the smaller box that both have in common."""
    wide = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    high = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return max(0, wide) * max(0, high) / min(one[2] * one[3], other[2] * other[3])


def _cut_out(who: Identity, view: View, scene: Scene, height_px: int) -> _Figure:
    """A person `height_px` from crown to sole, without a background."""
    scale = 2 if 2 * height_px <= STANDARD_HEIGHT_PX else 1  # smooths edges
    unit, margin = scale * height_px, scale * height_px // 8
    size = (unit, unit + 2 * margin)
    canvas = Canvas(*size, x0_px=unit / 2, y0_px=margin, unit_px=unit)
    canvas.light_side = scene.light_side
    canvas.image.paste(_KEY, (0, 0, *size))
    draw_person(canvas, who, view)
    person = Image.fromarray((np.asarray(canvas.image) != _KEY).any(axis=2))
    region = person.getbbox()
    assert region is not None
    canvas.image.putalpha(person.convert("L"))
    shade = canvas.shade.filter(ImageFilter.GaussianBlur(0.0055 * unit))
    image, shade = canvas.image.crop(region), shade.crop(region)
    small = (max(1, image.width // scale), max(1, image.height // scale))
    return _Figure(
        image.resize(small, Image.Resampling.BOX), shade.resize(small, Image.Resampling.BOX)
    )


def _paste(figure: _Figure, place: Box, image: Image.Image, shade: Image.Image) -> Box:
    """Put somebody into the frame, with a shadow at their feet; the part of them that is in it."""
    x, y, wide, tall = place
    width, height = figure.image.size
    left, top = x + (wide - width) // 2, y + tall - height
    ground = Image.new("L", (2 * width, max(2, tall // 16)), 0)
    ground.paste(110, (width // 3, 0, 2 * width - width // 3, ground.height // 2 + 1))
    ground = ground.filter(ImageFilter.GaussianBlur(tall / 50))
    image.paste((40, 40, 40), (left - width // 2, y + tall - ground.height // 2), ground)
    mask = figure.image.getchannel("A")
    image.paste(figure.image, (left, top), mask)
    shade.paste(figure.shade, (left, top), mask)
    right, bottom = min(left + width, image.width), min(top + height, image.height)
    left, top = max(left, 0), max(top, 0)
    return left, top, right - left, bottom - top
