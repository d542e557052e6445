"""Draw the place that a camera looks at."""

from collections.abc import Callable
from random import Random

from PIL import Image, ImageDraw

from model.data.synthetic.colours import CLOTH, RGB, darker, lighter
from model.data.synthetic.view import Scene, View

Draw = ImageDraw.ImageDraw
Box = tuple[float, float, float, float]


def draw_background(image: Image.Image, scene: Scene, view: View) -> None:
    """Paint the camera's place and the person's shadow on the ground, over the whole picture."""
    width, height = image.size
    draw_place(image, scene)
    draw = ImageDraw.Draw(image)
    foot = (view.top + view.height) * height
    middle = width * (0.5 + view.x) - scene.light_side * width * 0.06
    ground = image.getpixel((int(width * 0.5), min(height - 1, int(foot))))
    assert isinstance(ground, tuple)
    shade = darker((ground[0], ground[1], ground[2]), 0.38)
    draw.ellipse(
        (
            middle - width * 0.36,
            foot - height * 0.022,
            middle + width * 0.36,
            foot + height * 0.014,
        ),
        fill=shade,
    )


def draw_place(image: Image.Image, scene: Scene) -> None:
    """Paint the camera's place, empty, over the whole picture."""
    _PLACES[scene.camera.place](ImageDraw.Draw(image), *image.size, Random(scene.layout))


def _ground(draw: Draw, w: int, h: int, top: float, colour: RGB) -> None:
    """A floor that gets lighter towards the camera."""
    steps = 8
    for step in range(steps):
        y = h * (top + (1 - top) * step / steps)
        draw.rectangle((0, y, w, h), fill=lighter(colour, 0.016 * step))


def _brick_wall(draw: Draw, w: int, h: int, rng: Random) -> None:
    draw.rectangle((0, 0, w, h), fill=(176, 164, 152))
    course, shift = h / 34, rng.random()
    for row in range(27):
        y = row * course
        offset = ((row % 2) * 0.5 + shift) * w / 4
        for column in range(-1, 5):
            tint = rng.randint(-12, 12)
            x = column * w / 4 + offset
            draw.rectangle(
                (x, y, x + w / 4 - w / 64, y + course - h / 260),
                fill=(138 + tint, 92 + tint, 78 + tint),
            )
    _ground(draw, w, h, 0.79, (128, 126, 122))


def _plain_wall(draw: Draw, w: int, h: int, rng: Random) -> None:
    draw.rectangle((0, 0, w, h), fill=(196, 190, 176))
    for _ in range(6):
        x, y = rng.uniform(-0.3, 1) * w, rng.random() * 0.7 * h
        draw.rectangle(
            (x, y, x + 0.5 * w, y + rng.uniform(0.05, 0.2) * h),
            fill=lighter((184, 178, 164), rng.random() * 0.2),
        )
    draw.rectangle((0, 0.66 * h, w, 0.8 * h), fill=(148, 142, 132))
    _ground(draw, w, h, 0.8, (120, 116, 112))


def _street(draw: Draw, w: int, h: int, rng: Random) -> None:
    draw.rectangle((0, 0, w, h), fill=(198, 210, 220))
    x = -rng.random() * 0.3 * w
    while x < w:
        house = rng.uniform(0.25, 0.5) * w
        wall = rng.choice(((172, 156, 140), (150, 150, 154), (188, 176, 158), (140, 128, 122)))
        top = rng.uniform(0.02, 0.2) * h
        draw.rectangle((x, top, x + house, 0.62 * h), fill=wall)
        for row in range(5):
            for column in (0.18, 0.58):
                y = top + h * (0.03 + row * 0.095)
                left = x + house * column
                draw.rectangle(
                    (left, y, left + house * 0.24, y + h * 0.05), fill=darker(wall, 0.45)
                )
        x += house
    draw.rectangle((0, 0.62 * h, w, 0.7 * h), fill=(96, 98, 102))
    _ground(draw, w, h, 0.7, (150, 148, 146))
    draw.rectangle((0, 0.7 * h, w, 0.715 * h), fill=(184, 182, 178))


