"""Lines and words on a tile: frames that show on any picture, captions that don't cover the object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ImageDraw, ImageFont

from dubio.errors.findings import Box

Color = tuple[int, int, int]
Corners = tuple[int, int, int, int]

AMBER: Color = (255, 196, 0)
SKY: Color = (64, 196, 255)
_WHITE: Color = (255, 255, 255)
_RIM = (16, 16, 20, 170)
_SOFT = (16, 16, 20, 95)  # of thin frames, of which there may be many
_PLATE = (16, 16, 20, 215)
# Lines beyond the tile are cut off this far outside of it, pixels.
_BEYOND = 12
# Corner marks: their distance from the box, and their length as a share of its shorter side, within limits.
_AWAY, _LENGTH, _SHORTEST, _LONGEST = 5, 0.25, 8, 28
_FONT_SIZE = 15
_MOST_WORDS = 26
# Lightness from which a class colour shows as a thin line.
_LIGHT = 140.0


@dataclass(frozen=True)
class View:
    """A part of a picture at a scale: where image coordinates lie on the tile.

    >>> view = View.of((10, 20, 110, 70), (400, 400))
    >>> view.size, view.place((10, 20, 60, 70))
    ((400, 200), (0, 0, 200, 200))
    """

    x0: float
    y0: float
    scale: float
    size: tuple[int, int]

    @classmethod
    def of(cls, part: tuple[int, int, int, int], tile: tuple[int, int]) -> View:
        """The view of ``x0, y0, x1, y1`` that fits into a tile (width, height)."""
        wide, high = max(part[2] - part[0], 1), max(part[3] - part[1], 1)
        scale = min(tile[0] / wide, tile[1] / high)
        return cls(part[0], part[1], scale, (max(1, round(wide * scale)), max(1, round(high * scale))))

    def place(self, box: Box) -> Corners:
        """Corners on the tile, whole pixels; at most a little beyond its border."""
        corners = (np.array(box) - [self.x0, self.y0] * 2) * self.scale
        inside = np.clip(np.nan_to_num(corners), -_BEYOND, np.array(self.size * 2) + _BEYOND)
        x0, y0, x1, y1 = (int(v) for v in np.round(inside))
        return x0, y0, x1, y1

    def near(self, boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """``(N,)`` boxes of which something may be seen: of thousands, a tile shows a few."""
        corners = (boxes - [self.x0, self.y0] * 2) * self.scale
        far = (corners[:, 2:] < -_BEYOND).any(1) | (corners[:, :2] > np.array(self.size) + _BEYOND).any(1)
        return np.asarray(~far)


@dataclass(frozen=True)
class Pen:
    """Draws boxes of the image on a tile.

    Args:
        on: the tile, in mode RGBA.
        view: what it shows.
    """

    on: ImageDraw.ImageDraw
    view: View

    def frame(self, box: Box, color: Color, width: int, *, dash: int = 0) -> None:
        """A frame with a dark rim, in full lines or broken into dashes of so many pixels."""
        corners = self.view.place(box)
        if self._outside(corners):
            return
        x0, y0, x1, y1 = corners
        self.on.rectangle(
            _grown(corners, width // 2 + 1), outline=_RIM if width > 2 else _SOFT, width=width + 2
        )
        if not dash:
            self.on.rectangle(_grown(corners, width // 2), outline=color, width=width)
            return
        for start in range(0, max(x1 - x0, 1), 2 * dash):
            end = min(x0 + start + dash, x1)
            for y in (y0, y1):
                self.on.line((x0 + start, y, end, y), fill=color, width=width)
        for start in range(0, max(y1 - y0, 1), 2 * dash):
            end = min(y0 + start + dash, y1)
            for x in (x0, x1):
                self.on.line((x, y0 + start, x, end), fill=color, width=width)

    def marks(self, box: Box) -> None:
        """Marks around the corners of a place that leave the place itself free."""
        x0, y0, x1, y1 = _grown(self.view.place(box), _AWAY)
        wide, high = self.view.size
        x0, y0, x1, y1 = max(x0, 1), max(y0, 1), min(x1, wide - 2), min(y1, high - 2)
        arm = int(np.clip(_LENGTH * min(x1 - x0, y1 - y0), _SHORTEST, _LONGEST))
        for color, width in ((_RIM, 4), (_WHITE, 2)):
            for x, dx in ((x0, arm), (x1, -arm)):
                for y, dy in ((y0, arm), (y1, -arm)):
                    self.on.line((x + dx, y, x, y, x, y + dy), fill=color, width=width)

    def caption(self, box: Box, words: str, color: Color, *, below: bool = False) -> None:
        """Words above the box, or else below it, or within its border; ``below``: under it, or within."""
        text = words if len(words) <= _MOST_WORDS else words[: _MOST_WORDS - 1] + "…"
        left, top, right, bottom = self.on.textbbox((0, 0), text, font=_font())
        wide, high = right - left + 8, bottom - top + 7
        x0, y0, _, y1 = self.view.place(box)
        x = float(np.clip(x0 - 1, 0, max(self.view.size[0] - wide, 0)))
        places = [y1 + 4, y1 - high - 4] if below else [y0 - high - 4, y1 + 4]
        room = [y for y in places if 0 <= y <= self.view.size[1] - high]
        y = room[0] if room else max(y0, 0) + 4
        self.on.rectangle((x, y, x + wide, y + high), fill=_PLATE)
        self.on.text((x + 4 - left, y + 3 - top), text, fill=color, font=_font())

    def _outside(self, corners: Corners) -> bool:
        wide, high = self.view.size
        return corners[2] < 0 or corners[3] < 0 or corners[0] > wide or corners[1] > high


def light(color: Sequence[int]) -> Color:
    """A class colour, mixed with white until it shows as a thin line on a dark rim.

    >>> light((255, 255, 0)), light((0, 0, 0))
    ((255, 255, 0), (140, 140, 140))
    """
    r, g, b = (float(v) for v in color[:3])
    lightness = 0.3 * r + 0.59 * g + 0.11 * b
    share = max(0.0, (_LIGHT - lightness) / (255 - lightness)) if lightness < _LIGHT else 0.0
    mixed = [round(v + (255 - v) * share) for v in (r, g, b)]
    return mixed[0], mixed[1], mixed[2]


def _grown(corners: Corners, by: int) -> Corners:
    x0, y0, x1, y1 = corners
    return x0 - by, y0 - by, max(x1, x0) + by, max(y1, y0) + by


@cache
def _font() -> Any:
    return ImageFont.load_default(_FONT_SIZE)
