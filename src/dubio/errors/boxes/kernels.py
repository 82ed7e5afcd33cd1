# mypy: disable-error-code="untyped-decorator"
"""Compiled passes over the boxes of a whole data set; no matrix of pairs is ever held.

Rows of an image lie between its two entries of ``start``. Detections come by falling score.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from dubio.errors.boxes.near import index_of, near

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True}
# Detections that overlap so much show one object, whatever their classes say.
OBJECT_IOU = 0.6
# A detection is right if it meets a label of its class with this IoU, as is usual.
RIGHT_IOU = 0.5


@njit(**_OPTIONS)
def shared(a: Any, b: Any) -> float:
    """Area that two boxes share."""
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    return float(w * h) if w > 0 and h > 0 else 0.0


@njit(**_OPTIONS)
def area(a: Any) -> float:
    """Area of a box."""
    return float((a[2] - a[0]) * (a[3] - a[1]))


@njit(**_OPTIONS)
def iou(a: Any, b: Any) -> float:
    """Intersection over union of two boxes; 0 if neither has an area."""
    inter = shared(a, b)
    if inter == 0.0:
        return 0.0
    return float(inter / (area(a) + area(b) - inter))


@njit(**_OPTIONS)
def covered(box: Any, start: Any, other: Any, other_start: Any) -> Any:
    """Largest share of each box that one other box of its image covers, ``(n,)``."""
    out = np.zeros(len(box))
    for image in range(len(start) - 1):
        index = index_of(other, other_start[image], other_start[image + 1])
        for i in range(start[image], start[image + 1]):
            own = area(box[i])
            if own <= 0:
                continue
            rows, count = near(index, other, box[i], i)
            for j in rows[:count]:
                out[i] = max(out[i], shared(box[i], other[j]) / own)
    return out


@njit(**_OPTIONS)
def true_positives(box: Any, cls: Any, start: Any, given: Any, given_cls: Any, given_start: Any) -> Any:
    """Whether each detection agrees with a label that no better-scored one has taken, ``(n,)`` bool."""
    out = np.zeros(len(box), np.bool_)
    taken = np.zeros(len(given), np.bool_)
    for image in range(len(start) - 1):
        index = index_of(given, given_start[image], given_start[image + 1])
        for j in range(start[image], start[image + 1]):
            best, at = RIGHT_IOU, -1
            rows, count = near(index, given, box[j], j)
            for i in rows[:count]:
                if given_cls[i] != cls[j] or taken[i]:
                    continue
                overlap = iou(box[j], given[i])
                if overlap >= best:
                    best, at = overlap, i
            if at >= 0:
                taken[at] = True
                out[j] = True
    return out


@njit(**_OPTIONS)
def objects(box: Any, start: Any) -> Any:
    """The strongest detection of the object that each detection shows, ``(n,)``; mostly itself."""
    head = np.arange(len(box))
    for image in range(len(start) - 1):
        index = index_of(box, start[image], start[image + 1])
        for j in range(start[image], start[image + 1]):
            rows, count = near(index, box, box[j], j)
            for k in rows[:count]:
                if k >= j:
                    break
                if head[k] == k and iou(box[j], box[k]) >= OBJECT_IOU:
                    head[j] = k
                    break
    return head


@njit(**_OPTIONS)
def rivals(head: Any, cls: Any, conf: Any, start: Any) -> Any:
    """Confidence of the best detection of another class on the same object, ``(n,)``."""
    out = np.zeros(len(head))
    for image in range(len(start) - 1):
        for j in range(start[image], start[image + 1]):
            for k in range(start[image], start[image + 1]):
                if head[k] == head[j] and cls[k] != cls[j]:
                    out[j] = conf[k]
                    break
    return out


@njit(**_OPTIONS)
def class_on_object(rows: Any, wanted: Any, head: Any, cls: Any, conf: Any, start: Any, image: Any) -> Any:
    """Confidence of the best detection of a class on the object of each row, ``(n,)``."""
    out = np.zeros(len(rows))
    for n in range(len(rows)):
        j = rows[n]
        for k in range(start[image[j]], start[image[j] + 1]):
            if head[k] == head[j] and cls[k] == wanted[n]:
                out[n] = conf[k]
                break
    return out


@njit(**_OPTIONS)
def neighbour(box: Any, cls: Any, start: Any, rows: Any, taken: Any) -> Any:
    """The nearest free box of the class that touches or nearly touches each row's, ``(n,)``; -1: none.

    Both together fill most of the box around them, as parts of one object would, and neither is inside the
    other.
    """
    out = np.full(len(rows), -1)
    for n in range(len(rows)):
        i = rows[n]
        image = np.searchsorted(start, i, "right") - 1
        best = 0.5
        for j in range(start[image], start[image + 1]):
            if j == i or taken[j] or cls[j] != cls[i]:
                continue
            w = max(box[i, 2], box[j, 2]) - min(box[i, 0], box[j, 0])
            h = max(box[i, 3], box[j, 3]) - min(box[i, 1], box[j, 1])
            inter, mine, theirs = shared(box[i], box[j]), area(box[i]), area(box[j])
            filled = (mine + theirs - inter) / max(w * h, 1e-12)
            if filled > best and inter < 0.3 * min(mine, theirs):
                best = filled
                out[n] = j
    return out


# Shifts of all boxes are searched on a grid of this many steps each way, up to this share of the side.
_STEPS, _REACH = 20, 0.2
# Of more boxes in an image, so many decide on its shift, evenly taken.
_VOTERS = 400
# Sides of a box and of what it is shifted onto differ by at most this factor.
_ALIKE = 1.35


@njit(**_OPTIONS)
def best_shift(box: Any, start: Any, seen: Any, conf: Any, seen_start: Any, size: Any) -> Any:
    """The shift that brings most boxes of each image onto detections of their size.

    Returns:
        ``(images,)`` confidence won per box over no shift at all, and ``(images, 2)`` the shift: x, y pixels.
    """
    images = len(start) - 1
    gain, shift = np.zeros(images), np.zeros((images, 2))
    votes = np.zeros((2 * _STEPS + 1, 2 * _STEPS + 1))
    for image in range(images):
        n = start[image + 1] - start[image]
        if n < 2 or seen_start[image] == seen_start[image + 1]:
            continue
        votes[:] = 0
        step = _REACH * min(size[image, 0], size[image, 1]) / _STEPS
        every = max(1, n // _VOTERS)
        for i in range(start[image], start[image + 1], every):
            _vote(box[i], seen, conf, seen_start[image], seen_start[image + 1], step, votes)
        best, at = _peak(votes, _STEPS, _STEPS), (_STEPS, _STEPS)
        rest = best
        for y in range(2 * _STEPS + 1):
            for x in range(2 * _STEPS + 1):
                if votes[y, x] > 0:
                    value = _peak(votes, y, x)
                    if value > best + 1e-9:
                        best, at = value, (y, x)
        gain[image] = (best - rest) / ((n + every - 1) // every)
        shift[image, 0], shift[image, 1] = (at[1] - _STEPS) * step, (at[0] - _STEPS) * step
    return gain, shift


def shift_step(size: Any) -> Any:
    """Step of the grid on which shifts of each image are searched, ``(images,)`` pixels."""
    return _REACH * size.min(1) / _STEPS


@njit(**_OPTIONS)
def agreeing(
    box: Any,
    start: Any,
    seen: Any,
    conf: Any,
    seen_start: Any,
    shift: Any,
    usual: Any,
    slack: Any,
    sure: float,
) -> Any:
    """Boxes that a shift of all brings onto a detection, and boxes that have theirs where they are.

    A detection is a box's if it is of its size and its middle is off by the usual offset at most: of the
    side, ``usual (2,)``, and ``slack (images,)`` pixels more. Boxes that the shift moves by less than that
    count for neither. Of many boxes, those are asked that decided on the shift.

    Returns:
        ``(images, 2)`` numbers of boxes; the detection's confidence is at least ``sure``.
    """
    out = np.zeros((len(start) - 1, 2))
    for image in range(len(start) - 1):
        x, y = shift[image, 0], shift[image, 1]
        every = max(1, (start[image + 1] - start[image]) // _VOTERS)
        for i in range(start[image], start[image + 1], every):
            w, h = box[i, 2] - box[i, 0], box[i, 3] - box[i, 1]
            wide, high = usual[0] * w + slack[image], usual[1] * h + slack[image]
            if abs(x) <= wide and abs(y) <= high:
                continue
            there, here = 0.0, 0.0
            for j in range(seen_start[image], seen_start[image + 1]):
                if conf[j] < sure or not _alike(w, h, seen[j]):
                    continue
                dx = (seen[j, 0] + seen[j, 2] - box[i, 0] - box[i, 2]) / 2
                dy = (seen[j, 1] + seen[j, 3] - box[i, 1] - box[i, 3]) / 2
                if abs(dx) <= wide and abs(dy) <= high:
                    here = max(here, conf[j])
                if abs(dx - x) <= wide and abs(dy - y) <= high:
                    there = max(there, conf[j])
            out[image, 0] += there > here
            out[image, 1] += here > 0 and here >= there
    return out


@njit(**_OPTIONS)
def _alike(w: float, h: float, seen: Any) -> bool:
    sw, sh = seen[2] - seen[0], seen[3] - seen[1]
    return bool(max(w, sw) <= _ALIKE * min(w, sw) and max(h, sh) <= _ALIKE * min(h, sh))


@njit(**_OPTIONS)
def _vote(box: Any, seen: Any, conf: Any, first: int, last: int, step: float, votes: Any) -> None:
    w, h = box[2] - box[0], box[3] - box[1]
    for j in range(first, last):
        if not _alike(w, h, seen[j]):
            continue
        x = round((seen[j, 0] + seen[j, 2] - box[0] - box[2]) / 2 / step)
        y = round((seen[j, 1] + seen[j, 3] - box[1] - box[3]) / 2 / step)
        if abs(x) <= _STEPS and abs(y) <= _STEPS:
            votes[int(y) + _STEPS, int(x) + _STEPS] += conf[j]


@njit(**_OPTIONS)
def _peak(votes: Any, y: int, x: int) -> float:
    total = 0.0
    for dy in range(max(y - 1, 0), min(y + 2, votes.shape[0])):
        for dx in range(max(x - 1, 0), min(x + 2, votes.shape[1])):
            total += votes[dy, dx]
    return total
