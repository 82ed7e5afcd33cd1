"""Bicycles, parked or ridden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dubio.data.scenes.canvas import CIRCLE, Board, Canvas
from dubio.data.scenes.light import vary
from dubio.data.scenes.people import CLOTHES, Figure, Person, View
from dubio.data.scenes.space import BICYCLE, PERSON


@dataclass(frozen=True)
class Bicycle:
    """A bicycle seen from the side or end on, with or without a rider.

    Args:
        x: position across the road, metres.
        z: distance.
        view: from which side it is seen.
        turn: 1 rides to the right, -1 to the left (side view).
        rider: somebody rides it; the rider is an object of class person.
        seed: for colours.
    """

    x: float
    z: float
    view: View
    turn: float
    rider: bool
    seed: int

    @property
    def far(self) -> float:
        """Distance by which it is drawn."""
        return self.z

    def draw(self, canvas: Canvas) -> None:
        """Draw the bicycle, then the rider."""
        rng = np.random.default_rng(self.seed)
        board = Board(canvas, self.x, self.z, self.turn)
        with canvas.object(BICYCLE, self.z):
            color = vary(rng, CLOTHES[int(rng.integers(len(CLOTHES)))], 20)
            frame = canvas.paint(color, BICYCLE, self.z, 0.5)
            tyre = canvas.paint((34, 34, 36), BICYCLE, self.z, 0.5)
            spoke = canvas.paint((132, 134, 138), BICYCLE, self.z, 0.5)
            if self.view == "side":
                _side_bicycle(board, frame, tyre, spoke)
            else:
                board.bar((0, 0.02), (0, 0.68), 0.07, tyre, least=1.4)
                board.bar((0, 0.45), (0, 1.0), 0.06, frame, least=1.2)
                board.bar((-0.29, 1.02), (0.29, 1.02), 0.05, tyre)
        if self.rider:
            with canvas.object(PERSON, self.z):
                person = Person(self.x, self.z, 1.72, self.view, self.turn, 0.0, self.seed + 1)
                _ride(Figure(board, person), self.view)

    def shadow(self, reach: tuple[float, float]) -> list[list[tuple[float, float]]]:
        """Return the outlines of the cast shadow on the ground as (x, z)."""
        top = 1.7 if self.rider else 0.9
        dx, dz, w = reach[0] * top, reach[1] * top, 0.7 if self.view == "side" else 0.2
        x, z = self.x, self.z
        return [[(x - w, z), (x + w, z), (x + dx + 0.25, z + dz), (x + dx - 0.25, z + dz)]]


_SPOKES = ((1.0, 0.0), (0.0, 1.0), (0.707, 0.707), (-0.707, 0.707))


def _side_bicycle(board: Board, frame: int, tyre: int, spoke: int) -> None:
    for hub in (-0.52, 0.52):
        for dx, dy in _SPOKES:
            start, end = (hub - 0.3 * dx, 0.34 - 0.3 * dy), (hub + 0.3 * dx, 0.34 + 0.3 * dy)
            board.bar(start, end, 0.012, spoke, least=0.5)
        points = [(hub + 0.32 * x, 0.34 + 0.32 * y) for x, y in CIRCLE]
        for start, end in zip(points, points[1:] + points[:1], strict=True):
            board.bar(start, end, 0.06, tyre)
    crank, seat = (-0.06, 0.3), (-0.2, 0.86)
    for start, end in (
        ((-0.52, 0.34), crank),
        ((-0.52, 0.34), (-0.17, 0.74)),
        (crank, seat),
        (crank, (0.4, 0.74)),
        ((-0.17, 0.74), (0.38, 0.8)),
        ((0.52, 0.34), (0.36, 0.98)),
    ):
        board.bar(start, end, 0.05, frame)
    board.bar((-0.32, 0.9), (-0.08, 0.9), 0.07, tyre)
    board.bar((0.3, 1.0), (0.48, 1.02), 0.05, tyre)


def _ride(figure: Figure, view: View) -> None:
    """Draw the rider: seated, hands on the bar."""
    h = figure.h
    if view != "side":
        for side in (-1.0, 1.0):
            figure.limb([(side * 0.05, 0.54), (side * 0.075, 0.36), (side * 0.05, 0.2)], 0.08, figure.leg)
            figure.limb([(side * 0.11, 0.84), (side * 0.17, 0.7), (side * 0.15, 0.6)], 0.056, figure.top_dark)
        figure.poly(
            [(-0.09, 0.5), (0.09, 0.5), (0.125, 0.84), (0.05, 0.88), (-0.05, 0.88), (-0.125, 0.84)],
            figure.top,
        )
        head = figure.hair if view == "back" else figure.skin
        figure.board.disc(0, 0.975 * h, 0.05 * h, head, tall=0.066 * h)
        figure.board.disc(0, 1.015 * h, 0.058 * h, figure.bag_part, tall=0.038 * h)
        return
    figure.limb([(-0.1, 0.52), (0.06, 0.44), (-0.02, 0.22)], 0.08, figure.leg_dark)
    figure.limb([(-0.1, 0.52), (0.08, 0.36), (-0.05, 0.13)], 0.085, figure.leg)
    figure.poly([(-0.16, 0.5), (-0.05, 0.5), (0.12, 0.78), (0.06, 0.85), (-0.02, 0.83)], figure.top)
    figure.limb([(0.07, 0.8), (0.14, 0.68), (0.23, 0.6)], 0.05, figure.top_lit)
    figure.board.disc(0.12 * h, 0.915 * h, 0.048 * h, figure.skin, tall=0.062 * h)
    figure.board.disc(0.11 * h, 0.95 * h, 0.058 * h, figure.bag_part, tall=0.042 * h)
