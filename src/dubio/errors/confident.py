"""Confident learning on pixels, in one image's memory: the quick screening.

The rule of Northcutt, Jiang and Chuang (2021, *Confident Learning*) as it is used on pixels by Lad and
Mueller (2023): a class is confident where its probability reaches the mean that it has on pixels labelled
with it; as many pixels are issues as there are whose predicted class is confident and not the given one;
they are those that give their label the least probability, unless the prediction agrees with the label.

Only sums, counts and a histogram are kept between images, so that memory doesn't grow with the data; void
pixels are left out; images may differ in size. For regions with a calibrated probability use the audit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.labelspace import IndexMap
from dubio.core.records import SegPrediction
from dubio.errors.confident_kernels import BINS, SHIFT, class_sums, count_pixels, mark_pixels

_F = np.float32
# numerical slack on the confident thresholds: a constant score reaches its own mean
_SLACK = _F(1e-6)

Pairs = Callable[[], Iterable[tuple[IndexMap, SegPrediction]]]


@dataclass
class ConfidentLearning:
    """What confident learning has to remember of a data set.

    Show all images to :meth:`update_classes`, then all to :meth:`update_counts`; then :meth:`issues` marks
    the pixels of any of them. Objects that saw different images add up by :meth:`merge`.

    Args:
        n_classes: number of classes ``C``.
    """

    n_classes: int
    p_sum: npt.NDArray[np.float64] = field(init=False)
    n_label: npt.NDArray[np.int64] = field(init=False)
    n_off: int = field(init=False, default=0)
    histogram: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.p_sum = np.zeros(self.n_classes + 1)
        self.n_label = np.zeros(self.n_classes + 1, np.int64)
        self.histogram = np.zeros(BINS, np.int64)

    @property
    def thresholds(self) -> npt.NDArray[np.float32]:
        """``(C,)`` mean probability of each class on pixels labelled with it; above 1 if never labelled."""
        n = self.n_label[:-1]
        mean = np.where(n > 0, self.p_sum[:-1] / np.maximum(n, 1), 2.0)
        return np.asarray(mean - _SLACK, np.float32)

    @property
    def cutoff(self) -> float:
        """Issues give their label less probability than this (resolution 0.1 %)."""
        if self.n_off == 0:
            return 0.0
        bin_ = int(np.searchsorted(np.cumsum(self.histogram), self.n_off))
        edge = np.array([(min(bin_, BINS - 2) + 1) << SHIFT], np.int32)
        return float(edge.view(np.float32)[0])

    def update_classes(self, label: IndexMap, prediction: SegPrediction) -> None:
        """Add an image to the class means (first pass).

        Args:
            label: ``(H, W)`` class indices, ``C`` = void.
            prediction: scores of the same height and width.

        Raises:
            InputError: shapes differ, or there are no scores.
        """
        scores, logits = _scores(label, prediction, self.n_classes)
        class_sums(label, scores, logits, self.p_sum, self.n_label)

    def update_counts(self, label: IndexMap, prediction: SegPrediction) -> None:
        """Add an image to the counts (second pass, after all images had the first)."""
        scores, logits = _scores(label, prediction, self.n_classes)
        self.n_off += count_pixels(label, scores, logits, self.thresholds, self.histogram)

    def issues(self, label: IndexMap, prediction: SegPrediction) -> npt.NDArray[np.bool_]:
        """``(H, W)``: which pixels are issues; never void."""
        scores, logits = _scores(label, prediction, self.n_classes)
        out = np.zeros(label.shape, np.bool_)
        mark_pixels(label, scores, logits, self.n_classes, _F(self.cutoff), out)
        return out

    def merge(self, other: ConfidentLearning) -> None:
        """Add what another object saw in the same pass of other images."""
        self.p_sum += other.p_sum
        self.n_label += other.n_label
        self.n_off += other.n_off
        self.histogram += other.histogram


def pixel_issues(pairs: Pairs, n_classes: int) -> Iterator[npt.NDArray[np.bool_]]:
    """Mark the pixels whose label is an issue, image by image.

    Args:
        pairs: called three times; each time gives all images as ``(label, prediction)``, in the same order.
        n_classes: number of classes ``C``.

    Yields:
        ``(H, W)`` bool per image.

    Raises:
        InputError: a label and its scores differ in shape, or there are no scores.

    >>> p = np.array([[[.9, .9, .9, .2]], [[.1, .1, .1, .8]]], np.float32)
    >>> label = np.array([[0, 0, 1, 1]], np.uint8)
    >>> [m.tolist() for m in pixel_issues(lambda: [(label, SegPrediction(2, p, "probabilities"))], 2)]
    [[[False, False, True, False]]]
    """
    learned = ConfidentLearning(n_classes)
    for label, prediction in pairs():
        learned.update_classes(label, prediction)
    for label, prediction in pairs():
        learned.update_counts(label, prediction)
    for label, prediction in pairs():
        yield learned.issues(label, prediction)


def _scores(label: IndexMap, prediction: SegPrediction, n_classes: int) -> tuple[npt.NDArray[Any], bool]:
    if prediction.scores is None:
        raise InputError("confident learning needs class scores, not a label map")
    scores = prediction.scores[:n_classes] if prediction.kind == "probabilities" else prediction.scores
    if scores.shape[1:] != label.shape:
        raise InputError(f"the label has shape {label.shape}, its scores {scores.shape[1:]}")
    if scores.dtype != np.float32:
        scores = scores.astype(np.float32)
    return (
        scores if scores.flags.c_contiguous else np.ascontiguousarray(scores)
    ), prediction.kind == "logits"
