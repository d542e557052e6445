"""Who somebody is: a body and an outfit, sampled as plain facts.

Drawing (`figure`) and words (`caption`) both read these records and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from model.data.synthetic.colours import CLOTH

CITIES = ("harbour", "market", "campus")

Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Body:
    sex: str  # female, male
    age: str  # child, young, adult, old
    build: str  # slim, average, heavy
    skin: str  # a key of colours.SKIN


@dataclass(frozen=True)
class Hair:
    colour: str  # a key of colours.HAIR
    length: str  # bald, short, medium, long
    style: str  # straight, curly, ponytail, bun, plait
    beard: str  # none, beard, moustache


@dataclass(frozen=True)
class Garment:
    kind: str
    colour: str  # a key of colours.CLOTH
    pattern: str = "plain"  # plain, stripes, check, print (on the chest), dots
    accent: str | None = None  # the pattern's second colour
    sleeves: str = "none"  # none, short, long
    reach: str = ""  # trouser legs, skirts and dresses: short, knee, long
    is_open: bool = False  # an outer layer that shows what is under it

    @property
    def hem(self) -> float:
        """Where an outer layer ends: 0 at the hips, 1 at the knees."""
        return {"coat": 0.85, "raincoat": 0.75, "blazer": 0.16, "cardigan": 0.2}.get(self.kind, 0.0)


@dataclass(frozen=True)
class Thing:
    kind: str
    colour: str
    side: str = ""  # the wearer's own left or right; empty where it has none


@dataclass(frozen=True)
class Identity:
    number: int
    body: Body
    hair: Hair
    glasses: str  # none, glasses, sunglasses
    hat: Thing | None
    scarf: str | None  # its colour
    upper: Garment
    lower: Garment | None  # None: the upper garment is a dress
    outer: Garment | None
    shoes: Thing
    bag: Thing | None
    carried: Thing | None

    @property
    def outfit(self) -> tuple[object, ...]:
        """Everything that tells two people apart, without the number."""
        return (
            self.body,
            self.hair,
            self.glasses,
            self.hat,
            self.scarf,
            self.upper,
            self.lower,
            self.outer,
            self.shoes,
            self.bag,
            self.carried,
        )


IN_FRONT = ("phone", "coffee cup", "folder", "book", "flowers", "tablet")
AT_THE_SIDE = ("umbrella", "suitcase", "shopping bag", "water bottle", "briefcase")

# What is commoner in one city than elsewhere; every weight not given is 1.
_PALETTE: dict[str, dict[str, float]] = {
    "harbour": {"navy": 2.2, "white": 1.6, "grey": 1.6, "yellow": 1.4, "blue": 1.4, "pink": 0.6},
    "market": {"red": 1.8, "orange": 2.0, "purple": 1.8, "beige": 1.8, "brown": 1.6, "navy": 0.6},
    "campus": {"black": 1.8, "green": 1.8, "burgundy": 1.8, "turquoise": 1.5, "light blue": 1.6},
}
_OUTER: dict[str, dict[str, float]] = {
    "harbour": {"raincoat": 3, "coat": 2, "jacket": 2, "puffer jacket": 1, "hi-vis vest": 0.8},
    "market": {"coat": 2, "cardigan": 2, "blazer": 2, "jacket": 2, "leather jacket": 1},
    "campus": {"jacket": 2, "denim jacket": 2, "puffer jacket": 2, "cardigan": 1, "blazer": 0.8},
}
_OUTER_COLOURS: dict[str, tuple[str, ...]] = {
    "leather jacket": ("black", "brown", "burgundy"),
    "denim jacket": ("blue", "light blue", "navy", "black"),
    "hi-vis vest": ("yellow", "orange"),
}
_BAGS: dict[str, dict[str, float]] = {
    "harbour": {"backpack": 2, "shoulder bag": 2, "messenger bag": 1.5, "handbag": 1, "tote": 1},
    "market": {"handbag": 2, "tote": 2, "shoulder bag": 2, "backpack": 1, "messenger bag": 1},
    "campus": {"backpack": 5, "messenger bag": 1.5, "tote": 1.2, "shoulder bag": 1},
}
_AGES: dict[str, dict[str, float]] = {
    "harbour": {"child": 1, "young": 3, "adult": 5, "old": 2},
    "market": {"child": 1.5, "young": 2, "adult": 4, "old": 3},
    "campus": {"child": 0.3, "young": 7, "adult": 3, "old": 0.8},
}


def pick(rng: Random, weights: Mapping[Choice, float]) -> Choice:
    """One key, as often as its weight says."""
    return rng.choices(list(weights), list(weights.values()))[0]


def sample_identity(number: int, city: str, rng: Random) -> Identity:
    """Draw one person of a city; the same rng state always gives the same person."""
    sex = rng.choice(("female", "male"))
    body = Body(
        sex=sex,
        age=pick(rng, _AGES[city]),
        build=pick(rng, {"slim": 3, "average": 5, "heavy": 2.5}),
        skin=pick(rng, {"light": 4, "tanned": 2.5, "brown": 2, "dark": 2}),
    )
    outer = _sample_outer(city, rng) if rng.random() < 0.42 else None
    upper = _sample_upper(city, body, rng, beneath=outer)
    lower = None if upper.kind == "dress" else _sample_lower(city, body, upper, rng)
    hat = _sample_hat(city, body, rng) if rng.random() < 0.34 else None
    veiled = hat is not None and hat.kind == "headscarf"
    bag = _sample_bag(city, body, rng) if rng.random() < 0.62 else None
    return Identity(
        number=number,
        body=body,
        hair=_sample_hair(body, rng),
        glasses=pick(rng, {"none": 7, "glasses": 2, "sunglasses": 1}),
        hat=hat,
        scarf=_colour(rng, city) if not veiled and rng.random() < 0.1 else None,
        upper=upper,
        lower=lower,
        outer=outer,
        shoes=_sample_shoes(body, rng),
        bag=bag,
        carried=_sample_carried(city, bag, body, rng) if rng.random() < 0.38 else None,
    )


def _colour(
    rng: Random, city: str, among: Sequence[str] | None = None, *, other_than: str | None = None
) -> str:
    names = [name for name in among or CLOTH if name != other_than]
    return pick(rng, {name: _PALETTE[city].get(name, 1.0) for name in names})


def _accent(rng: Random, colour: str) -> str:
    pale = ("white", "yellow", "light blue", "pink", "beige")
    return rng.choice(("black", "navy", "red", "blue", "green") if colour in pale else pale[:3])


def _sample_hair(body: Body, rng: Random) -> Hair:
    if body.age == "old":
        colour = pick(rng, {"grey": 4, "white": 4, "brown": 1})
    else:
        colour = pick(rng, {"black": 3, "brown": 3, "blond": 2.2, "ginger": 1.2})
    if body.sex == "female":
        length = pick(rng, {"short": 2, "medium": 3, "long": 5})
    else:
        bald = 0.0 if body.age == "child" else 1.2
        length = pick(rng, {"bald": bald, "short": 6, "medium": 1.2, "long": 0.5})
    styles = {"straight": 4.0, "curly": 2.0}
    if length == "long":
        styles |= {"ponytail": 3.0, "bun": 1.5, "plait": 1.2}
    style = "straight" if length == "bald" else pick(rng, styles)
    bearded = body.sex == "male" and body.age not in ("child",)
    beard = pick(rng, {"none": 5, "beard": 2.5, "moustache": 1}) if bearded else "none"
    return Hair(colour, length, style, beard)


def _sample_hat(city: str, body: Body, rng: Random) -> Thing:
    kinds = {"cap": 3.0, "beanie": 2.0, "brimmed hat": 1.5, "helmet": 0.7}
    if body.sex == "female" and body.age != "child":
        kinds["headscarf"] = 1.2
    return Thing(pick(rng, kinds), _colour(rng, city))


def _sample_upper(city: str, body: Body, rng: Random, *, beneath: Garment | None) -> Garment:
    kinds = {"t-shirt": 4.0, "shirt": 2.5, "sweater": 2.5, "hoodie": 2.0, "polo shirt": 1.2}
    if body.sex == "female":
        kinds |= {"dress": 2.6, "blouse": 2.0, "tank top": 1.2}
    else:
        kinds |= {"tank top": 0.5}
    kind = pick(rng, kinds)
    colour = _colour(rng, city, other_than=beneath.colour if beneath else None)
    patterns = {"plain": 6.0, "stripes": 2.2}
    if kind in ("shirt", "dress", "blouse"):
        patterns |= {"check": 2.0, "dots": 1.0}
    if kind in ("t-shirt", "hoodie", "sweater"):
        patterns["print"] = 1.8
    pattern = pick(rng, patterns)
    sleeves = {"t-shirt": "short", "polo shirt": "short", "tank top": "none"}.get(kind, "long")
    if kind in ("shirt", "blouse", "dress"):
        sleeves = pick(rng, {"long": 2, "short": 1.2, "none": 0.6 if kind == "dress" else 0})
    accent = None if pattern == "plain" else _accent(rng, colour)
    reach = rng.choice(("short", "knee", "long")) if kind == "dress" else ""
    return Garment(kind, colour, pattern, accent, sleeves, reach)


def _sample_lower(city: str, body: Body, upper: Garment, rng: Random) -> Garment:
    kinds = {"jeans": 3.5, "trousers": 4.0, "shorts": 2.0, "joggers": 1.2}
    if body.sex == "female":
        kinds |= {"skirt": 3.5, "leggings": 1.5}
    kind = pick(rng, kinds)
    denim = ("blue", "light blue", "navy", "black", "grey", "white")
    colour = _colour(rng, city, denim if kind == "jeans" else None, other_than=upper.colour)
    reach = "short" if kind == "shorts" else "long"
    pattern, accent = "plain", None
    if kind == "skirt":
        reach = rng.choice(("short", "knee", "long"))
        pattern = pick(rng, {"plain": 5, "check": 1, "stripes": 0.6, "dots": 0.8})
        accent = None if pattern == "plain" else _accent(rng, colour)
    return Garment(kind, colour, pattern, accent, reach=reach)


def _sample_outer(city: str, rng: Random) -> Garment:
    kind = pick(rng, _OUTER[city])
    among: tuple[str, ...] | None = _OUTER_COLOURS.get(kind)
    if kind == "raincoat" and rng.random() < 0.4:
        among = ("yellow",)
    pattern = "check" if kind in ("coat", "blazer") and rng.random() < 0.12 else "plain"
    colour = _colour(rng, city, among)
    accent = None if pattern == "plain" else _accent(rng, colour)
    sleeves = "none" if kind == "hi-vis vest" else "long"
    return Garment(kind, colour, pattern, accent, sleeves, is_open=rng.random() < 0.55)


def _sample_shoes(body: Body, rng: Random) -> Thing:
    kinds = {"trainers": 4.0, "boots": 2.0, "leather shoes": 1.5, "sandals": 1.0}
    if body.sex == "female" and body.age != "child":
        kinds["high heels"] = 1.2
    kind = pick(rng, kinds)
    colours = {"black": 3.0, "white": 2.5, "brown": 2.5, "red": 1.2, "blue": 1.0, "grey": 1.0}
    if kind == "trainers":
        colours |= {"yellow": 0.8, "green": 0.8, "pink": 0.8, "orange": 0.8}
    return Thing(kind, pick(rng, colours))


def _sample_bag(city: str, body: Body, rng: Random) -> Thing:
    kinds = dict(_BAGS[city])
    if body.sex == "male" or body.age == "child":
        kinds.pop("handbag", None)
    kind = pick(rng, kinds)
    side = "" if kind == "backpack" else rng.choice(("left", "right"))
    return Thing(kind, _colour(rng, city), side)


def _sample_carried(city: str, bag: Thing | None, body: Body, rng: Random) -> Thing:
    kinds: dict[str, float] = {"phone": 2.0, "book": 1.0, "folder": 1.2, "water bottle": 1.0}
    kinds |= {"umbrella": 1.6, "shopping bag": 1.6, "flowers": 0.7}
    if body.age != "child":
        kinds |= {"coffee cup": 1.6, "suitcase": 1.2, "briefcase": 0.9, "tablet": 0.7}
    kind = pick(rng, kinds)
    side = rng.choice(("left", "right"))
    if bag is not None and bag.side:
        side = "right" if bag.side == "left" else "left"
    colour = {"phone": "black", "tablet": "grey", "coffee cup": "white"}.get(kind)
    among = ("red", "pink", "yellow", "white", "purple", "orange") if kind == "flowers" else None
    return Thing(kind, colour or _colour(rng, city, among), side)
