"""Outlines of masks as polygons along the edges of pixels, and polygons as masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.handover.rle import check_size

Bools = npt.NDArray[np.bool_]
Ring = npt.NDArray[np.float64]
# right, down, left, up
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


def has_holes(mask: Bools) -> bool:
    """Whether background is enclosed by the region (pixels touching at corners count as one background).

    >>> has_holes(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool))
    True
    """
    return any(_signed_area(ring) < 0 for ring in outlines(mask))


def outlines(mask: Bools) -> list[Ring]:
    """Closed outlines of a mask ``(H, W)`` along the edges of its pixels.

    Outer outlines run clockwise on the screen, those of holes the other way; regions that touch at a corner
    only have outlines of their own. Corners are whole numbers: the pixel ``(x, y)`` spans ``x … x + 1``.

    Returns:
        Arrays ``(N, 2)`` of x and y, straight stretches drawn together; the first point isn't repeated.
    """
    edges = _edges(mask)
    rings = []
    while edges:
        start, ways = next(iter(edges.items()))
        at, way = start, ways[0]
        corners = []
        before = -1
        while True:
            options = edges.get(at)
            if options is None:
                break
            # At a corner where two pixels touch, turn right: the pixels stay apart.
            way = options[0] if len(options) == 1 else min(options, key=lambda w: (before + 1 - w) % 4)
            options.remove(way)
            if not options:
                del edges[at]
            if way != before:
                corners.append(at)
            before = way
            at = (at[0] + _STEPS[way][0], at[1] + _STEPS[way][1])
            if at == start and (at not in edges or _closes(edges[at], before)):
                break
        ring = np.array(corners, float)
        rings.append(ring if _turns(ring) else ring[1:])
    return rings


def _closes(options: list[int], before: int) -> bool:
    """Whether a way back to the start ends the outline although another outline goes on there."""
    return (before + 1) % 4 not in options


def _turns(ring: Ring) -> bool:
    """Whether the first point is a corner: the stretches before and after it differ in direction."""
    first, last = ring[1] - ring[0], ring[0] - ring[-1]
    return bool(first[0] * last[1] != first[1] * last[0])


def _edges(mask: Bools) -> dict[tuple[int, int], list[int]]:
    """Directed edges with the region on the right, by their first point."""
    padded = np.pad(mask.astype(bool), 1)
    inside = padded[1:-1, 1:-1]
    outer = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])
    # above the pixel to the right, right of it down, below it to the left, left of it up
    offsets = ((0, 0), (1, 0), (1, 1), (0, 1))
    edges: dict[tuple[int, int], list[int]] = {}
    for way, (beyond, (dx, dy)) in enumerate(zip(outer, offsets, strict=True)):
        for y, x in np.argwhere(inside & ~beyond).tolist():
            edges.setdefault((x + dx, y + dy), []).append(way)
    return dict(sorted(edges.items(), key=lambda item: (item[0][1], item[0][0])))


def _signed_area(ring: Ring) -> float:
    x, y = ring[:, 0], ring[:, 1]
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def fill(rings: Sequence[npt.NDArray[np.float64]], shape: tuple[int, int]) -> Bools:
    """Mask ``(H, W)`` of polygons: pixels whose centre lies inside an odd number of them.

    Args:
        rings: arrays ``(N, 2)`` of x and y in pixels.
        shape: height and width.

    Raises:
        InputError: a polygon has less than three points or one that is no number.

    >>> fill([np.array([[0, 0], [2, 0], [2, 1], [0, 1]])], (2, 3)).astype(int).tolist()
    [[1, 1, 0], [0, 0, 0]]
    """
    height, width = shape
    check_size(height, width)
    flips = np.zeros((height, width + 1), np.int32)
    for ring in rings:
        points = np.asarray(ring, float).reshape(-1, 2)
        if len(points) < 3 or not np.isfinite(points).all():
            raise InputError("a polygon needs three points or more, all of them numbers")
        for (xa, ya), (xb, yb) in zip(points.tolist(), np.roll(points, -1, 0).tolist(), strict=True):
            low, high = min(ya, yb), max(ya, yb)
            # rows whose centre y + 0.5 lies in [low, high)
            first, end = max(int(np.ceil(low - 0.5)), 0), min(int(np.ceil(high - 0.5)), height)
            if first >= end:
                continue
            rows = np.arange(first, end)
            crossing = xa + (rows + 0.5 - ya) * (xb - xa) / (yb - ya)
            column = np.clip(np.ceil(crossing - 0.5), 0, width).astype(int)
            flips[rows, column] += 1
    return np.asarray(np.cumsum(flips, 1)[:, :width] % 2 == 1)
