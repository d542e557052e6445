"""Synthetic people: pictures with captions, the same for the same seed, city and number."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from PIL import Image

from model.data.synthetic.canvas import Canvas
from model.data.synthetic.caption import write_captions
from model.data.synthetic.figure import draw_person
from model.data.synthetic.optics import STANDARD_HEIGHT_PX, draw_occluder, expose
from model.data.synthetic.outfit import CITIES, Identity, sample_identity
from model.data.synthetic.scene import draw_background
from model.data.synthetic.view import CAMERAS, Camera, Scene, View, sample_scene, sample_view

# Figures are drawn in these proportions and squeezed to others, as a model's input is.
_HEIGHT_TO_WIDTH = 3
_FIRST_DAY = datetime(2026, 3, 2, 7, tzinfo=UTC)


@dataclass(frozen=True)
class SyntheticPicture:
    """One picture of one person, and what witnesses say of it."""

    identity: int  # true identity; for evaluation only, never shown to training
    camera: str
    captured_at: datetime  # aware, UTC
    image: Image.Image  # RGB
    captions: tuple[str, ...]


def draw_people(
    num_identities: int,
    *,
    seed: int,
    first_identity: int = 0,
    num_pictures: int = 4,
    num_captions: int = 2,
    city: str = "harbour",
    size: tuple[int, int] = (384, 128),
) -> Iterator[SyntheticPicture]:
    """Draw identities first_identity ... first_identity + num_identities - 1, in order.

    Ranges can be drawn apart, in any process: what a number looks like does not depend on them.
    Raises ValueError for a bad argument, at the call.
    """
    _check(num_identities=num_identities, first_identity=first_identity)
    _check(num_pictures=num_pictures, num_captions=num_captions)
    _check_city_and_size(city, size)
    return (
        picture
        for identity in range(first_identity, first_identity + num_identities)
        for picture in draw_identity(
            identity,
            seed=seed,
            num_pictures=num_pictures,
            num_captions=num_captions,
            city=city,
            size=size,
        )
    )


def draw_identity(
    identity: int,
    *,
    seed: int,
    num_pictures: int = 4,
    num_captions: int = 2,
    city: str = "harbour",
    size: tuple[int, int] = (384, 128),
) -> tuple[SyntheticPicture, ...]:
    """Draw one person through num_pictures cameras. size: (height, width) in pixels.

    Picture i and its captions are the same however many are asked for.
    Raises ValueError for a bad argument.
    """
    _check(identity=identity, num_pictures=num_pictures, num_captions=num_captions)
    _check_city_and_size(city, size)
    key = f"{seed}/{city}/{identity}"
    who = sample_identity(identity, city, Random(f"{key}/outfit"))
    route = Random(f"{key}/route")
    cameras = route.sample(CAMERAS[city], len(CAMERAS[city]))
    moment = _FIRST_DAY + timedelta(seconds=route.randrange(14 * 24 * 3600))
    pictures = []
    for number in range(num_pictures):
        rng = Random(f"{key}/picture {number}")
        moment += timedelta(seconds=rng.randrange(40, 900))
        view, scene = _look(cameras[number % len(cameras)], rng)
        image = render(who, view, scene, size)
        words = Random(f"{key}/captions {number}")
        captions = write_captions(who, view, scene, words, num_captions=num_captions, city=city)
        pictures.append(SyntheticPicture(identity, scene.camera.name, moment, image, captions))
    return tuple(pictures)


def render(who: Identity, view: View, scene: Scene, size: tuple[int, int]) -> Image.Image:
    """The picture that a scene's camera takes of somebody; RGB, size = (height, width) pixels."""
    height_px, width_px = size
    # Twice the pixels of the result smooths edges, but a standard picture is always enough detail.
    scale = 1 if height_px <= STANDARD_HEIGHT_PX // 2 else -(-2 * height_px // STANDARD_HEIGHT_PX)
    high = STANDARD_HEIGHT_PX * scale
    wide = high // _HEIGHT_TO_WIDTH
    canvas = Canvas(
        wide,
        high,
        x0_px=wide * (0.5 + view.x),
        y0_px=high * view.top,
        unit_px=high * view.height,
    )
    canvas.light_side = scene.light_side
    draw_background(canvas.image, scene, view)
    draw_person(canvas, who, view)
    if scene.occluder:
        draw_occluder(canvas, scene.occluder, Random(scene.layout))
    small = canvas.image.resize((width_px, height_px), Image.Resampling.BOX)
    return expose(small, canvas.soft_shade((width_px, height_px)), scene)


def _look(camera: Camera, rng: Random) -> tuple[View, Scene]:
    view = sample_view(camera, rng)
    return view, sample_scene(camera, view, rng)


def _check(**counts: int) -> None:
    for name, value in counts.items():
        if value < 0:
            raise ValueError(f"{name}: got {value}, expected 0 or more")


def _check_city_and_size(city: str, size: tuple[int, int]) -> None:
    if city not in CITIES:
        raise ValueError(f"city: got {city!r}, expected one of {', '.join(CITIES)}")
    if len(size) != 2 or not all(16 <= pixels <= 2048 for pixels in size):
        raise ValueError(f"size: got {size}, expected (height, width) of 16 to 2048 pixels each")
