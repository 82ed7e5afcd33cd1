"""Counts that say how well predictions match labels; they add up over images and processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.labelspace import IndexMap

Counts = npt.NDArray[np.int64]


@dataclass
class Tally:
    """Pixels per class: in both prediction and label, in the prediction, and in the label.

    Pixels whose label is void count nowhere. Pixels predicted void count for the label only.

    >>> label, pred = np.array([[0, 1, 2]], np.uint8), np.array([[0, 0, 0]], np.uint8)
    >>> tally = Tally.of(pred, label, 2)
    >>> tally.accuracy, tally.mean_iou
    (0.5, 0.25)
    """

    both: Counts
    pred: Counts
    label: Counts

    @classmethod
    def empty(cls, n_classes: int) -> Tally:
        """Nothing counted yet."""
        return cls(*(np.zeros(n_classes, np.int64) for _ in range(3)))

    @classmethod
    def of(cls, pred: IndexMap, label: IndexMap, n_classes: int) -> Tally:
        """Count one image; ``pred`` and ``label`` are ``(H, W)`` class indices, ``C`` = void."""
        valid = label < n_classes
        predicted, labelled = pred[valid], label[valid]
        sizes = (labelled[predicted == labelled], predicted[predicted < n_classes], labelled)
        return cls(*(np.bincount(v, minlength=n_classes).astype(np.int64) for v in sizes))

    def add(self, other: Tally) -> None:
        """Add the counts of another tally."""
        self.both += other.both
        self.pred += other.pred
        self.label += other.label

    @property
    def accuracy(self) -> float:
        """Share of labelled pixels that are predicted right; nan without any."""
        total = int(self.label.sum())
        return float(self.both.sum() / total) if total else float("nan")

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """Intersection over union per class; nan for a class that occurs nowhere."""
        union = (self.pred + self.label - self.both).astype(np.float64)
        iou = np.full(len(union), np.nan)
        np.divide(self.both, union, out=iou, where=union > 0)
        return iou

    @property
    def mean_iou(self) -> float:
        """Mean over the classes that occur in labels or predictions; nan if none does."""
        iou = self.iou
        return float(np.nanmean(iou)) if np.isfinite(iou).any() else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"both": self.both.tolist(), "pred": self.pred.tolist(), "label": self.label.tolist()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Tally:
        """Inverse of :meth:`to_dict`."""
        return cls(*(np.asarray(data[name], np.int64) for name in ("both", "pred", "label")))
