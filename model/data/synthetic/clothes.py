"""Draw what covers legs and trunk: trousers, skirts, tops, outer layers, sleeves, shoes."""

from model.data.synthetic.canvas import Canvas, Cloth, Point
from model.data.synthetic.colours import CLOTH, RGB, darker, lighter
from model.data.synthetic.outfit import Garment, Identity, Thing
from model.data.synthetic.skeleton import Arm, Leg, Proportions, Skeleton

Outline = list[Point]

# Trousers that go into boots; others fall over them.
_NARROW = ("jeans", "leggings")


def cloth_of(garment: Garment) -> Cloth:
    accent = CLOTH[garment.accent] if garment.accent else (255, 255, 255)
    return Cloth(CLOTH[garment.colour], garment.pattern, accent)


def draw_leg(canvas: Canvas, who: Identity, leg: Leg, bones: Skeleton, skin: RGB) -> None:
    """Bare leg and shoe, then the trouser leg over them; boots go over narrow trousers."""
    size, lower = bones.size, who.lower
    thigh, shin = size.thigh, size.thigh * 0.66
    is_covered = lower is not None and lower.kind not in ("skirt", "shorts")
    if not is_covered:
        canvas.limb((leg.hip, leg.knee), (thigh, shin), skin)
        canvas.limb((leg.knee, leg.ankle), (shin, shin * 0.52), skin)
    is_tucked = who.shoes.kind == "boots" and lower is not None and lower.kind in _NARROW
    if not is_tucked:
        draw_shoe(canvas, who.shoes, leg, bones, has_shaft=not is_covered)
    if lower is not None and lower.kind != "skirt":
        _draw_trouser_leg(canvas, lower, leg, thigh)
    if is_tucked:
        draw_shoe(canvas, who.shoes, leg, bones, has_shaft=True)


def _draw_trouser_leg(canvas: Canvas, lower: Garment, leg: Leg, thigh: float) -> None:
    fill = cloth_of(lower)
    if lower.kind == "shorts":
        end = _between(leg.hip, leg.knee, 0.82)
        canvas.limb((leg.hip, end), (thigh * 1.12, thigh * 1.12), fill)
        return
    knee, hem = {"leggings": (0.72, 0.46), "joggers": (0.98, 0.62), "jeans": (0.86, 0.66)}.get(
        lower.kind, (0.95, 0.84)
    )
    foot = _between(leg.knee, leg.ankle, 0.97)
    canvas.limb((leg.hip, leg.knee), (thigh * 1.1, thigh * knee), fill)
    canvas.limb((leg.knee, foot), (thigh * knee, thigh * hem), fill)
    (kx, ky), half = leg.knee, thigh * knee / 2
    canvas.fold([(kx - half, ky - 0.008), (kx + half * 0.5, ky + 0.004)])
    canvas.fold([(kx - half * 0.4, ky + 0.02), (kx + half, ky + 0.01)], 100)
    canvas.fold([(foot[0] - half * 0.8, foot[1] - 0.02), (foot[0] + half * 0.6, foot[1] - 0.012)])
    if lower.kind == "joggers":
        seam = lighter(fill.colour, 0.75) if sum(fill.colour) < 500 else darker(fill.colour, 0.6)
        outward = 1 if leg.hip[0] >= 0 else -1
        edge = [(x + outward * thigh * 0.32, y) for x, y in (leg.hip, leg.knee)]
        canvas.line([*edge, (foot[0] + outward * thigh * 0.2, foot[1])], 0.008, seam)


