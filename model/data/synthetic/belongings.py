"""Draw bags and things in hands, from four sides."""

from model.data.synthetic.canvas import Canvas, Point
from model.data.synthetic.colours import CLOTH, RGB, darker, lighter
from model.data.synthetic.outfit import Identity, Thing
from model.data.synthetic.skeleton import Skeleton
from model.data.synthetic.view import View


def draw_backpack(canvas: Canvas, colour: str, bones: Skeleton) -> None:
    """From behind the pack, from the front its straps, from the side both."""
    paint, size, d = CLOTH[colour], bones.size, bones.direction
    top, low = size.shoulder + 0.016, size.waist + 0.05
    if bones.facing == "front":
        for side in (-1, 1):
            x = side * size.half_shoulder * 0.56
            canvas.limb(((x, top - 0.018), (x * 1.12, size.waist - 0.02)), (0.027, 0.022), paint)
        return
    if d:
        outer = -d * (size.half_chest + 0.085)
        inner = -d * size.half_chest * 0.7
        canvas.shape(
            [
                (inner, top),
                (outer * 0.86, top + 0.006),
                (outer, top + 0.06),
                (outer, low - 0.02),
                (outer * 0.9, low),
                (inner, low),
            ],
            paint,
        )
        canvas.shadow([(outer, low - 0.07), (inner, low - 0.07), (inner, low), (outer, low)], 96)
        canvas.line([(outer * 0.97, low - 0.075), (inner, low - 0.075)], 0.005, darker(paint, 0.45))
        return
    wide = size.half_chest * 0.86
    canvas.shape(
        [
            (-wide * 0.7, top),
            (wide * 0.7, top),
            (wide, top + 0.05),
            (wide * 1.02, low - 0.02),
            (wide * 0.85, low),
            (-wide * 0.85, low),
            (-wide * 1.02, low - 0.02),
            (-wide, top + 0.05),
        ],
        paint,
    )
    line = darker(paint, 0.45) if sum(paint) > 170 else lighter(paint, 0.25)
    pocket = low - 0.1
    canvas.line(
        [
            (-wide * 0.7, low - 0.018),
            (-wide * 0.74, pocket),
            (wide * 0.74, pocket),
            (wide * 0.7, low - 0.018),
        ],
        0.006,
        line,
    )
    canvas.line(
        [(-wide * 0.85, top + 0.07), (0, top + 0.05), (wide * 0.85, top + 0.07)], 0.006, line
    )
    canvas.line([(-0.014, top + 0.004), (0, top - 0.014), (0.014, top + 0.004)], 0.007, line)
    canvas.shadow(
        [(wide * 0.4, top + 0.02), (wide, top + 0.05), (wide, low), (wide * 0.5, low)], 96
    )


def draw_backpack_strap(canvas: Canvas, colour: str, bones: Skeleton) -> None:
    """The near strap in a side view, over the shoulder and under the arm."""
    size, d, paint = bones.size, bones.direction, CLOTH[colour]
    canvas.line(
        [
            (-d * 0.03, size.shoulder - 0.006),
            (d * size.half_chest * 0.62, size.shoulder + 0.05),
            (d * size.half_chest * 0.3, size.shoulder + 0.14),
            (-d * size.half_chest, size.waist - 0.03),
        ],
        0.02,
        darker(paint, 0.12),
    )


def draw_strap(canvas: Canvas, bag: Thing, bones: Skeleton, view: View) -> None:
    """Straps that lie on the trunk, under the arms."""
    size, paint = bones.size, darker(CLOTH[bag.colour], 0.15)
    sign = view.image_side(bag.side)
    if bag.kind == "messenger bag" and sign:
        canvas.line(
            [
                (-sign * size.half_shoulder * 0.6, size.shoulder - 0.004),
                (sign * size.half_hip, size.hip - 0.02),
            ],
            0.02,
            paint,
        )
    elif bag.kind == "messenger bag":
        canvas.line(
            [(0, size.shoulder - 0.01), (-bones.direction * 0.01, size.hip - 0.02)], 0.02, paint
        )


