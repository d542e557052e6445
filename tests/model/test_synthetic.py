"""Synthetic people: the same everywhere, different from each other, and drawn as they are named."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from PIL import Image

from model.data.synthetic import CITIES, SyntheticPicture, contact_sheet, draw_identity, draw_people
from model.data.synthetic.colours import CLOTH
from model.data.synthetic.outfit import Garment, Hair, Identity, Thing, sample_identity
from model.data.synthetic.people import render
from model.data.synthetic.view import CAMERAS, Camera, Occluder, Scene, View, sample_view

SMALL = (96, 32)


def digest(picture: SyntheticPicture) -> str:
    facts = (picture.camera, picture.captured_at.isoformat(), picture.captions)
    return hashlib.sha256(picture.image.tobytes() + repr(facts).encode()).hexdigest()


def test_draw_people_same_in_another_process_and_range() -> None:
    whole = [digest(p) for p in draw_people(5, seed=3, city="market", size=SMALL)]
    part = [digest(p) for p in draw_people(1, seed=3, first_identity=4, city="market", size=SMALL)]
    assert part == whole[-4:]
    program = (
        "from tests.model.test_synthetic import *\n"
        "print(*[digest(p) for p in draw_identity(4, seed=3, city='market', size=SMALL)])"
    )
    other = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert other.stdout.split() == part


def test_draw_identity_picture_does_not_depend_on_counts() -> None:
    few = draw_identity(9, seed=1, num_pictures=2, num_captions=1, size=SMALL)
    many = draw_identity(9, seed=1, num_pictures=6, num_captions=3, size=SMALL)
    for one, other in zip(few, many, strict=False):
        assert one.image.tobytes() == other.image.tobytes()
        assert one.captions == other.captions[:1]
    assert len({p.camera for p in many}) == 4
    assert [p.captured_at for p in many] == sorted(p.captured_at for p in many)


@pytest.mark.parametrize("size", [(384, 128), (128, 48), (256, 128), (500, 100)])
def test_draw_identity_size_is_height_width(size: tuple[int, int]) -> None:
    (picture,) = draw_identity(0, seed=0, num_pictures=1, size=size)
    assert (picture.image.height, picture.image.width) == size
    assert picture.image.mode == "RGB"


def test_draw_identity_seeds_and_cities_differ() -> None:
    drawn = [
        draw_identity(0, seed=seed, city=city, size=SMALL) for seed in (0, 1) for city in CITIES
    ]
    assert len({digest(p) for pictures in drawn for p in pictures}) == 24
    cameras = [{p.camera for p in pictures} for pictures in drawn[:3]]
    assert not (cameras[0] & cameras[1] or cameras[1] & cameras[2])


@pytest.mark.parametrize("city", CITIES)
def test_sample_identity_outfits_distinct(city: str) -> None:
    people = [sample_identity(n, city, Random(f"distinct {n}")) for n in range(2000)]
    assert len({who.outfit for who in people}) == 2000
    seen = {(w.upper, w.lower, w.outer and (w.outer.kind, w.outer.colour)) for w in people}
    assert len(seen) > 1900


def test_sample_identity_cities_prefer_other_colours() -> None:
    def share(city: str, colour: str) -> float:
        people = [sample_identity(n, city, Random(f"palette {n}")) for n in range(800)]
        return sum(who.upper.colour == colour for who in people) / len(people)

    assert share("harbour", "navy") > 2 * share("market", "navy")
    assert share("market", "orange") > 1.3 * share("campus", "orange")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_identities": -1}, "num_identities: got -1, expected 0 or more"),
        ({"num_identities": 1, "num_pictures": -2}, "num_pictures: got -2"),
        ({"num_identities": 1, "first_identity": -2}, "first_identity: got -2"),
        ({"num_identities": 1, "city": "moon"}, "city: got 'moon', expected one of harbour"),
        ({"num_identities": 1, "size": (384, 8)}, r"size: got \(384, 8\), expected"),
    ],
)
def test_draw_people_bad_argument_says_what(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw_people(seed=0, **arguments)  # type: ignore[arg-type]


# What is drawn must be what is said.

DAYLIGHT = Camera("test", "plain wall", (1, 1, 1), 1.0, (1, 1, 1, 1), 0.4, 2, 92)


def plain_scene(occluder: Occluder | None = None) -> Scene:
    return Scene(DAYLIGHT, 1.0, -1, (1, 1, 1), 0.4, 2, 92, occluder, layout=1, grain=1)


def plain_view(facing: str) -> View:
    return View(facing, stride=0.5, swing=0.3, turn=0, height=0.9, x=0, top=0.05)


def dressed(number: int, **changes: object) -> Identity:
    who = sample_identity(number, "harbour", Random(f"dressed {number}"))
    plain = Garment("trousers", "olive", reach="long")
    bare = {"lower": plain, "outer": None, "bag": None, "carried": None, "scarf": None, "hat": None}
    hair = Hair("black", "short", "straight", "none")
    return replace(who, **{**bare, "hair": hair, **changes})  # type: ignore[arg-type]


def nearest_name(image: Image.Image, view: View, top: float, bottom: float) -> str:
    """The paint nearest to the median colour of the body's axis between two heights."""
    pixels = np.asarray(image, dtype=np.float64)
    high, wide = pixels.shape[:2]
    rows = slice(*(int(high * (view.top + view.height * y)) for y in (top, bottom)))
    columns = slice(int(wide * 0.42), int(wide * 0.58))
    median = np.median(pixels[rows, columns].reshape(-1, 3), axis=0)
    return min(CLOTH, key=lambda name: float(np.abs(median - CLOTH[name]).sum()))


