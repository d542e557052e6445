"""How somebody is seen: the camera, the pose, what stands in the way, and so what shows."""

from dataclasses import dataclass
from random import Random

from model.data.synthetic.outfit import IN_FRONT, Identity, pick


@dataclass(frozen=True)
class Camera:
    name: str
    place: str  # what scene.draw_background can draw
    cast: tuple[float, float, float]  # gain of red, green and blue
    light: float  # brightness gain
    facings: tuple[float, float, float, float]  # weights: front, back, left, right
    blur_px: float  # at 384 pixels of height
    noise: float  # deviation in grey levels
    quality: int  # JPEG


CAMERAS: dict[str, tuple[Camera, ...]] = {
    "harbour": (
        Camera("harbour-1", "quay", (0.95, 1.0, 1.06), 1.0, (5, 3, 2, 2), 0.5, 4, 82),
        Camera("harbour-2", "brick wall", (1.0, 1.0, 1.0), 0.95, (2, 2, 4, 4), 0.7, 5, 76),
        Camera("harbour-3", "street", (0.97, 1.0, 1.03), 1.05, (3, 5, 2, 2), 0.4, 3, 88),
        Camera("harbour-4", "stairs", (1.04, 1.0, 0.95), 0.9, (4, 4, 1, 1), 0.9, 6, 72),
    ),
    "market": (
        Camera("market-1", "shop front", (1.06, 1.0, 0.93), 1.05, (3, 3, 4, 4), 0.5, 4, 82),
        Camera("market-2", "stalls", (1.04, 1.0, 0.96), 1.0, (5, 4, 1, 1), 0.8, 5, 74),
        Camera("market-3", "street", (1.0, 1.0, 1.0), 1.08, (4, 3, 2, 2), 0.4, 3, 88),
        Camera("market-4", "plain wall", (1.05, 0.98, 0.94), 0.88, (2, 2, 3, 3), 0.9, 7, 70),
    ),
    "campus": (
        Camera("campus-1", "grass", (1.0, 1.03, 0.97), 1.06, (4, 4, 2, 2), 0.4, 3, 88),
        Camera("campus-2", "corridor", (1.03, 1.01, 0.95), 0.92, (5, 5, 1, 1), 0.8, 6, 74),
        Camera("campus-3", "glass front", (0.96, 1.0, 1.05), 1.0, (2, 2, 4, 4), 0.5, 4, 82),
        Camera("campus-4", "stairs", (1.0, 1.0, 1.0), 1.0, (4, 3, 2, 2), 0.7, 5, 78),
    ),
}


@dataclass(frozen=True)
class View:
    """Pose and place of the figure; lengths in picture heights, x from the middle."""

    facing: str  # front, back; left and right as the picture shows them
    stride: float  # -1..1, how far the wearer's left leg is ahead
    swing: float  # 0..1, how far the arms swing
    turn: float  # -1..1, where the head looks
    height: float  # from crown to sole
    x: float
    top: float  # picture's upper edge to crown

    @property
    def near_side(self) -> str | None:
        """The wearer's side that is turned to the camera in a side view."""
        return self.facing if self.facing in ("left", "right") else None

    def image_side(self, side: str) -> int:
        """-1 if the wearer's left or right is at the picture's left, 1 at its right, 0 neither."""
        if self.near_side:
            return 0
        return 1 if (side == "left") == (self.facing == "front") else -1


@dataclass(frozen=True)
class Occluder:
    kind: str  # pole, railing, car, passer-by
    image_side: int  # -1, 1; 0 for what crosses the whole picture
    edge: float  # pole, passer-by: how far from the middle (picture widths); else top (heights)


@dataclass(frozen=True)
class Scene:
    camera: Camera
    light: float
    light_side: int  # -1: from the left, 1: from the right
    cast: tuple[float, float, float]
    blur_px: float
    noise: float
    quality: int
    occluder: Occluder | None
    layout: int  # seeds what is drawn behind
    grain: int  # seeds the sensor's noise


def sample_view(camera: Camera, rng: Random) -> View:
    facing = pick(rng, dict(zip(("front", "back", "left", "right"), camera.facings, strict=True)))
    height = rng.uniform(0.86, 0.945)
    return View(
        facing=facing,
        stride=rng.choice((-1, 1)) * rng.uniform(0.25, 1.0),
        swing=rng.uniform(0.2, 1.0),
        turn=rng.uniform(-1, 1),
        height=height,
        x=rng.uniform(-0.018, 0.018),
        top=rng.uniform(0.02, 0.985 - height),
    )


