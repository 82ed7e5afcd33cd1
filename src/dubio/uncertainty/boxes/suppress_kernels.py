# mypy: disable-error-code="untyped-decorator"
"""Compiled loops of non-maximum suppression and box fusion, one image at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True}
LINEAR, GAUSSIAN = 0, 1


@njit(**_OPTIONS)
def _overlap(boxes: Any, areas: Any, i: int, j: int) -> tuple[float, float]:
    """Intersection and union of two boxes."""
    width = min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0])
    height = min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1])
    inter = width * height if width > 0.0 and height > 0.0 else 0.0
    return inter, areas[i] + areas[j] - inter


@njit(**_OPTIONS)
def _areas(boxes: Any) -> Any:
    found = np.empty(len(boxes))
    for i in range(len(boxes)):
        found[i] = (boxes[i, 2] - boxes[i, 0]) * (boxes[i, 3] - boxes[i, 1])
    return found


@njit(**_OPTIONS)
def hard(
    boxes: Any,  # (N, 4) xyxy, best score first
    classes: Any,  # (N,) numbers below n_classes; boxes of different ones leave each other alone
    n_classes: int,
    iou: float,
    limit: int,
    kept: Any,  # (N,), out: positions
) -> int:
    """Greedy suppression; returns how many are kept."""
    areas = _areas(boxes)
    # kept boxes of a class are chained, the latest first
    latest, before = np.full(n_classes, -1), np.empty(len(boxes), np.int64)
    count = 0
    for i in range(len(boxes)):
        k = latest[classes[i]]
        while k >= 0:
            inter, union = _overlap(boxes, areas, i, kept[k])
            if inter > iou * union:
                break
            k = before[k]
        if k < 0:
            before[count] = latest[classes[i]]
            latest[classes[i]] = count
            kept[count] = i
            count += 1
            if count == limit:
                break
    return count


@njit(**_OPTIONS)
def soft(
    boxes: Any,  # (N, 4) xyxy, best score first
    scores: Any,  # (N,), in and out: decayed scores
    classes: Any,  # (N,) as in hard()
    method: int,  # LINEAR or GAUSSIAN
    iou: float,
    sigma: float,
    least: float,
    limit: int,
    kept: Any,  # (N,), out: positions
) -> int:
    """Suppression that lowers scores; returns how many are kept, in the order of their decayed scores."""
    areas, waiting = _areas(boxes), np.arange(len(boxes))
    n, count = len(boxes), 0
    while n > 0 and count < limit:
        first = 0
        for k in range(1, n):
            if scores[waiting[k]] > scores[waiting[first]]:
                first = k
        best = waiting[first]
        kept[count] = best
        count += 1
        rest = 0
        for k in range(n):
            i = waiting[k]
            if i == best:
                continue
            if classes[i] == classes[best]:
                inter, union = _overlap(boxes, areas, i, best)
                share = inter / union if union > 0.0 else 0.0
                if method == GAUSSIAN:
                    scores[i] *= math.exp(-share * share / sigma)
                elif share > iou:
                    scores[i] *= 1.0 - share
            if scores[i] >= least:
                waiting[rest] = i
                rest += 1
        n = rest
    return count


@njit(**_OPTIONS)
def fuse(
    boxes: Any,  # (N, 4) xyxy
    total: Any,  # (N, 4) variances, positive
    parts: Any,  # (P, N, 4) variances to be averaged along
    members: Any,  # (N,) positions, those of a group together
    starts: Any,  # (K,) where in members the group of each kept box starts
    ends: Any,  # (K,) and where it ends
    kept: Any,  # (K,) positions
    iou: float,
    spread: float,
    box: Any,  # (K, 4), out
    part: Any,  # (P, K, 4), out
) -> None:
    """Weighted means over each kept box and those of its group that overlap it by more than ``iou``."""
    areas = _areas(boxes)
    for k in range(len(kept)):
        centre = kept[k]
        weight = np.zeros(4)
        box[k] = 0.0
        part[:, k] = 0.0
        for m in range(starts[k], ends[k]):
            i = members[m]
            inter, union = _overlap(boxes, areas, i, centre)
            if i != centre and not inter > iou * union:
                continue
            away = 0.0 if i == centre else 1.0 - inter / union
            near = math.exp(-away * away / spread)
            for c in range(4):
                w = near / total[i, c]
                weight[c] += w
                box[k, c] += w * boxes[i, c]
                for p in range(len(parts)):
                    part[p, k, c] += w * parts[p, i, c]
        for c in range(4):
            box[k, c] /= weight[c]
            for p in range(len(parts)):
                part[p, k, c] /= weight[c]