def _quay(draw: Draw, w: int, h: int, rng: Random) -> None:
    draw.rectangle((0, 0, w, 0.4 * h), fill=(202, 214, 226))
    for step in range(16):
        y = (0.4 + step * 0.018) * h
        draw.rectangle((0, y, w, y + 0.02 * h), fill=darker((112, 140, 160), 0.06 * (step % 3)))
    for _ in range(3):
        x = rng.random() * w
        draw.line(
            (x, rng.uniform(0, 0.15) * h, x, 0.46 * h), fill=(120, 112, 104), width=max(1, w // 70)
        )
        draw.polygon(
            [
                (x - 0.2 * w, 0.45 * h),
                (x + 0.22 * w, 0.45 * h),
                (x + 0.15 * w, 0.49 * h),
                (x - 0.15 * w, 0.49 * h),
            ],
            fill=rng.choice(((226, 226, 222), (70, 84, 110), (150, 70, 60))),
        )
    _ground(draw, w, h, 0.68, (158, 150, 140))
    for row in range(6):
        y = (0.68 + 0.055 * row) * h
        draw.line((0, y, w, y), fill=(134, 126, 118), width=max(1, h // 190))


def _stairs(draw: Draw, w: int, h: int, rng: Random) -> None:
    draw.rectangle((0, 0, w, h), fill=(168, 166, 162))
    shift = rng.uniform(0, 0.04)
    steps = 17
    for step in range(steps):
        y = (shift + step * 0.062) * h
        draw.rectangle((0, y, w, y + 0.026 * h), fill=(190, 188, 184))
        draw.rectangle(
            (0, y + 0.026 * h, w, y + 0.062 * h),
            fill=darker((158, 156, 152), 0.012 * (steps - step)),
        )
    x = rng.choice((0.06, 0.94)) * w
    draw.line((x, 0, x, h), fill=(96, 98, 104), width=max(2, w // 40))


def _shop_front(draw: Draw, w: int, h: int, rng: Random) -> None:
    draw.rectangle((0, 0, w, h), fill=(120, 104, 92))
    awning = rng.choice(((178, 60, 56), (56, 110, 84), (60, 84, 140)))
    draw.rectangle((0, 0.14 * h, w, 0.74 * h), fill=(96, 108, 112))
    for _ in range(9):
        x, y = rng.random() * w, rng.uniform(0.2, 0.68) * h
        goods = CLOTH[rng.choice(list(CLOTH))]
        draw.rectangle((x, y, x + 0.16 * w, y + 0.05 * h), fill=darker(goods, 0.45))
    for share in (0.0, 0.5, 1.0):
        draw.line(
            (share * w, 0.14 * h, share * w, 0.74 * h), fill=(62, 54, 50), width=max(2, w // 26)
        )
    stripe = w / 8
    for band in range(9):
        fill = awning if band % 2 else (226, 222, 214)
        draw.polygon(
            [
                (band * stripe, 0.03 * h),
                ((band + 1) * stripe, 0.03 * h),
                ((band + 0.9) * stripe, 0.15 * h),
                ((band - 0.1) * stripe, 0.15 * h),
            ],
            fill=fill,
        )
    draw.rectangle((0, 0.74 * h, w, 0.8 * h), fill=(84, 74, 68))
    _ground(draw, w, h, 0.8, (156, 148, 138))


def _stalls(draw: Draw, w: int, h: int, rng: Random) -> None:
    draw.rectangle((0, 0, w, h), fill=(176, 168, 158))
    for side in (0, 1):
        tint = darker(CLOTH[rng.choice(("red", "green", "blue", "orange", "white"))], 0.25)
        edge = 0.34 * w if side == 0 else 0.66 * w
        border = 0 if side == 0 else w
        draw.polygon(
            [(border, 0.04 * h), (edge, 0.14 * h), (edge, 0.2 * h), (border, 0.16 * h)], fill=tint
        )
        draw.polygon(
            [(border, 0.5 * h), (edge, 0.52 * h), (edge, 0.7 * h), (border, 0.82 * h)],
            fill=(128, 98, 70),
        )
        for _ in range(14):
            x = rng.uniform(min(edge, border), max(edge, border))
            y = rng.uniform(0.47, 0.54) * h
            fruit = rng.choice(((196, 120, 50), (150, 60, 50), (120, 140, 60), (190, 170, 80)))
            draw.ellipse((x - 0.03 * w, y, x + 0.03 * w, y + 0.022 * h), fill=fruit)
    draw.rectangle((0.34 * w, 0.2 * h, 0.66 * w, 0.62 * h), fill=(142, 138, 134))
    _ground(draw, w, h, 0.7, (144, 136, 126))


def _grass(draw: Draw, w: int, h: int, rng: Random) -> None:
    draw.rectangle((0, 0, w, 0.32 * h), fill=(196, 212, 226))
    draw.rectangle((0, 0.3 * h, w, 0.43 * h), fill=(70, 96, 62))
    for _ in range(9):
        x, y, r = rng.random() * w, rng.uniform(0.06, 0.34) * h, rng.uniform(0.15, 0.32) * w
        tint = rng.randint(-16, 16)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(84 + tint, 114 + tint, 74 + tint))
    _ground(draw, w, h, 0.42, (110, 140, 84))
    for _ in range(60):
        x, y = rng.random() * w, rng.uniform(0.44, 1) * h
        tint = rng.randint(-14, 14)
        draw.line(
            (x, y, x + rng.uniform(-2, 2), y - 0.014 * h),
            fill=(108 + tint, 138 + tint, 82 + tint),
            width=max(1, w // 100),
        )
    left = rng.uniform(0, 0.3) * w
    draw.polygon(
        [(left, h), (left + 0.5 * w, 0.42 * h), (left + 0.58 * w, 0.42 * h), (left + 0.85 * w, h)],
        fill=(186, 176, 158),
    )


def _corridor(draw: Draw, w: int, h: int, rng: Random) -> None:
    x, y = rng.uniform(0.4, 0.6) * w, 0.3 * h
    draw.rectangle((0, 0, w, h), fill=(214, 208, 196))
    draw.polygon(
        [(0, 0), (w, 0), (x + 0.16 * w, y - 0.14 * h), (x - 0.16 * w, y - 0.14 * h)],
        fill=(232, 230, 224),
    )
    far: Box = (x - 0.16 * w, y - 0.14 * h, x + 0.16 * w, y + 0.2 * h)
    draw.rectangle(far, fill=(176, 176, 172))
    draw.polygon([(0, 0), (far[0], far[1]), (far[0], far[3]), (0, 0.86 * h)], fill=(198, 192, 180))
    draw.polygon([(w, 0), (far[2], far[1]), (far[2], far[3]), (w, 0.86 * h)], fill=(206, 200, 190))
    draw.polygon(
        [(0, 0.86 * h), (far[0], far[3]), (far[2], far[3]), (w, 0.86 * h), (w, h), (0, h)],
        fill=(150, 144, 136),
    )
    for side in (0.1, 0.9):
        draw.rectangle(
            (w * side - 0.09 * w, 0.22 * h, w * side + 0.09 * w, 0.8 * h), fill=(134, 106, 78)
        )
    for step in range(4):
        top = h * (0.01 + 0.035 * step)
        draw.rectangle(
            (x - w * (0.16 - 0.03 * step), top, x + w * (0.16 - 0.03 * step), top + 0.012 * h),
            fill=(250, 250, 244),
        )


def _glass_front(draw: Draw, w: int, h: int, rng: Random) -> None:
    draw.rectangle((0, 0, w, h), fill=(150, 168, 178))
    for _ in range(7):
        x, y = rng.random() * w, rng.random() * 0.7 * h
        draw.polygon(
            [(x, y), (x + 0.3 * w, y - 0.08 * h), (x + 0.3 * w, y + 0.1 * h), (x, y + 0.2 * h)],
            fill=lighter((140, 160, 172), rng.random() * 0.4),
        )
    for column in range(4):
        x = (column * 0.36 - rng.random() * 0.05) * w
        draw.line((x, 0, x, 0.8 * h), fill=(92, 98, 104), width=max(2, w // 32))
    for share in (0.04, 0.4, 0.78):
        draw.line((0, share * h, w, share * h), fill=(92, 98, 104), width=max(2, h // 100))
    _ground(draw, w, h, 0.8, (164, 162, 160))


_PLACES: dict[str, Callable[[Draw, int, int, Random], None]] = {
    "brick wall": _brick_wall,
    "plain wall": _plain_wall,
    "street": _street,
    "quay": _quay,
    "stairs": _stairs,
    "shop front": _shop_front,
    "stalls": _stalls,
    "grass": _grass,
    "corridor": _corridor,
    "glass front": _glass_front,
}
