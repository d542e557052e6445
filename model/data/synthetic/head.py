"""Draw neck, head, hair, beard, glasses and hat, from four sides."""

from model.data.synthetic.canvas import Canvas
from model.data.synthetic.colours import CLOTH, HAIR, RGB, SKIN, darker, lighter, mix
from model.data.synthetic.outfit import Identity, Thing
from model.data.synthetic.skeleton import Skeleton


class Head:
    """Measures of one head: its middle and radii, in figure heights."""

    def __init__(self, bones: Skeleton, turn: float):
        height = bones.size.head
        self.facing, self.d = bones.facing, bones.direction
        self.x = self.d * 0.012
        self.y = height * 0.52
        self.rx = height * (0.375 if self.d else 0.335)
        self.ry = height * 0.48
        self.look = turn * height * 0.045 if bones.facing == "front" else 0.0
        self.shoulder = bones.size.shoulder
        self.unit = height / 0.138


def draw_hair_behind(canvas: Canvas, who: Identity, head: Head) -> None:
    """Long hair that falls behind the shoulders; seen from the front and the side."""
    if who.hair.length not in ("medium", "long") or _is_veiled(who) or head.facing == "back":
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


def draw_head(canvas: Canvas, who: Identity, head: Head, skin: RGB) -> None:
    neck = head.rx * (0.98 if who.body.sex == "female" else 1.16)
    canvas.limb(((head.x * 0.5, head.y), (0, head.shoulder + 0.004)), (neck, neck * 1.05), skin)
    canvas.shadow(
        [
            (-neck / 2, head.y + head.ry),
            (neck / 2, head.y + head.ry),
            (neck / 2, head.y + head.ry + 0.018),
            (-neck / 2, head.y + head.ry + 0.018),
        ],
        76,
    )
    if head.facing == "back":
        canvas.dot((head.x, head.y), (head.rx, head.ry), skin)
    elif head.d:
        _draw_profile(canvas, head, skin)
    else:
        _draw_face(canvas, head, skin)
    if who.hair.beard != "none" and head.facing != "back":
        _draw_beard(canvas, who, head)
    if not _is_veiled(who):
        _draw_hair(canvas, who, head)
    if who.glasses != "none" and head.facing != "back":
        _draw_glasses(canvas, who.glasses, head)
    if who.hat:
        _draw_hat(canvas, who.hat, head)
    _shade_head(canvas, head)


def _is_veiled(who: Identity) -> bool:
    return who.hat is not None and who.hat.kind == "headscarf"


def _shade_head(canvas: Canvas, head: Head) -> None:
    side = -canvas.light_side
    canvas.shadow(
        [
            (head.x + side * head.rx * 0.5, head.y - head.ry * 0.8),
            (head.x + side * head.rx, head.y - head.ry * 0.2),
            (head.x + side * head.rx * 0.8, head.y + head.ry * 0.6),
            (head.x + side * head.rx * 0.5, head.y + head.ry * 0.8),
        ],
        94,
    )


def _draw_face(canvas: Canvas, head: Head, skin: RGB) -> None:
    x, y, rx, ry = head.x, head.y, head.rx, head.ry
    jaw = [
        (x - rx * 0.9, y - ry * 0.9),
        (x + rx * 0.9, y - ry * 0.9),
        (x + rx, y),
        (x + rx * 0.86, y + ry * 0.5),
    ]
    jaw += [
        (x + rx * 0.42, y + ry),
        (x - rx * 0.42, y + ry),
        (x - rx * 0.86, y + ry * 0.5),
        (x - rx, y),
    ]
    for side in (-1, 1):
        canvas.dot((x + side * rx, y + ry * 0.08), (rx * 0.16, ry * 0.18), darker(skin, 0.12))
    canvas.shape(jaw, skin)
    dark, look = darker(skin, 0.62), head.look
    for side in (-1, 1):
        eye = x + look + side * rx * 0.42
        canvas.dot((eye, y - ry * 0.02), (rx * 0.17, ry * 0.065), (240, 238, 234))
        canvas.dot((eye + look * 0.3, y - ry * 0.02), (rx * 0.09, ry * 0.07), (38, 28, 24))
        canvas.line([(eye - rx * 0.2, y - ry * 0.17), (eye + rx * 0.2, y - ry * 0.18)], 0.004, dark)
    canvas.line(
        [(x + look, y), (x + look + rx * 0.1, y + ry * 0.3), (x + look - rx * 0.08, y + ry * 0.32)],
        0.003,
        darker(skin, 0.32),
    )
    lips = mix(skin, (168, 52, 60), 0.55)
    canvas.line(
        [(x + look - rx * 0.26, y + ry * 0.56), (x + look + rx * 0.26, y + ry * 0.56)], 0.006, lips
    )


