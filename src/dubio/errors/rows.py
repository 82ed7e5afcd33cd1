"""Rows of features of all images, as the finder learns from them and judges them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.seeds import derive_seed
from dubio.errors.reviewed import Reviewed, row_weight, wrong_rows
from dubio.errors.traits import Traits, Work

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass
class Rows:
    """Rows of features with their image and place.

    Attributes:
        x: ``(n, F)`` features.
        image: ``(n,)`` position of the image; -1: of another audit.
        group: ``(n,)`` place.
        y: ``(n,)`` 1 wrong, 0 fine, -1 neither.
        weight: ``(n,)``.
        kind: ``(n,)`` kind of error, -1: none or unknown.
    """

    x: npt.NDArray[Any]
    image: Ints
    group: Ints
    y: npt.NDArray[np.int8]
    weight: Floats
    kind: npt.NDArray[np.int8]


def given_rows(works: Sequence[Work], traits: Traits, context: Any) -> Rows:
    """Candidates of the labels as given."""
    x = stack([w.places.x for w in works], traits)
    image = np.repeat(np.arange(len(works)), [len(w.places.x) for w in works])
    group = groups([w.places.group for w in works])
    nothing = np.full(len(x), -1, np.int8)
    return Rows(widened(x, context), image, group, nothing, np.ones(len(x)), nothing)


def learn_rows(works: Sequence[Work], traits: Traits, context: Any, decided: list[dict[int, bool]]) -> Rows:
    """Rows of the planted copies; places whose label was found wrong don't pass for good ones."""
    x = stack([w.planting.x for w in works], traits)
    marks = []
    for work, known in zip(works, decided, strict=True):
        y = work.planting.y
        if any(known.values()):
            y = y.copy()
            y[(y == 0) & wrong_rows(work, known)] = -1
        marks.append(y)
    weights = [w.planting.weight for w in works]
    return Rows(
        widened(x, context),
        np.repeat(np.arange(len(works)), [len(w.planting.x) for w in works]),
        groups([w.planting.group for w in works]),
        np.concatenate(marks) if works else np.zeros(0, np.int8),
        np.concatenate(weights).astype(np.float64) if works else np.zeros(0),
        np.full(len(x), -1, np.int8) if traits.marks is None else traits.marks(works),
    )


def from_reviewed(
    reviewed: Reviewed | None, works: Sequence[Work], traits: Traits, context: Any, planted: float
) -> Rows | None:
    """Rows of judged regions; those of images that are not in this audit belong to image -1."""
    if reviewed is None or reviewed.x.shape[1] != len(traits.features):
        return None
    told = np.isfinite(reviewed.x[:, traits.column("given")])
    if context is not None:
        classes = len(context.p)
        for name in ("given", "proposed"):
            told &= np.nan_to_num(reviewed.x[:, traits.column(name)]) < classes
    if not told.any():
        return None
    x = reviewed.x[told].astype(np.float64)
    number = {w.image_id: n for n, w in enumerate(works)}
    image = np.array([number.get(name, -1) for name in np.array(reviewed.image_id)[told]], np.int64)
    y = reviewed.accepted[told].astype(np.int8)
    weight = np.full(len(x), row_weight(len(x), planted))
    return Rows(widened(x, context), image, np.arange(len(x)), y, weight, np.full(len(x), -1, np.int8))


def widened(x: npt.NDArray[Any], context: Any) -> npt.NDArray[Any]:
    """Features with those of the context, if there is one."""
    return x if context is None else np.column_stack([x.astype(np.float64), context.rows(x)])


def stack(parts: Sequence[npt.NDArray[np.float32]], traits: Traits) -> npt.NDArray[np.float32]:
    """Rows of all images one below the other."""
    return np.concatenate(parts) if parts else np.zeros((0, len(traits.features)), np.float32)


def groups(parts: Sequence[npt.NDArray[Any]]) -> Ints:
    """Numbers of places, unique over the images."""
    if not parts:
        return np.zeros(0, np.int64)
    most = np.array([int(p.max(initial=-1)) + 1 for p in parts], np.int64)
    base = np.repeat(np.cumsum(most) - most, [len(p) for p in parts])
    return np.concatenate(parts).astype(np.int64) + base


def image_folds(image_ids: Sequence[str], folds: int, seed: int) -> Ints:
    """Part of each image, ``0 … folds - 1``, balanced in size, by hash of id and seed.

    >>> sorted(image_folds(["a", "b", "c", "d"], 2, 0).tolist())
    [0, 0, 1, 1]
    """
    order = sorted(range(len(image_ids)), key=lambda i: derive_seed(seed, image_ids[i], "fold"))
    part = np.zeros(len(image_ids), np.int64)
    part[order] = np.arange(len(image_ids)) % folds
    return part


def representatives(z: Floats, group: Ints) -> Ints:
    """Position of the highest value of each group, ascending."""
    order = np.lexsort((z, group))
    last = np.append(group[order][1:] != group[order][:-1], True) if len(group) else np.zeros(0, bool)
    return np.sort(order[last])
