"""Cars, buses and trucks as solids in perspective, seen from any side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dubio.data.scenes.bodies import BODIES, FRONT, LEFT, NORMALS, REAR, RIGHT, Body, Loft, Model
from dubio.data.scenes.canvas import CIRCLE, Canvas, Point, Space
from dubio.data.scenes.light import Color, mix, scale, vary
from dubio.data.scenes.shading import Lamp
from dubio.data.scenes.space import BUS, CAR, TRUCK

_CAR_PAINT: tuple[Color, ...] = (
    (226, 228, 230), (54, 56, 62), (150, 154, 160), (98, 102, 108), (44, 72, 126), (158, 34, 38),
    (52, 84, 66), (190, 172, 138), (224, 178, 48), (86, 126, 166), (110, 54, 44), (62, 66, 74),
    (206, 208, 206), (196, 92, 40),
)  # fmt: skip
_BUS_PAINT: tuple[Color, ...] = (
    (206, 60, 52),
    (238, 196, 66),
    (70, 132, 88),
    (60, 110, 176),
    (228, 226, 218),
)
_LOAD_PAINT: tuple[Color, ...] = (
    (232, 232, 228),
    (196, 70, 54),
    (58, 104, 160),
    (222, 186, 84),
    (120, 148, 116),
)
_CLASS: dict[Model, int] = {"bus": BUS, "truck": TRUCK}


@dataclass(frozen=True)
class Vehicle:
    """A vehicle on the ground.

    Args:
        model: which body.
        x: position of its middle across the road, metres.
        z: distance of its middle.
        heading: unit vector (right, forward) in which it drives.
        seed: for colours.
        braking: the rear lights shine.
        parked: its lights are off.
    """

    model: Model
    x: float
    z: float
    heading: tuple[float, float]
    seed: int
    braking: bool = False
    parked: bool = False

    @property
    def far(self) -> float:
        """Distance by which it is drawn."""
        return self.z

    @property
    def body(self) -> Body:
        """Its shape."""
        return BODIES[self.model]

    def place(self, along: float, across: float, up: float) -> Space:
        """Return the world point of a point of the vehicle."""
        hx, hz = self.heading
        return self.x + along * hx + across * hz, up, self.z + along * hz - across * hx

    def draw(self, canvas: Canvas) -> None:
        """Draw wheels, body, windows and lights."""
        klass = _CLASS.get(self.model, CAR)
        with canvas.object(klass, self.z):
            _Painter(self, canvas, klass).draw()

    def footprint(self) -> list[tuple[float, float]]:
        """Return the outline on the ground as (x, z)."""
        e, w = self.body.length / 2, self.body.half
        corners = [self.place(a, b, 0.0) for a, b in ((e, -w), (e, w), (-e, w), (-e, -w))]
        return [(x, z) for x, _, z in corners]

    def shadow(self, reach: tuple[float, float]) -> list[list[tuple[float, float]]]:
        """Return the outline of the cast shadow on the ground as (x, z)."""
        drop = self.body.height * 0.92
        base = self.footprint()
        shrink = [(self.x + 0.8 * (x - self.x), self.z + 0.8 * (z - self.z)) for x, z in base]
        return [convex_hull(base + [(x + reach[0] * drop, z + reach[1] * drop) for x, z in shrink])]

    def lamps(self) -> list[Lamp]:
        """Return the light that falls on the ground before and behind it."""
        if self.parked:
            return []
        e = self.body.length / 2
        ahead, behind = self.place(e + 3.5, 0.0, 0.0), self.place(-e - 0.8, 0.0, 0.0)
        red = 0.8 if self.braking else 0.4
        return [
            Lamp(ahead[0], ahead[2], 3.0, (255, 244, 214), 1.0),
            Lamp(behind[0], behind[2], 1.5, (255, 40, 30), red),
        ]


class _Painter:
    """Draws one vehicle; holds its colours."""

    def __init__(self, vehicle: Vehicle, canvas: Canvas, klass: int) -> None:
        self.v, self.canvas, self.klass = vehicle, canvas, klass
        self.rng = np.random.default_rng(vehicle.seed)
        choice = _BUS_PAINT if vehicle.model == "bus" else _CAR_PAINT
        self.color = vary(self.rng, choice[int(self.rng.integers(len(choice)))], 12)
        self.load = vary(self.rng, _LOAD_PAINT[int(self.rng.integers(len(_LOAD_PAINT)))], 12)
        light = canvas.light
        self.pane = scale(mix((34, 40, 48), light.sky_low, 0.28), 1.0 - 0.55 * light.dark)
        self.on = light.lamps and not vehicle.parked

    def paint(self, color: Color, facing: float | None = 0.4, glow: float = 0.0) -> int:
        return self.canvas.paint(color, self.klass, self.v.z, facing, glow=glow)

    def facing(self, face: int, tilt: float = 0.25) -> float:
        """Sunlight on a face that leans back a little, as sheet metal does."""
        along, across = NORMALS[face]
        hx, hz = self.v.heading
        return self.canvas.light.facing(along * hx + across * hz, tilt, along * hz - across * hx)

    def draw(self) -> None:
        lofts = list(self.v.body.lofts)
        if self.v.model == "truck" and self.v.heading[1] < 0.3:
            # Seen from the front the cab hides the load, seen from behind the load hides the cab.
            lofts = [lofts[0], lofts[2], lofts[1]]
        self._tyres()
        for number, loft in enumerate(lofts):
            self._loft(loft)
            if number == 0:
                self._wheels()

    def _loft(self, loft: Loft) -> None:
        rings = [[self.v.place(*c) for c in ring.corners()] for ring in loft.rings]
        color = self.load if loft.box else self.color
        for band in range(len(rings) - 1):
            low, high = rings[band], rings[band + 1]
            tone = 0.86 + 0.28 * (band + 1) / len(rings)
            for face in range(8):
                nxt = (face + 1) % 8
                quad = [low[face], low[nxt], high[nxt], high[face]]
                if self._visible(quad):
                    self.canvas.solid(
                        quad, self.paint(scale(color, tone), self.facing(face, 0.1 + 0.12 * band))
                    )
                    self._details(loft, band, face, quad)
        if loft.rings[-1].y < self.canvas.camera.eye or self.canvas.camera.mirror:
            top = self.paint(scale(color, 1.06), self.canvas.light.facing(0, 1, 0))
            if self._visible(rings[-1]):
                self.canvas.solid(rings[-1], top)

    def _visible(self, points: Sequence[Space]) -> bool:
        """Whether a face turns towards the camera: its corners then run around it one way."""
        flat = [self.canvas.camera.project(*p) for p in points]
        area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(flat, flat[1:] + flat[:1], strict=True))
        return area < 0 if self.canvas.camera.mirror else area > 0

    def _details(self, loft: Loft, band: int, face: int, quad: list[Space]) -> None:
        if band == loft.glazed:
            self._windows(loft, face, quad)
        elif band == loft.lights and face in (FRONT, REAR):
            self._lights(face, quad, plated=loft.glazed < 0 or face == FRONT)
        elif loft.glazed == 1 and band == 2 and face in (FRONT, REAR) and self.v.model == "bus":
            self._inset(quad, (0.2, 0.2, 0.8, 0.85), self.paint((26, 28, 30)))
            glow = 1.0 if self.canvas.light.lamps else 0.0
            self._inset(quad, (0.3, 0.35, 0.7, 0.7), self.paint((255, 176, 56), None, glow))
        elif loft.lights == 2 and band == 0:
            self.canvas.solid(quad, self.paint((44, 44, 46), self.facing(face)))
        elif loft.lights == 2 and band in (2, 3) and face in (LEFT, RIGHT):
            seam = self.paint(scale(self.color, 0.62))
            for s in (0.36, 0.6) if face == RIGHT else (0.64, 0.4):
                self._inset(quad, (s - 0.004, 0.0, s + 0.004, 1.0), seam)

    def _windows(self, loft: Loft, face: int, quad: list[Space]) -> None:
        glass = self._glass()
        if face in (FRONT, REAR):
            self._inset(quad, (0.03, 0.07, 0.97, 0.93), glass)
            gloss = self.paint(mix(self.pane, self.canvas.light.sky_low, 0.3), None)
            self._inset(quad, (0.1, 0.55, 0.55, 0.9), gloss)
        elif face in (LEFT, RIGHT):
            step = 1.0 / loft.windows
            for number in range(loft.windows):
                self._inset(
                    quad, (number * step + 0.03 * step, 0.1, (number + 1) * step - 0.03 * step, 0.92), glass
                )

    def _glass(self) -> int:
        if self.v.model == "bus" and self.canvas.light.lamps:
            dark = self.canvas.light.dark
            return self.paint(mix(self.pane, (236, 214, 160), 0.25 + 0.4 * dark), None, 0.12 * dark)
        return self.paint(self.pane, None)

    def _lights(self, face: int, quad: list[Space], *, plated: bool) -> None:
        glow = 1.0 if self.on else 0.0
        if face == FRONT:
            part = self.paint((255, 248, 226) if self.on else (214, 220, 226), None if self.on else 0.5, glow)
            self._inset(quad, (0.26, 0.12, 0.74, 0.72), self.paint((30, 32, 34)))
        else:
            shining = self.on or self.v.braking
            color = (255, 44, 36) if shining else (150, 22, 26)
            part = self.paint(
                color, None if shining else 0.5, (1.0 if self.v.braking else 0.7) if shining else 0.0
            )
        self._inset(quad, (0.02, 0.4, 0.2, 0.86), part)
        self._inset(quad, (0.8, 0.4, 0.98, 0.86), part)
        if plated:
            self._inset(quad, (0.37, 0.1, 0.63, 0.42), self.paint((232, 230, 220)))

    def _inset(self, quad: list[Space], frame: tuple[float, float, float, float], part: int) -> None:
        s0, t0, s1, t1 = frame
        self.canvas.solid([_blend(quad, s, t) for s, t in ((s0, t0), (s1, t0), (s1, t1), (s0, t1))], part)

    def _tyres(self) -> None:
        """Draw what is seen of the tyres under the bumper."""
        body, part = self.v.body, self.paint((24, 24, 26), 0.1)
        for axle in sorted(body.axles, key=lambda a: -self.v.place(a, 0.0, 0.0)[2]):
            for side in (-1.0, 1.0):
                outer, inner = side * (body.half - 0.04), side * (body.half - 0.27)
                face = axle + (body.wheel if self.v.heading[1] < 0 else -body.wheel) * 0.7
                points = [(face, inner, 0.0), (face, outer, 0.0), (face, outer, 0.5), (face, inner, 0.5)]
                self.canvas.solid([self.v.place(*p) for p in points], part)

    def _wheels(self) -> None:
        body, r = self.v.body, self.v.body.wheel
        arch, tyre, rim = (
            self.paint((22, 22, 24), 0.1),
            self.paint((34, 34, 36), 0.3),
            self.paint((164, 168, 172), 0.5),
        )
        for side in (-1.0, 1.0):
            across = side * (body.half + 0.01)
            for axle in body.axles:
                outline = [self.v.place(axle + x * r, across, r + y * r) for x, y in CIRCLE]
                if side > 0:
                    outline.reverse()
                if not self._visible(outline):
                    continue
                for radius, part in ((1.18, arch), (1.0, tyre), (0.6, rim), (0.2, tyre)):
                    points = [
                        self.v.place(axle + x * r * radius, across, max(0.0, r + y * r * radius))
                        for x, y in CIRCLE
                    ]
                    self.canvas.solid(points, part)


def _blend(quad: list[Space], s: float, t: float) -> Space:
    a, b, c, d = quad
    x, y, z = ((1 - t) * ((1 - s) * a[i] + s * b[i]) + t * ((1 - s) * d[i] + s * c[i]) for i in range(3))
    return x, y, z


def convex_hull(points: Sequence[Point]) -> list[Point]:
    """Return the convex hull of points in the plane (Andrew's monotone chain)."""
    ordered = sorted(set(points))
    hull: list[Point] = []
    for chain in (ordered, ordered[::-1]):
        start = len(hull)
        for p in chain:
            while len(hull) - start >= 2 and _turn(hull[-2], hull[-1], p) <= 0:
                hull.pop()
            hull.append(p)
        hull.pop()
    return hull


def _turn(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
