# mypy: disable-error-code="untyped-decorator"
"""Compiled passes that measure every box against those of its image that it touches.

Each fills the columns that its constant names. Overlap is intersection over union; *support* is confidence
times overlap; *cover* is the share of one box that lies in the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from dubio.errors.boxes.kernels import area, iou, shared
from dubio.errors.boxes.near import index_of, near

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True}
# Less overlap is next to none.
NEAR = 0.1

# What detections say of a labelled box …
SUPPORT = (
    "iou_same",  # greatest overlap with a detection of its class
    "iou_any",
    "conf_same_30",  # greatest confidence in its class at an overlap of at least 0.3, 0.5, 0.75
    "conf_same_50",
    "conf_same_75",
    "conf_other_50",  # … in another class
    "conf_other_75",
    "support_same",  # greatest support by its class
    "support_any",
    "near_seen",  # objects seen that overlap by 0.3
    "mass_within",  # confidence of smaller objects seen of its class that lie in it, added up
    "conf_around",  # confidence in a larger object of its class that it is a part of
)
# … what the other labelled boxes do …
TWINS = (
    "twin_same",  # greatest overlap with another box of its class
    "twin_any",
    "twin_cover",  # share of it that one other box of its class covers
    "twin_within",  # share of another box of its class that it covers
    "n_within",  # boxes of its class that lie in it
    "near_given",  # boxes that overlap by 0.1
)
# … and what labels say of a detection.
MET = ("met_same", "met_any", "met_second", "met_cover", "met_within", "met_near")
CROWD = ("near_heads", "under_iou", "under_conf", "heads_within", "head_around")


@njit(**_OPTIONS)
def support(
    box: Any, cls: Any, start: Any, seen: Any, seen_cls: Any, conf: Any, head: Any, seen_start: Any,
    out: Any, partner: Any,
) -> None:  # fmt: skip
    """Columns :data:`SUPPORT`; ``partner (n, 3)``: best detection of the class, of any, of another."""
    for image in range(len(start) - 1):
        index = index_of(seen, seen_start[image], seen_start[image + 1])
        for i in range(start[image], start[image + 1]):
            row, best = out[i], np.zeros(3)
            partner[i] = -1
            rows, count = near(index, seen, box[i], i)
            for j in rows[:count]:
                inter = shared(box[i], seen[j])
                if inter <= 0:
                    continue
                mine, theirs = area(box[i]), area(seen[j])
                overlap = inter / (mine + theirs - inter)
                same = seen_cls[j] == cls[i]
                strength = conf[j] * overlap
                row[1] = max(row[1], overlap)
                row[9] += head[j] == j and overlap >= 0.3
                if strength > best[1]:
                    best[1], partner[i, 1] = strength, j
                which = 0 if same else 2
                if strength > best[which]:
                    best[which], partner[i, which] = strength, j
                if same:
                    _same(row, overlap, conf[j], inter / mine, inter / theirs, head[j] == j)
                else:
                    row[5] = max(row[5], conf[j] if overlap >= 0.5 else 0.0)
                    row[6] = max(row[6], conf[j] if overlap >= 0.75 else 0.0)
            row[7], row[8] = best[0], best[1]


@njit(**_OPTIONS)
def _same(row: Any, overlap: float, conf: float, of_mine: float, of_theirs: float, is_head: bool) -> None:
    row[0] = max(row[0], overlap)
    row[2] = max(row[2], conf if overlap >= 0.3 else 0.0)
    row[3] = max(row[3], conf if overlap >= 0.5 else 0.0)
    row[4] = max(row[4], conf if overlap >= 0.75 else 0.0)
    row[10] += conf if is_head and of_theirs >= 0.8 and overlap < 0.6 else 0.0
    row[11] = max(row[11], conf if of_mine >= 0.8 and overlap < 0.6 else 0.0)


@njit(**_OPTIONS)
def twins(box: Any, cls: Any, start: Any, out: Any, twin: Any) -> None:
    """Columns :data:`TWINS`; ``twin (n,)``: the box of the class that overlaps most, -1: none."""
    for image in range(len(start) - 1):
        index = index_of(box, start[image], start[image + 1])
        for i in range(start[image], start[image + 1]):
            row = out[i]
            twin[i] = -1
            rows, count = near(index, box, box[i], i)
            for j in rows[:count]:
                if i == j:
                    continue
                # two boxes without area in one place are twins all the same
                inter = shared(box[i], box[j])
                if inter <= 0:
                    continue
                mine, theirs = area(box[i]), area(box[j])
                overlap = inter / (mine + theirs - inter)
                row[1] = max(row[1], overlap)
                row[5] += overlap >= 0.1
                if cls[i] != cls[j]:
                    continue
                if overlap > row[0]:
                    row[0], twin[i] = overlap, j
                row[2] = max(row[2], inter / mine)
                row[3] = max(row[3], inter / theirs)
                row[4] += inter >= 0.8 * theirs and overlap < 0.6


@njit(**_OPTIONS)
def met(
    box: Any, cls: Any, start: Any, given: Any, given_cls: Any, given_start: Any, out: Any, partner: Any
) -> None:
    """Columns :data:`MET`; ``partner (n, 2)``: the label that overlaps most, of any and of its class."""
    for image in range(len(start) - 1):
        index = index_of(given, given_start[image], given_start[image + 1])
        for j in range(start[image], start[image + 1]):
            row = out[j]
            partner[j] = -1
            rows, count = near(index, given, box[j], j)
            for i in rows[:count]:
                inter = shared(box[j], given[i])
                if inter <= 0:
                    continue
                mine, theirs = area(box[j]), area(given[i])
                overlap = inter / (mine + theirs - inter)
                if overlap > row[1]:
                    row[2], row[1], partner[j, 0] = row[1], overlap, i
                else:
                    row[2] = max(row[2], overlap)
                if given_cls[i] == cls[j] and overlap > row[0]:
                    row[0], partner[j, 1] = overlap, i
                row[3] = max(row[3], inter / mine)
                row[4] = max(row[4], inter / theirs)
                row[5] += overlap >= 0.1


@njit(**_OPTIONS)
def crowd(box: Any, cls: Any, conf: Any, head: Any, start: Any, out: Any) -> None:
    """Columns :data:`CROWD` of the heads; other rows stay 0."""
    for image in range(len(start) - 1):
        index = index_of(box, start[image], start[image + 1])
        for j in range(start[image], start[image + 1]):
            if head[j] != j:
                continue
            row = out[j]
            rows, count = near(index, box, box[j], j)
            for k in rows[:count]:
                if k == j or head[k] != k:
                    continue
                inter = shared(box[j], box[k])
                if inter <= 0:
                    continue
                mine, theirs = area(box[j]), area(box[k])
                overlap = inter / (mine + theirs - inter)
                row[0] += overlap >= 0.3
                if k < j and overlap > row[1]:
                    row[1], row[2] = overlap, conf[k]
                if cls[k] == cls[j]:
                    row[3] += conf[k] if inter >= 0.8 * theirs else 0.0
                    row[4] = max(row[4], conf[k] if inter >= 0.8 * mine else 0.0)


@njit(**_OPTIONS)
def greatest_iou(box: Any, image: Any, other: Any, other_start: Any) -> Any:
    """Greatest overlap of each box with any of its image's others, ``(n,)``."""
    out = np.zeros(len(box))
    for n in range(len(box)):
        for k in range(other_start[image[n]], other_start[image[n] + 1]):
            out[n] = max(out[n], iou(box[n], other[k]))
    return out