def _draw_profile(canvas: Canvas, head: Head, skin: RGB) -> None:
    x, y, rx, ry, d = head.x, head.y, head.rx, head.ry, head.d
    canvas.shape(
        [
            (x - d * rx, y - ry * 0.3),
            (x - d * rx * 0.5, y - ry),
            (x + d * rx * 0.5, y - ry),
            (x + d * rx * 0.93, y - ry * 0.4),
            (x + d * rx * 0.93, y + ry * 0.5),
            (x + d * rx * 0.75, y + ry),
            (x + d * rx * 0.2, y + ry * 0.92),
            (x - d * rx * 0.6, y + ry * 0.5),
        ],
        skin,
    )
    canvas.shape(
        [
            (x + d * rx * 0.85, y - ry * 0.1),
            (x + d * rx * 1.2, y + ry * 0.28),
            (x + d * rx * 0.84, y + ry * 0.34),
        ],
        skin,
        smooth=False,
    )
    dark = darker(skin, 0.62)
    canvas.dot((x + d * rx * 0.62, y - ry * 0.02), (rx * 0.09, ry * 0.07), (38, 28, 24))
    canvas.line(
        [(x + d * rx * 0.48, y - ry * 0.18), (x + d * rx * 0.82, y - ry * 0.17)], 0.004, dark
    )
    canvas.line(
        [(x + d * rx * 0.62, y + ry * 0.57), (x + d * rx * 0.86, y + ry * 0.55)],
        0.006,
        mix(skin, (168, 52, 60), 0.55),
    )
    canvas.dot((x - d * rx * 0.06, y + ry * 0.1), (rx * 0.14, ry * 0.17), darker(skin, 0.16))


def _draw_beard(canvas: Canvas, who: Identity, head: Head) -> None:
    x, y, rx, ry, d = head.x + head.look, head.y, head.rx, head.ry, head.d
    paint = darker(HAIR[who.hair.colour], 0.1)
    lip = (x + d * rx * 0.72, y + ry * 0.47)
    if who.hair.beard == "beard":
        if d:
            canvas.shape(
                [
                    (x + d * rx * 0.05, y + ry * 0.2),
                    (x + d * rx * 0.3, y + ry * 0.5),
                    (x + d * rx * 0.98, y + ry * 0.42),
                    (x + d * rx * 0.86, y + ry * 1.1),
                    (x + d * rx * 0.1, y + ry * 0.95),
                ],
                paint,
            )
        else:
            canvas.shape(
                [
                    (x - rx, y + ry * 0.1),
                    (x - rx * 0.6, y + ry * 0.5),
                    (x, y + ry * 0.36),
                    (x + rx * 0.6, y + ry * 0.5),
                    (x + rx, y + ry * 0.1),
                    (x + rx * 0.82, y + ry * 0.7),
                    (x + rx * 0.4, y + ry * 1.12),
                    (x - rx * 0.4, y + ry * 1.12),
                    (x - rx * 0.82, y + ry * 0.7),
                ],
                paint,
            )
            canvas.line(
                [(x - rx * 0.2, y + ry * 0.62), (x + rx * 0.2, y + ry * 0.62)], 0.005, (150, 70, 66)
            )
    else:
        half = rx * (0.24 if d else 0.44)
        canvas.line(
            [
                (lip[0] - half, lip[1] + 0.004),
                (lip[0], lip[1] - 0.002),
                (lip[0] + half, lip[1] + 0.004),
            ],
            0.011,
            paint,
        )


def _draw_glasses(canvas: Canvas, kind: str, head: Head) -> None:
    x, y, rx, ry, d = head.x + head.look, head.y, head.rx, head.ry, head.d
    frame = (24, 22, 26)
    centres = [x + d * rx * 0.66] if d else [x - rx * 0.44, x + rx * 0.44]
    for centre in centres:
        radius = (rx * (0.28 if d else 0.35), ry * 0.2)
        canvas.dot((centre, y), radius, frame)
        if kind == "glasses":
            canvas.dot((centre, y), (radius[0] * 0.68, radius[1] * 0.62), (206, 216, 222))
            canvas.dot((centre + d * rx * 0.04, y), (rx * 0.08, ry * 0.07), (38, 28, 24))
    start, end = (x - d * rx * 0.1, x + d * rx * 0.5) if d else (x - rx, x + rx)
    canvas.line([(start, y - ry * 0.04), (end, y - ry * 0.04)], 0.005, frame)


