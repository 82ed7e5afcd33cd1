"""Which class, given that there is an object: temperatures and isotonic curves, their spread carried along.

Each class score goes through a rising function of its own; the results are divided by their sum. The
variances of the scores (from dropout or an ensemble) follow by the same functions, without random draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import logit

from dubio.core.boxes import BoxScoreKind, DetPrediction, Floats
from dubio.core.errors import InputError

Ints = npt.NDArray[np.int64]
# probabilities nearer to 0 or 1 than this are taken as this
_EDGE, _TOP = 1e-30, 1 - 1e-12
# log odds beyond the winner's that are as good as infinite
_FAR = 50.0
# Temperatures of classes lie within a factor of about 1.6 of the common one unless objects say otherwise.
_PULL = 5.0
# A class that was met so often weighs as much as all classes together.
POOLING = 50.0


class ClassCalibrator(Protocol):
    """What turns class scores into probabilities of the classes."""

    kind: str

    def fit(self, scores: Floats, kind: BoxScoreKind, labels: Ints) -> ClassCalibrator:
        """Learn from detections that stand for a labelled box.

        Args:
            scores: ``(N, C)`` class scores.
            kind: what they are.
            labels: ``(N,)`` true classes.

        Raises:
            InputError: there is nothing to learn from.
        """
        ...

    def log_weight(self, p: Floats) -> Floats:
        """Logarithm of each class's weight, ``(N, C)``, rising in its own probability; not normalised."""
        ...

    def state(self) -> dict[str, Any]:
        """Options and what was learned, as plain data."""
        ...

    def describe(self) -> str:
        """What it is, in words."""
        ...


class ClassTemperature:
    """Logits over a temperature, of all classes or of each.

    The temperature is the one of greatest likelihood (the published code walks a hundred steps of gradient
    descent towards it). Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.

    Args:
        per_class: a temperature for each class, held near the common one where a class is rare.

    >>> rng = np.random.default_rng(0)
    >>> z = rng.normal(size=(4000, 3)); p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    >>> labels = (rng.random(4000)[:, None] > p.cumsum(1)).sum(1)
    >>> sure = np.exp(3 * z) / np.exp(3 * z).sum(1, keepdims=True)
    >>> round(float(ClassTemperature().fit(sure, "softmax", labels).temperature[0]), 1)
    3.0
    """

    kind = "temperature"

    def __init__(self, per_class: bool = False) -> None:
        self.per_class = bool(per_class)
        self.temperature: Floats = np.ones(1)
        self.source: BoxScoreKind = "softmax"

    def fit(self, scores: Floats, kind: BoxScoreKind, labels: Ints) -> ClassTemperature:
        """See :class:`ClassCalibrator`."""
        p, self.source = object_scores(scores, kind), kind
        z = _log_odds(p, kind)
        _check(len(z))
        own = z[np.arange(len(z)), labels]

        def loss(log_t: Floats, center: float | None) -> tuple[float, Floats]:
            b = np.exp(-np.clip(log_t, -7, 7))
            a = z * b
            top = a.max(1, keepdims=True)
            e = np.exp(a - top)
            total = e.sum(1)
            q = e / total[:, None]
            value = (np.log(total) + top[:, 0] - own * (b if len(b) == 1 else b[labels])).sum()
            slope = -(q * a)
            slope[np.arange(len(z)), labels] += a[np.arange(len(z)), labels]
            if len(b) == 1:
                return float(value), np.array([slope.sum()])
            pull = log_t - (center or 0.0)
            return float(value + 0.5 * _PULL * (pull**2).sum()), slope.sum(0) + _PULL * pull

        common = minimize(loss, np.zeros(1), args=(None,), jac=True, method="L-BFGS-B", bounds=[(-5, 5)]).x
        if self.per_class:
            start = np.full(z.shape[1], common[0])
            common = minimize(loss, start, args=(float(common[0]),), jac=True, method="L-BFGS-B").x
        self.temperature = np.exp(np.asarray(common, np.float64))
        return self

    def log_weight(self, p: Floats) -> Floats:
        """See :class:`ClassCalibrator`."""
        return np.asarray(_log_odds(p, self.source) / self.temperature)

    def state(self) -> dict[str, Any]:
        """See :class:`ClassCalibrator`."""
        return {
            "options": {"per_class": self.per_class},
            "temperature": self.temperature.tolist(),
            "source": self.source,
        }

    @classmethod
    def restore(cls, data: Mapping[str, Any]) -> ClassTemperature:
        """The inverse of :meth:`state`."""
        found = cls(**data["options"])
        found.temperature, found.source = np.array(data["temperature"], float), data["source"]
        return found

    def describe(self) -> str:
        """See :class:`ClassCalibrator`."""
        low, high = float(self.temperature.min()), float(self.temperature.max())
        value = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}, per class"
        return f"class scores by temperature {value}"