def draw_bag(canvas: Canvas, bag: Thing, bones: Skeleton, view: View) -> None:
    """Every bag but the backpack, at the wearer's side."""
    arm, size = bones.arms[bag.side], bones.size
    sign = view.image_side(bag.side)
    paint = CLOTH[bag.colour]
    if bag.kind == "handbag":
        hand = _hand(arm.elbow, arm.wrist)
        _draw_body(canvas, (hand[0], hand[1] + 0.085), (0.052, 0.038), paint)
        canvas.line(
            [
                (hand[0] - 0.03, hand[1] + 0.052),
                (hand[0], hand[1] - 0.002),
                (hand[0] + 0.03, hand[1] + 0.052),
            ],
            0.009,
            darker(paint, 0.2),
        )
        return
    x = sign * (size.half_hip + 0.022) if sign else -bones.direction * 0.012
    centre = {"shoulder bag": size.hip - 0.03, "messenger bag": size.hip + 0.015, "tote": size.hip}[
        bag.kind
    ]
    half = {"shoulder bag": (0.05, 0.046), "messenger bag": (0.062, 0.044), "tote": (0.056, 0.066)}[
        bag.kind
    ]
    if bag.kind != "messenger bag":
        start = (arm.shoulder[0] * 0.8, size.shoulder + 0.0)
        strap = darker(paint, 0.25)
        canvas.line([start, (x - half[0] * 0.5, centre - half[1])], 0.013, strap)
        canvas.line([start, (x + half[0] * 0.5, centre - half[1])], 0.013, strap)
    _draw_body(canvas, (x, centre), half, paint)
    if bag.kind == "messenger bag":
        canvas.line(
            [(x - half[0], centre + 0.004), (x + half[0], centre + 0.004)],
            0.006,
            darker(paint, 0.4),
        )


def _draw_body(canvas: Canvas, centre: Point, half: Point, paint: RGB) -> None:
    (x, y), (wide, high) = centre, half
    canvas.shape(
        [
            (x - wide * 0.86, y - high),
            (x + wide * 0.86, y - high),
            (x + wide, y + high * 0.8),
            (x + wide * 0.8, y + high),
            (x - wide * 0.8, y + high),
            (x - wide, y + high * 0.8),
        ],
        paint,
    )
    side = -canvas.light_side
    canvas.shadow(
        [
            (x + side * wide * 0.4, y - high),
            (x + side * wide, y - high),
            (x + side * wide, y + high),
            (x + side * wide * 0.4, y + high),
        ],
        84,
    )
    canvas.line(
        [(x - wide * 0.7, y - high * 0.7), (x + wide * 0.7, y - high * 0.7)],
        0.005,
        darker(paint, 0.35),
    )


def draw_carried(canvas: Canvas, who: Identity, bones: Skeleton) -> None:
    """The thing in a hand."""
    thing = who.carried
    assert thing
    arm, paint = bones.arms[thing.side], CLOTH[thing.colour]
    x, y = _hand(arm.elbow, arm.wrist)
    d = bones.direction or (1 if arm.shoulder[0] < 0 else -1)
    match thing.kind:
        case "phone":
            canvas.shape(
                [
                    (x - 0.012, y - 0.042),
                    (x + 0.014, y - 0.042),
                    (x + 0.014, y + 0.012),
                    (x - 0.012, y + 0.012),
                ],
                (20, 20, 24),
                smooth=False,
            )
            canvas.line([(x + 0.001, y - 0.036), (x + 0.001, y - 0.002)], 0.013, (120, 170, 220))
        case "tablet":
            _sheet(canvas, (x + d * 0.02, y - 0.016), (0.042, 0.034), (60, 62, 66), (150, 190, 225))
        case "coffee cup":
            canvas.shape(
                [
                    (x - 0.018, y - 0.046),
                    (x + 0.018, y - 0.046),
                    (x + 0.013, y + 0.012),
                    (x - 0.013, y + 0.012),
                ],
                (238, 236, 230),
                smooth=False,
            )
            canvas.line([(x - 0.02, y - 0.046), (x + 0.02, y - 0.046)], 0.01, (70, 48, 38))
            canvas.line([(x - 0.015, y - 0.016), (x + 0.015, y - 0.016)], 0.016, (146, 96, 56))
        case "folder" | "book":
            half = (0.052, 0.064) if thing.kind == "folder" else (0.034, 0.044)
            _sheet(canvas, (x + d * 0.014, y - 0.012), half, paint, lighter(paint, 0.55))
        case "flowers":
            _draw_flowers(canvas, (x, y), paint)
        case _:
            _draw_hanging(canvas, thing.kind, (x, y), paint)


