"""Camera, canvas and part buffer: image, label and instances come from one drawing.

Every shape is drawn once, as a *part number*, into one supersampled integer buffer. Colour, class,
instance and haze are tables over part numbers. The image is the anti-aliased mean of the colours
of a pixel's samples and the label is the class of the sample at the pixel's centre, so that the
two can't disagree about geometry.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from dubio.data.scenes.light import Color, Conditions
from dubio.data.scenes.space import VOID

SAMPLES = 3  # per pixel and axis: odd, so that one sample lies at the pixel's centre
Point = tuple[float, float]
Space = tuple[float, float, float]
# Sixteen points of the unit circle, counter-clockwise, without a library's sine and cosine.
_QUARTER: tuple[Point, ...] = ((1.0, 0.0), (0.924, 0.383), (0.707, 0.707), (0.383, 0.924))
CIRCLE: tuple[Point, ...] = (
    *_QUARTER,
    *((-y, x) for x, y in _QUARTER),
    *((-x, -y) for x, y in _QUARTER),
    *((y, -x) for x, y in _QUARTER),
)
_NOWHERE = 1 << 30


@dataclass(frozen=True)
class Camera:
    """A pinhole camera over a flat ground with a road that may bend.

    World axes: ``x`` to the right from the middle of the road, ``y`` up from the ground, ``z`` forward
    from the camera, all in metres.

    Args:
        width: width of the drawing, in samples.
        height: height of the drawing, in samples.
        focal: focal length in samples.
        column: column of the vanishing point.
        horizon: row of the horizon.
        eye: height of the camera above the ground, in metres.
        shift: ``x`` of the camera.
        bend: sideways drift of the road is ``bend * z**2`` metres.
        mirror: draw what a still water surface would show in place of the world.
    """

    width: int
    height: int
    focal: float
    column: float
    horizon: float
    eye: float
    shift: float
    bend: float
    mirror: bool = False

    def project(self, x: float, y: float, z: float) -> Point:
        """Return column and row of a point with ``z > 0``."""
        per_metre = self.focal / z
        rise = -y if self.mirror else y
        return (
            self.column + per_metre * (x - self.shift) + self.focal * self.bend * z,
            self.horizon + per_metre * (self.eye - rise),
        )


@dataclass
class Drawn:
    """An object as it was drawn: class, instance number, distance and its area before occlusion."""

    klass: int
    instance: int
    distance: float
    area: int = 0


class Canvas:
    """A part buffer with its tables.

    Args:
        camera: the camera; its units are samples of this canvas.
        conditions: light that colours the parts.
        samples: samples per pixel and axis.
    """

    def __init__(self, camera: Camera, conditions: Conditions, samples: int = SAMPLES) -> None:
        self.camera = camera
        self.light = conditions
        self.samples = samples
        self.buffer = Image.new("I", (camera.width, camera.height), 0)
        self._draw = ImageDraw.Draw(self.buffer)
        self._looks: list[tuple[float, ...]] = []
        self._marks: list[tuple[int, int]] = []
        self.objects: list[Drawn] = []
        self._open: list[Drawn] = []
        self._reach = [_NOWHERE, _NOWHERE, -_NOWHERE, -_NOWHERE]
        self.paint((0, 0, 0), VOID, 1.0)

    def paint(
        self,
        color: Color,
        klass: int,
        z: float,
        facing: float | None = None,
        *,
        ground: float = 0.0,
        sky: float = 0.0,
        leaf: float = 0.0,
        glow: float = 0.0,
    ) -> int:
        """Make a part and return its number.

        Args:
            color: its colour, 0 … 255 per channel.
            klass: class index.
            z: distance in metres, for the haze.
            facing: cosine towards the sun; ``None``: the colour is taken as it is.
            ground: 1 for what lies on the ground (textured, shadowed, wet).
            sky: 1 for the sky.
            leaf: strength of the foliage texture.
            glow: 1 for what emits light.
        """
        if facing is not None:
            color = self.light.lit(color, facing)
        haze = 0.0 if ground or sky else self.light.fade(z) * (1.0 - 0.6 * glow)
        self._looks.append((*color, haze * 255, ground * 255, sky * 255, leaf * 255, glow * 255))
        self._marks.append((klass, self._open[-1].instance if self._open else 0))
        return len(self._looks) - 1

    @contextmanager
    def object(self, klass: int, distance: float) -> Iterator[None]:
        """Everything painted and drawn in this block belongs to one new instance."""
        drawn = Drawn(klass, len(self.objects) + 1, distance)
        self.objects.append(drawn)
        self._open.append(drawn)
        first = len(self._looks)
        self._reach = [_NOWHERE, _NOWHERE, -_NOWHERE, -_NOWHERE]
        yield
        self._open.pop()
        drawn.area = self._count(first)

    def _count(self, first: int) -> int:
        left, top = max(self._reach[0], 0), max(self._reach[1], 0)
        right, bottom = (
            min(self._reach[2] + 2, self.camera.width),
            min(self._reach[3] + 2, self.camera.height),
        )
        if left >= right or top >= bottom:
            return 0
        # Whole pixels, so that the samples at their centres stay where they are.
        left, top = left - left % self.samples, top - top % self.samples
        parts = np.asarray(self.buffer.crop((left, top, right, bottom)))
        middle = self.samples // 2
        return int(np.count_nonzero(parts[middle :: self.samples, middle :: self.samples] >= first))

    def polygon(self, points: Sequence[Point], part: int) -> None:
        """Fill a polygon given by columns and rows in samples."""
        flat = [int(c) for p in points for c in p]
        us, vs = flat[::2], flat[1::2]
        box = (min(us), min(vs), max(us), max(vs))
        if self._seen(box):
            self._draw.polygon(flat, fill=part)

    def solid(self, points: Sequence[Space], part: int) -> None:
        """Fill a polygon given by points in the world, all in front of the camera."""
        project = self.camera.project
        self.polygon([project(*p) for p in points], part)

    def ellipse(self, u: float, v: float, across: float, down: float, part: int) -> None:
        """Fill an upright ellipse given by its centre and half axes in samples."""
        box = (int(u - across), int(v - down), int(u + across), int(v + down))
        if self._seen(box):
            self._draw.ellipse(box, fill=part)

    def _seen(self, box: tuple[int, int, int, int]) -> bool:
        """Whether a shape reaches into the picture; widens the extent of the open object."""
        left, top, right, bottom = box
        if right < 0 or bottom < 0 or left > self.camera.width or top > self.camera.height:
            return False
        if self._open:
            a, b, c, d = self._reach
            self._reach = [min(a, left), min(b, top), max(c, right), max(d, bottom)]
        return True

    def line(self, start: Point, end: Point, width: float, part: int) -> None:
        """Fill a straight bar of the given width in samples."""
        du, dv = end[0] - start[0], end[1] - start[1]
        length = sqrt(du * du + dv * dv)
        if length == 0.0:
            return
        nu, nv = -dv / length * width / 2, du / length * width / 2
        self.polygon(
            [
                (start[0] + nu, start[1] + nv),
                (end[0] + nu, end[1] + nv),
                (end[0] - nu, end[1] - nv),
                (start[0] - nu, start[1] - nv),
            ],
            part,
        )

    def strip(self, x0: float, x1: float, z0: float, z1: float, part: int) -> None:
        """Fill a band of ground between two distances, following the bend of the road."""
        steps = depths(z0, z1) if self.camera.bend else [z0, z1]
        outline = [(x0, 0.0, z) for z in steps] + [(x1, 0.0, z) for z in reversed(steps)]
        self.solid(outline, part)

    def layers(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Return the anti-aliased layers, each ``(H, W, 4)``: colour with haze, and the surface kinds.

        The surface kinds are ground, sky, leaf and glow, each 0 … 255 by the share of samples.
        """
        table = np.clip(np.array(self._looks) + 0.5, 0, 255).astype(np.uint8)
        parts = np.asarray(self.buffer)
        return self._mean(table[:, :4], parts), self._mean(table[:, 4:], parts)

    def _mean(self, table: npt.NDArray[np.uint8], parts: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        # One 32-bit look-up per sample carries four channels.
        packed = np.ascontiguousarray(table).view(np.uint32)[:, 0]
        picture = np.take(packed, parts).view(np.uint8).reshape(*parts.shape, 4)
        # CMYK has four independent channels; RGBA would be weighted by its last one.
        size = (parts.shape[1], parts.shape[0])
        image = Image.frombuffer("CMYK", size, picture.tobytes(), "raw", "CMYK", 0, 1)
        return np.asarray(image.reduce(self.samples))

    def marks(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint16]]:
        """Return the class and the instance at the centre of each pixel, both ``(H, W)``."""
        middle = self.samples // 2
        parts = np.asarray(self.buffer)[middle :: self.samples, middle :: self.samples]
        table = np.array(self._marks)
        return table[:, 0].astype(np.uint8)[parts], table[:, 1].astype(np.uint16)[parts]


