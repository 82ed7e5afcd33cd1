"""The work on one image: candidates of its label, and of copies into which errors were planted."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.labelspace import IndexMap
from dubio.core.seeds import rng_for
from dubio.errors import kernels
from dubio.errors.candidates import Family, find_candidates
from dubio.errors.feature_names import FEATURES
from dubio.errors.features import feature_rows, label_side
from dubio.errors.plant import Kind, Planted, plant
from dubio.errors.view import View

# What the finder learns from. Outlines are rarer in its lessons: they are many and small in truth.
LESSON: dict[Kind, float] = {"drop": 3, "swap": 3, "shift": 2, "spurious": 2, "erode": 1, "dilate": 1}
# Two candidates of one image are the same place if they overlap this much (IoU).
_SAME = 0.3
# A candidate is a planted error if it meets it with at least this IoU (the published rule) …
_HIT_IOU = 0.25
# … or lies this much inside it and covers that much of it.
_HIT_INSIDE, _HIT_COVER = 0.6, 0.25
# Less of it than this inside planted pixels: it is no planted error. In between it is left out.
_CLEAR = 0.1


@dataclass(frozen=True)
class Lesson:
    """How errors are planted for the finder to learn from.

    Args:
        copies: planted copies per image.
        rate: errors per eligible component of the label.
        kinds: kinds and their weights.
        seed: seed; the errors of an image depend on it and on the image's id alone.
        max_rows: candidates kept per copy; beyond, unplanted ones are drawn at random and weighted up.
    """

    copies: int = 2
    rate: float = 0.06
    kinds: dict[Kind, float] = field(default_factory=lambda: dict(LESSON))
    seed: int = 0
    max_rows: int = 600


@dataclass
class Places:
    """Candidates of one image: features, groups of the same place, and their pixels.

    Attributes:
        x: ``(n, F)`` float32 features.
        group: ``(n,)`` int32; candidates with the same number lie at the same place.
        box: ``(n, 4)`` int32 ``x0, y0, x1, y1``.
        size: ``(n,)`` int32 pixels.
        runs: ``(r, 2)`` int32 start in the flattened image and length.
        first: ``(n + 1,)`` int32: candidate ``i`` has the runs ``first[i]:first[i + 1]``.
    """

    x: npt.NDArray[np.float32]
    group: npt.NDArray[np.int32]
    box: npt.NDArray[np.int32]
    size: npt.NDArray[np.int32]
    runs: npt.NDArray[np.int32]
    first: npt.NDArray[np.int32]


@dataclass
class Planting:
    """Candidates of planted copies, as rows to learn from.

    Attributes:
        x: ``(n, F)`` float32 features.
        y: ``(n,)`` int8: 1 planted, 0 not, -1 in between (not for learning).
        weight: ``(n,)`` float32.
        group: ``(n,)`` int32 places, unique over the copies of the image.
        planted: number of errors planted; ``found``: those that some candidate meets.
    """

    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.int8]
    weight: npt.NDArray[np.float32]
    group: npt.NDArray[np.int32]
    planted: int = 0
    found: int = 0


def examine(view: View, label: IndexMap, *, min_size: int) -> Places:
    """Candidates of the label as given, of all families, in the order label, disagreement, core."""
    side = label_side(view, label)
    families = find_candidates(view, label, min_size=min_size)
    x = np.concatenate([feature_rows(view, side, f) for f in families]).astype(np.float32)
    boxes, sizes, runs, counts = [], [], [], []
    for family in families:
        box, size, run, count = _pixels(family)
        boxes.append(box)
        sizes.append(size)
        runs.append(run)
        counts.append(count)
    first = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int32)
    return Places(
        x, same_places(families), np.concatenate(boxes), np.concatenate(sizes), np.concatenate(runs), first
    )


def learn_rows(view: View, label: IndexMap, image_id: str, lesson: Lesson, *, min_size: int) -> Planting:
    """Candidates of planted copies of the label, marked by whether they were planted."""
    parts: list[Planting] = []
    base = 0
    for copy in range(lesson.copies):
        rng = rng_for(lesson.seed, image_id, f"lesson {copy}")
        planted = plant(
            label, view.n_classes, rng, rate=lesson.rate, kinds=lesson.kinds, min_size=min_size, at_least=1
        )
        side = label_side(view, planted.label)
        families = find_candidates(view, planted.label, min_size=min_size)
        x = np.concatenate([feature_rows(view, side, f) for f in families]).astype(np.float32)
        y, found = mark_planted(families, planted)
        group = same_places(families) + base
        base = int(group.max(initial=base)) + 1
        keep, weight = _thin(y, lesson.max_rows, rng)
        parts.append(
            Planting(x[keep], y[keep], weight, group[keep].astype(np.int32), len(planted.errors), found)
        )
    if not parts:
        return Planting(*_no_rows())
    return Planting(
        np.concatenate([p.x for p in parts]),
        np.concatenate([p.y for p in parts]),
        np.concatenate([p.weight for p in parts]),
        np.concatenate([p.group for p in parts]),
        sum(p.planted for p in parts),
        sum(p.found for p in parts),
    )


def _no_rows() -> tuple[Any, ...]:
    empty = np.zeros(0, np.float32)
    return np.zeros((0, len(FEATURES)), np.float32), empty.astype(np.int8), empty, empty.astype(np.int32)


def mark_planted(families: list[Family], planted: Planted) -> tuple[npt.NDArray[np.int8], int]:
    """Which candidates are planted errors (1), which are not (0), which are in between (-1).

    Returns:
        The marks, in the order of the families; and the number of errors that some candidate meets.
    """
    truth = planted.truth
    area = np.bincount(truth.ravel(), minlength=len(planted.errors) + 1)
    marks, met = [], set[int]()
    for family in families:
        size = np.bincount(family.ids.ravel(), minlength=family.n + 1)
        mark = np.zeros(family.n + 1, np.int8)
        both = (family.ids > 0) & (truth > 0)
        keys, inter = np.unique(
            family.ids[both].astype(np.int64) * len(area) + truth[both], return_counts=True
        )
        k, t = keys // len(area), keys % len(area)
        iou = inter / (size[k] + area[t] - inter)
        inside, cover = inter / size[k], inter / area[t]
        hit = (iou >= _HIT_IOU) | ((inside >= _HIT_INSIDE) & (cover >= _HIT_COVER))
        mark[k[inside > _CLEAR]] = -1
        mark[k[hit]] = 1
        met.update(t[iou >= _HIT_IOU].tolist())
        marks.append(mark[1:])
    return np.concatenate(marks), len(met)


def _thin(
    y: npt.NDArray[np.int8], limit: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Keep all planted rows and at most ``limit`` others, weighted up to stand for all."""
    negative = np.flatnonzero(y != 1)
    if len(negative) <= limit:
        return np.arange(len(y)), np.ones(len(y), np.float32)
    drawn = rng.choice(negative, limit, replace=False)
    keep = np.sort(np.concatenate([np.flatnonzero(y == 1), drawn]))
    weight = np.where(y[keep] == 1, 1.0, len(negative) / limit).astype(np.float32)
    return keep, weight