class ClassIsotonic:
    """A rising curve from score to share of right, for all classes or for each.

    A class that is rare, or missing among the objects, leans on the curve of all classes.

    Args:
        per_class: a curve for each class.
    """

    kind = "isotonic"

    def __init__(self, per_class: bool = False) -> None:
        self.per_class = bool(per_class)
        # pooled first, then one per class with the weight it has
        self.curves: list[tuple[Floats, Floats, float]] = []

    def fit(self, scores: Floats, kind: BoxScoreKind, labels: Ints) -> ClassIsotonic:
        """See :class:`ClassCalibrator`."""
        p = object_scores(scores, kind)
        _check(len(p))
        hit = labels[:, None] == np.arange(p.shape[1])[None, :]
        self.curves = [(*_isotonic(p.ravel(), hit.ravel()), 1.0)]
        for c in range(p.shape[1] if self.per_class else 0):
            n = int(hit[:, c].sum())
            self.curves.append((*_isotonic(p[:, c], hit[:, c]), n / (n + POOLING)))
        return self

    def log_weight(self, p: Floats) -> Floats:
        """See :class:`ClassCalibrator`."""
        found = np.interp(p, *self.curves[0][:2])
        for c, (xs, ys, weight) in enumerate(self.curves[1:]):
            found[:, c] = weight * np.interp(p[:, c], xs, ys) + (1 - weight) * found[:, c]
        # a curve of steps says 0 to several classes: the score itself keeps their order
        return np.asarray(np.log(found + _EDGE * (p + _EDGE)), np.float64)

    def state(self) -> dict[str, Any]:
        """See :class:`ClassCalibrator`."""
        return {
            "options": {"per_class": self.per_class},
            "curves": [[xs.tolist(), ys.tolist(), weight] for xs, ys, weight in self.curves],
        }

    @classmethod
    def restore(cls, data: Mapping[str, Any]) -> ClassIsotonic:
        """The inverse of :meth:`state`."""
        found = cls(**data["options"])
        found.curves = [(np.array(xs, float), np.array(ys, float), float(w)) for xs, ys, w in data["curves"]]
        return found

    def describe(self) -> str:
        """See :class:`ClassCalibrator`."""
        return "class scores by a rising curve" + (" per class" if self.per_class else "")


def calibrated_classes(
    calibrator: ClassCalibrator, prediction: DetPrediction
) -> tuple[Floats, Floats | None]:
    """Probability of each class given that there is an object, and its variance.

    Args:
        calibrator: a fitted one.
        prediction: detections with class scores.

    Returns:
        ``(N, C)`` rows that sum to 1, and ``(N, C)`` variances if the prediction has them.

    Raises:
        InputError: the prediction has no class scores.
    """
    if prediction.class_scores is None or prediction.kind is None:
        raise InputError("the detections have no scores of all classes", remedy="calibrate confidence only")
    p = object_scores(prediction.class_scores, prediction.kind)
    log_weight = calibrator.log_weight(p)
    most = log_weight.max(1, keepdims=True)
    weight = np.exp(log_weight - most)
    total = weight.sum(1, keepdims=True)
    q = weight / total
    if prediction.class_variance is None:
        return q, None
    std = np.sqrt(prediction.class_variance)
    ends = [calibrator.log_weight(np.clip(p + d, _EDGE, _TOP)) - most for d in (std, -std)]
    up, down = (np.exp(np.minimum(a, _FAR)) for a in ends)
    v = ((up - down) / 2) ** 2
    # first order through the division by the sum, scores independent
    spread = ((1 - 2 * q) * v + q**2 * v.sum(1, keepdims=True)) / total**2
    return q, np.clip(spread, 0, q * (1 - q))


def object_scores(scores: Floats, kind: BoxScoreKind) -> Floats:
    """Class scores as probabilities within (0, 1): softmax rows over their sum, so without background.

    >>> object_scores(np.array([[0.2, 0.2]]), "softmax").tolist()
    [[0.5, 0.5]]
    """
    s = np.asarray(scores, np.float64)
    if kind == "logits":
        e = np.exp(s - s.max(1, keepdims=True))
        s = e / e.sum(1, keepdims=True)
    elif kind == "softmax":
        s = s / np.maximum(s.sum(1, keepdims=True), _EDGE)
    return np.clip(s, _EDGE, _TOP)


def _log_odds(p: Floats, kind: BoxScoreKind) -> Floats:
    # of separate questions the odds compete, of one question the probabilities do
    return np.asarray(logit(p) if kind == "sigmoid" else np.log(p), np.float64)


def _isotonic(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(x, y.astype(np.float64))
    return np.asarray(model.X_thresholds_, np.float64), np.asarray(model.y_thresholds_, np.float64)


def _check(n: int) -> None:
    if not n:
        raise InputError("there are no detections with a known class", remedy="no detection meets a label")