class Board:
    """An upright board at one place that faces the camera; shapes on it are given in metres.

    Args:
        canvas: what to draw on.
        x: position across the road.
        z: distance.
        turn: -1 mirrors the shapes left to right.
    """

    def __init__(self, canvas: Canvas, x: float, z: float, turn: float = 1.0) -> None:
        self.canvas, self.x, self.z, self.turn = canvas, x, z, turn
        self.scale = canvas.camera.focal / z

    def at(self, across: float, up: float) -> Point:
        """Return column and row of a point of the board."""
        return self.canvas.camera.project(self.x + self.turn * across, up, self.z)

    def polygon(self, points: Sequence[Point], part: int) -> None:
        """Fill a polygon given by (across, up)."""
        self.canvas.polygon([self.at(*p) for p in points], part)

    def box(self, left: float, bottom: float, right: float, top: float, part: int) -> None:
        """Fill an upright rectangle."""
        self.polygon([(left, bottom), (right, bottom), (right, top), (left, top)], part)

    def disc(self, across: float, up: float, radius: float, part: int, tall: float | None = None) -> None:
        """Fill a disc, or an ellipse that is ``tall`` high (half)."""
        u, v = self.at(across, up)
        down = radius if tall is None else tall
        self.canvas.ellipse(u, v, radius * self.scale, down * self.scale, part)

    def bar(self, start: Point, end: Point, width: float, part: int, least: float = 1.0) -> None:
        """Fill a straight bar; ``least`` is its smallest width in pixels, so that it stays visible."""
        samples = max(width * self.scale, least * self.canvas.samples)
        self.canvas.line(self.at(*start), self.at(*end), samples, part)

    def pole(self, bottom: float, top: float, width: float, part: int, across: float = 0.0) -> None:
        """Fill an upright bar that is never thinner than a pixel, so that its label has no gaps."""
        u, v0 = self.at(across, bottom)
        _, v1 = self.at(across, top)
        half = max(width * self.scale, self.canvas.samples) / 2
        # A box of n samples covers n + 1 of them: both ends count.
        self.canvas.polygon([(u - half, v0), (u + half - 1, v0), (u + half - 1, v1), (u - half, v1)], part)


def depths(z0: float, z1: float, growth: float = 1.18) -> list[float]:
    """Return distances from ``z0`` to ``z1`` that grow by a constant factor: even steps on the screen."""
    steps = [z0]
    while steps[-1] * growth < z1:
        steps.append(steps[-1] * growth)
    return [*steps, z1]