def _pixels(family: Family) -> tuple[Any, Any, Any, Any]:
    """Boxes, sizes, runs (sorted by candidate) and numbers of runs of a family."""
    n = family.n
    width = family.ids.shape[1]
    rows = kernels.grow(lambda room: kernels.region_runs(family.ids, room))
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    k = rows[:, 0] - 1
    size, box = np.zeros(n, np.int32), np.zeros((n, 4), np.int32)
    np.add.at(size, k, rows[:, 2])
    y, x = rows[:, 1] // width, rows[:, 1] % width
    box[:, :2] = np.iinfo(np.int32).max
    np.minimum.at(box[:, 0], k, x)
    np.minimum.at(box[:, 1], k, y)
    np.maximum.at(box[:, 2], k, x + rows[:, 2])
    np.maximum.at(box[:, 3], k, y + 1)
    return box, size, rows[:, 1:].copy(), np.bincount(k, minlength=n)


def same_places(families: list[Family]) -> npt.NDArray[np.int32]:
    """Number the places: candidates of different families that overlap (IoU) share a number."""
    start = np.cumsum([0] + [f.n for f in families])
    parent = np.arange(start[-1])
    sizes = [np.bincount(f.ids.ravel(), minlength=f.n + 1) for f in families]

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for a in range(len(families)):
        for b in range(a + 1, len(families)):
            left, right = families[a].ids, families[b].ids
            rows = kernels.grow(partial(kernels.run_pairs, left, right))
            if not len(rows):
                continue
            keys, back = np.unique((rows[:, 0].astype(np.int64) << 32) | rows[:, 1], return_inverse=True)
            inter = np.bincount(back, weights=rows[:, 2])
            i, j = keys >> 32, keys & 0xFFFFFFFF
            close = inter / (sizes[a][i] + sizes[b][j] - inter) >= _SAME
            for p, q in zip(i[close] - 1 + start[a], j[close] - 1 + start[b], strict=True):
                parent[root(int(q))] = root(int(p))
    return np.array([root(i) for i in range(len(parent))], np.int32)
