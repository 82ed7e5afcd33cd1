"""Compiled loops over the pixels of candidate regions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
# Steps of the chamfer distance (Borgefors, 1986): 3 for a side, 4 for a corner.
_SIDE, _CORNER = 3, 4
# columns of the ring counts
RING_N, RING_GIVEN, RING_PROPOSED, RING_PRED, RING_PRED_GIVEN, RING_AGREE, RING_P = range(7)


def grow(write: Callable[[Any], int], width: int = 3) -> npt.NDArray[np.int32]:
    """Rows that a kernel wrote into an array given to it; it asks for a longer one by returning -1."""
    room = 4096
    while True:
        rows = np.empty((room, width), np.int32)
        n = write(rows)
        if n >= 0:
            return rows[:n]
        room *= 8


@njit(**_OPTIONS)
def inner_distance(ids: Any) -> Any:
    """Distance of each pixel to the nearest pixel of another region, in thirds of a pixel.

    Chamfer distance with steps 3 and 4: within 6 % of the Euclidean one, in two passes. The border of
    the image is no edge.
    """
    h, w = ids.shape
    far = np.int32(_SIDE * (h + w))
    d = np.full((h, w), far, np.int32)
    for turn in range(2):
        step = 1 if turn == 0 else -1
        for i in range(h):
            y = i if turn == 0 else h - 1 - i
            for j in range(w):
                x = j if turn == 0 else w - 1 - j
                best = d[y, x]
                for dy, dx, cost in ((0, -1, _SIDE), (-1, -1, _CORNER), (-1, 0, _SIDE), (-1, 1, _CORNER)):
                    yy, xx = y + step * dy, x + step * dx
                    if 0 <= yy < h and 0 <= xx < w:
                        reach = d[yy, xx] + cost if ids[yy, xx] == ids[y, x] else cost
                        best = min(best, reach)
                d[y, x] = best
    return d


@njit(**_OPTIONS)
def class_votes(ids: Any, classes: Any, votes: Any) -> None:
    """Count the classes inside each region: ``votes[region, class] += 1``."""
    h, w = ids.shape
    for y in range(h):
        for x in range(w):
            k = ids[y, x]
            if k > 0:
                votes[k, classes[y, x]] += 1


@njit(**_OPTIONS)
def region_sums(ids: Any, maps: Any, sums: Any, squares: Any) -> None:
    """Sums of map values and of their squares over each region; ``maps`` is (Z, H, W)."""
    n_maps, h, w = maps.shape
    for z in range(n_maps):
        for y in range(h):
            for x in range(w):
                k = ids[y, x]
                if k > 0:
                    v = np.float64(maps[z, y, x])
                    sums[k, z] += v
                    squares[k, z] += v * v


@njit(**_OPTIONS)
def region_max(ids: Any, values: Any, out: Any) -> None:
    """Largest value of each region."""
    h, w = ids.shape
    for y in range(h):
        for x in range(w):
            k = ids[y, x]
            if k > 0 and values[y, x] > out[k]:
                out[k] = values[y, x]


@njit(**_OPTIONS)
def region_extent(ids: Any, geometry: Any, edge: Any, maps: Any, edge_sums: Any) -> None:
    """Size and box (x0, y0, x1, y1) of each region; its edge pixels and map sums over them."""
    h, w = ids.shape
    n_maps = maps.shape[0]
    for y in range(h):
        for x in range(w):
            k = ids[y, x]
            if k == 0:
                continue
            g = geometry[k]
            if g[0] == 0:
                g[1], g[2], g[3], g[4] = x, y, x + 1, y + 1
            g[0] += 1
            g[1], g[3], g[4] = min(g[1], x), max(g[3], x + 1), y + 1
            other = False
            for yy in range(max(y - 1, 0), min(y + 2, h)):
                for xx in range(max(x - 1, 0), min(x + 2, w)):
                    other = other or ids[yy, xx] != k
            if other:
                edge[k] += 1
                for z in range(n_maps):
                    edge_sums[k, z] += maps[z, y, x]


@njit(**_OPTIONS)
def ring_counts(
    ids: Any,
    reach: int,
    label: Any,
    pred: Any,
    p_given: Any,
    given: Any,
    proposed: Any,
    n_classes: int,
    out: Any,
) -> None:
    """What stands around each region, ``reach`` pixels outside its edge in eight directions.

    Counts samples that are not void, and among them: label = the region's given class; label = its
    proposed class; prediction = proposed; prediction = given; prediction = label; and sums the
    probability of the label there.
    """
    h, w = ids.shape
    for y in range(h):
        for x in range(w):
            k = ids[y, x]
            if k == 0:
                continue
            other = False
            for yy in range(max(y - 1, 0), min(y + 2, h)):
                for xx in range(max(x - 1, 0), min(x + 2, w)):
                    other = other or ids[yy, xx] != k
            if not other:
                continue
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    yy, xx = y + dy * reach, x + dx * reach
                    if yy < 0 or yy >= h or xx < 0 or xx >= w or ids[yy, xx] == k:
                        continue
                    if label[yy, xx] >= n_classes:
                        continue
                    o = out[k]
                    o[RING_N] += 1
                    o[RING_GIVEN] += label[yy, xx] == given[k]
                    o[RING_PROPOSED] += label[yy, xx] == proposed[k]
                    o[RING_PRED] += pred[yy, xx] == proposed[k]
                    o[RING_PRED_GIVEN] += pred[yy, xx] == given[k]
                    o[RING_AGREE] += pred[yy, xx] == label[yy, xx]
                    o[RING_P] += p_given[yy, xx]


@njit(**_OPTIONS)
def run_pairs(ids: Any, other: Any, pairs: Any) -> int:
    """Runs (region, region of ``other``, length) along the rows; returns how many were written.

    -1 if ``pairs`` is too short.
    """
    h, w = ids.shape
    n = 0
    for y in range(h):
        x = 0
        while x < w:
            k, o = ids[y, x], other[y, x]
            start = x
            while x < w and ids[y, x] == k and other[y, x] == o:
                x += 1
            if k > 0 and o > 0:
                if n >= pairs.shape[0]:
                    return -1
                pairs[n, 0], pairs[n, 1], pairs[n, 2] = k, o, x - start
                n += 1
    return n


@njit(**_OPTIONS)
def low_shares(ids: Any, p: Any, limits: Any, out: Any) -> None:
    """Count the pixels of each region whose ``p`` is below each of the ``limits``."""
    h, w = ids.shape
    for y in range(h):
        for x in range(w):
            k = ids[y, x]
            if k > 0:
                for i in range(limits.size):
                    out[k, i] += p[y, x] < limits[i]


@njit(**_OPTIONS)
def region_runs(ids: Any, runs: Any) -> int:
    """Runs (region, start in the flattened image, length); returns how many; -1 if too short."""
    h, w = ids.shape
    n = 0
    for y in range(h):
        x = 0
        while x < w:
            k = ids[y, x]
            start = x
            while x < w and ids[y, x] == k:
                x += 1
            if k > 0:
                if n >= runs.shape[0]:
                    return -1
                runs[n, 0], runs[n, 1], runs[n, 2] = k, y * w + start, x - start
                n += 1
    return n


@njit(**_OPTIONS)
def square_opening(classes: Any, none: int) -> Any:
    """Opening of every class with a 3x3 square: what no square of one class covers becomes ``none``.

    A pixel stays if some 3x3 square inside the image that holds it is of its class alone.
    """
    h, w = classes.shape
    out = np.full_like(classes, none)
    for y in range(1, h - 1):
        for x in range(1, w - 1):
            v = classes[y, x]
            if v == none:
                continue
            whole = True
            for j in range(y - 1, y + 2):
                for i in range(x - 1, x + 2):
                    whole = whole and classes[j, i] == v
            if whole:
                for j in range(y - 1, y + 2):
                    for i in range(x - 1, x + 2):
                        out[j, i] = v
    return out
