"""All that is measured of one image, of one domain, or of everything: one state that adds up."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.records import SegPrediction
from dubio.reliability import kernels
from dubio.reliability.accuracy import ConfusionState
from dubio.reliability.binning import REAL, UNIT
from dubio.reliability.classwise import ClasswiseState
from dubio.reliability.confidence_state import ConfidenceState, label_log_probability, unit_score
from dubio.reliability.outcome import Outcome, judged
from dubio.reliability.ranking_state import RankingState
from dubio.reliability.sparse import pack, unpack
from dubio.reliability.summary import score_metrics
from dubio.uncertainty.pixel import SCORES, PixelScores, pixel_scores

FORMAT = 1
_UNIT_SCORES = ("max_prob", "entropy", "margin")
# probabilities whose sum is off by more are divided by it
_SUM_SLACK = 0.02
Extra = Mapping[str, npt.NDArray[Any]]


class ReliabilityState:
    """Accuracy, calibration, misclassification and unknown classes of the pixels of any number of images.

    Fixed size; :meth:`merge` adds up images, domains and processes. Void pixels count nowhere.

    Args:
        n_classes: number of classes ``C``.
        scores: which of :data:`dubio.uncertainty.pixel.SCORES` are ranked.
        bins: bins of equal width of the reliability diagrams.
        confidence: score whose complement is the stated confidence (see
            :class:`~dubio.reliability.confidence_state.ConfidenceState`).

    Attributes:
        confusion: see :class:`~dubio.reliability.accuracy.ConfusionState`.
        confidence: see :class:`~dubio.reliability.confidence_state.ConfidenceState`.
        classwise: see :class:`~dubio.reliability.classwise.ClasswiseState`.
        rankings: a :class:`~dubio.reliability.ranking_state.RankingState` for each score, extra ones
            included.
        score_sums: float64 sum of each score over the pixels that aren't void (unknown ones are included).
        images: number of images.
        renormalised: number of images whose probabilities didn't sum to one and were divided by their sum.

    >>> logits = np.array([[[4.0, 0.0, 1.0]], [[0.0, 3.0, 0.0]]], np.float32)
    >>> state = ReliabilityState(2)
    >>> state.update(SegPrediction(2, logits, "logits"), np.array([[0, 1, 1]]))
    >>> found = state.compute()
    >>> round(found["accuracy"], 4), found["auroc.max_prob"]
    (0.6667, 1.0)
    >>> found["reasons"]["ood_auroc.max_prob"]
    'there is no pixel of an unknown class'
    """

    def __init__(
        self,
        n_classes: int,
        scores: Sequence[str] = SCORES,
        bins: int = 15,
        confidence: str = "max_prob",
    ) -> None:
        unknown = [name for name in scores if name not in SCORES]
        if unknown:
            raise InputError(
                f"there is no score '{unknown[0]}'",
                remedy=f"choose from {', '.join(SCORES)}, or give it as extra",
            )
        self.n_classes, self.scores, self.n_bins = n_classes, tuple(scores), bins
        self.confusion = ConfusionState(n_classes)
        self.confidence = ConfidenceState(n_classes, bins, confidence)
        self.classwise = ClasswiseState(n_classes, bins)
        self.rankings: dict[str, RankingState] = {name: RankingState(_binning(name)) for name in self.scores}
        self.score_sums: dict[str, float] = dict.fromkeys(self.scores, 0.0)
        self.images = 0
        self.renormalised = 0

    def update(
        self,
        prediction: SegPrediction,
        label: npt.ArrayLike,
        unknown: npt.ArrayLike | None = None,
        extra: Extra | None = None,
    ) -> None:
        """Add an image.

        Args:
            prediction: one with scores ``(K, H, W)``.
            label: ``(H, W)`` class indices; ``C`` and above, or negative: void.
            unknown: ``(H, W)`` bool, pixels of classes that the model doesn't know: void for accuracy,
                calibration and misclassification, the positives among unknown classes.
            extra: more scores ``(H, W)`` by name, higher = more doubt, such as a distance of features;
                ``max_logit`` and ``energy`` may be given where a class map hides them.

        Raises:
            InputError: sizes differ, the prediction is a label map only, or a score is not a number.
        """
        scores = pixel_scores(prediction)
        off = prediction.kind == "probabilities" and _sums_off(scores)
        if off:
            prediction = _renormalised(prediction)
            scores = pixel_scores(prediction)
        try:
            outcome = judged(scores.pred, label, self.n_classes, unknown)
            more = self._checked_extra(extra or {}, scores)
        except InputError as error:
            raise InputError(error.fault, path=prediction.image_id or None, remedy=error.remedy) from error
        channels = 0 if prediction.scores is None else len(prediction.scores)
        self.confusion.add(outcome)
        logs = label_log_probability(prediction, outcome.label.reshape(prediction.shape), scores)
        self.confidence.add(scores, outcome, logs, channels=channels)
        self.classwise.add(prediction, outcome, scores)
        for name in self.scores:
            value = scores.score(name)
            if value is not None:
                unit = name in _UNIT_SCORES
                self._rank(name, unit_score(scores, name, channels) if unit else value, outcome)
        for name, value in more.items():
            self._rank(name, value, outcome)
        self.images += 1
        self.renormalised += off

    def _checked_extra(self, extra: Extra, scores: PixelScores) -> dict[str, npt.NDArray[np.float32]]:
        if np.isnan(scores.doubt).any():
            raise InputError("class scores are not numbers", remedy="predict the image again")
        found = {}
        for name, given in extra.items():
            value = np.asarray(given, np.float32)
            if name in SCORES and scores.score(name) is not None:
                raise InputError(f"the prediction itself tells the score '{name}'", remedy="rename yours")
            if value.shape != scores.doubt.shape or np.isnan(value).any():
                raise InputError(f"the score '{name}' has another size, or values that are not numbers")
            found[name] = value
        return found

    def _rank(self, name: str, value: npt.NDArray[np.float32], outcome: Outcome) -> None:
        if name not in self.rankings:
            self.rankings[name] = RankingState(_binning(name))
            self.score_sums[name] = 0.0
        flat = np.ascontiguousarray(value, np.float32).reshape(-1)
        self.rankings[name].update(flat, outcome.code)
        self.score_sums[name] += kernels.sum_scores(flat, outcome.code)[0]

    def merge(self, other: ReliabilityState) -> None:
        """Add what another state saw.

        Raises:
            InputError: it has other classes, bins or scores.
        """
        if (other.n_classes, other.scores, other.n_bins) != (self.n_classes, self.scores, self.n_bins):
            raise InputError("states of different classes, scores or bins can't be merged")
        self.confusion.merge(other.confusion)
        self.confidence.merge(other.confidence)
        self.classwise.merge(other.classwise)
        for name, ranking in other.rankings.items():
            self.rankings.setdefault(name, RankingState(ranking.binning)).merge(ranking)
            self.score_sums[name] = self.score_sums.get(name, 0.0) + other.score_sums[name]
        self.images += other.images
        self.renormalised += other.renormalised

    @property
    def pixels(self) -> int:
        """Number of pixels of known classes."""
        return self.confusion.pixels

    def mean_scores(self) -> dict[str, float]:
        """Mean of each score over the pixels that aren't void: of one image, its score as a whole.

        NaN without pixels. ``entropy`` is a share of the logarithm of the number of channels.
        """
        sizes = {name: int(ranking.counts.sum()) for name, ranking in self.rankings.items()}
        return {name: self.score_sums[name] / n if n else float("nan") for name, n in sizes.items()}

    def compute(self, leave_out: Collection[int] = ()) -> dict[str, Any]:
        """All metrics as plain floats, NaN where undefined.

        Args:
            leave_out: classes that don't count in mean IoU and mean accuracy (see
                :meth:`~dubio.reliability.accuracy.ConfusionState.mean_iou`).

        Returns:
            ``images``, ``pixels``, ``unknown_pixels``; the results of the states above; for each score
            ``s`` the metrics of :func:`~dubio.reliability.summary.score_metrics` as ``prr.s``,
            ``ood_auroc.s`` …; and ``reasons``: why each figure that is NaN is undefined.
        """
        found: dict[str, Any] = {
            "images": self.images,
            "pixels": self.pixels,
            "unknown_pixels": max((int(r.counts[2].sum()) for r in self.rankings.values()), default=0),
        }
        found |= self.confusion.compute(leave_out) | self.confidence.compute() | self.classwise.compute()
        reasons = self.confusion.reasons(leave_out) | self.confidence.reasons() | self.classwise.reasons()
        for name, ranking in self.rankings.items():
            values, why = score_metrics(name, ranking, self.pixels)
            found |= values
            reasons |= why
        return found | {"reasons": reasons}

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The state as small arrays, without loss, for ``np.savez_compressed``."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "format": np.array(FORMAT, np.int64),
            "sizes": np.array([self.n_classes, self.n_bins, self.images, self.renormalised], np.int64),
            "scores": np.array(self.scores, np.str_),
            "confidence": np.array(self.confidence.score, np.str_),
            "names": np.array(list(self.rankings), np.str_),
            "score_sums": np.array([self.score_sums[name] for name in self.rankings], np.float64),
        }
        for name, values in self.live_arrays().items():
            arrays |= {name: values.copy()} if values.dtype.kind == "f" else pack(name, values)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> ReliabilityState:
        """Inverse of :meth:`to_arrays`.

        Raises:
            InputError: arrays are missing or don't fit, or are of another format.
        """
        try:
            if int(arrays["format"]) != FORMAT:
                raise InputError(f"has format {int(arrays['format'])}, this dubio reads {FORMAT}")
            n_classes, bins, images, renormalised = (int(v) for v in arrays["sizes"])
            state = cls(n_classes, [str(s) for s in arrays["scores"]], bins, str(arrays["confidence"]))
            state.images, state.renormalised = images, renormalised
            for name, total in zip(arrays["names"], arrays["score_sums"], strict=True):
                state.rankings.setdefault(str(name), RankingState(_binning(str(name))))
                state.score_sums[str(name)] = float(total)
            for name, values in state.live_arrays().items():
                if values.dtype.kind == "f":
                    np.add(values, arrays[name], out=values)
                else:
                    unpack(arrays, name, values)
        except (KeyError, ValueError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError("isn't a stored state of reliability, or is damaged") from error
        return state

    def live_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays that the state consists of, not copies; all of them add up."""
        return {
            "confusion": self.confusion.counts,
            "uniform": self.confidence.uniform,
            "fine": self.confidence.fine,
            "classes": self.classwise.counts,
            "doubt_sums": self.confidence.doubt_sums,
            "losses": self.confidence.losses,
            "class_sums": self.classwise.sums,
        } | {f"ranking.{name}": ranking.counts for name, ranking in self.rankings.items()}


def _binning(name: str) -> Any:
    return UNIT if name in _UNIT_SCORES else REAL


def _sums_off(scores: PixelScores) -> bool:
    return bool((np.abs(scores.top + scores.doubt - 1) > _SUM_SLACK).any())


def _renormalised(prediction: SegPrediction) -> SegPrediction:
    """Probabilities over their sum; where nothing is positive all channels are equal."""
    values = np.maximum(np.asarray(prediction.scores, np.float32), 0)
    total = values.sum(0)
    values /= np.where(total > 0, total, 1)
    values[:, total <= 0] = 1 / len(values)
    return SegPrediction(prediction.n_classes, values, "probabilities", image_id=prediction.image_id)
