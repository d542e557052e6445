"""Draw the trunk: tops and dresses, then jackets and coats over them, and scarves."""

from model.data.synthetic.canvas import Canvas
from model.data.synthetic.clothes import cloth_of, shade_trunk, trunk_outline
from model.data.synthetic.colours import CLOTH, RGB, darker, lighter
from model.data.synthetic.outfit import Garment, Identity
from model.data.synthetic.skeleton import Skeleton


def draw_upper(canvas: Canvas, who: Identity, bones: Skeleton, skin: RGB) -> None:
    upper, size = who.upper, bones.size
    hem = size.waist + 0.01 if upper.kind == "dress" else size.hip + 0.022
    if upper.kind in ("blouse",) and who.lower and who.lower.kind != "leggings":
        hem = size.waist + 0.045
    canvas.shape(trunk_outline(bones, hem), cloth_of(upper))
    shade_trunk(canvas, bones, hem)
    if upper.kind == "dress":
        belt = darker(CLOTH[upper.colour], 0.45)
        half = size.half_waist * 0.98
        canvas.line([(-half, size.waist), (half, size.waist)], 0.012, belt)
    if bones.facing == "front":
        _draw_front(canvas, upper, bones, skin)
    elif bones.facing == "back":
        _draw_back(canvas, upper, bones)
    if upper.kind in ("sweater", "hoodie"):
        half = size.half_hip * 0.96
        canvas.line(
            [(-half, hem - 0.01), (half, hem - 0.01)], 0.005, darker(CLOTH[upper.colour], 0.3)
        )


def _draw_front(canvas: Canvas, upper: Garment, bones: Skeleton, skin: RGB) -> None:
    top = bones.size.shoulder
    deep = {"tank top": 0.05, "dress": 0.042, "blouse": 0.04}.get(upper.kind, 0.02)
    canvas.dot((0, top - 0.004), (0.034, deep), skin)
    if upper.kind == "tank top":
        for side in (-1, 1):
            canvas.shape(
                [
                    (side * 0.072, top - 0.002),
                    (side * 0.13, top),
                    (side * 0.13, top + 0.06),
                    (side * 0.08, top + 0.05),
                ],
                skin,
            )
    if upper.kind in ("shirt", "polo shirt", "blouse"):
        _draw_collar(canvas, upper, bones)
    if upper.kind == "hoodie":
        _draw_drawstrings(canvas, upper, bones)
    if upper.pattern == "print" and upper.accent:
        _draw_print(canvas, upper, bones)


def _draw_collar(canvas: Canvas, upper: Garment, bones: Skeleton) -> None:
    """A collar and the button line beneath it."""
    size, paint = bones.size, CLOTH[upper.colour]
    top, line = size.shoulder, _seam(paint)
    end = top + (0.075 if upper.kind == "polo shirt" else size.hip - top)
    canvas.line([(0, top + 0.01), (0, end)], 0.005, line)
    for side in (-1, 1):
        canvas.shape(
            [
                (side * 0.012, top - 0.024),
                (side * 0.042, top - 0.012),
                (side * 0.03, top + 0.026),
                (0, top + 0.012),
            ],
            lighter(paint, 0.12),
            smooth=False,
        )
        canvas.line(
            [(side * 0.042, top - 0.01), (side * 0.03, top + 0.026), (0, top + 0.012)],
            0.004,
            line,
        )


def _draw_drawstrings(canvas: Canvas, upper: Garment, bones: Skeleton) -> None:
    """A hood's edge with its strings, and the pocket for both hands."""
    size, paint = bones.size, CLOTH[upper.colour]
    top, line = size.shoulder, _seam(paint)
    for side in (-1, 1):
        canvas.limb(
            ((side * 0.042, top - 0.014), (side * 0.012, top + 0.03)),
            (0.024, 0.02),
            darker(paint, 0.12),
        )
        canvas.line(
            [(side * 0.012, top + 0.03), (side * 0.014, top + 0.085)], 0.005, (225, 225, 222)
        )
    low, half = size.waist + 0.07, 0.055
    canvas.line(
        [
            (-half, low),
            (-half * 0.7, size.waist + 0.01),
            (half * 0.7, size.waist + 0.01),
            (half, low),
        ],
        0.005,
        line,
    )


