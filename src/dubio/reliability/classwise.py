"""Calibration of every class's probability on any number of pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.records import SegPrediction
from dubio.reliability import kernels
from dubio.reliability.accuracy import NO_PIXELS
from dubio.reliability.confidence import Bins
from dubio.reliability.outcome import Outcome, judged
from dubio.uncertainty.pixel import PixelScores

# pixels per block: its scores stay in the cache
_BLOCK = 4096
_NONE = np.zeros(0, np.float32)


class ClasswiseState:
    """Counts of how often each class is right where it has a given probability.

    Args:
        n_classes: number of classes ``C``.
        bins: bins of equal width, right-closed, 0 in the first.

    Attributes:
        counts: ``(2, C, bins)`` int64: pixels, and those labelled with the class.
        sums: ``(C, bins)`` float64 sums of the class's probability.
    """

    def __init__(self, n_classes: int, bins: int = 15) -> None:
        self.n_classes = n_classes
        self.counts: npt.NDArray[np.int64] = np.zeros((2, n_classes, bins), np.int64)
        self.sums: npt.NDArray[np.float64] = np.zeros((n_classes, bins))

    def update(self, prediction: SegPrediction, label: npt.ArrayLike, scores: PixelScores) -> None:
        """Add an image.

        Args:
            prediction: one with scores ``(K, H, W)``.
            label: ``(H, W)`` class indices; ``C`` and above: void, counts nowhere.
            scores: of the same prediction.
        """
        self.add(prediction, judged(scores.pred, label, self.n_classes), scores)

    def add(self, prediction: SegPrediction, outcome: Outcome, scores: PixelScores) -> None:
        """Add an image whose pixels were judged already."""
        if prediction.scores is None:
            raise InputError("class-wise calibration needs class scores", path=prediction.image_id or None)
        values = np.asarray(prediction.scores)
        flat = values.reshape(len(values), -1)
        lse = _NONE if scores.lse is None else scores.lse.reshape(-1)
        for start in range(0, flat.shape[1], _BLOCK):
            part = slice(start, start + _BLOCK)
            block = np.ascontiguousarray(flat[: self.n_classes, part], np.float32)
            kernels.class_block(
                block, lse[part], outcome.label[part], outcome.code[part], self.counts, self.sums
            )

    def merge(self, other: ClasswiseState) -> None:
        """Add what another state saw.

        Raises:
            InputError: it has other classes or bins.
        """
        if other.counts.shape != self.counts.shape:
            raise InputError("class-wise states of different classes or bins can't be merged")
        self.counts += other.counts
        self.sums += other.sums

    def bins(self, class_index: int) -> Bins:
        """The reliability diagram of one class."""
        count, right = self.counts[:, class_index]
        return Bins(count, right, count - self.sums[class_index])

    def errors(self) -> npt.NDArray[np.float64]:
        """``(C,)`` calibration error of each class; NaN without pixels."""
        return np.array([self.bins(c).error() for c in range(self.n_classes)])

    def compute(self) -> dict[str, float]:
        """``classwise_ece``: mean of :meth:`errors` over all classes, seen or not."""
        return {"classwise_ece": float(self.errors().mean())}

    def reasons(self) -> dict[str, str]:
        """Why the result is NaN, if it is."""
        return {} if self.counts.any() else {"classwise_ece": NO_PIXELS}