def sample_scene(camera: Camera, view: View, rng: Random) -> Scene:
    def gain(spread: float) -> float:
        return 1 + rng.uniform(-spread, spread)

    red, green, blue = camera.cast
    return Scene(
        camera=camera,
        light=camera.light * gain(0.1),
        light_side=rng.choice((-1, 1)),
        cast=(red * gain(0.02), green * gain(0.02), blue * gain(0.02)),
        blur_px=camera.blur_px * gain(0.4),
        noise=camera.noise * gain(0.3),
        quality=camera.quality + rng.randint(-6, 6),
        occluder=_sample_occluder(view, rng) if rng.random() < 0.2 else None,
        layout=rng.getrandbits(32),
        grain=rng.getrandbits(32),
    )


def _sample_occluder(view: View, rng: Random) -> Occluder:
    kind = rng.choice(("pole", "railing", "car", "passer-by"))
    side = rng.choice((-1, 1))
    if kind == "pole":
        return Occluder(kind, side, rng.uniform(0.2, 0.34))
    if kind == "passer-by":
        return Occluder(kind, side, rng.uniform(0.31, 0.36))
    reach = rng.uniform(0.76, 0.84) if kind == "railing" else rng.uniform(0.82, 0.9)
    return Occluder(kind, 0, view.top + reach * view.height)


def visible_attributes(who: Identity, view: View, scene: Scene) -> frozenset[str]:
    """Names of the attributes that this picture really shows."""
    shown = {"sex", "age", "build", "skin"}
    if _hair_shows(who, view):
        shown.add("hair")
        if who.hair.style == "curly" or (view.facing != "front" and who.hair.length == "long"):
            shown.add("hair style")
    if view.facing != "back":
        shown |= {"beard"} if who.hair.beard != "none" else set()
        shown |= {"glasses"} if who.glasses != "none" else set()
    shown |= {"hat"} if who.hat else set()
    shown |= {"scarf"} if who.scarf else set()
    shown |= _visible_clothes(who, view, scene.occluder)
    if who.bag and _bag_shows(who, view, scene.occluder):
        shown.add("bag")
    if who.carried and _carried_shows(who, view, scene.occluder):
        shown.add("carried")
    return frozenset(shown)


def _hair_shows(who: Identity, view: View) -> bool:
    """A hat leaves only what hangs below it."""
    if who.hat is None:
        return True
    if who.hat.kind == "headscarf" or who.hair.length in ("bald", "short"):
        return False
    is_tied = who.hair.style in ("ponytail", "bun", "plait")
    return not (is_tied and view.facing == "front")


def _visible_clothes(who: Identity, view: View, occluder: Occluder | None) -> set[str]:
    shown: set[str] = set()
    is_covered = who.outer is not None and not (who.outer.is_open and view.facing == "front")
    if who.outer:
        shown.add("outer")
    is_short = who.outer is not None and who.outer.hem < 0.5
    if not is_covered or (who.upper.kind == "dress" and is_short):
        shown.add("upper")
        if view.facing == "front" and who.outer is None and who.upper.pattern == "print":
            shown.add("print")
    if who.lower and not _coat_hides(who):
        shown.add("lower")
    low = occluder is not None and occluder.image_side == 0
    if not low:
        shown.add("shoes")
    return shown


def _coat_hides(who: Identity) -> bool:
    """A coat is longer than shorts and short skirts, so nobody can say what is under it."""
    long = who.outer is not None and who.outer.hem > 0.5
    return long and who.lower is not None and who.lower.reach == "short"


def _bag_shows(who: Identity, view: View, occluder: Occluder | None) -> bool:
    assert who.bag
    return who.bag.kind == "backpack" or _side_shows(who.bag.side, view, occluder)


def _carried_shows(who: Identity, view: View, occluder: Occluder | None) -> bool:
    assert who.carried
    if who.carried.kind not in IN_FRONT:
        return _side_shows(who.carried.side, view, occluder)
    return view.facing != "back" and not (view.near_side and _is_beside(occluder))


def _side_shows(side: str, view: View, occluder: Occluder | None) -> bool:
    """Whether a thing at the wearer's left or right side can be seen whole."""
    if view.near_side:
        return side == view.near_side and not _is_beside(occluder)
    return occluder is None or occluder.image_side != view.image_side(side)


def _is_beside(occluder: Occluder | None) -> bool:
    return occluder is not None and occluder.image_side != 0