def _draw_hanging(canvas: Canvas, kind: str, hand: Point, paint: RGB) -> None:
    x, y = hand
    dark = darker(paint, 0.3)
    match kind:
        case "umbrella":
            canvas.limb(((x, y), (x + 0.008, y + 0.27)), (0.03, 0.012), paint)
            canvas.line([(x, y - 0.055), (x, y + 0.01)], 0.011, (96, 66, 42))
            canvas.line([(x + 0.008, y + 0.27), (x + 0.009, y + 0.3)], 0.007, (60, 60, 64))
        case "suitcase":
            top, low = y + 0.15, 0.985
            canvas.line(
                [
                    (x - 0.022, top),
                    (x - 0.022, y + 0.008),
                    (x + 0.022, y + 0.008),
                    (x + 0.022, top),
                ],
                0.009,
                (90, 92, 96),
            )
            _draw_body(canvas, (x, (top + low) / 2), (0.068, (low - top) / 2), paint)
            for share in (-0.4, 0.4):
                canvas.line(
                    [(x + share * 0.08, top + 0.03), (x + share * 0.08, low - 0.03)], 0.006, dark
                )
        case "shopping bag":
            canvas.line([(x - 0.024, y + 0.06), (x, y), (x + 0.024, y + 0.06)], 0.006, dark)
            canvas.shape(
                [
                    (x - 0.05, y + 0.056),
                    (x + 0.05, y + 0.056),
                    (x + 0.054, y + 0.19),
                    (x - 0.054, y + 0.19),
                ],
                lighter(paint, 0.12),
                smooth=False,
            )
            canvas.dot((x, y + 0.122), (0.02, 0.02), lighter(paint, 0.7))
        case "water bottle":
            canvas.limb(((x, y - 0.012), (x, y + 0.06)), (0.03, 0.034), paint)
            canvas.line([(x, y - 0.034), (x, y - 0.018)], 0.018, (240, 240, 240))
        case _:
            canvas.line([(x - 0.02, y + 0.03), (x, y + 0.002), (x + 0.02, y + 0.03)], 0.01, dark)
            _draw_body(canvas, (x, y + 0.085), (0.085, 0.056), paint)
            canvas.line([(x - 0.08, y + 0.07), (x + 0.08, y + 0.07)], 0.006, dark)


def _sheet(canvas: Canvas, centre: Point, half: Point, paint: RGB, inner: RGB) -> None:
    (x, y), (wide, high) = centre, half
    canvas.shape(
        [
            (x - wide, y - high),
            (x + wide, y - high * 1.06),
            (x + wide, y + high),
            (x - wide, y + high * 1.06),
        ],
        paint,
        smooth=False,
    )
    canvas.line([(x - wide * 0.6, y - high * 0.5), (x + wide * 0.6, y - high * 0.52)], 0.012, inner)


def _draw_flowers(canvas: Canvas, hand: Point, paint: RGB) -> None:
    x, y = hand
    canvas.shape(
        [(x - 0.008, y + 0.05), (x + 0.008, y + 0.05), (x + 0.04, y - 0.05), (x - 0.04, y - 0.05)],
        (70, 140, 76),
    )
    for dx, dy in (
        (-0.034, -0.06),
        (0.0, -0.075),
        (0.034, -0.058),
        (-0.016, -0.048),
        (0.018, -0.045),
    ):
        canvas.dot((x + dx, y + dy), (0.02, 0.018), paint)
        canvas.dot((x + dx, y + dy), (0.006, 0.006), (250, 220, 90))


def _hand(elbow: Point, wrist: Point) -> Point:
    return (wrist[0] + (wrist[0] - elbow[0]) * 0.1, wrist[1] + (wrist[1] - elbow[1]) * 0.1)