def draw_shoe(canvas: Canvas, shoes: Thing, leg: Leg, bones: Skeleton, *, has_shaft: bool) -> None:
    paint = CLOTH[shoes.colour]
    x, y = leg.ankle
    sole = (235, 235, 230) if shoes.kind == "trainers" else darker(paint, 0.6)
    if shoes.kind == "trainers" and shoes.colour == "white":
        sole = (205, 205, 205)
    if shoes.kind == "boots" and has_shaft:
        top = _between(leg.ankle, leg.knee, 0.42)
        canvas.limb((top, leg.ankle), (0.058, 0.05), paint)
    if bones.direction:
        _draw_shoe_from_side(canvas, shoes.kind, (x, y), bones.direction, paint, sole)
        return
    wide = 0.031
    toe = y + (0.046 if bones.facing == "front" else 0.034)
    outline = [(x - 0.022, y - 0.016), (x + 0.022, y - 0.016), (x + wide, toe - 0.012)]
    outline += [(x + wide * 0.8, toe), (x - wide * 0.8, toe), (x - wide, toe - 0.012)]
    canvas.shape(outline, paint)
    canvas.line([(x - wide * 0.85, toe - 0.002), (x + wide * 0.85, toe - 0.002)], 0.009, sole)
    if shoes.kind == "high heels" and bones.facing == "back":
        canvas.line([(x, toe - 0.02), (x, toe + 0.012)], 0.012, paint)
    elif shoes.kind == "sandals":
        canvas.line([(x - 0.02, y + 0.008), (x + 0.02, y + 0.008)], 0.01, lighter(paint, 0.5))
    elif shoes.kind == "trainers" and bones.facing == "front":
        canvas.line([(x - 0.01, y + 0.006), (x + 0.01, y + 0.006)], 0.006, sole)


def _draw_shoe_from_side(
    canvas: Canvas, kind: str, ankle: Point, d: int, paint: RGB, sole: RGB
) -> None:
    x, y = ankle
    outline = [(x - d * 0.03, y - 0.02), (x + d * 0.022, y - 0.02), (x + d * 0.05, y + 0.008)]
    outline += [(x + d * 0.094, y + 0.022), (x + d * 0.096, y + 0.04), (x - d * 0.036, y + 0.04)]
    canvas.shape(outline, paint)
    if kind == "high heels":
        canvas.line([(x - d * 0.028, y + 0.01), (x - d * 0.03, y + 0.044)], 0.012, paint)
    else:
        canvas.line([(x - d * 0.032, y + 0.038), (x + d * 0.09, y + 0.038)], 0.011, sole)
    if kind == "sandals":
        canvas.line(
            [(x + d * 0.03, y + 0.004), (x + d * 0.05, y + 0.03)], 0.012, lighter(paint, 0.5)
        )


def draw_hips(canvas: Canvas, who: Identity, bones: Skeleton) -> None:
    """What joins the legs: the seat of trousers, or a skirt."""
    size, lower = bones.size, who.lower
    if lower is None:
        draw_skirt(canvas, who.upper, bones)
    elif lower.kind == "skirt":
        draw_skirt(canvas, lower, bones)
    else:
        half, top = size.half_hip, size.hip - 0.05
        back = half * (1.06 if bones.direction else 1.0)
        d = bones.direction or 1
        outline = [(-d * half * 0.9, top), (d * half * 0.9, top), (d * half * 0.98, size.hip)]
        outline += [(d * half * 0.9, size.crotch + 0.03), (0.0, size.crotch + 0.012)]
        outline += [(-d * half * 0.9, size.crotch + 0.03), (-d * back, size.hip)]
        canvas.shape(outline, cloth_of(lower))
        if not bones.direction:
            canvas.fold([(0, size.crotch - 0.03), (0, size.crotch + 0.05)], 70)
            canvas.fold([(half * 0.2, size.crotch), (half * 0.8, size.crotch - 0.02)], 100)


def draw_skirt(canvas: Canvas, garment: Garment, bones: Skeleton) -> None:
    size = bones.size
    hem = {"short": size.knee - 0.075, "knee": size.knee + 0.02, "long": 0.9}[garment.reach]
    flare = size.half_hip * {"short": 1.22, "knee": 1.28, "long": 1.34}[garment.reach]
    if bones.direction:
        flare = max(flare, 0.085)
    half = size.half_hip
    outline = [(-size.half_waist, size.waist), (size.half_waist, size.waist)]
    outline += [
        (half, size.hip),
        (flare, hem - 0.01),
        (flare * 0.96, hem + 0.004),
        (0, hem + 0.012),
    ]
    outline += [(-flare * 0.96, hem + 0.004), (-flare, hem - 0.01), (-half, size.hip)]
    canvas.shape(outline, cloth_of(garment))
    side = -canvas.light_side
    canvas.shadow(
        [
            (side * half * 0.55, size.hip),
            (side * half, size.hip),
            (side * flare, hem),
            (side * flare * 0.6, hem),
        ],
        88,
    )
    for share in (-0.55, -0.1, 0.4):
        canvas.fold([(half * share * 0.8, size.hip + 0.05), (flare * share, hem)], 92, 0.008)
        canvas.fold(
            [(half * share * 0.8 + 0.014, size.hip + 0.06), (flare * share + 0.016, hem)], 150
        )


