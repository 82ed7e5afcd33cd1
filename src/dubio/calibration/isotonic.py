"""Monotone maps of probabilities, learned by isotonic regression."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.calibration.base import Array
from dubio.calibration.files import array_of
from dubio.calibration.probabilities import ProbabilityCalibrator
from dubio.data.logits import Floats

Curve = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
_IDENTITY: Curve = (np.array([0.0, 1.0]), np.array([0.0, 1.0]))


class IsotonicCalibration(ProbabilityCalibrator):
    """Monotone maps from stated to observed frequency (Zadrozny and Elkan, KDD 2002).

    One map per class, then the classes of a pixel are divided by their sum, which may change the winner. Or
    one map for the winner's probability alone: the pixel is then mixed with equal shares of all classes (or
    with all for the winner) until the winner has its new probability, so that the order of the classes stays.

    Values stay between 1/(N + 2) and 1 - 1/(N + 2) for N pixels, so that nothing becomes impossible. A class
    without labels keeps its probability.

    Args:
        top_label: one map for the winner only.

    Attributes:
        curves_: corners of the maps, ``(stated, observed)`` each.

    >>> logits = np.array([[2.0, 0.0], [0.0, 2.0]] * 50)
    >>> found = IsotonicCalibration(top_label=True).fit(logits, np.array([0, 1, 0, 0] * 25))
    >>> found.predict_proba(logits[:1]).round(2).tolist()
    [[0.75, 0.25]]
    """

    curves_: list[Curve]

    def __init__(self, top_label: bool = False) -> None:
        self.top_label = top_label

    def _learn(self, probabilities: Floats, labels: npt.NDArray[np.int64], n_classes: int) -> list[str]:
        if self.top_label:
            winner = probabilities.argmax(axis=1)
            self.curves_ = [_curve(probabilities.max(axis=1), winner == labels)]
            return []
        self.curves_ = [_IDENTITY] * probabilities.shape[1]
        counts = np.bincount(labels, minlength=n_classes)
        for c in np.flatnonzero(counts):
            self.curves_[c] = _curve(probabilities[:, c], labels == c)
        absent = int((counts == 0).sum())
        return [f"{absent} of {n_classes} classes have no labels and stay as they are"] if absent else []

    def _adjust(self, columns: Floats) -> Floats:
        if self.top_label:
            return _raise_winner(columns, *self.curves_[0])
        found = np.empty_like(columns)
        for row, values, curve in zip(found, columns, self.curves_, strict=True):
            row[:] = np.interp(values, *curve)
        total = found.sum(axis=0)
        # only where all classes are without labels can the sum be nothing
        np.copyto(found, columns, where=total <= 0)
        found /= np.where(total > 0, total, np.float32(1))
        return found

    def describe(self) -> list[str]:
        """How many maps there are."""
        self.check_fitted()
        steps = sum(len(x) for x, _ in self.curves_)
        what = "the winner's probability" if self.top_label else f"{len(self.curves_)} classes"
        return [f"isotonic regression of {what}, {steps} corners", *self.notes_]

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """The corners of all maps, one after the other."""
        data, arrays = super().state()
        arrays["first"] = np.cumsum([0, *(len(x) for x, _ in self.curves_)])
        arrays["stated"] = np.concatenate([x for x, _ in self.curves_])
        arrays["observed"] = np.concatenate([y for _, y in self.curves_])
        return data, arrays

    def restore(self, data: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Take up the maps."""
        super().restore(data, arrays)
        first = arrays["first"]
        x, y = array_of(arrays, "stated", (None,)), array_of(arrays, "observed", (None,))
        count = 1 if self.top_label else self.n_columns_
        if len(x) != len(y) or len(first) != count + 1 or first[-1] != len(x) or (np.diff(first) < 1).any():
            raise ValueError("the maps don't fit")
        self.curves_ = [(x[a:b], y[a:b]) for a, b in pairwise(first)]


def _curve(stated: npt.NDArray[Any], right: npt.NDArray[np.bool_]) -> Curve:
    from sklearn.isotonic import IsotonicRegression

    least = 1 / (len(stated) + 2)
    found = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
    found.fit(stated.astype(np.float64), right.astype(np.float64))
    return np.asarray(found.X_thresholds_, np.float64), np.asarray(found.y_thresholds_, np.float64)


def _raise_winner(columns: Floats, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> Floats:
    count = np.float32(len(columns))
    top = columns.max(axis=0)
    wanted = np.maximum(np.interp(top, x, y).astype(np.float32), 1 / count)
    tiny = np.float32(1e-12)
    lower = np.clip((top - wanted) / np.maximum(top - 1 / count, tiny), 0, 1)
    higher = np.clip((wanted - top) / np.maximum(1 - top, tiny), 0, 1)
    found = columns * ((1 - lower) * (1 - higher))
    found += lower / count
    winner = columns.argmax(axis=0)
    found[winner, np.arange(len(winner))] += higher
    return np.asarray(found, np.float32)
