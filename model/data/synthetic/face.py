"""Draw a face with its beard and glasses, from the front and the side."""

from model.data.synthetic.canvas import Canvas
from model.data.synthetic.colours import HAIR, RGB, darker, mix
from model.data.synthetic.outfit import Identity
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


def is_veiled(who: Identity) -> bool:
    return who.hat is not None and who.hat.kind == "headscarf"


def draw_face(canvas: Canvas, head: Head, skin: RGB) -> None:
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


def draw_profile(canvas: Canvas, head: Head, skin: RGB) -> None:
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


def draw_beard(canvas: Canvas, who: Identity, head: Head) -> None:
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


def draw_glasses(canvas: Canvas, kind: str, head: Head) -> None:
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
