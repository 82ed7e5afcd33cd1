"""The shapes of vehicles: stacks of rings, joined by faces.

A ring is an outline seen from above, a rectangle with cut corners, at one height. A loft joins
rings that lie on top of each other; each band between two rings has eight faces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Model = Literal["sedan", "hatchback", "suv", "van", "bus", "truck"]


@dataclass(frozen=True)
class Ring:
    """An outline at height ``y`` from ``rear`` to ``front``, ``half`` to each side; metres."""

    y: float
    front: float
    rear: float
    half: float
    cut: float = 0.16

    def corners(self) -> list[tuple[float, float, float]]:
        """Return eight points (along, across, up), clockwise from above, beginning at the front left."""
        f, r, w, c = self.front, self.rear, self.half, self.cut
        return [
            (f, -w + c, self.y),
            (f, w - c, self.y),
            (f - c, w, self.y),
            (r + c, w, self.y),
            (r, w - c, self.y),
            (r, -w + c, self.y),
            (r + c, -w, self.y),
            (f - c, -w, self.y),
        ]


# Outward directions (along, across) of the eight faces of a band, in the order of the corners.
NORMALS = ((1, 0), (0.7, 0.7), (0, 1), (-0.7, 0.7), (-1, 0), (-0.7, -0.7), (0, -1), (0.7, -0.7))
FRONT, RIGHT, REAR, LEFT = 0, 2, 4, 6


@dataclass(frozen=True)
class Loft:
    """A stack of rings.

    Args:
        rings: from the bottom up.
        glazed: number of the band that is made of windows, or -1.
        windows: windows along each side of the glazed band.
        lights: number of the band that carries lights, or -1.
        box: a plain load area, in its own colour.
    """

    rings: tuple[Ring, ...]
    glazed: int = -1
    windows: int = 2
    lights: int = -1
    box: bool = False


@dataclass(frozen=True)
class Body:
    """A vehicle's lofts, in the order body before what stands on it, and its wheels.

    Args:
        length: metres.
        half: half width, metres.
        height: metres.
        lofts: its parts.
        axles: positions of the wheels along the vehicle.
        wheel: radius of the wheels.
    """

    length: float
    half: float
    height: float
    lofts: tuple[Loft, ...]
    axles: tuple[float, ...]
    wheel: float = 0.33


def _car(
    length: float, belt: float, roof: float, cabin: tuple[float, float, float, float], half: float = 0.9
) -> Body:
    """Build a car; ``cabin`` holds front and rear of the windows at the belt, then at the roof."""
    e = length / 2
    hull = Loft(
        (
            Ring(0.24, e - 0.14, -e + 0.14, half - 0.05),
            Ring(0.34, e - 0.02, -e + 0.02, half),
            Ring(0.56, e, -e, half),
            Ring(belt - 0.16, e - 0.12, -e + 0.06, half),
            Ring(belt, e - 0.42, -e + 0.16, half - 0.05, 0.22),
        ),
        lights=2,
    )
    base_f, base_r, top_f, top_r = cabin
    house = Loft(
        (
            Ring(belt - 0.01, base_f, base_r, half - 0.08, 0.2),
            Ring(roof - 0.1, top_f, top_r, half - 0.25, 0.16),
            Ring(roof, top_f - 0.18, top_r + 0.15, half - 0.34, 0.16),
        ),
        glazed=0,
    )
    return Body(length, half, roof, (hull, house), (0.3 * length, -0.29 * length))


def _bus() -> Body:
    e, w = 5.8, 1.26
    rings = (
        Ring(0.32, e - 0.05, -e, w),
        Ring(1.15, e, -e, w),
        Ring(2.55, e - 0.12, -e + 0.03, w - 0.02),
        Ring(3.02, e - 0.2, -e + 0.1, w - 0.05),
        Ring(3.14, e - 0.4, -e + 0.3, w - 0.2),
    )
    return Body(2 * e, w, 3.14, (Loft(rings, glazed=1, windows=6, lights=0),), (3.2, -2.9), 0.48)


def _truck() -> Body:
    w = 1.18
    cab = Loft(
        (
            Ring(0.38, 3.55, 1.75, w),
            Ring(1.35, 3.6, 1.75, w),
            Ring(2.25, 3.32, 1.75, w - 0.06),
            Ring(2.5, 3.0, 1.8, w - 0.14),
        ),
        glazed=1,
        windows=1,
        lights=0,
    )
    chassis = Loft((Ring(0.5, 1.75, -3.5, w - 0.06, 0.02), Ring(0.92, 1.75, -3.5, w - 0.06, 0.02)), lights=0)
    load = Loft((Ring(0.92, 1.6, -3.55, w + 0.04, 0.02), Ring(3.2, 1.6, -3.55, w + 0.04, 0.02)), box=True)
    return Body(7.2, w, 3.2, (chassis, cab, load), (2.5, -2.2), 0.46)


BODIES: dict[Model, Body] = {
    "sedan": _car(4.6, 0.95, 1.44, (1.0, -1.72, 0.28, -1.12)),
    "hatchback": _car(4.0, 0.97, 1.5, (0.92, -1.9, 0.3, -1.55), 0.87),
    "suv": _car(4.6, 1.1, 1.72, (1.05, -2.16, 0.45, -1.86), 0.95),
    "van": _car(5.0, 1.15, 1.98, (1.75, -2.38, 1.15, -2.25), 0.97),
    "bus": _bus(),
    "truck": _truck(),
}
