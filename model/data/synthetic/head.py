"""Draw neck and head with all that is on it, far things first."""

from model.data.synthetic.canvas import Canvas
from model.data.synthetic.colours import RGB
from model.data.synthetic.face import (
    Head,
    draw_beard,
    draw_face,
    draw_glasses,
    draw_profile,
    is_veiled,
)
from model.data.synthetic.hair import draw_hair
from model.data.synthetic.hat import draw_hat
from model.data.synthetic.outfit import Identity


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
        draw_profile(canvas, head, skin)
    else:
        draw_face(canvas, head, skin)
    if who.hair.beard != "none" and head.facing != "back":
        draw_beard(canvas, who, head)
    if not is_veiled(who):
        draw_hair(canvas, who, head)
    if who.glasses != "none" and head.facing != "back":
        draw_glasses(canvas, who.glasses, head)
    if who.hat:
        draw_hat(canvas, who.hat, head)
    _shade_head(canvas, head)


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
