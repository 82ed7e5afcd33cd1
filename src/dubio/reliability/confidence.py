"""Calibration on arrays: does a stated 0.9 come true nine times in ten?

Naeini et al., AAAI 2015 (expected and maximum calibration error); Nguyen and O'Connor, EMNLP 2015
(equal-population bins); Gupta et al., ICLR 2021 (KS error); Nixon et al., CVPR-W 2019 (class-wise). Sums are
float64. Without samples every result is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError

Floats = npt.NDArray[np.float64]
Scheme = Literal["uniform", "population"]
Norm = Literal["l1", "l2", "max"]
# what rounding may add to a probability
_SLACK = 1e-4


@dataclass(frozen=True)
class Bins:
    """A reliability diagram: sums over bins of confidence.

    Args:
        count: ``(B,)`` samples.
        right: ``(B,)`` those that are right.
        doubt: ``(B,)`` float64 sums of one minus the confidence.
    """

    count: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    doubt: Floats

    @property
    def confidence(self) -> Floats:
        """``(B,)`` mean confidence; NaN for an empty bin."""
        return 1 - _mean(self.doubt, self.count)

    @property
    def accuracy(self) -> Floats:
        """``(B,)`` share of right samples; NaN for an empty bin."""
        return _mean(self.right, self.count)

    def error(self, norm: Norm = "l1") -> float:
        """Calibration error over the bins: see :func:`calibration_error`."""
        n = int(self.count.sum())
        if n == 0:
            return float("nan")
        some = self.count > 0
        # confidence - accuracy = share of wrong ones - doubt, which keeps its digits near one
        gap = np.abs((self.count - self.right) - self.doubt)[some]
        if norm == "max":
            return float((gap / self.count[some]).max())
        if norm == "l2":
            return float(np.sqrt((gap**2 / self.count[some]).sum() / n))
        return float(gap.sum() / n)


def calibration_error(
    confidence: npt.ArrayLike,
    correct: npt.ArrayLike,
    bins: int = 15,
    scheme: Scheme = "uniform",
    norm: Norm = "l1",
) -> float:
    """Mean gap between confidence and accuracy over bins of confidence.

    Args:
        confidence: ``(N,)`` in [0, 1].
        correct: ``(N,)`` booleans.
        bins: number of bins.
        scheme: ``uniform``: bins of equal width, right-closed, 0 belongs to the first;
            ``population``: of about equal numbers of samples, equal confidences staying together.
            (The published rule loses the samples at the smallest confidence; this one keeps them.)
        norm: ``l1``: weighted by samples (ECE); ``l2``: root of the mean square; ``max``: the largest gap
            (MCE).

    Raises:
        InputError: shapes differ, or a confidence is outside [0, 1].

    >>> round(calibration_error([0.9, 0.9, 0.9, 0.9], [True, True, True, False]), 4)
    0.15
    """
    return reliability_curve(confidence, correct, bins, scheme).error(norm)


def reliability_curve(
    confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int = 15, scheme: Scheme = "uniform"
) -> Bins:
    """Sums per bin of confidence, for diagrams; arguments as for :func:`calibration_error`."""
    p, right = _checked(confidence, correct)
    if scheme == "uniform":
        edges = np.linspace(0, 1, bins + 1)
    elif scheme == "population":
        values, sizes = np.unique(p, return_counts=True)
        edges = population_edges(values, sizes, bins)
    else:
        raise InputError(f"there are no '{scheme}' bins", remedy="choose uniform or population")
    place = np.clip(np.searchsorted(edges, p, side="left") - 1, 0, bins - 1)
    return binned(place, np.ones(len(p), np.int64), right, 1 - p, bins)


def binned(
    place: npt.NDArray[Any], count: npt.NDArray[Any], right: npt.NDArray[Any], doubt: Floats, bins: int
) -> Bins:
    """Sums of groups of samples over the bins that they belong to."""
    n, hits, doubts = (np.bincount(place, w, bins) for w in (count, right, doubt))
    return Bins(n.astype(np.int64), hits.astype(np.int64), np.asarray(doubts, np.float64))


def population_edges(values: Floats, sizes: npt.NDArray[Any], bins: int) -> Floats:
    """``(bins + 1,)`` edges between about equal numbers of samples, interpolated between sorted samples.

    Args:
        values: ``(M,)`` distinct values, ascending.
        sizes: ``(M,)`` samples of each value.
        bins: number of bins.
    """
    if not len(values):
        return np.linspace(0, 1, bins + 1)
    ends = np.cumsum(sizes)
    place = np.minimum(np.linspace(0, ends[-1], bins + 1), ends[-1] - 1)
    low = np.floor(place).astype(np.int64)
    at = [values[np.searchsorted(ends, i, side="right")] for i in (low, np.minimum(low + 1, ends[-1] - 1))]
    return np.asarray(at[0] + (place - low) * (at[1] - at[0]))


def ks_error(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> float:
    """Largest gap between the running sums of confidence and of right samples, over their number.

    Samples are taken by rising confidence; equal confidences are added at once, so that their order doesn't
    matter. No bins.

    >>> round(ks_error([0.6, 0.8], [False, True]), 4)
    0.3
    """
    p, right = _checked(confidence, correct)
    if not p.size:
        return float("nan")
    order = np.argsort(p, kind="stable")
    gap = np.cumsum(p[order] - right[order])
    last = np.append(np.diff(p[order]) > 0, True)
    return float(np.abs(gap[last]).max() / p.size)


def brier_score(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Mean squared distance of ``(N, C)`` probabilities from the truth, summed over classes (0 … 2).

    Void labels are left out. Brier, Monthly Weather Review 1950.

    >>> round(brier_score([[0.8, 0.2]], [0]), 4)
    0.08
    """
    p, y = _known(probabilities, labels)
    if not y.size:
        return float("nan")
    own = p[np.arange(y.size), y]
    return float((np.square(p).sum(1) - 2 * own + 1).mean())


