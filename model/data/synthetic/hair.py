"""Draw hair, from four sides."""

from model.data.synthetic.canvas import Canvas
from model.data.synthetic.colours import HAIR, RGB, SKIN, darker, lighter, mix
from model.data.synthetic.face import Head, is_veiled
from model.data.synthetic.outfit import Identity


def draw_hair_behind(canvas: Canvas, who: Identity, head: Head) -> None:
    """Long hair that falls behind the shoulders; seen from the front and the side."""
    if who.hair.length not in ("medium", "long") or is_veiled(who) or head.facing == "back":
        return
    if who.hair.style in ("ponytail", "bun", "plait"):
        return
    paint = darker(HAIR[who.hair.colour], 0.18)
    low = head.shoulder + (0.1 if who.hair.length == "long" else 0.0)
    wide = head.rx * (1.5 if who.hair.style == "curly" else 1.22)
    back = -head.d * head.rx * 0.42
    canvas.shape(
        [
            (head.x - wide + back, head.y - 0.02),
            (head.x + wide + back, head.y - 0.02),
            (head.x + wide * 0.95 + back, low),
            (head.x - wide * 0.95 + back, low),
        ],
        paint,
    )


def draw_hair(canvas: Canvas, who: Identity, head: Head) -> None:
    hair, paint = who.hair, HAIR[who.hair.colour]
    x, y, rx, ry, d = head.x, head.y, head.rx, head.ry, head.d
    if hair.length == "bald":
        if head.facing == "back" or d:
            canvas.dot(
                (x - d * rx * 0.55, y + ry * 0.12),
                (rx * (0.36 if d else 0.95), ry * 0.24),
                mix(paint, SKIN[who.body.skin], 0.65),
            )
        return
    puff = {"curly": 1.22, "straight": 1.06}.get(hair.style, 1.04) if who.hat is None else 1.0
    if head.facing == "back":
        _draw_back_hair(canvas, who, head, puff)
    elif d:
        low = {"short": 0.3, "medium": 1.0, "long": 0.7}[hair.length]
        canvas.shape(
            [
                (x + d * rx * 0.86, y - ry * 0.62),
                (x + d * rx * 0.62, y - ry * 1.06 * puff),
                (x - d * rx * 0.3, y - ry * 1.1 * puff),
                (x - d * rx * 1.1 * puff, y - ry * 0.5),
                (x - d * rx * 1.05 * puff, y + ry * low),
                (x - d * rx * 0.5, y + ry * (low + 0.1)),
                (x - d * rx * 0.12, y - ry * 0.02),
                (x + d * rx * 0.28, y - ry * 0.42),
            ],
            paint,
        )
        _draw_tail(canvas, who, head, paint)
    else:
        _draw_front_hair(canvas, who, head, puff)
    if hair.style == "curly" and who.hat is None:
        _draw_curls(canvas, head, paint, puff)
    canvas.shadow([(x - rx * 0.5, y - ry), (x, y - ry * 1.04), (x - rx * 0.1, y - ry * 0.72)], 158)


def _draw_front_hair(canvas: Canvas, who: Identity, head: Head, puff: float) -> None:
    x, y, rx, ry = head.x, head.y, head.rx, head.ry
    paint, female = HAIR[who.hair.colour], who.body.sex == "female"
    sides = y - ry * 0.1 if who.hair.length == "short" and not female else y + ry * 0.1
    canvas.shape(
        [
            (x - rx * 1.1 * puff, sides),
            (x - rx * 1.1 * puff, y - ry * 0.62),
            (x - rx * 0.6, y - ry * 1.1 * puff),
            (x + rx * 0.6, y - ry * 1.1 * puff),
            (x + rx * 1.1 * puff, y - ry * 0.62),
            (x + rx * 1.1 * puff, sides),
            (x + rx * 0.88, y - ry * 0.4),
            (x + rx * 0.3, y - ry * 0.58),
            (x - rx * 0.35, y - ry * 0.44),
            (x - rx * 0.88, y - ry * 0.34),
        ],
        paint,
    )
    if who.hair.style in ("ponytail", "bun", "plait") or who.hair.length == "short":
        return
    low = head.shoulder + (0.11 if who.hair.length == "long" else -0.008)
    for side in (-1, 1):
        canvas.limb(
            ((x + side * rx * 1.05 * puff, y - ry * 0.3), (x + side * rx * 1.12, low)),
            (rx * 0.5 * puff, rx * 0.6),
            paint,
        )