def _draw_hair(canvas: Canvas, who: Identity, head: Head) -> None:
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
    canvas.dot((x, y - ry * 0.06), (rx * 1.1 * puff, ry * 1.04 * puff), paint)
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


def _draw_hat(canvas: Canvas, hat: Thing, head: Head) -> None:
    paint = CLOTH[hat.colour]
    x, y, rx, ry, d = head.x, head.y, head.rx, head.ry, head.d
    brow = y - ry * 0.42
    shade = darker(paint, 0.3)
    if hat.kind == "headscarf":
        _draw_headscarf(canvas, head, paint)
        return
    crown = {"beanie": 1.22, "brimmed hat": 1.16, "helmet": 1.2}.get(hat.kind, 1.1)
    wide = rx * (1.2 if hat.kind == "helmet" else 1.13)
    back = d * rx * 0.1
    canvas.shape(
        [
            (x - wide - back, brow),
            (x - wide - back, y - ry * 0.8),
            (x - wide * 0.6 - back, y - ry * crown),
            (x + wide * 0.6 - back, y - ry * crown),
            (x + wide - back, y - ry * 0.8),
            (x + wide - back, brow),
            (x, brow + ry * 0.05),
        ],
        paint,
    )
    if hat.kind == "cap":
        if d:
            canvas.limb(
                ((x + d * rx * 0.6, brow - 0.002), (x + d * rx * 1.85, brow + 0.006)),
                (0.014, 0.01),
                shade,
            )
        elif head.facing == "front":
            canvas.dot((x + head.look, brow + 0.003), (rx * 0.95, ry * 0.17), shade)
    elif hat.kind == "beanie":
        canvas.limb(
            ((x - wide * 0.9 - back, brow - 0.004), (x + wide * 0.9 - back, brow - 0.004)),
            (0.026, 0.026),
            shade,
        )
        canvas.dot((x - back, y - ry * crown * 1.02), (rx * 0.24, rx * 0.22), lighter(paint, 0.2))
    elif hat.kind == "brimmed hat":
        canvas.dot((x, brow), (rx * 1.95, ry * 0.2), paint)
        canvas.line(
            [(x - wide * 0.98, brow - 0.014), (x + wide * 0.98, brow - 0.014)], 0.014, shade
        )
    else:
        for share in (-0.5, 0.0, 0.5):
            canvas.line(
                [(x + share * wide, y - ry * 1.08), (x + share * wide * 1.2, y - ry * 0.6)],
                0.008,
                shade,
            )


def _draw_headscarf(canvas: Canvas, head: Head, paint: RGB) -> None:
    x, y, rx, ry, d = head.x, head.y, head.rx, head.ry, head.d
    low = head.shoulder + 0.04
    hood = [
        (x - rx * 1.2, y),
        (x - rx * 0.9, y - ry * 1.0),
        (x, y - ry * 1.22),
        (x + rx * 0.9, y - ry * 1.0),
        (x + rx * 1.2, y),
    ]
    drape = [
        (x + rx * 1.4, head.shoulder),
        (x + rx * 0.9, low),
        (x - rx * 0.9, low),
        (x - rx * 1.4, head.shoulder),
    ]
    if head.facing == "back":
        canvas.shape(hood + drape, paint)
        return
    inner = 0.72
    face = (x + d * rx * 0.42, y + ry * 0.06)
    rim_x, rim_y = rx * inner, ry * 0.78
    ring = [
        (face[0] + rim_x, face[1]),
        (face[0] + rim_x * 0.7, face[1] - rim_y * 0.75),
        (face[0], face[1] - rim_y),
    ]
    ring += [(face[0] - rim_x * 0.7, face[1] - rim_y * 0.75), (face[0] - rim_x, face[1])]
    canvas.shape([*hood, *ring], paint, smooth=False)
    canvas.shape(
        [
            (x - rx * 1.2, y - 0.002),
            (face[0] - rim_x, y - 0.002),
            (face[0] - rim_x * 0.6, face[1] + rim_y),
            (face[0] + rim_x * 0.6, face[1] + rim_y),
            (face[0] + rim_x, y - 0.002),
            (x + rx * 1.2, y - 0.002),
            *drape,
        ],
        paint,
        smooth=False,
    )
    canvas.fold([(x - rx, head.shoulder), (x + rx * 0.5, y + ry * 1.2)], 84)