def _draw_print(canvas: Canvas, upper: Garment, bones: Skeleton) -> None:
    """A picture on the chest: one of a few, always the same for a colour pair."""
    accent = CLOTH[upper.accent or "white"]
    y = bones.size.shoulder + 0.105
    match len(upper.colour + (upper.accent or "")) % 3:
        case 0:
            canvas.dot((0, y), (0.042, 0.04), accent)
            canvas.dot((0.008, y - 0.006), (0.02, 0.018), CLOTH[upper.colour])
        case 1:
            canvas.shape(
                [(-0.048, y - 0.028), (0.048, y - 0.028), (0.048, y + 0.028), (-0.048, y + 0.028)],
                accent,
                smooth=False,
            )
            canvas.line([(-0.034, y), (0.034, y)], 0.012, CLOTH[upper.colour])
        case _:
            canvas.shape(
                [(0, y - 0.046), (0.046, y + 0.032), (-0.046, y + 0.032)], accent, smooth=False
            )


def _draw_back(canvas: Canvas, upper: Garment, bones: Skeleton) -> None:
    size, paint = bones.size, CLOTH[upper.colour]
    canvas.fold([(0, size.shoulder + 0.05), (0, size.waist)], 112)
    if upper.kind == "hoodie":
        canvas.shape(
            [
                (-0.058, size.shoulder - 0.018),
                (0.058, size.shoulder - 0.018),
                (0.05, size.shoulder + 0.045),
                (0, size.shoulder + 0.07),
                (-0.05, size.shoulder + 0.045),
            ],
            darker(paint, 0.15),
        )
        canvas.fold(
            [
                (-0.045, size.shoulder + 0.05),
                (0, size.shoulder + 0.072),
                (0.045, size.shoulder + 0.05),
            ],
            60,
        )


def draw_outer(canvas: Canvas, outer: Garment, bones: Skeleton) -> None:
    """An open layer leaves a gap in front; a closed one, or its back, covers everything."""
    size = bones.size
    hem = size.hip + 0.03 + outer.hem * (size.knee - size.hip)
    grow = 0.016 if outer.kind == "puffer jacket" else 0.008
    outline = trunk_outline(bones, hem, grow=grow, flare=0.018 * outer.hem)
    if outer.is_open and bones.facing == "front":
        for side in (-1, 1):
            canvas.shape(_front_panel(bones, hem, grow, outer.hem, side), cloth_of(outer))
    else:
        canvas.shape(outline, cloth_of(outer))
    shade_trunk(canvas, bones, hem)
    if outer.hem > 0.5:
        for x in (-0.04, 0.045):
            canvas.fold([(x, size.hip), (x * 1.3, hem)], 92, 0.009)
    _finish_outer(canvas, outer, bones, hem)


def _front_panel(
    bones: Skeleton, hem: float, grow: float, length: float, side: int
) -> list[tuple[float, float]]:
    right = trunk_outline(bones, hem, grow=grow, flare=0.018 * length)[:7]
    gap = bones.size.half_waist * 0.42
    inner = [(gap * 1.15, hem), (gap, bones.size.waist), (gap * 0.72, bones.size.shoulder + 0.05)]
    return [(side * x, y) for x, y in [*right, *inner]]


