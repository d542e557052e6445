"""Draw one person onto a canvas, far things first."""

from model.data.synthetic.belongings import (
    draw_backpack,
    draw_backpack_strap,
    draw_bag,
    draw_carried,
    draw_strap,
)
from model.data.synthetic.canvas import Canvas
from model.data.synthetic.clothes import draw_hips, draw_leg, draw_sleeve
from model.data.synthetic.colours import RGB, SKIN
from model.data.synthetic.face import Head
from model.data.synthetic.hair import draw_hair_behind
from model.data.synthetic.head import draw_head
from model.data.synthetic.outfit import IN_FRONT, Identity
from model.data.synthetic.skeleton import SIDES, Skeleton, pose
from model.data.synthetic.tops import draw_outer, draw_scarf, draw_upper
from model.data.synthetic.view import View


def draw_person(canvas: Canvas, who: Identity, view: View) -> None:
    """Draw a person as seen in this view; the canvas says where and how large."""
    bones, skin = pose(who, view), SKIN[who.body.skin]
    head = Head(bones, view.turn)
    near = bones.leading_leg
    far = SIDES[1 - SIDES.index(near)]
    _draw_far_things(canvas, who, bones, view, skin, far)
    draw_hair_behind(canvas, who, head)
    for side in (far, near):
        draw_leg(canvas, who, bones.legs[side], bones, skin)
        if side == far:
            _dim_leg(canvas, bones, side)
    draw_hips(canvas, who, bones)
    draw_upper(canvas, who, bones, skin)
    if who.outer:
        draw_outer(canvas, who.outer, bones)
    if who.bag and who.bag.kind != "backpack":
        draw_strap(canvas, who.bag, bones, view)
    elif who.bag and not bones.direction:
        draw_backpack(canvas, who.bag.colour, bones)
    draw_head(canvas, who, head, skin)
    if who.scarf:
        draw_scarf(canvas, who.scarf, bones)
    if who.bag and who.bag.kind == "backpack" and bones.direction:
        draw_backpack_strap(canvas, who.bag.colour, bones)
    _draw_near_things(canvas, who, bones, view, skin, near)


def _draw_far_things(
    canvas: Canvas, who: Identity, bones: Skeleton, view: View, skin: RGB, far: str
) -> None:
    """What the trunk covers: the far arm from the side, folded arms from behind, a worn pack."""
    behind = [far] if bones.direction else _arms_behind(bones)
    for side in behind:
        if who.carried and who.carried.side == side:
            draw_carried(canvas, who, bones)
        draw_sleeve(canvas, who, bones.arms[side], bones.size, skin)
        arm = bones.arms[side]
        if bones.direction:
            for start, end in ((arm.shoulder, arm.elbow), (arm.elbow, arm.wrist)):
                canvas.fold([start, end], 80, 0.04)
    if bones.direction and who.bag and who.bag.kind == "backpack":
        draw_backpack(canvas, who.bag.colour, bones)
    elif bones.direction and who.bag and who.bag.side == far:
        draw_bag(canvas, who.bag, bones, view)


def _draw_near_things(
    canvas: Canvas, who: Identity, bones: Skeleton, view: View, skin: RGB, near: str
) -> None:
    in_front = [near] if bones.direction else [s for s in SIDES if s not in _arms_behind(bones)]
    holds = who.carried
    for side in in_front:
        holding = holds is not None and holds.side == side
        if holding and holds is not None and holds.kind not in IN_FRONT:
            draw_carried(canvas, who, bones)
        draw_sleeve(canvas, who, bones.arms[side], bones.size, skin)
        if holding and holds is not None and holds.kind in IN_FRONT:
            draw_carried(canvas, who, bones)
        if who.bag and who.bag.side == side:
            draw_bag(canvas, who.bag, bones, view)


def _arms_behind(bones: Skeleton) -> list[str]:
    return [s for s in SIDES if bones.arms[s].is_bent] if bones.facing == "back" else []


def _dim_leg(canvas: Canvas, bones: Skeleton, side: str) -> None:
    """The leg further off lies in the other's shadow."""
    leg = bones.legs[side]
    level = 84 if bones.direction else 100
    canvas.fold([leg.hip, leg.knee, leg.ankle], level, 0.05 if bones.direction else 0.03)
