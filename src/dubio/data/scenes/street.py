"""The plan of a street: widths, lanes and where things may stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Style = Literal["city", "suburb", "boulevard"]
FAR = 150.0  # metres; beyond it stands the backdrop


@dataclass(frozen=True)
class Street:
    """Measures in metres; ``x`` runs from the middle of the road, traffic keeps to the right.

    Args:
        style: what stands beside the road.
        half: from the middle of the road to the kerb.
        lane: width of a lane.
        parking: width of the parking lane on the left and on the right; 0: none.
        verge: width of the green strip behind the kerb, left and right; 0: none.
        walk: width of the pavement, left and right.
        garden: depth of the front gardens, left and right.
        cross: distances where a side street begins and ends, or ``None``.
    """

    style: Style
    half: float
    lane: float
    parking: tuple[float, float]
    verge: tuple[float, float]
    walk: tuple[float, float]
    garden: tuple[float, float]
    cross: tuple[float, float] | None

    def kerb(self, side: int) -> float:
        """Distance of the kerb from the middle on a side (0 left, 1 right)."""
        return self.half + self.parking[side]

    def walk_from(self, side: int) -> float:
        """Where the pavement begins."""
        return self.kerb(side) + self.verge[side]

    def walk_to(self, side: int) -> float:
        """Where the pavement ends."""
        return self.walk_from(side) + self.walk[side]

    def line(self, side: int) -> float:
        """Where the buildings stand."""
        return self.walk_to(side) + self.garden[side]

    def crossed(self, z: float, margin: float = 0.0) -> bool:
        """Whether a distance lies in the side street."""
        return self.cross is not None and self.cross[0] - margin < z < self.cross[1] + margin


def draw_street(rng: np.random.Generator) -> Street:
    """Draw the plan of a street."""
    style: Style = ("city", "suburb", "boulevard")[int(rng.choice(3, p=[0.5, 0.27, 0.23]))]
    lane = rng.uniform(3.0, 3.5)
    lanes = 1 if style == "suburb" else int(rng.integers(1, 3))
    parking = [2.2 if rng.random() < 0.55 else 0.0 for _ in range(2)]
    green = {"city": 0.2, "suburb": 0.45, "boulevard": 0.8}[style]
    verge = [rng.uniform(0.9, 2.4) if rng.random() < green else 0.0 for _ in range(2)]
    walk = [rng.uniform(1.8, 3.0) if style == "suburb" else rng.uniform(2.6, 4.8) for _ in range(2)]
    garden = [rng.uniform(2.5, 7.0) if style == "suburb" else 0.0 for _ in range(2)]
    cross = None
    if rng.random() < 0.62:
        start = rng.uniform(14.0, 48.0)
        cross = (start, start + rng.uniform(8.0, 12.0))
    return Street(
        style,
        lanes * lane,
        lane,
        (parking[0], parking[1]),
        (verge[0], verge[1]),
        (walk[0], walk[1]),
        (garden[0], garden[1]),
        cross,
    )