def _finish_outer(canvas: Canvas, outer: Garment, bones: Skeleton, hem: float) -> None:
    size, paint = bones.size, CLOTH[outer.colour]
    top, line = size.shoulder, _seam(paint)
    half = size.half_waist * 0.98
    if outer.kind == "hi-vis vest":
        for y in (size.waist - 0.03, size.waist + 0.035):
            for a, b in _bands(outer, bones):
                canvas.line([(a, y), (b, y)], 0.018, (214, 218, 222))
    if outer.kind == "puffer jacket":
        y = top + 0.06
        while y < hem - 0.01:
            for a, b in _bands(outer, bones):
                canvas.fold([(a, y), (b, y)], 62, 0.008)
                canvas.fold([(a, y + 0.018), (b, y + 0.018)], 148, 0.012)
            y += 0.042
    if outer.kind in ("coat", "raincoat") and bones.facing == "back":
        canvas.line([(-half, size.waist + 0.01), (half, size.waist + 0.01)], 0.012, line)
    if outer.kind == "raincoat":
        _draw_hood(canvas, paint, bones)
    if bones.facing != "front":
        return
    if outer.kind == "leather jacket" or outer.kind == "denim jacket":
        for side in (-1, 1):
            canvas.line([(side * 0.05, top + 0.1), (side * 0.078, top + 0.1)], 0.006, line)
    if not outer.is_open:
        canvas.line([(0, top + 0.03), (0, hem)], 0.006, line)
        if outer.kind in ("coat", "blazer", "cardigan", "denim jacket"):
            for step in range(4):
                canvas.dot((0.014, top + 0.09 + step * 0.05), (0.0055, 0.005), line)
    for side in (-1, 1):
        if outer.kind in ("coat", "blazer"):
            canvas.shape(
                [
                    (side * 0.026, top - 0.018),
                    (side * 0.056, top + 0.03),
                    (side * 0.034, top + 0.09),
                    (side * 0.006, top + 0.1),
                ],
                darker(paint, 0.22),
                smooth=False,
            )
        elif outer.kind != "hi-vis vest":
            canvas.limb(
                ((side * 0.036, top - 0.012), (side * 0.016, top + 0.03)),
                (0.02, 0.018),
                darker(paint, 0.2),
            )
        canvas.line(
            [(side * half * 0.62, size.waist + 0.055), (side * half * 0.95, size.waist + 0.045)],
            0.005,
            line,
        )


def _draw_hood(canvas: Canvas, paint: RGB, bones: Skeleton) -> None:
    top, d = bones.size.shoulder, bones.direction
    if d:
        canvas.dot((-d * 0.045, top + 0.0), (0.03, 0.03), darker(paint, 0.15))
    elif bones.facing == "back":
        canvas.dot((0, top + 0.014), (0.06, 0.042), darker(paint, 0.15))
        canvas.fold([(-0.04, top + 0.04), (0, top + 0.058), (0.04, top + 0.04)], 60)


def _bands(outer: Garment, bones: Skeleton) -> list[tuple[float, float]]:
    """Where a horizontal band of an outer layer runs: two pieces if it is open in front."""
    half = bones.size.half_waist * 1.02
    if outer.is_open and bones.facing == "front":
        gap = bones.size.half_waist * 0.44
        return [(-half, -gap), (gap, half)]
    return [(-half, half)]


def draw_scarf(canvas: Canvas, colour: str, bones: Skeleton) -> None:
    paint, size, d = CLOTH[colour], bones.size, bones.direction
    y = (size.head + size.shoulder) / 2 + 0.004
    if bones.facing != "back":
        x = d * 0.03 or 0.018
        canvas.limb(((x, y + 0.01), (x + 0.006, size.shoulder + 0.13)), (0.036, 0.04), paint)
        canvas.line(
            [(x - 0.01, size.shoulder + 0.115), (x + 0.022, size.shoulder + 0.115)],
            0.006,
            darker(paint, 0.3),
        )
    canvas.limb(((-0.034, y), (0.034, y)), (0.044, 0.044), paint)
    canvas.fold([(-0.03, y + 0.006), (0.034, y - 0.004)], 88)


def _seam(paint: RGB) -> RGB:
    return darker(paint, 0.35) if sum(paint) > 170 else lighter(paint, 0.22)
