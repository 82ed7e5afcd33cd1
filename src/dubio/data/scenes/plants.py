"""Trees, hedges and bushes."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np

from dubio.data.scenes.canvas import Board, Canvas
from dubio.data.scenes.light import Color, scale, vary
from dubio.data.scenes.space import VEGETATION

Kind = Literal["round", "tall", "fir", "bare", "bush"]
_GREENS: tuple[Color, ...] = ((74, 112, 48), (92, 128, 56), (60, 98, 54), (112, 134, 60), (86, 116, 70))
_AUTUMN: tuple[Color, ...] = ((188, 128, 48), (170, 86, 46), (192, 156, 66))


@dataclass(frozen=True)
class Plant:
    """A tree or bush that stands upright at one place.

    Args:
        kind: its shape.
        x: position across the road, metres.
        z: distance.
        height: full height in metres.
        seed: for leaves and colours.
        autumn: coloured leaves.
    """

    kind: Kind
    x: float
    z: float
    height: float
    seed: int
    autumn: bool = False

    @property
    def far(self) -> float:
        """Distance by which it is drawn."""
        return self.z

    @property
    def spread(self) -> float:
        """Half width of the crown in metres."""
        share = {"round": 0.34, "tall": 0.17, "fir": 0.22, "bare": 0.32, "bush": 0.75}
        return self.height * share[self.kind]

    def draw(self, canvas: Canvas) -> None:
        """Draw trunk and crown."""
        rng = np.random.default_rng(self.seed)
        board = Board(canvas, self.x, self.z)
        if self.kind != "bush":
            self._trunk(board, rng)
        if self.kind == "bare":
            self._branches(board, rng)
        else:
            self._leaves(board, rng)

    def shadow(self, reach: tuple[float, float]) -> list[list[tuple[float, float]]]:
        """Return the outlines of the cast shadow on the ground as (x, z)."""
        top, low, r = self.height, self.height * 0.35, self.spread
        a = (self.x + reach[0] * low, self.z + reach[1] * low)
        c = (self.x + reach[0] * top, self.z + reach[1] * top)
        mid = (0.5 * (a[0] + c[0]), 0.5 * (a[1] + c[1]))
        slim = 0.15
        trunk = [
            (self.x - slim, self.z),
            (self.x + slim, self.z),
            (mid[0] + slim, mid[1]),
            (mid[0] - slim, mid[1]),
        ]
        if self.kind == "bare":
            return [trunk]
        crown = [
            (
                mid[0] + r * cx + (c[0] - a[0]) * 0.5 * cy * 0.9,
                mid[1] + r * 0.6 * cy + (c[1] - a[1]) * 0.5 * cy * 0.9,
            )
            for cx, cy in _RING
        ]
        return [trunk, crown]

    def _trunk(self, board: Board, rng: np.random.Generator) -> None:
        light = board.canvas.light
        bark = vary(rng, (92, 76, 62), 16)
        wide = 0.09 + 0.022 * self.height
        top = self.height * (0.7 if self.kind != "fir" else 0.3)
        part = board.canvas.paint(bark, VEGETATION, self.z, 0.4 * light.facing(0, 0, -1), leaf=0.4)
        board.polygon([(-wide, 0), (wide, 0), (wide * 0.5, top), (-wide * 0.5, top)], part)
        if light.direction[0]:
            side = 1.0 if light.direction[0] > 0 else -1.0
            bright = board.canvas.paint(scale(bark, 1.25), VEGETATION, self.z, 0.7, leaf=0.4)
            board.polygon(
                [
                    (side * wide * 0.3, 0),
                    (side * wide, 0),
                    (side * wide * 0.5, top),
                    (side * wide * 0.2, top),
                ],
                bright,
            )

    def _branches(self, board: Board, rng: np.random.Generator) -> None:
        part = board.canvas.paint(vary(rng, (84, 72, 62), 12), VEGETATION, self.z, 0.5, leaf=0.3)
        h, r = self.height, self.spread
        for _ in range(int(rng.integers(8, 13))):
            start = rng.uniform(0.28, 0.6)
            tip = (rng.uniform(-1, 1) * r, h * rng.uniform(0.55, 1.0))
            board.bar((0.0, start * h), tip, 0.07 + 0.008 * h, part)
            for _ in range(4):
                share = rng.uniform(0.4, 0.9)
                base = (tip[0] * share, start * h + (tip[1] - start * h) * share)
                board.bar(
                    base,
                    (base[0] + rng.uniform(-0.22, 0.22) * h, base[1] + rng.uniform(0.0, 0.2) * h),
                    0.04,
                    part,
                )

    def _leaves(self, board: Board, rng: np.random.Generator) -> None:
        palette = _AUTUMN if self.autumn and self.kind != "fir" else _GREENS
        base = vary(rng, palette[int(rng.integers(len(palette)))], 12)
        light, z = board.canvas.light, self.z
        sun = light.direction[0]
        tones = [
            board.canvas.paint(scale(base, shade), VEGETATION, z, facing, leaf=1.0)
            for shade, facing in ((0.5, 0.1), (0.66, 0.22), (0.85, 0.4), (1.02, 0.62), (1.2, 0.85))
        ]
        pixels = self.height * board.scale / board.canvas.samples
        count = int(min(460.0, max(14.0, pixels * 1.7)))
        size = max(1.4 / sqrt(count), 0.064)
        dx, dy, jitter = rng.uniform(-1, 1, (3, count))
        lumps = rng.uniform(-1, 1, (2, 7, 1))
        # Leaves hang in clusters, each lit from above on its own.
        across, up = dx - lumps[0], dy - lumps[1]
        nearest = np.argmin(across * across + up * up, axis=0), np.arange(count)
        tone = 0.3 * dy + 0.35 * dx * sun + 0.7 * up[nearest] + 0.4 * sun * across[nearest] + 0.22 * jitter
        order = np.argsort(tone, kind="stable")
        grades = np.clip(tone * 2.4 + 2.2, 0, 4).astype(int)[order].tolist()
        radii = np.maximum(size * (0.85 + 0.45 * jitter) * min(self.spread, self.height * 0.3), 0.08)[
            order
        ].tolist()
        self._core(board, tones[0])
        for x, y, grade, r in zip(dx[order].tolist(), dy[order].tolist(), grades, radii, strict=True):
            reach = 1.0 - 0.6 * x * x * y * y
            spot = self._place(x * reach, y)
            board.disc(*spot, r, tones[grade], tall=r * 0.82)

    def _core(self, board: Board, part: int) -> None:
        h, r = self.height, self.spread
        if self.kind == "fir":
            board.polygon([(-r * 0.7, h * 0.14), (r * 0.7, h * 0.14), (0, h * 0.97)], part)
        elif self.kind == "bush":
            board.disc(0, h * 0.42, r * 0.85, part, tall=h * 0.46)
        else:
            board.disc(0, h * 0.63, r * 0.8, part, tall=h * 0.27)

    def _place(self, dx: float, dy: float) -> tuple[float, float]:
        h, r = self.height, self.spread
        if self.kind == "fir":
            up = 0.55 + 0.45 * dy
            return dx * r * (1.05 - up), h * (0.1 + 0.88 * up)
        if self.kind == "bush":
            return dx * r * 0.9, h * max(0.08, 0.45 + 0.42 * dy)
        rim = 1.0 - 0.45 * dy * dy
        return dx * r * rim, h * (0.64 + 0.31 * dy)


@dataclass(frozen=True)
class Hedge:
    """A clipped hedge along the street between two distances; sizes in metres."""

    x: float
    z0: float
    z1: float
    height: float
    seed: int

    @property
    def far(self) -> float:
        """Distance by which it is drawn."""
        return self.z1

    def draw(self, canvas: Canvas) -> None:
        """Draw the face towards the street, the near end and the top."""
        rng = np.random.default_rng(self.seed)
        base = vary(rng, _GREENS[int(rng.integers(len(_GREENS)))], 10)
        side = 1.0 if self.x > 0 else -1.0
        light, h = canvas.light, self.height
        back, z0, z1 = self.x + side * 0.8, max(self.z0, 0.8), self.z1
        if z1 <= z0:
            return
        end = canvas.paint(scale(base, 0.8), VEGETATION, z0, light.facing(0, 0, -1), leaf=1.0)
        face = canvas.paint(scale(base, 0.9), VEGETATION, z0, light.facing(-side, 0, 0), leaf=1.0)
        top = canvas.paint(scale(base, 1.12), VEGETATION, z0, light.facing(0, 1, 0), leaf=1.0)
        canvas.solid([(self.x, 0, z0), (back, 0, z0), (back, h, z0), (self.x, h, z0)], end)
        canvas.solid([(self.x, 0, z0), (self.x, 0, z1), (self.x, h, z1), (self.x, h, z0)], face)
        canvas.solid([(self.x, h, z0), (self.x, h, z1), (back, h, z1), (back, h, z0)], top)
        for z in np.arange(z0 + 0.2, z1, 0.45).tolist():
            u, v = canvas.camera.project(self.x + side * rng.uniform(0.0, 0.8), h, z)
            r = rng.uniform(0.1, 0.22) * canvas.camera.focal / z
            canvas.ellipse(u, v, r, 0.7 * r, top if rng.random() < 0.6 else face)

    def shadow(self, reach: tuple[float, float]) -> list[list[tuple[float, float]]]:
        """Return the outlines of the cast shadow on the ground as (x, z)."""
        dx, dz = reach[0] * self.height, reach[1] * self.height
        return [
            [(self.x, self.z0), (self.x, self.z1), (self.x + dx, self.z1 + dz), (self.x + dx, self.z0 + dz)]
        ]


def draw_treeline(canvas: Canvas, rng: np.random.Generator, z: float, dense: float) -> None:
    """Draw a row of distant trees across the whole view, with gaps; ``dense`` is the share covered."""
    x = -1.4 * z
    while x < 1.4 * z:
        tall = rng.uniform(5, 12)
        if rng.random() < dense:
            base = vary(rng, _GREENS[int(rng.integers(len(_GREENS)))], 12)
            dark = canvas.paint(scale(base, 0.75), VEGETATION, z, 0.3, leaf=0.6)
            bright = canvas.paint(base, VEGETATION, z, 0.6, leaf=0.6)
            board = Board(canvas, x, z)
            for _ in range(5):
                dx, up = rng.uniform(-3.5, 3.5), rng.uniform(0.15, 0.8) * tall
                board.disc(
                    dx, up, rng.uniform(2.0, 3.4), bright if up > tall * 0.5 else dark, tall=tall * 0.3
                )
            board.box(-4.0, 0.0, 4.0, tall * 0.4, dark)
        x += rng.uniform(4.0, 9.0)


# The points (1 - t²) / (1 + t²), 2t / (1 + t²) of the unit circle: twelve of them, without sine or cosine.
_T = (-1.0, -0.577, -0.268, 0.0, 0.268, 0.577, 1.0)
_HALF = [((1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)) for t in _T]
_RING = _HALF + [(-x, -y) for x, y in _HALF[1:-1]]
