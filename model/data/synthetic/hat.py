"""Draw hats and headscarves, from four sides."""

from model.data.synthetic.canvas import Canvas
from model.data.synthetic.colours import CLOTH, RGB, darker, lighter
from model.data.synthetic.face import Head
from model.data.synthetic.outfit import Thing


def draw_hat(canvas: Canvas, hat: Thing, head: Head) -> None:
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
