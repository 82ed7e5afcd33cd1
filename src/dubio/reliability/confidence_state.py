"""Calibration of any number of pixels in sums of fixed size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.records import SegPrediction
from dubio.reliability import kernels
from dubio.reliability.accuracy import NO_PIXELS
from dubio.reliability.binning import UNIT, values_of, whole_bins
from dubio.reliability.confidence import Bins, Scheme, binned, population_edges
from dubio.reliability.outcome import Outcome, judged
from dubio.uncertainty.pixel import PixelScores

Floats = npt.NDArray[np.float32]
CONFIDENCES = ("max_prob", "entropy", "margin")
METRICS = ("ece", "adaptive_ece", "mce", "rmsce", "ks", "nll", "brier", "mean_confidence")


class ConfidenceState:
    """What calibration has to remember of the pixels: they add up over images and processes.

    Args:
        n_classes: number of classes.
        bins: bins of equal width of the diagram.
        score: whose complement is the confidence: ``max_prob`` (the confidence is the largest probability),
            ``entropy`` (over the logarithm of the number of channels) or ``margin``.

    Attributes:
        uniform: ``(2, bins)`` int64 pixels and right ones by confidence in bins (lo, hi], 0 in the first.
        doubt_sums: ``(bins,)`` float64 sums of one minus the confidence.
        fine: ``(3, n)`` int64 pixels, right ones, and sums of dropped bits by bins of doubt of constant
            relative width (see :mod:`dubio.reliability.binning`): sums of doubt are exact.
        losses: ``(3,)`` float64 sums of log-likelihood loss and Brier score, and number of pixels in them.

    >>> from dubio.uncertainty.pixel import pixel_scores
    >>> logits = np.log(np.array([[[0.9, 0.9]], [[0.1, 0.1]]], np.float32))
    >>> state = ConfidenceState(2)
    >>> state.update(pixel_scores(SegPrediction(2, logits, "logits")), np.array([[0, 1]]))
    >>> round(state.bins().error(), 4)
    0.4
    """

    def __init__(self, n_classes: int, bins: int = 15, score: str = "max_prob") -> None:
        if score not in CONFIDENCES:
            raise InputError(f"'{score}' gives no confidence", remedy=f"choose from {', '.join(CONFIDENCES)}")
        self.n_classes, self.score = n_classes, score
        self.uniform: npt.NDArray[np.int64] = np.zeros((2, bins), np.int64)
        self.doubt_sums: npt.NDArray[np.float64] = np.zeros(bins)
        self.fine: npt.NDArray[np.int64] = np.zeros((3, UNIT.bins), np.int64)
        self.losses: npt.NDArray[np.float64] = np.zeros(3)

    def update(
        self,
        scores: PixelScores,
        label: npt.ArrayLike,
        label_score: npt.ArrayLike | None = None,
        *,
        channels: int | None = None,
    ) -> None:
        """Add an image.

        Args:
            scores: of the pixels.
            label: class indices of the pixels; ``n_classes`` and above: void, counts nowhere.
            label_score: log-probability of the label (:func:`label_log_probability`), for NLL and Brier.
            channels: number of channels behind the entropy; default ``n_classes``.

        Raises:
            InputError: shapes differ.
        """
        logs = None if label_score is None else np.asarray(label_score, np.float32)
        self.add(scores, judged(scores.pred, label, self.n_classes), logs, channels=channels)

    def add(
        self,
        scores: PixelScores,
        outcome: Outcome,
        label_score: Floats | None = None,
        *,
        channels: int | None = None,
    ) -> None:
        """Add an image whose pixels were judged already; otherwise as :meth:`update`."""
        doubt = unit_score(scores, self.score, channels or self.n_classes)
        flat = np.ascontiguousarray(doubt, np.float32).reshape(-1)
        code = outcome.code
        kernels.count_confidence(flat, flat.view(np.int32), code, self.uniform, self.doubt_sums, self.fine)
        if label_score is not None:
            if label_score.size != code.size:
                raise InputError(f"{label_score.size} scores of labels for {code.size} pixels")
            logs, square = (np.ascontiguousarray(a).reshape(-1) for a in (label_score, scores.square))
            self.losses += kernels.sum_losses(logs, square, code)

    def merge(self, other: ConfidenceState) -> None:
        """Add what another state saw.

        Raises:
            InputError: it has other bins or another confidence.
        """
        if (other.score, other.uniform.shape) != (self.score, self.uniform.shape):
            raise InputError("calibration states of different bins or scores can't be merged")
        self.uniform += other.uniform
        self.doubt_sums += other.doubt_sums
        self.fine += other.fine
        self.losses += other.losses

    @property
    def pixels(self) -> int:
        """Number of pixels whose label isn't void."""
        return int(self.uniform[0].sum())

    def bins(self, scheme: Scheme = "uniform") -> Bins:
        """The reliability diagram; ``population``: as many bins of about equal numbers of pixels.

        Equal-population bins are cut between the fine bins, which differ by 0.4 % in doubt.
        """
        if scheme == "uniform":
            return Bins(self.uniform[0], self.uniform[1], self.doubt_sums)
        count, right, doubt = self._by_confidence()
        n_bins = self.uniform.shape[1]
        mean = 1 - doubt / count
        place = np.searchsorted(population_edges(mean, count, n_bins), mean, side="left") - 1
        return binned(np.clip(place, 0, n_bins - 1), count, right, doubt, n_bins)

    def _by_confidence(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Pixels, right ones and sums of doubt of the fine bins that aren't empty, by rising confidence."""
        keep = np.flatnonzero(self.fine[0])[::-1]
        return self.fine[0, keep], self.fine[1, keep], whole_bins(self.fine[2], self.fine[0])[keep]

    def between(self, low: float, high: float) -> tuple[int, int]:
        """Pixels whose confidence lies in [low, high), 1 included in the last, and right ones among them.

        The limits fall between the fine bins.
        """
        doubt = values_of(UNIT)
        keep = (doubt > 1 - high) & (doubt <= 1 - low) if high < 1 else doubt <= 1 - low
        return int(self.fine[0, keep].sum()), int(self.fine[1, keep].sum())

    @property
    def ks(self) -> float:
        """KS error (:func:`~dubio.reliability.confidence.ks_error`), looked at between fine bins."""
        count, right, doubt = self._by_confidence()
        if not count.size:
            return float("nan")
        return float(np.abs(np.cumsum((count - right) - doubt)).max() / count.sum())

    def compute(self) -> dict[str, float]:
        """All of :data:`METRICS` as fractions; ``nll`` in nats, ``brier`` 0 … 2."""
        uniform = self.bins()
        nll, brier, n = self.losses.tolist()
        pixels = self.pixels
        return {
            "ece": uniform.error(),
            "adaptive_ece": self.bins("population").error(),
            "mce": uniform.error("max"),
            "rmsce": uniform.error("l2"),
            "ks": self.ks,
            "nll": nll / n if n else float("nan"),
            "brier": brier / n if n else float("nan"),
            "mean_confidence": 1 - float(self.doubt_sums.sum()) / pixels if pixels else float("nan"),
        }

    def reasons(self) -> dict[str, str]:
        """Why each of the results of :meth:`compute` that is NaN is undefined."""
        why = NO_PIXELS if self.pixels == 0 else "the probability of the label was not given"
        return {name: why for name, value in self.compute().items() if np.isnan(value)}


def unit_score(scores: PixelScores, name: str, channels: int) -> Floats:
    """An uncertainty between 0 and 1: entropy over the logarithm of the number of channels, others as is."""
    value = scores.score(name)
    if value is None:
        raise InputError(f"probabilities don't tell the score '{name}'")
    if name != "entropy":
        return value
    share = np.float32(1 / np.log(channels) if channels > 1 else 0)
    return np.asarray(np.minimum(value * share, np.float32(1)))


def label_log_probability(
    prediction: SegPrediction, label: npt.ArrayLike, scores: PixelScores
) -> npt.NDArray[np.float32]:
    """Log-probability that a prediction gives the label of each pixel, nats.

    Args:
        prediction: one with scores ``(K, H, W)``.
        label: ``(H, W)`` class indices.
        scores: of the same prediction.

    Returns:
        ``(H, W)`` float32; NaN where the label has no channel (void). Probabilities are floored at 1e-38.

    >>> from dubio.uncertainty.pixel import pixel_scores
    >>> made = SegPrediction(2, np.array([[[0.75]], [[0.25]]], np.float32), "probabilities")
    >>> float(np.exp(label_log_probability(made, np.array([[1]]), pixel_scores(made)))[0, 0])
    0.25
    """
    values = prediction.scores
    given = np.asarray(label)
    if values is None or given.shape != prediction.shape:
        raise InputError("the label of each pixel needs class scores of the same size")
    k = len(values)
    known = (given >= 0) & (given < k)
    indices = np.where(known, given, k).astype(np.uint16).reshape(-1)
    own = np.empty(indices.size, np.float32)
    flat = np.asarray(values).reshape(k, -1)
    if flat.dtype != np.float32:
        picked = np.take_along_axis(flat, np.minimum(indices, k - 1)[None].astype(np.int64), 0)
        flat, indices = picked.astype(np.float32), np.where(indices < k, 0, 1).astype(np.uint16)
    if scores.lse is None:
        kernels.gather_probability(flat, indices, own)
    else:
        kernels.gather_logit(flat, indices, scores.lse.reshape(-1), own)
    return own.reshape(given.shape)
