"""People on foot."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from dubio.data.scenes.canvas import Board, Canvas, Point
from dubio.data.scenes.light import Color, scale, vary
from dubio.data.scenes.space import PERSON

View = Literal["side", "front", "back"]
_SKIN: tuple[Color, ...] = ((232, 190, 160), (206, 158, 124), (150, 104, 76), (98, 66, 50), (240, 204, 180))
_HAIR: tuple[Color, ...] = ((44, 34, 30), (92, 64, 42), (176, 138, 84), (28, 26, 28), (128, 124, 120))
CLOTHES: tuple[Color, ...] = (
    (176, 48, 52), (44, 74, 132), (228, 226, 220), (46, 48, 54), (88, 128, 92), (222, 176, 66),
    (120, 84, 140), (64, 134, 150), (196, 110, 70), (142, 144, 148), (206, 128, 150), (86, 62, 50),
)  # fmt: skip
_BOTTOMS: tuple[Color, ...] = (
    (46, 58, 88),
    (38, 38, 42),
    (112, 100, 84),
    (78, 84, 92),
    (66, 52, 46),
    (150, 148, 140),
)


@dataclass(frozen=True)
class Person:
    """Somebody who stands or walks.

    Args:
        x: position across the road, metres.
        z: distance.
        height: body height in metres.
        view: from which side they are seen.
        turn: 1 walks to the right, -1 to the left (for the side view).
        gait: phase of the step, -1 … 1; 0: standing.
        seed: for clothes.
        umbrella: carries an open umbrella, which counts as part of the person.
    """

    x: float
    z: float
    height: float
    view: View
    turn: float
    gait: float
    seed: int
    umbrella: bool = False

    @property
    def far(self) -> float:
        """Distance by which it is drawn."""
        return self.z

    def draw(self, canvas: Canvas) -> None:
        """Draw the figure from the far arm to the near one."""
        with canvas.object(PERSON, self.z):
            Figure(Board(canvas, self.x, self.z, self.turn), self).draw()

    def shadow(self, reach: tuple[float, float]) -> list[list[tuple[float, float]]]:
        """Return the outlines of the cast shadow on the ground as (x, z)."""
        dx, dz = reach[0] * self.height, reach[1] * self.height
        x, z, w = self.x, self.z, 0.2
        return [
            [
                (x - w, z),
                (x + w, z),
                (x + dx * 0.8 + w, z + dz * 0.8),
                (x + dx, z + dz),
                (x + dx * 0.8 - w, z + dz * 0.8),
            ]
        ]


class Figure:
    """Draws a person of unit height on a board; all lengths below are shares of the height."""

    def __init__(self, board: Board, person: Person) -> None:
        self.board, self.p, self.h = board, person, person.height
        rng = np.random.default_rng(person.seed)
        self.rng = rng
        self.skin = self.paint(vary(rng, _SKIN[int(rng.integers(len(_SKIN)))], 8))
        self.hair = self.paint(vary(rng, _HAIR[int(rng.integers(len(_HAIR)))], 8))
        top = vary(rng, CLOTHES[int(rng.integers(len(CLOTHES)))], 14)
        trousers = vary(rng, _BOTTOMS[int(rng.integers(len(_BOTTOMS)))], 12)
        self.top, self.top_dark, self.top_lit = (self.paint(scale(top, s)) for s in (1.0, 0.74, 1.16))
        self.leg, self.leg_dark = self.paint(trousers), self.paint(scale(trousers, 0.75))
        self.shoe = self.paint(vary(rng, (52, 46, 44), 26))
        self.coat = rng.random() < 0.22
        self.skirt = rng.random() < 0.16
        self.bag = rng.random()
        self.bag_part = self.paint(vary(rng, CLOTHES[int(rng.integers(len(CLOTHES)))], 20))

    def paint(self, color: Color) -> int:
        """Make a part of the person."""
        light = self.board.canvas.light
        return self.board.canvas.paint(color, PERSON, self.p.z, 0.25 + 0.6 * light.facing(0, 0.3, -0.9))

    def poly(self, points: list[Point], part: int) -> None:
        """Fill a polygon given in shares of the height."""
        self.board.polygon([(x * self.h, y * self.h) for x, y in points], part)

    def limb(self, points: list[Point], width: float, part: int) -> None:
        """Draw a chain of bars with round joints."""
        for start, end in pairwise(points):
            a, b = (start[0] * self.h, start[1] * self.h), (end[0] * self.h, end[1] * self.h)
            self.board.bar(a, b, width * self.h, part)
            self.board.disc(b[0], b[1], width * self.h * 0.48, part)

    def draw(self) -> None:
        """Draw the figure in its view."""
        stride = self.p.gait
        if self.p.view == "side":
            self.side(stride)
        else:
            self.front(stride)
        if self.p.umbrella:
            self.umbrella()

    def legs(self, hips: list[float], feet: list[Point], knees: list[Point]) -> None:
        """Draw both legs, the far one darker, with their shoes."""
        bare = self.skirt
        for number in (0, 1):
            part = self.leg_dark if number == 0 else self.leg
            lower = self.skin if bare else part
            hip, knee, foot = (hips[number], 0.5), knees[number], feet[number]
            self.limb([hip, knee], 0.09, part)
            self.limb([knee, (foot[0], foot[1] + 0.03)], 0.066, lower)
            toe = 0.075 if self.p.view == "side" else 0.03
            heel = foot[0] - (0.025 if self.p.view == "side" else 0.03)
            self.poly(
                [
                    (heel, foot[1]),
                    (foot[0] + toe, foot[1]),
                    (foot[0] + toe * 0.6, foot[1] + 0.035),
                    (heel, foot[1] + 0.045),
                ],
                self.shoe,
            )

    def side(self, stride: float) -> None:
        """Draw somebody who walks across the view."""
        reach = 0.17 * stride
        lift = 0.035 * abs(stride)
        self.limb([(0.0, 0.8), (-0.07 * stride - 0.02, 0.65), (0.12 * -stride, 0.52)], 0.055, self.top_dark)
        feet = [(-reach, lift if stride > 0 else 0.0), (reach, 0.0 if stride > 0 else lift)]
        self.legs([0.0, 0.0], feet, [(-reach * 0.35 + 0.03, 0.27), (reach * 0.6 + 0.02, 0.27)])
        low = 0.3 if self.coat else 0.45
        self.poly(
            [(-0.07, low), (0.075, low), (0.085, 0.72), (0.055, 0.825), (-0.05, 0.825), (-0.075, 0.7)],
            self.top,
        )
        if self.skirt:
            self.poly([(-0.12, 0.3), (0.12, 0.3), (0.07, 0.52), (-0.07, 0.52)], self.top_dark)
        if self.bag < 0.25:
            self.poly([(-0.07, 0.56), (-0.16, 0.58), (-0.16, 0.76), (-0.06, 0.8)], self.bag_part)
        self.head(0.012)
        self.limb(
            [(0.0, 0.79), (0.05 * stride + 0.005, 0.65), (0.13 * stride + 0.03, 0.53)], 0.058, self.top_lit
        )
        self.board.disc((0.13 * stride + 0.035) * self.h, 0.515 * self.h, 0.026 * self.h, self.skin)
        if 0.25 <= self.bag < 0.4:
            x = 0.13 * stride + 0.03
            self.poly([(x - 0.06, 0.34), (x + 0.07, 0.34), (x + 0.06, 0.48), (x - 0.05, 0.48)], self.bag_part)

    def front(self, stride: float) -> None:
        """Draw somebody who comes or goes."""
        lift = 0.06 * stride
        feet = [(-0.055, max(0.0, lift)), (0.055, max(0.0, -lift))]
        self.legs(
            [-0.045, 0.045],
            feet,
            [(-0.055, 0.27 + 0.3 * max(0.0, lift)), (0.055, 0.27 + 0.3 * max(0.0, -lift))],
        )
        for side in (-1.0, 1.0):
            swing = 0.03 * stride * side
            self.limb(
                [(side * 0.115, 0.79), (side * 0.145, 0.65), (side * 0.14, 0.53 + swing)],
                0.058,
                self.top_dark,
            )
            self.board.disc(side * 0.14 * self.h, (0.515 + swing) * self.h, 0.026 * self.h, self.skin)
        low = 0.3 if self.coat else 0.46
        self.poly(
            [
                (-0.095, low),
                (0.095, low),
                (0.1, 0.62),
                (0.13, 0.8),
                (0.06, 0.835),
                (-0.06, 0.835),
                (-0.13, 0.8),
                (-0.1, 0.62),
            ],
            self.top,
        )
        if self.skirt:
            self.poly([(-0.13, 0.3), (0.13, 0.3), (0.09, 0.52), (-0.09, 0.52)], self.top_dark)
        if self.p.view == "back" and self.bag < 0.35:
            self.poly([(-0.085, 0.56), (0.085, 0.56), (0.075, 0.8), (-0.075, 0.8)], self.bag_part)
        elif self.p.view == "front" and not self.coat:
            self.poly([(-0.025, 0.835), (0.025, 0.835), (0.0, 0.77)], self.skin)
        self.head(0.0)

    def head(self, lean: float) -> None:
        """Draw neck, head and hair."""
        h = self.h
        self.board.bar((lean * 0.5 * h, 0.81 * h), (lean * h, 0.87 * h), 0.05 * h, self.skin)
        self.board.disc(
            lean * h, 0.932 * h, 0.05 * h, self.hair if self.p.view == "back" else self.skin, tall=0.066 * h
        )
        if self.p.view == "side":
            self.board.disc((lean - 0.02) * h, 0.955 * h, 0.048 * h, self.hair, tall=0.05 * h)
        elif self.p.view == "front":
            self.board.disc(lean * h, 0.972 * h, 0.05 * h, self.hair, tall=0.032 * h)

    def umbrella(self) -> None:
        """Draw an open umbrella over the head."""
        color = vary(self.rng, CLOTHES[int(self.rng.integers(len(CLOTHES)))], 16)
        dome, shade = self.paint(color), self.paint(scale(color, 0.72))
        stick = self.paint((40, 40, 44))
        self.limb([(0.1, 0.56), (0.06, 1.2)], 0.012, stick)
        self.poly(
            [(-0.27, 1.05), (-0.2, 1.17), (-0.05, 1.245), (0.08, 1.255), (0.24, 1.19), (0.36, 1.05)], dome
        )
        self.poly([(-0.27, 1.05), (-0.1, 1.09), (0.05, 1.05), (0.2, 1.09), (0.36, 1.05), (0.05, 1.12)], shade)
