"""Measures of a list by kind of error and by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dubio.core.labelspace import LabelSpace
from dubio.errors.bench import tally as count
from dubio.errors.bench.matching import Rows

Floats = npt.NDArray[np.float64]
Measures = dict[str, Floats]


class Known(Protocol):
    """Known errors, of masks or of boxes."""

    @property
    def space(self) -> LabelSpace:
        """The classes."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, int]]:
        """All images with height and width."""

    @property
    def errors(self) -> Sequence[Any]:
        """The errors: ``image_id``, ``called`` (the kind), ``concerned`` (class index)."""

    @property
    def folder(self) -> Path | None:
        """Where they were read from."""


@dataclass(frozen=True)
class Sums:
    """Matched findings and errors as arrays."""

    rows: Rows
    errors_of: Floats  # (I,) errors per image
    image_of: npt.NDArray[np.int64]  # (E,) image of each error
    kind_of: npt.NDArray[np.int64]
    class_of: npt.NDArray[np.int64]
    kinds: tuple[str, ...]
    classes: tuple[int, ...]
    budgets: tuple[int, ...]
    thresholds: tuple[float, ...]
    lists: Mapping[str, Rows]


def by_kind(sums: Sums, t: count.Tally, weights: Floats) -> Measures:
    """Recall and average precision of each kind, ``(D, kinds)``."""
    rows = sums.rows
    kind = np.where(rows.error >= 0, sums.kind_of[rows.error], -1) if len(sums.kind_of) else rows.error
    all_, top, aps = [], [], []
    budget = np.minimum(t.errors, t.read[:, -1] if t.read.shape[1] else 0)[:, None]
    for k in range(len(sums.kinds)):
        errors = np.bincount(sums.image_of[sums.kind_of == k], minlength=weights.shape[1]).astype(float)
        part = count.tally(rows.probability, rows.image, kind == k, errors, weights)
        all_.append(count.recall(part))
        first = count.hits_after(t, budget, part.hits)
        aps.append(_ap_of(sums.lists.get(sums.kinds[k]), errors, weights))
        top.append(count.rates(budget, first, part.errors)[1][:, 0])
    named = {"kind_recall": all_, "kind_recall_at": top, "kind_ap": aps}
    return {name: _columns(parts, len(weights)) for name, parts in named.items()}


def _ap_of(rows: Rows | None, errors: Floats, weights: Floats) -> Floats:
    """Average precision of a list of one kind; NaN if there is none."""
    if rows is None:
        return np.full(len(weights), np.nan)
    return count.average_precision(
        count.tally(rows.probability, rows.image, rows.error >= 0, errors, weights)
    )


def by_class(sums: Sums, weights: Floats) -> Measures:
    """Average precision and recall of each class, ``(D, classes)``."""
    rows = sums.rows
    hit = rows.error >= 0
    meets = np.where(hit, sums.class_of[rows.error], -1) if len(sums.class_of) else rows.error
    aps, recalls = [], []
    for index in sums.classes:
        errors = np.bincount(sums.image_of[sums.class_of == index], minlength=weights.shape[1]).astype(float)
        # What meets an error of another class is neither right nor wrong here.
        mine = (meets == index) | (~hit & (rows.concerned == index))
        part = count.tally(rows.probability[mine], rows.image[mine], hit[mine], errors, weights)
        aps.append(count.average_precision(part))
        recalls.append(count.recall(part))
    return {"class_ap": _columns(aps, len(weights)), "class_recall": _columns(recalls, len(weights))}


def _columns(parts: list[Floats], draws: int) -> Floats:
    return np.column_stack(parts) if parts else np.zeros((draws, 0))
