# mypy: disable-error-code="untyped-decorator"
"""Boxes of an image that can touch a given one: a grid where there are many, so that passes stay sparse."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True}
# Among so few boxes, looking at all of them is fastest.
_FEW = 64


@njit(**_OPTIONS)
def index_of(box: Any, first: int, last: int) -> Any:
    """Grid over the boxes of one image, from row ``first`` to before ``last``; for :func:`near`.

    Each box stands in all cells that it covers. Cells are as large as boxes are on average, and there are
    at most about as many as boxes.
    """
    n = last - first
    place = np.zeros(3)
    if n <= _FEW:
        none = np.zeros(0, np.int64)
        return np.arange(first, last), none, place, 1, 1, first, none, none
    low_x, low_y, high_x, high_y, side = np.inf, np.inf, -np.inf, -np.inf, 0.0
    for j in range(first, last):
        low_x, low_y = min(low_x, box[j, 0]), min(low_y, box[j, 1])
        high_x, high_y = max(high_x, box[j, 2]), max(high_y, box[j, 3])
        side += (box[j, 2] - box[j, 0] + box[j, 3] - box[j, 1]) / (2 * n)
    most = int(np.sqrt(n)) + 1
    cell = max(side, max(high_x - low_x, high_y - low_y) / most, 1e-9)
    wide, high = int((high_x - low_x) / cell) + 1, int((high_y - low_y) / cell) + 1
    place[0], place[1], place[2] = low_x, low_y, cell
    start = np.zeros(wide * high + 1, np.int64)
    for j in range(first, last):
        x0, y0, x1, y1 = _cells(box[j], place, wide, high)
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                start[y * wide + x + 1] += 1
    start = np.cumsum(start)
    items, at = np.empty(start[-1], np.int64), start.copy()
    for j in range(first, last):
        x0, y0, x1, y1 = _cells(box[j], place, wide, high)
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                items[at[y * wide + x]] = j
                at[y * wide + x] += 1
    return items, start, place, wide, high, first, np.full(n, -1), np.empty(n, np.int64)


@njit(**_OPTIONS)
def _cells(box: Any, place: Any, wide: int, high: int) -> Any:
    x0, y0 = int((box[0] - place[0]) / place[2]), int((box[1] - place[1]) / place[2])
    x1, y1 = int((box[2] - place[0]) / place[2]), int((box[3] - place[1]) / place[2])
    return max(x0, 0), max(y0, 0), min(x1, wide - 1), min(y1, high - 1)


@njit(**_OPTIONS)
def near(index: Any, other: Any, box: Any, tick: int) -> Any:
    """Rows that may touch a box, ascending, and their number; the rest of the array means nothing.

    Args:
        index: of :func:`index_of`.
        other: the boxes that it was made of.
        box: ``(4,)``.
        tick: another number for each box that is asked for.
    """
    items, start, place, wide, high, first, stamp, out = index
    if len(stamp) == 0:
        return items, len(items)
    count = 0
    x0, y0, x1, y1 = _cells(box, place, wide, high)
    for y in range(y0, y1 + 1):
        for x in range(x0, x1 + 1):
            for k in range(start[y * wide + x], start[y * wide + x + 1]):
                j = items[k]
                if stamp[j - first] == tick:
                    continue
                stamp[j - first] = tick
                w = min(box[2], other[j, 2]) - max(box[0], other[j, 0])
                h = min(box[3], other[j, 3]) - max(box[1], other[j, 1])
                if w > 0 and h > 0:
                    out[count] = j
                    count += 1
    out[:count].sort()
    return out, count
