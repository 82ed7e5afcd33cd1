"""How probably a detection is right: it meets a labelled box of its class.

Sources: Zadrozny and Elkan, KDD 2002 (isotonic); Küppers et al., Multivariate Confidence Calibration for
Object Detection, CVPR-W 2020 (dependence on position and size).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from dubio.calibration.boxes.rows import BoxRows
from dubio.core.boxes import Floats
from dubio.core.errors import InputError

_EDGE = 1e-6
# penalty of standardised weights, as worth so many detections; that of the score is a hundredth of it
_RIDGE, _SCORE_GAIN = 30.0, 10.0
POOLING = 50.0


class ConfidenceCalibrator(Protocol):
    """What turns scores into probabilities of being right."""

    kind: str

    def fit(self, rows: BoxRows, right: npt.NDArray[np.bool_]) -> ConfidenceCalibrator:
        """Learn from detections, right and wrong ones.

        Raises:
            InputError: none, or all are right, or all are wrong.
        """
        ...

    def confidence(self, rows: BoxRows) -> Floats:
        """Probability of being right, ``(N,)``."""
        ...

    def state(self) -> dict[str, Any]:
        """Options and what was learned, as plain data."""
        ...

    def describe(self) -> str:
        """What it is, in words."""
        ...


class LogisticConfidence:
    """Logistic regression on the logit of the score, and on position and size if asked for.

    Args:
        position: use the box's middle, sides and shape, each as a share of the picture where its size is
            known, else in pixels; and the class.
    """

    kind = "logistic"

    def __init__(self, position: bool = True) -> None:
        self.position = bool(position)
        self.mean: Floats = np.zeros(0)
        self.std: Floats = np.ones(0)
        self.weights: Floats = np.zeros(0)

    def fit(self, rows: BoxRows, right: npt.NDArray[np.bool_]) -> LogisticConfidence:
        """See :class:`ConfidenceCalibrator`."""
        from sklearn.linear_model import LogisticRegression

        _check(right)
        x = self._features(rows)
        self.mean, spread = x.mean(0), x.std(0)
        self.std = np.where(spread > 1e-9, spread, np.inf)
        self.std[0] /= _SCORE_GAIN
        model = LogisticRegression(C=1 / _RIDGE, max_iter=500)
        model.fit((x - self.mean) / self.std, right)
        self.weights = np.append(model.coef_[0], model.intercept_)
        return self

    def confidence(self, rows: BoxRows) -> Floats:
        """See :class:`ConfidenceCalibrator`."""
        z = (self._features(rows) - self.mean) / self.std
        return np.asarray(expit(z @ self.weights[:-1] + self.weights[-1]), np.float64)

    def _features(self, rows: BoxRows) -> Floats:
        p = np.clip(rows.scores, _EDGE, 1 - _EDGE)
        score = np.log(p) - np.log1p(-p)
        if not self.position:
            return score[:, None]
        frame = np.where(np.isfinite(rows.frame), rows.frame, 1.0)
        middle = (rows.boxes[:, :2] + rows.boxes[:, 2:]) / 2 / frame
        side = np.log(rows.sides[:, :2] / frame)
        columns = [score, *middle.T, *side.T, *(middle**2).T, *(side**2).T, side[:, 0] * side[:, 1]]
        columns += [score * side.sum(1)]
        columns += [(rows.classes == k).astype(np.float64) for k in range(rows.n_classes)]
        return np.stack(columns, 1)

    def state(self) -> dict[str, Any]:
        """See :class:`ConfidenceCalibrator`."""
        return {
            "options": {"position": self.position},
            "mean": self.mean.tolist(),
            # columns that never varied take no part
            "std": [None if np.isinf(s) else float(s) for s in self.std],
            "weights": self.weights.tolist(),
        }

    @classmethod
    def restore(cls, data: Mapping[str, Any]) -> LogisticConfidence:
        """The inverse of :meth:`state`."""
        found = cls(**data["options"])
        found.mean, found.weights = np.array(data["mean"], float), np.array(data["weights"], float)
        found.std = np.array([np.inf if s is None else s for s in data["std"]], float)
        return found

    def describe(self) -> str:
        """See :class:`ConfidenceCalibrator`."""
        more = ", position, size and class" if self.position else ""
        return f"confidence by logistic regression on score{more}"


class IsotonicConfidence:
    """A rising curve from score to share of right, for all classes or for each.

    Args:
        per_class: a curve for each class; rare ones lean on that of all.
    """

    kind = "isotonic"

    def __init__(self, per_class: bool = False) -> None:
        self.per_class = bool(per_class)
        self.curves: dict[int, tuple[Floats, Floats, float]] = {}

    def fit(self, rows: BoxRows, right: npt.NDArray[np.bool_]) -> IsotonicConfidence:
        """See :class:`ConfidenceCalibrator`."""
        _check(right)
        self.curves = {-1: (*_curve(rows.scores, right), 1.0)}
        for k in np.unique(rows.classes) if self.per_class else ():
            mine = rows.classes == k
            n = int(mine.sum())
            self.curves[int(k)] = (*_curve(rows.scores[mine], right[mine]), n / (n + POOLING))
        return self

    def confidence(self, rows: BoxRows) -> Floats:
        """See :class:`ConfidenceCalibrator`."""
        found = np.interp(rows.scores, *self.curves[-1][:2])
        for k in np.unique(rows.classes):
            if int(k) in self.curves:
                xs, ys, weight = self.curves[int(k)]
                mine = rows.classes == k
                found[mine] = weight * np.interp(rows.scores[mine], xs, ys) + (1 - weight) * found[mine]
        return np.asarray(found, np.float64)

    def state(self) -> dict[str, Any]:
        """See :class:`ConfidenceCalibrator`."""
        return {
            "options": {"per_class": self.per_class},
            "curves": {str(k): [xs.tolist(), ys.tolist(), w] for k, (xs, ys, w) in self.curves.items()},
        }

    @classmethod
    def restore(cls, data: Mapping[str, Any]) -> IsotonicConfidence:
        """The inverse of :meth:`state`."""
        found = cls(**data["options"])
        found.curves = {
            int(k): (np.array(xs, float), np.array(ys, float), float(w))
            for k, (xs, ys, w) in data["curves"].items()
        }
        return found

    def describe(self) -> str:
        """See :class:`ConfidenceCalibrator`."""
        return "confidence by a rising curve" + (" per class" if self.per_class else "")


def _curve(scores: Floats, right: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, right.astype(np.float64))
    return np.asarray(model.X_thresholds_, np.float64), np.asarray(model.y_thresholds_, np.float64)


def _check(right: npt.NDArray[np.bool_]) -> None:
    if not len(right):
        raise InputError("there are no detections to calibrate on")
    if right.all() or not right.any():
        what = "right" if right.all() else "wrong"
        raise InputError(f"all detections are {what}: there is nothing to calibrate confidence on")