def _draw_back_hair(canvas: Canvas, who: Identity, head: Head, puff: float) -> None:
    x, y, rx, ry = head.x, head.y, head.rx, head.ry
    paint = HAIR[who.hair.colour]
    is_cropped = who.hair.length == "short" and who.body.sex == "male"
    rise, high = (0.26, 0.82) if is_cropped else (0.06, 1.04)
    if is_cropped:
        for side in (-1, 1):
            ear = (x + side * rx * 1.04, y + ry * 0.08)
            canvas.dot(ear, (rx * 0.16, ry * 0.18), SKIN[who.body.skin])
    canvas.dot((x, y - ry * rise), (rx * 1.1 * puff, ry * high * puff), paint)
    tied = who.hair.style in ("ponytail", "bun", "plait")
    if who.hair.length != "short" and not tied:
        low = head.shoulder + (0.13 if who.hair.length == "long" else 0.008)
        wide = rx * 1.12 * puff
        canvas.shape(
            [
                (x - wide, y - ry * 0.3),
                (x + wide, y - ry * 0.3),
                (x + wide * 1.02, low - 0.02),
                (x + wide * 0.6, low),
                (x - wide * 0.6, low),
                (x - wide * 1.02, low - 0.02),
            ],
            paint,
        )
        for share in (-0.5, 0.0, 0.5):
            canvas.fold([(x + share * wide, y), (x + share * wide, low - 0.02)], 100)
    _draw_tail(canvas, who, head, paint)


def _draw_tail(canvas: Canvas, who: Identity, head: Head, paint: RGB) -> None:
    """What is tied at the back: ponytail, bun or plait."""
    x, y, rx, ry, d = head.x, head.y, head.rx, head.ry, head.d
    knot = (x - d * rx * 1.12, y - ry * (0.2 if d else 0.1))
    deep, bright = darker(paint, 0.25), lighter(paint, 0.12)
    if who.hair.style == "bun":
        canvas.dot((knot[0], knot[1] - ry * 0.28), (rx * 0.46, ry * 0.36), deep)
        canvas.dot((knot[0], knot[1] - ry * 0.32), (rx * 0.28, ry * 0.2), paint)
    elif who.hair.style == "ponytail":
        end = (knot[0] - d * rx * 0.55, head.shoulder + 0.09)
        canvas.limb((knot, end), (rx * 0.5, rx * 0.72), deep)
        canvas.dot(knot, (rx * 0.26, rx * 0.2), (176, 50, 60))
    elif who.hair.style == "plait":
        for step in range(7):
            at = knot[1] + step * 0.026
            canvas.dot(
                (knot[0] - d * step * 0.004, at),
                (rx * (0.34 - 0.02 * step), 0.016),
                bright if step % 2 else deep,
            )


def _draw_curls(canvas: Canvas, head: Head, paint: RGB, puff: float) -> None:
    x, y, rx, ry, d = head.x, head.y, head.rx, head.ry, head.d
    for step, share in enumerate((-0.95, -0.6, -0.2, 0.2, 0.6, 0.95)):
        centre = (
            x + rx * share * puff - d * rx * 0.25,
            y - ry * (0.98 - 0.55 * abs(share) ** 2) * puff,
        )
        canvas.dot(centre, (rx * 0.3, ry * 0.24), lighter(paint, 0.08) if step % 2 else paint)
