"""What closes the view: blocks and towers far away."""

from __future__ import annotations

import numpy as np

from dubio.data.scenes.buildings import WALLS, WARM
from dubio.data.scenes.canvas import Canvas
from dubio.data.scenes.light import Color, scale, vary
from dubio.data.scenes.space import BUILDING
from dubio.data.scenes.street import FAR


def draw_skyline(canvas: Canvas, rng: np.random.Generator, dense: float) -> None:
    """Draw what closes the view far away: blocks, here and there a tower.

    Args:
        canvas: what to draw on.
        rng: for places and sizes.
        dense: share of the horizon that is built over.
    """
    light = canvas.light
    lit = np.random.default_rng(int(rng.integers(1 << 62)))
    for z in (FAR * 1.9, FAR * 1.3, FAR * 1.02):
        x = -190.0 * z / FAR
        while x < 190.0 * z / FAR:
            wide = rng.uniform(9, 24)
            tall = rng.uniform(5, 17) + (rng.uniform(10, 34) if rng.random() < 0.12 else 0.0)
            color = vary(rng, WALLS[int(rng.integers(len(WALLS)))], 16)
            kept = rng.random() < dense
            if kept and abs(x + wide / 2) > 7:
                part = canvas.paint(color, BUILDING, z, light.facing(0, 0, -1))
                canvas.solid([(x, 0, z), (x + wide, 0, z), (x + wide, tall, z), (x, tall, z)], part)
                _storeys(canvas, lit, (x, wide, tall, z), color)
            x += wide


def _storeys(
    canvas: Canvas, rng: np.random.Generator, block: tuple[float, float, float, float], color: Color
) -> None:
    """Draw rows of windows on a distant block, some of them lit when it is dark."""
    x, wide, tall, z = block
    warm = canvas.paint(WARM[0], BUILDING, z, glow=0.4)
    dark = canvas.paint(scale(color, 0.66), BUILDING, z, canvas.light.facing(0, 0, -1))
    share = 0.18 + 0.2 * canvas.light.dark if canvas.light.lamps else 0.0
    y = 1.4
    while y + 1.4 < tall:
        canvas.solid(
            [(x + 0.8, y, z), (x + wide - 0.8, y, z), (x + wide - 0.8, y + 1.2, z), (x + 0.8, y + 1.2, z)],
            dark,
        )
        for _ in range(int(rng.binomial(int(wide / 3), share)) if share else 0):
            u = x + rng.uniform(0.1, 0.85) * wide
            canvas.solid([(u, y, z), (u + 1.3, y, z), (u + 1.3, y + 1.2, z), (u, y + 1.2, z)], warm)
        y += 3.4
