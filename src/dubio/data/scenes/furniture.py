"""Poles and what hangs on them: street lamps, traffic lights, traffic signs, bollards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from dubio.data.scenes.canvas import Board, Canvas
from dubio.data.scenes.light import Color, scale, vary
from dubio.data.scenes.shading import Lamp
from dubio.data.scenes.space import LIGHT, POLE, SIGN

SignShape = Literal["limit", "warning", "stop", "priority", "order", "parking", "yield", "guide", "back"]
State = Literal["red", "amber", "green"]
SIGN_SHAPES: tuple[SignShape, ...] = (
    "limit", "warning", "stop", "priority", "order", "parking", "yield", "guide", "back",
)  # fmt: skip
_METAL: tuple[Color, ...] = ((120, 124, 126), (92, 98, 100), (70, 82, 76), (142, 142, 138))
_RED, _WHITE, _BLUE, _YELLOW, _BLACK = (
    (196, 36, 42),
    (238, 238, 234),
    (34, 84, 170),
    (240, 190, 36),
    (30, 30, 32),
)
# Corners of a regular octagon on the unit circle.
_OCTAGON = [
    (0.924, 0.383), (0.383, 0.924), (-0.383, 0.924), (-0.924, 0.383),
    (-0.924, -0.383), (-0.383, -0.924), (0.383, -0.924), (0.924, -0.383),
]  # fmt: skip


@dataclass(frozen=True)
class _Upright:
    x: float
    z: float
    seed: int

    @property
    def far(self) -> float:
        """Distance by which it is drawn."""
        return self.z

    def _metal(self, canvas: Canvas, rng: np.random.Generator) -> int:
        color = vary(rng, _METAL[int(rng.integers(len(_METAL)))], 10)
        return canvas.paint(color, POLE, self.z, 0.5)

    def _shaft(self, reach: tuple[float, float], top: float, half: float) -> list[list[tuple[float, float]]]:
        x, z = self.x + reach[0] * top, self.z + reach[1] * top
        return [[(self.x - half, self.z), (self.x + half, self.z), (x + half, z), (x - half, z)]]


@dataclass(frozen=True)
class StreetLamp(_Upright):
    """A lamp post; ``arm`` metres reach over the road (signed), 0: a lantern on top."""

    height: float = 7.5
    arm: float = 0.0

    def draw(self, canvas: Canvas) -> None:
        """Draw post, arm and head; the head shines when lamps are on."""
        rng = np.random.default_rng(self.seed)
        board, metal, h = Board(canvas, self.x, self.z), self._metal(canvas, rng), self.height
        glow = 1.0 if canvas.light.lamps else 0.0
        shine: Color = (255, 226, 168) if glow else (214, 214, 206)
        head = canvas.paint(shine, POLE, self.z, None if glow else 0.5, glow=glow)
        board.pole(0.0, h, 0.13, metal)
        board.pole(0.0, 0.9, 0.2, metal)
        if self.arm:
            side = 1.0 if self.arm > 0 else -1.0
            board.bar((0.0, h - 0.05), (self.arm, h + 0.35), 0.09, metal)
            tip = self.arm + side * 0.7
            board.polygon(
                [(self.arm, h + 0.28), (tip, h + 0.36), (tip, h + 0.48), (self.arm, h + 0.46)], metal
            )
            board.polygon(
                [(self.arm, h + 0.24), (tip, h + 0.28), (tip, h + 0.38), (self.arm, h + 0.32)], head
            )
        else:
            board.polygon([(-0.16, h), (0.16, h), (0.24, h + 0.5), (-0.24, h + 0.5)], head)
            board.polygon([(-0.28, h + 0.5), (0.28, h + 0.5), (0, h + 0.72)], metal)

    def shadow(self, reach: tuple[float, float]) -> list[list[tuple[float, float]]]:
        """Return the outlines of the cast shadow on the ground as (x, z)."""
        return self._shaft(reach, self.height, 0.08)

    def lamps(self) -> list[Lamp]:
        """Return the light that falls on the ground."""
        return [Lamp(self.x + 0.8 * self.arm, self.z, 4.5, (255, 206, 140), 1.25)]


@dataclass(frozen=True)
class TrafficLight(_Upright):
    """A signal on a post; with ``arm`` a second one hangs over the road."""

    state: State = "red"
    arm: float = 0.0

    def draw(self, canvas: Canvas) -> None:
        """Draw post and signals."""
        rng = np.random.default_rng(self.seed)
        board, metal = Board(canvas, self.x, self.z), self._metal(canvas, rng)
        board.pole(0.0, 3.4, 0.13, metal)
        if self.arm:
            board.pole(3.0, 5.7, 0.14, metal)
            board.bar((0.0, 5.6), (self.arm, 5.75), 0.12, metal)
            self._signal(board, self.arm, 5.1)
        self._signal(board, 0.0, 2.6)

    def _signal(self, board: Board, across: float, up: float) -> None:
        canvas, z = board.canvas, self.z
        with canvas.object(LIGHT, z):
            case = canvas.paint((34, 36, 36), LIGHT, z, 0.5)
            rim = canvas.paint((66, 68, 66), LIGHT, z, 0.5)
            board.box(across - 0.21, up - 0.06, across + 0.21, up + 1.06, rim)
            board.box(across - 0.17, up, across + 0.17, up + 1.0, case)
            colors: dict[str, tuple[float, Color, Color]] = {
                "red": (0.82, (255, 58, 44), (74, 30, 28)),
                "amber": (0.5, (255, 184, 48), (78, 60, 26)),
                "green": (0.18, (64, 240, 150), (26, 66, 48)),
            }
            for name, (height, on, off) in colors.items():
                lit = name == self.state
                part = canvas.paint(
                    on if lit else off, LIGHT, z, None if lit else 0.5, glow=1.0 if lit else 0.0
                )
                board.disc(across, up + height, 0.13, part)

    def shadow(self, reach: tuple[float, float]) -> list[list[tuple[float, float]]]:
        """Return the outlines of the cast shadow on the ground as (x, z)."""
        return self._shaft(reach, 3.6, 0.12)


@dataclass(frozen=True)
class TrafficSign(_Upright):
    """A sign on a post; ``size`` is its half width in metres, ``height`` that of its centre."""

    shape: SignShape = "limit"
    size: float = 0.36
    height: float = 2.35

    def draw(self, canvas: Canvas) -> None:
        """Draw post and plate."""
        rng = np.random.default_rng(self.seed)
        board, metal = Board(canvas, self.x, self.z), self._metal(canvas, rng)
        board.pole(0.0, self.height + 0.1, 0.075, metal)
        with canvas.object(SIGN, self.z):
            _Plate(board, self.height, self.size, rng).draw(self.shape)

    def shadow(self, reach: tuple[float, float]) -> list[list[tuple[float, float]]]:
        """Return the outlines of the cast shadow on the ground as (x, z)."""
        return self._shaft(reach, self.height, 0.06)


class _Plate:
    """The face of a sign: simple shapes in the colours that drivers know."""

    def __init__(self, board: Board, up: float, size: float, rng: np.random.Generator) -> None:
        self.board, self.up, self.r, self.rng = board, up, size, rng

    def paint(self, color: Color) -> int:
        # Signs throw light back: they stay readable where little falls on them.
        board = self.board
        light = board.canvas.light
        return board.canvas.paint(scale(color, 1.0 + 0.9 * light.dark), SIGN, board.z, 0.45)

    def shape(self, points: list[tuple[float, float]], color: Color, size: float = 1.0) -> None:
        r = self.r * size
        self.board.polygon([(x * r, self.up + y * r) for x, y in points], self.paint(color))

    def disc(self, color: Color, size: float = 1.0) -> None:
        self.board.disc(0.0, self.up, self.r * size, self.paint(color))

    def draw(self, shape: SignShape) -> None:
        getattr(self, f"_{shape}")()

    def _limit(self) -> None:
        self.disc(_RED)
        self.disc(_WHITE, 0.74)
        for x in (-0.26, 0.26):
            self.shape([(x - 0.16, -0.34), (x + 0.16, -0.34), (x + 0.16, 0.34), (x - 0.16, 0.34)], _BLACK)
            self.shape([(x - 0.05, -0.2), (x + 0.05, -0.2), (x + 0.05, 0.2), (x - 0.05, 0.2)], _WHITE)

    def _warning(self) -> None:
        self.shape([(-1.05, -0.8), (1.05, -0.8), (0, 1.0)], _RED)
        self.shape([(-0.68, -0.58), (0.68, -0.58), (0, 0.6)], _WHITE)
        self.shape([(-0.09, -0.3), (0.09, -0.3), (0.09, 0.3), (-0.09, 0.3)], _BLACK)

    def _yield(self) -> None:
        self.shape([(-1.05, 0.8), (1.05, 0.8), (0, -1.0)], _RED)
        self.shape([(-0.62, 0.55), (0.62, 0.55), (0, -0.52)], _WHITE)

    def _stop(self) -> None:
        self.shape(_OCTAGON, _WHITE, 1.05)
        self.shape(_OCTAGON, _RED, 0.95)
        for x in (-0.54, -0.18, 0.18, 0.54):
            self.shape([(x - 0.11, -0.2), (x + 0.11, -0.2), (x + 0.11, 0.2), (x - 0.11, 0.2)], _WHITE)

    def _priority(self) -> None:
        self.shape([(0, 1.15), (1.15, 0), (0, -1.15), (-1.15, 0)], _WHITE)
        self.shape([(0, 0.8), (0.8, 0), (0, -0.8), (-0.8, 0)], _YELLOW)

    def _order(self) -> None:
        self.disc(_BLUE)
        self.shape([(-0.12, -0.55), (0.12, -0.55), (0.12, 0.1), (-0.12, 0.1)], _WHITE)
        self.shape([(-0.38, 0.05), (0.38, 0.05), (0, 0.6)], _WHITE)

    def _parking(self) -> None:
        self.shape([(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)], _BLUE)
        self.shape([(-0.35, -0.6), (-0.12, -0.6), (-0.12, 0.6), (-0.35, 0.6)], _WHITE)
        self.shape([(-0.2, 0.0), (0.38, 0.0), (0.45, 0.3), (0.38, 0.6), (-0.2, 0.6)], _WHITE)
        self.shape([(-0.1, 0.18), (0.2, 0.18), (0.2, 0.42), (-0.1, 0.42)], _BLUE)

    def _guide(self) -> None:
        color = _BLUE if self.rng.random() < 0.5 else (36, 110, 74)
        self.shape([(-2.0, -1.1), (2.0, -1.1), (2.0, 1.1), (-2.0, 1.1)], _WHITE)
        self.shape([(-1.9, -1.0), (1.9, -1.0), (1.9, 1.0), (-1.9, 1.0)], color)
        for y in (-0.5, 0.1, 0.6):
            right = self.rng.uniform(0.2, 1.5)
            self.shape([(-1.5, y - 0.1), (right, y - 0.1), (right, y + 0.1), (-1.5, y + 0.1)], _WHITE)

    def _back(self) -> None:
        self.disc((138, 140, 142))
        self.disc((122, 124, 126), 0.85)


@dataclass(frozen=True)
class Bollard(_Upright):
    """A short post at the kerb."""

    def draw(self, canvas: Canvas) -> None:
        """Draw the post with a light band."""
        rng = np.random.default_rng(self.seed)
        board, metal = Board(canvas, self.x, self.z), self._metal(canvas, rng)
        band = canvas.paint((226, 224, 218), POLE, self.z, 0.5)
        board.pole(0.0, 0.95, 0.13, metal)
        board.pole(0.74, 0.84, 0.13, band)

    def shadow(self, reach: tuple[float, float]) -> list[list[tuple[float, float]]]:
        """Return the outlines of the cast shadow on the ground as (x, z)."""
        return self._shaft(reach, 0.95, 0.07)
