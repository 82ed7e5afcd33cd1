"""Statistics of regions: sizes, boundaries, neighbours, overlaps, and sums over pixel maps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from dubio.regions.scan import _OPTIONS

# columns of the geometry array
SIZE, SIZE_BD, X0, Y0, X1, Y1 = range(6)
# last axis of the map sums: over the region and over its boundary, of shifted values and squares
ALL, BD, SQ_ALL, SQ_BD = range(4)


@njit(**_OPTIONS)
def mark_contacts(seg: Any, y: int, n_classes: int, void_cuts: bool, touch: Any, flags: Any) -> None:
    """Set ``touch[x]`` where a neighbour (8, inside the image) has another value.

    ``flags[x]``, the boundary, is the same with ``void_cuts``; without, void neighbours don't count.
    """
    h, w = seg.shape
    centre = seg[y]
    touch[:] = False
    flags[:] = False
    for dy in range(-1, 2):
        if y + dy < 0 or y + dy >= h:
            continue
        other = seg[y + dy]
        for dx in range(-1, 2):
            lo, hi = max(0, -dx), min(w, w - dx)
            for x in range(lo, hi):
                touch[x] = touch[x] | (other[x + dx] != centre[x])
            if not void_cuts:
                for x in range(lo, hi):
                    v = other[x + dx]
                    flags[x] = flags[x] | ((v != centre[x]) & (v < n_classes))
    if void_cuts:
        flags[:] = touch


@njit(**_OPTIONS)
def count_neighbours(seg: Any, y: int, x: int, counts: Any) -> None:
    """Add the classes of the up to 8 neighbours that differ from the pixel's class."""
    h, w = seg.shape
    own = seg[y, x]
    for yy in range(max(y - 1, 0), min(y + 2, h)):
        for xx in range(max(x - 1, 0), min(x + 2, w)):
            value = seg[yy, xx]
            if value != own:
                counts[value] += 1


@njit(**_OPTIONS)
def add_map_run(row: Any, x0: int, x1: int, shift: Any, out: Any) -> None:
    """Add shifted values and squares of ``row[x0:x1]`` to ``out[ALL]`` and ``out[SQ_ALL]``."""
    s, q = 0.0, 0.0
    for x in range(x0, x1):
        v = np.float64(row[x]) - shift
        s += v
        q += v * v
    out[ALL] += s
    out[SQ_ALL] += q


@njit(**_OPTIONS)
def accumulate(
    seg: Any,  # (H, W) uint16 classes, n_classes where void
    ids: Any,  # (H, W) int32 components 1 … n, 0 where there is none
    n_classes: int,
    void_cuts: bool,
    other: Any,  # (H, W) uint16 classes of the other segmentation, or (0, 0)
    maps: Any,  # (Z, H, W) float32
    classes: Any,  # (n + 1,) int64, out: class of each component
    geometry: Any,  # (n + 1, 6) int64, out
    centre: Any,  # (n + 1, 2) float64, out: sums of x and y
    shift: Any,  # (n + 1, Z) float64, out: first value, so that variances keep their digits
    sums: Any,  # (n + 1, Z, 4) float64, out
    neighbours: Any,  # (n + 1, C + 1) int64, out: pairs of a region pixel and a neighbour by class
    overlap: Any,  # (n + 1, C + 1) int64, out: pixels by class of the other segmentation
) -> None:
    """Fill the statistics of all components in one pass over the image."""
    h, w = seg.shape
    n_maps = maps.shape[0]
    touch, flags = np.zeros(w, np.bool_), np.zeros(w, np.bool_)
    with_other = other.size > 0
    for y in range(h):
        mark_contacts(seg, y, n_classes, void_cuts, touch, flags)
        x0 = 0
        while x0 < w:
            k = ids[y, x0]
            x1 = x0 + 1
            while x1 < w and ids[y, x1] == k:
                x1 += 1
            if k > 0:
                g = geometry[k]
                if g[SIZE] == 0:
                    classes[k] = seg[y, x0]
                    g[X0], g[Y0], g[X1], g[Y1] = x0, y, x1, y + 1
                    for z in range(n_maps):
                        shift[k, z] = maps[z, y, x0]
                g[SIZE] += x1 - x0
                g[X0], g[X1], g[Y1] = min(g[X0], x0), max(g[X1], x1), y + 1
                centre[k, 0] += 0.5 * (x0 + x1 - 1) * (x1 - x0)
                centre[k, 1] += float(y) * (x1 - x0)
                for z in range(n_maps):
                    add_map_run(maps[z, y], x0, x1, shift[k, z], sums[k, z])
                if with_other:
                    for x in range(x0, x1):
                        overlap[k, other[y, x]] += 1
                for x in range(x0, x1):
                    if touch[x]:
                        count_neighbours(seg, y, x, neighbours[k])
                    if flags[x]:
                        g[SIZE_BD] += 1
                        for z in range(n_maps):
                            v = maps[z, y, x] - shift[k, z]
                            sums[k, z, BD] += v
                            sums[k, z, SQ_BD] += v * v
            x0 = x1


@njit(**_OPTIONS)
def same_class_pairs(seg: Any, ids: Any, other: Any, other_ids: Any, n_classes: int, pairs: Any) -> int:
    """Write pairs (component, component of the other) that share a pixel of the same class.

    A pair can occur several times. Returns how many were written; -1 if ``pairs`` is too short.
    """
    h, w = seg.shape
    n, last_k, last_o = 0, -1, -1
    for y in range(h):
        for x in range(w):
            k, o = ids[y, x], other_ids[y, x]
            if k > 0 and o > 0 and seg[y, x] == other[y, x] and (k != last_k or o != last_o):
                if n >= pairs.shape[0]:
                    return -1
                pairs[n, 0], pairs[n, 1] = k, o
                n += 1
                last_k, last_o = k, o
    return n


@njit(**_OPTIONS)
def touching_pairs(ids: Any, seg: Any, target: Any, target_ids: Any, n_classes: int, pairs: Any) -> int:
    """Pairs (component k, target component t) where t's class is k's and a pixel of t touches k.

    Returns how many were written; -1 if ``pairs`` is too short.
    """
    h, w = ids.shape
    n, last_k, last_t = 0, -1, -1
    for y in range(h):
        for x in range(w):
            t = target_ids[y, x]
            if t == 0:
                continue
            for yy in range(max(y - 1, 0), min(y + 2, h)):
                for xx in range(max(x - 1, 0), min(x + 2, w)):
                    k = ids[yy, xx]
                    if k > 0 and seg[yy, xx] == target[y, x] and (k != last_k or t != last_t):
                        if n >= pairs.shape[0]:
                            return -1
                        pairs[n, 0], pairs[n, 1] = k, t
                        n += 1
                        last_k, last_t = k, t
    return n