@pytest.mark.parametrize("facing", ["front", "back", "left"])
def test_render_torso_has_the_named_colour(facing: str) -> None:
    view = plain_view(facing)
    right = 0
    for number, colour in enumerate(CLOTH):
        who = dressed(number, upper=Garment("t-shirt", colour, sleeves="short"))
        image = render(who, view, plain_scene(), (384, 128))
        right += nearest_name(image, view, 0.24, 0.38) == colour
    assert right >= len(CLOTH) - 2


@pytest.mark.parametrize("facing", ["back", "right"])
def test_render_closed_coat_hides_the_shirt(facing: str) -> None:
    view = plain_view(facing)
    for number, colour in enumerate(("red", "white", "green")):
        coat = Garment("coat", colour, sleeves="long")
        shirt = Garment("t-shirt", "yellow", sleeves="short")
        image = render(dressed(number, upper=shirt, outer=coat), view, plain_scene(), (384, 128))
        assert nearest_name(image, view, 0.24, 0.6) == colour


def test_render_occluder_covers_the_shoes() -> None:
    view = plain_view("front")
    car = plain_scene(Occluder("car", 0, view.top + 0.86 * view.height))
    for scene, is_same in ((plain_scene(), False), (car, True)):
        people = [dressed(5, shoes=Thing("trainers", colour)) for colour in ("black", "orange")]
        pictures = [np.asarray(render(who, view, scene, (384, 128)), np.int16) for who in people]
        feet = np.abs(pictures[0] - pictures[1])[350:].max()
        assert (feet < 40) == is_same


@pytest.mark.parametrize("city", CITIES)
def test_cameras_show_every_side(city: str) -> None:
    rng = Random(0)
    for camera in CAMERAS[city]:
        facings = {sample_view(camera, rng).facing for _ in range(100)}
        assert facings == {"front", "back", "left", "right"}


def test_contact_sheet_holds_every_picture() -> None:
    pictures = list(draw_people(2, seed=0, size=SMALL))
    sheet = contact_sheet(pictures, num_columns=4)
    for number, picture in enumerate(pictures):
        left, top = number % 4 * 150 + 8, number // 4 * (sheet.height // 2) + 8
        cell = sheet.crop((left, top, left + 32, top + 96))
        assert cell.tobytes() == picture.image.tobytes()
    with pytest.raises(ValueError, match="pictures: got none"):
        contact_sheet([])
