"""Buildings in perspective: street fronts, side walls, windows, shops and roofs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dubio.data.scenes.canvas import Canvas, Space
from dubio.data.scenes.light import Color, mix, scale, vary
from dubio.data.scenes.space import BUILDING

_RIM = 0.09  # width of a window frame, metres
NEAREST = 0.6  # metres; what is nearer is cut off
WALLS: tuple[Color, ...] = (
    (196, 176, 146), (176, 104, 82), (150, 86, 70), (214, 204, 186), (168, 170, 170), (204, 158, 112),
    (126, 132, 140), (222, 196, 150), (188, 138, 122), (142, 150, 140), (230, 222, 210), (112, 98, 92),
)  # fmt: skip
_ROOFS: tuple[Color, ...] = ((128, 68, 54), (92, 84, 82), (74, 78, 86), (150, 88, 62))
_SHOPS: tuple[Color, ...] = (
    (42, 72, 98),
    (120, 36, 40),
    (46, 92, 66),
    (206, 172, 70),
    (58, 54, 60),
    (196, 96, 44),
)
WARM: tuple[Color, ...] = ((255, 214, 140), (255, 196, 110), (244, 226, 180), (206, 220, 240))


@dataclass(frozen=True)
class Building:
    """A block with its front along the street.

    Args:
        side: -1 left, 1 right.
        line: distance of the front from the middle of the road.
        z0: near end along the road, metres.
        z1: far end.
        floors: number of floors.
        pitched: a sloping roof in place of a flat one.
        seed: for its colours and windows.
        depth: extent away from the street.
    """

    side: float
    line: float
    z0: float
    z1: float
    floors: int
    pitched: bool
    seed: int
    depth: float = 12.0

    storey = 3.1

    @property
    def far(self) -> float:
        """Distance by which it is drawn, far ones first."""
        return self.z1

    @property
    def height(self) -> float:
        """Height of the eaves in metres."""
        return 0.6 + self.floors * self.storey

    def draw(self, canvas: Canvas) -> None:
        """Draw the side wall, the front and the roof."""
        if self.z1 <= NEAREST:
            return
        _Painter(self, canvas).draw()

    def shadow(self, reach: tuple[float, float]) -> list[list[tuple[float, float]]]:
        """Return the outlines of the cast shadow on the ground as (x, z)."""
        x, drop = self.side * self.line, self.height
        dx, dz = reach[0] * drop, reach[1] * drop
        z0, z1 = self.z0, self.z1
        back = self.side * (self.line + self.depth)
        return [
            [(x, z0), (x, z1), (x + dx, z1 + dz), (x + dx, z0 + dz)],
            [(x, z0), (back, z0), (back + dx, z0 + dz), (x + dx, z0 + dz)],
        ]


@dataclass(frozen=True)
class _Bay:
    """A column of windows: its ends, its frame and shutters (parts, if it is near enough), glazing bars."""

    z0: float
    z1: float
    rim: int | None
    leaf: int | None
    bars: bool


class _Painter:
    """Draws one building; holds what its parts share."""

    def __init__(self, building: Building, canvas: Canvas) -> None:
        self.b, self.canvas = building, canvas
        self.rng = np.random.default_rng(building.seed)
        # Lights have draws of their own: the building stays the same by day and by night.
        self.lit = np.random.default_rng(building.seed + 1)
        self.z0 = max(building.z0, NEAREST)
        self.x = building.side * building.line
        self.mid = 0.5 * (self.z0 + building.z1)
        self.wall = vary(self.rng, WALLS[int(self.rng.integers(len(WALLS)))], 14)
        self.shop = bool(self.rng.random() < 0.45) and not building.pitched
        self.sun = canvas.light.facing(-building.side, 0.0, 0.0)

    def paint(self, color: Color, z: float, facing: float | None = None, grain: float = 0.0) -> int:
        return self.canvas.paint(color, BUILDING, z, self.sun if facing is None else facing, leaf=grain)

    def draw(self) -> None:
        b, light = self.b, self.canvas.light
        back = b.side * (b.line + b.depth)
        gable = self.paint(scale(self.wall, 0.92), b.z0, light.facing(0.0, 0.0, -1.0), 0.1)
        if b.z0 > NEAREST:
            outline: list[Space] = [(self.x, 0, b.z0), (back, 0, b.z0), (back, b.height, b.z0)]
            if b.pitched:
                outline.append((0.5 * (self.x + back), b.height + 0.3 * b.depth, b.z0))
            self.canvas.solid([*outline, (self.x, b.height, b.z0)], gable)
            self._gable_windows(back)
        if b.pitched:
            self._roof(back)
        self._slices(0.0, b.height, self.wall, 0.1)
        self._ground_floor()
        self._windows()
        self._cornice()

    def _slices(self, bottom: float, top: float, color: Color, grain: float = 0.0, out: float = 0.0) -> None:
        """Draw a band of the front, cut along the street so that haze and the bend of the road show."""
        x = self.x - self.b.side * out
        z, end = self.z0, self.b.z1
        while z < end:
            stop = min(end, z * 1.35 + 0.5)
            part = self.paint(color, 0.5 * (z + stop), grain=grain)
            self.canvas.solid([(x, bottom, z), (x, bottom, stop), (x, top, stop), (x, top, z)], part)
            z = stop

    def _pane(self, z0: float, z1: float, y0: float, y1: float, part: int) -> None:
        x = self.x
        self.canvas.solid([(x, y0, z0), (x, y0, z1), (x, y1, z1), (x, y1, z0)], part)

    def _roof(self, back: float) -> None:
        b = self.b
        color = vary(self.rng, _ROOFS[int(self.rng.integers(len(_ROOFS)))], 10)
        ridge, top = 0.5 * (self.x + back), b.height + 0.3 * b.depth
        eave = self.x - b.side * 0.4
        part = self.paint(color, self.mid, self.canvas.light.facing(-b.side * 0.5, 0.86, 0.0), 0.2)
        self.canvas.solid(
            [
                (eave, b.height - 0.1, self.z0),
                (eave, b.height - 0.1, b.z1),
                (ridge, top, b.z1),
                (ridge, top, self.z0),
            ],
            part,
        )
        z = self.z0 + self.rng.uniform(0.2, 0.8) * (b.z1 - self.z0)
        brick = self.paint((132, 84, 70), z, self.canvas.light.facing(0, 0, -1))
        x = ridge - b.side * 0.6
        low = top - 0.6
        self.canvas.solid(
            [(x - 0.4, low, z), (x + 0.4, low, z), (x + 0.4, top + 0.9, z), (x - 0.4, top + 0.9, z)], brick
        )

    def _glass(self, z: float) -> int:
        light, rng = self.canvas.light, self.lit
        if light.lamps and rng.random() < 0.12 + 0.33 * light.dark:
            warm = WARM[int(rng.integers(len(WARM)))]
            return self.canvas.paint(scale(warm, rng.uniform(0.55, 0.95)), BUILDING, z, glow=0.45)
        color = mix((44, 54, 64), light.sky_low, rng.uniform(0.08, 0.42))
        return self.canvas.paint(scale(color, 1.0 - 0.45 * light.dark), BUILDING, z)

    def _windows(self) -> None:
        b, rng = self.b, self.rng
        bay, wide, tall = rng.uniform(2.1, 3.3), rng.uniform(0.42, 0.62), rng.uniform(0.45, 0.62)
        frame = (
            mix(self.wall, (240, 238, 232), rng.uniform(0.3, 0.9))
            if rng.random() < 0.75
            else scale(self.wall, 0.7)
        )
        shutters = rng.random() < 0.2
        first = 1 if self.shop else 0
        count = max(1, int((b.z1 - b.z0 - 0.6) / bay))
        bay = (b.z1 - b.z0 - 0.6) / count
        door = int(rng.integers(count))
        for column in range(count):
            z = b.z0 + 0.3 + (column + 0.5) * bay
            low, high = z - wide * bay / 2, z + wide * bay / 2
            if low < NEAREST + 0.2:
                continue
            detail = abs(
                self.canvas.camera.project(self.x, 0, low)[0] - self.canvas.camera.project(self.x, 0, high)[0]
            )
            detail /= self.canvas.samples
            if detail < 0.6:
                continue
            fine = detail > 2.5
            bay_of = _Bay(
                low,
                high,
                self.paint(frame, z) if fine else None,
                self.paint(vary(rng, (92, 110, 98), 20), z) if shutters and fine else None,
                detail > 6,
            )
            for floor in range(first, b.floors):
                base = 0.6 + floor * b.storey + 0.55 * b.storey * (1 - tall)
                if floor == 0 and column == door:
                    self._door(bay_of, base + tall * b.storey)
                else:
                    self._window(bay_of, base, base + tall * b.storey)

    def _door(self, bay: _Bay, top: float) -> None:
        z = 0.5 * (bay.z0 + bay.z1)
        if bay.rim is not None:
            self._pane(bay.z0 - _RIM, bay.z1 + _RIM, 0.0, top + _RIM, bay.rim)
        self._pane(bay.z0, bay.z1, 0.1, top, self.paint(vary(self.rng, (92, 66, 52), 30), z))

    def _window(self, bay: _Bay, y0: float, y1: float) -> None:
        z0, z1, z = bay.z0, bay.z1, 0.5 * (bay.z0 + bay.z1)
        if bay.rim is not None:
            self._pane(z0 - _RIM, z1 + _RIM, y0 - _RIM, y1 + _RIM, bay.rim)
            self._pane(z0 - 0.16, z1 + 0.16, y0 - 0.2, y0 - _RIM, bay.rim)
        if bay.leaf is not None:
            span = 0.42 * (z1 - z0)
            self._pane(z0 - _RIM - span, z0 - _RIM, y0, y1, bay.leaf)
            self._pane(z1 + _RIM, z1 + _RIM + span, y0, y1, bay.leaf)
        self._pane(z0, z1, y0, y1, self._glass(z))
        if bay.rim is not None and bay.bars:
            self._pane(z - 0.04, z + 0.04, y0, y1, bay.rim)
            cross = y0 + 0.68 * (y1 - y0)
            self._pane(z0, z1, cross - 0.04, cross + 0.04, bay.rim)

    def _ground_floor(self) -> None:
        b, rng, light = self.b, self.rng, self.canvas.light
        if not self.shop:
            self._slices(0.0, 0.5, scale(self.wall, 0.72))
            return
        color = vary(rng, _SHOPS[int(rng.integers(len(_SHOPS)))], 14)
        self._slices(0.0, b.storey + 0.1, scale(mix(self.wall, color, 0.55), 0.8))
        bays = max(1, int((b.z1 - b.z0) / 4.2))
        step = (b.z1 - b.z0) / bays
        for bay in range(bays):
            z0, z1 = b.z0 + bay * step + 0.35, b.z0 + (bay + 1) * step - 0.35
            if z0 < NEAREST + 0.2:
                continue
            z = 0.5 * (z0 + z1)
            if light.lamps and self.lit.random() < 0.75:
                warm = scale(WARM[int(self.lit.integers(len(WARM)))], self.lit.uniform(0.75, 1.0))
                pane = self.canvas.paint(warm, BUILDING, z, glow=0.5)
            else:
                dim = scale(mix((50, 58, 64), light.sky_low, 0.22), 1 - 0.4 * light.dark)
                pane = self.canvas.paint(dim, BUILDING, z)
            self._pane(z0, z1, 0.45, 2.45, pane)
            self._pane(z0, z1, 2.6, 3.05, self.paint(color, z))
            if rng.random() < 0.4 and z0 > 2.0:
                self._awning(z0, z1, vary(rng, color, 40))

    def _awning(self, z0: float, z1: float, color: Color) -> None:
        x, out = self.x, self.x - self.b.side * 1.1
        top = self.paint(color, z0, self.canvas.light.facing(0, 1, 0))
        self.canvas.solid([(x, 2.95, z0), (x, 2.95, z1), (out, 2.4, z1), (out, 2.4, z0)], top)
        stripe = self.paint(mix(color, (245, 242, 234), 0.8), z0, self.canvas.light.facing(0, 1, 0))
        step = (z1 - z0) / 7
        for band in range(1, 7, 2):
            a, c = z0 + band * step, z0 + (band + 1) * step
            self.canvas.solid([(x, 2.95, a), (x, 2.95, c), (out, 2.4, c), (out, 2.4, a)], stripe)
        fringe = self.paint(scale(color, 0.75), z0)
        self.canvas.solid([(out, 2.4, z0), (out, 2.4, z1), (out, 2.18, z1), (out, 2.18, z0)], fringe)

    def _cornice(self) -> None:
        b = self.b
        if b.pitched:
            return
        trim = mix(self.wall, (236, 232, 224), 0.45)
        self._slices(b.height - 0.5, b.height + 0.25, trim, out=0.3)
        self._slices(b.height - 0.62, b.height - 0.5, scale(self.wall, 0.6), out=0.1)
        if self.shop or self.rng.random() < 0.5:
            self._slices(b.storey + 0.12, b.storey + 0.4, trim, out=0.1)

    def _gable_windows(self, back: float) -> None:
        b, rng = self.b, self.rng
        if rng.random() < 0.4 or b.z0 > 90:
            return
        columns = 3 if b.depth > 9 else 2
        step = (back - self.x) / columns
        for column in range(columns):
            x = self.x + (column + 0.5) * step
            for floor in range(b.floors):
                y = 0.6 + floor * b.storey + 0.9
                part = self._glass(b.z0)
                low, high = x - 0.55, x + 0.55
                corners = [(low, y, b.z0), (high, y, b.z0), (high, y + 1.5, b.z0), (low, y + 1.5, b.z0)]
                self.canvas.solid(corners, part)