def trunk_outline(bones: Skeleton, hem: float, *, grow: float = 0.0, flare: float = 0.0) -> Outline:
    """The trunk from neck to hem (a height), grown outwards for thicker layers."""
    size, d = bones.size, bones.direction
    top, chest, waist = size.shoulder, size.half_chest + grow, size.half_waist + grow
    hip = size.half_hip + grow
    bottom = hip + flare
    if d:
        return [
            (-d * 0.03, top - 0.014),
            (-d * (chest + 0.004), top + 0.05),
            (-d * chest, top + 0.11),
            (-d * (waist * 0.92), size.waist),
            (-d * (hip * 1.04), size.hip),
            (-d * bottom, hem),
            (d * bottom * 0.9, hem),
            (d * hip * 0.86, size.hip),
            (d * waist * 1.08, size.waist),
            (d * chest * 1.06, top + 0.095),
            (d * chest * 0.8, top + 0.03),
            (d * 0.03, top - 0.002),
        ]
    wide = size.half_shoulder + grow
    right = [
        (0.03, top - 0.012),
        (wide * 0.66, top + 0.006),
        (wide, top + 0.04),
        (chest, top + 0.1),
        (waist, size.waist),
        (hip, size.hip),
        (bottom, hem),
    ]
    return right + [(-x, y) for x, y in reversed(right)]


def shade_trunk(canvas: Canvas, bones: Skeleton, hem: float) -> None:
    """A dark side, and creases at chest and waist."""
    size, side = bones.size, -canvas.light_side
    chest, waist = size.half_chest, size.half_waist
    canvas.shadow(
        [
            (side * chest * 0.45, size.shoulder + 0.05),
            (side * chest * 1.1, size.shoulder + 0.04),
            (side * waist * 1.1, size.waist),
            (side * size.half_hip * 1.1, hem),
            (side * size.half_hip * 0.55, hem),
            (side * waist * 0.5, size.waist),
        ],
        88,
    )
    canvas.fold([(side * waist * 0.9, size.waist - 0.03), (-side * waist * 0.1, size.waist)], 84)
    canvas.fold([(-side * waist, size.waist + 0.03), (-side * waist * 0.2, size.waist + 0.014)], 96)
    canvas.fold([(-chest * 0.8, size.shoulder + 0.09), (-chest * 0.3, size.shoulder + 0.11)], 104)
    canvas.fold([(-0.03, size.waist + 0.05), (0.035, size.waist + 0.06)], 150, 0.01)


def draw_sleeve(canvas: Canvas, who: Identity, arm: Arm, size: Proportions, skin: RGB) -> None:
    """Bare arm and hand, then the sleeve of whatever is outermost."""
    wide, narrow = size.arm, size.arm * 0.72
    canvas.limb((arm.shoulder, arm.elbow), (wide, narrow), skin)
    canvas.limb((arm.elbow, arm.wrist), (narrow, narrow * 0.72), skin)
    hand = _beyond(arm.elbow, arm.wrist, 0.018)
    canvas.limb((arm.wrist, hand), (narrow * 0.8, narrow * 0.78), skin)
    layers = [who.upper] + ([who.outer] if who.outer else [])
    for grown, garment in enumerate(layers):
        if garment.sleeves == "none":
            continue
        width = wide * (1.16 + 0.18 * grown)
        if garment.kind == "puffer jacket":
            width *= 1.12
        fill = cloth_of(garment)
        if garment.sleeves == "short":
            canvas.limb(
                (arm.shoulder, _between(arm.shoulder, arm.elbow, 0.72)), (width, width), fill
            )
            continue
        canvas.limb((arm.shoulder, arm.elbow), (width, width * 0.84), fill)
        cuff = _between(arm.elbow, arm.wrist, 0.96)
        canvas.limb((arm.elbow, cuff), (width * 0.84, width * 0.66), fill)
        (x, y), half = arm.elbow, width * 0.42
        canvas.fold([(x - half, y - 0.012), (x + half, y + 0.004)], 84)
        canvas.fold([(x - half * 0.8, y + 0.022), (x + half * 0.6, y + 0.012)], 100)


def _between(start: Point, end: Point, share: float) -> Point:
    return (start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share)


def _beyond(start: Point, end: Point, distance: float) -> Point:
    length = max(((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5, 1e-6)
    return _between(start, end, 1 + distance / length)