def negative_log_likelihood(log_probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Mean of minus the log-probability of the label, nats; ``(N, C)`` log-probabilities.

    >>> round(negative_log_likelihood(np.log([[0.8, 0.2]]), [0]), 4)
    0.2231
    """
    p, y = _known(log_probabilities, labels)
    return float(-p[np.arange(y.size), y].mean()) if y.size else float("nan")


def classwise_calibration_error(
    probabilities: npt.ArrayLike, labels: npt.ArrayLike, bins: int = 15, scheme: Scheme = "uniform"
) -> Floats:
    """``(C,)`` calibration error of each class: its probability on all samples against how often it is right.

    Args:
        probabilities: ``(N, C)``.
        labels: ``(N,)`` class indices; ``C`` and above is void and left out.
        bins: number of bins.
        scheme: as for :func:`calibration_error`.

    >>> classwise_calibration_error([[0.8, 0.2]], [0]).round(4).tolist()
    [0.2, 0.2]
    """
    p, y = _known(probabilities, labels)
    return np.array([calibration_error(p[:, c], y == c, bins, scheme) for c in range(p.shape[1])])


def classwise_ks_error(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> Floats:
    """``(C,)`` KS error of each class's probability; arguments as for the class-wise calibration error."""
    p, y = _known(probabilities, labels)
    return np.array([ks_error(p[:, c], y == c) for c in range(p.shape[1])])


def _mean(sums: npt.NDArray[Any], count: npt.NDArray[Any]) -> Floats:
    return np.asarray(np.divide(sums, count, out=np.full(len(count), np.nan), where=count > 0))


def _checked(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> tuple[Floats, npt.NDArray[np.bool_]]:
    p, right = np.asarray(confidence, np.float64).reshape(-1), np.asarray(correct, np.bool_).reshape(-1)
    if p.shape != right.shape:
        raise InputError(f"{p.size} confidences for {right.size} samples")
    if p.size and not (p.min() >= -_SLACK and p.max() <= 1 + _SLACK):
        raise InputError("a confidence is outside 0 … 1", remedy="give probabilities, not logits")
    return np.clip(p, 0, 1), right


def _known(values: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Floats, npt.NDArray[np.int64]]:
    p, y = np.asarray(values, np.float64), np.asarray(labels).reshape(-1).astype(np.int64)
    if p.ndim != 2 or len(p) != len(y):
        raise InputError(f"{len(y)} labels for values of shape {p.shape}", remedy="values are (N, C)")
    known = (y >= 0) & (y < p.shape[1])
    return p[known], y[known]
