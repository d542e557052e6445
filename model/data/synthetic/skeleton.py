"""Where the joints are, for a body in a pose, in figure heights."""

from dataclasses import dataclass
from math import cos, radians, sin

from model.data.synthetic.canvas import Point
from model.data.synthetic.outfit import IN_FRONT, Body, Identity
from model.data.synthetic.view import View

SIDES = ("left", "right")
_SKIRTS = ("skirt", "dress")


@dataclass(frozen=True)
class Proportions:
    """Heights from the crown, and half widths, of one body seen from the front or the side."""

    head: float
    shoulder: float
    waist: float
    hip: float
    crotch: float
    knee: float
    half_shoulder: float
    half_waist: float
    half_hip: float
    half_chest: float
    arm: float
    thigh: float


@dataclass(frozen=True)
class Arm:
    shoulder: Point
    elbow: Point
    wrist: Point
    is_bent: bool


@dataclass(frozen=True)
class Leg:
    hip: Point
    knee: Point
    ankle: Point


@dataclass(frozen=True)
class Skeleton:
    size: Proportions
    arms: dict[str, Arm]  # by the wearer's side
    legs: dict[str, Leg]
    facing: str
    direction: int  # side views: -1 faces the picture's left, 1 its right; else 0

    @property
    def leading_leg(self) -> str:
        """The leg nearer to the camera: drawn last."""
        if self.direction:
            return self.facing
        return max(SIDES, key=lambda side: self.legs[side].ankle[1])


def measure(body: Body, *, from_side: bool) -> Proportions:
    """Proportions of a body."""
    head = {"child": 0.178, "young": 0.138, "adult": 0.136, "old": 0.14}[body.age]
    woman = body.sex == "female" and body.age != "child"
    girth = {"slim": 0.9, "average": 1.0, "heavy": 1.2}[body.build]
    belly = {"slim": 0.88, "average": 1.0, "heavy": 1.42}[body.build]
    shoulder = head + (0.035 if woman else 0.038)

    def down(share: float) -> float:
        return shoulder + (1 - shoulder) * share

    if from_side:
        half = (0.066 * girth, 0.056 * belly, 0.068 * girth, 0.07 * girth)
    elif woman:
        half = (0.1 * girth**0.6, 0.07 * belly, 0.092 * girth, 0.083 * girth)
    else:
        half = (0.116 * girth**0.6, 0.082 * belly, 0.086 * girth, 0.094 * girth)
    return Proportions(
        head=head,
        shoulder=shoulder,
        waist=down(0.26 if woman else 0.28),
        hip=down(0.37),
        crotch=down(0.42),
        knee=down(0.68),
        half_shoulder=half[0],
        half_waist=half[1],
        half_hip=half[2],
        half_chest=half[3],
        arm=0.042 * girth,
        thigh=0.078 * girth,
    )


def pose(who: Identity, view: View) -> Skeleton:
    """Place the joints."""
    direction = {"left": -1, "right": 1}.get(view.facing, 0)
    size = measure(who.body, from_side=direction != 0)
    skirt = who.lower or who.upper
    step = {"long": 0.45, "knee": 0.75}.get(skirt.reach, 1.0) if skirt.kind in _SKIRTS else 1.0
    legs = {side: _leg(size, view, side, direction, step) for side in SIDES}
    arms = {side: _arm(who, size, view, side, direction) for side in SIDES}
    return Skeleton(size, arms, legs, view.facing, direction)


def _leg(size: Proportions, view: View, side: str, direction: int, step: float) -> Leg:
    ahead = step * (view.stride if side == "left" else -view.stride)
    length = 0.955 - size.crotch
    if direction:
        angle = radians(19) * ahead
        hip = (0.0, size.crotch - 0.02)
        bend = radians(6) + radians(22) * max(0.0, -ahead)
        knee = (
            direction * sin(angle + bend * 0.4) * length * 0.5,
            hip[1] + cos(angle) * length * 0.5,
        )
        shin = angle - bend * 0.8
        ankle = (knee[0] + direction * sin(shin) * length * 0.5, knee[1] + cos(shin) * length * 0.5)
        return Leg(hip, knee, (ankle[0], min(ankle[1], 0.955)))
    sign = _sign(view, side)
    near = ahead if view.facing == "front" else -ahead
    lift = 0.028 * max(0.0, -near)
    hip = (sign * size.half_hip * 0.52, size.crotch - 0.015)
    knee = (sign * (size.half_hip * 0.52 + 0.004), size.knee - lift * 0.3)
    return Leg(hip, knee, (sign * (size.half_hip * 0.46 + 0.004 * near), 0.952 - lift))


def _arm(who: Identity, size: Proportions, view: View, side: str, direction: int) -> Arm:
    carried = who.carried
    bent = carried is not None and carried.kind in IN_FRONT and carried.side == side
    loaded = carried is not None and carried.side == side and not bent
    upper = 0.138 if who.body.age == "child" else 0.15
    lower = upper * 0.92
    if direction:
        shoulder = (-direction * 0.008, size.shoulder + 0.022)
        ahead = -view.stride if side == "left" else view.stride
        angle = radians(4) + radians(20) * ahead * view.swing * (0.3 if loaded else 1)
        reach = angle + (radians(95) if bent else radians(12))
        angle = radians(8) if bent else angle
    else:
        sign = _sign(view, side)
        direction = sign
        shoulder = (sign * (size.half_shoulder - size.arm * 0.6), size.shoulder + 0.036)
        spread = {"slim": 7, "average": 9, "heavy": 13}[who.body.build]
        angle = radians(spread + 3 * view.swing)
        reach = radians(2) if not bent else -radians(118)
    elbow = (shoulder[0] + direction * sin(angle) * upper, shoulder[1] + cos(angle) * upper)
    if bent and not view.near_side:
        lower *= 0.72
    wrist = (elbow[0] + direction * sin(reach) * lower, elbow[1] + cos(reach) * lower)
    return Arm(shoulder, elbow, wrist, bent)


def _sign(view: View, side: str) -> int:
    return 1 if (side == "left") == (view.facing == "front") else -1
