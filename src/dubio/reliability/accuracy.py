"""Accuracy and intersection over union from one confusion matrix."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.reliability.outcome import Outcome, judged

METRICS = ("accuracy", "mean_accuracy", "mean_iou", "mean_iou_present")
NO_PIXELS = "no pixel has both a prediction and a label that isn't void"
_NO_CLASS = "no class occurs in labels or predictions"


class ConfusionState:
    """Counts of labels against predictions; they add up over images and processes.

    Pixels whose label is void count nowhere. A pixel that is predicted void and whose label isn't counts as
    wrong. All results are fractions.

    Args:
        n_classes: number of classes ``C``.

    Attributes:
        counts: ``(C, C + 1)`` int64; rows: label, columns: prediction, the last: predicted void.

    >>> state = ConfusionState(2)
    >>> state.update(np.array([[0, 0, 1, 1]]), np.array([[0, 1, 1, 255]]))
    >>> round(state.accuracy, 4), state.iou.tolist(), state.mean_iou()
    (0.6667, [0.5, 0.5], 0.5)
    """

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes
        self.counts: npt.NDArray[np.int64] = np.zeros((n_classes, n_classes + 1), np.int64)

    def update(self, pred: npt.ArrayLike, label: npt.ArrayLike) -> None:
        """Add an image.

        Args:
            pred: class indices of any shape; ``C`` and above: predicted void.
            label: class indices of the same shape; ``C`` and above, or negative: void.

        Raises:
            InputError: the shapes differ.
        """
        self.add(judged(pred, label, self.n_classes))

    def add(self, outcome: Outcome) -> None:
        """Add an image whose pixels were judged already."""
        self.counts += outcome.confusion

    def merge(self, other: ConfusionState) -> None:
        """Add what another state saw.

        Raises:
            InputError: it has another number of classes.
        """
        if other.n_classes != self.n_classes:
            raise InputError(f"states of {self.n_classes} and {other.n_classes} classes can't be merged")
        self.counts += other.counts

    @property
    def pixels(self) -> int:
        """Number of pixels whose label isn't void."""
        return int(self.counts.sum())

    @property
    def right(self) -> npt.NDArray[np.int64]:
        """``(C,)`` pixels per class that are labelled and predicted so."""
        return np.diagonal(self.counts).copy()

    @property
    def accuracy(self) -> float:
        """Share of pixels predicted right; NaN without any."""
        return float(self.right.sum() / self.pixels) if self.pixels else float("nan")

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """``(C,)`` intersection over union; NaN for a class that occurs neither in labels nor predictions."""
        union = self.counts.sum(1) + self.counts[:, :-1].sum(0) - self.right
        return _share(self.right, union)

    @property
    def class_accuracy(self) -> npt.NDArray[np.float64]:
        """``(C,)`` share of each class's pixels that are predicted so (recall); NaN if never labelled."""
        return _share(self.right, self.counts.sum(1))

    def mean_iou(self, leave_out: Collection[int] = ()) -> float:
        """Mean IoU over the classes that occur in labels or predictions.

        Args:
            leave_out: classes that don't count, as the published evaluation leaves out 9 (terrain) and 16
                (train) on IDD, whose labels don't know them. Pixels predicted so stay wrong.
        """
        return _mean(self.iou, leave_out)

    def mean_iou_present(self, leave_out: Collection[int] = ()) -> float:
        """Mean IoU over the labelled classes only, which is fairer to single images.

        There a few pixels of a class that isn't in the picture would cost as much as a lost class.
        """
        return _mean(np.where(self.counts.sum(1) > 0, self.iou, np.nan), leave_out)

    def mean_accuracy(self, leave_out: Collection[int] = ()) -> float:
        """Mean of :attr:`class_accuracy` over the classes that are labelled, some left out."""
        return _mean(self.class_accuracy, leave_out)

    def compute(self, leave_out: Collection[int] = ()) -> dict[str, Any]:
        """:data:`METRICS`, and lists ``iou`` and ``class_accuracy`` per class; NaN where undefined."""
        iou, recall = self.iou, self.class_accuracy
        iou[list(leave_out)] = recall[list(leave_out)] = np.nan
        return {
            "accuracy": self.accuracy,
            "mean_accuracy": self.mean_accuracy(leave_out),
            "mean_iou": self.mean_iou(leave_out),
            "mean_iou_present": self.mean_iou_present(leave_out),
            "iou": iou.tolist(),
            "class_accuracy": recall.tolist(),
        }

    def reasons(self, leave_out: Collection[int] = ()) -> dict[str, str]:
        """Why each single figure that is NaN is undefined."""
        found = self.compute(leave_out)
        why = _NO_CLASS if self.pixels else NO_PIXELS
        return {name: why for name in METRICS if np.isnan(found[name])}


def _share(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    share = np.full(len(part), np.nan)
    np.divide(part, whole, out=share, where=whole > 0)
    return share


def _mean(values: npt.NDArray[np.float64], leave_out: Collection[int]) -> float:
    kept = np.delete(values, list(leave_out))
    kept = kept[~np.isnan(kept)]
    return float(kept.mean()) if kept.size else float("nan")
