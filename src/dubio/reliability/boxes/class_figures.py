"""Figures of class probabilities and of confidence, for detections."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dubio.reliability.confidence import (
    brier_score,
    calibration_error,
    classwise_calibration_error,
    negative_log_likelihood,
)

Floats = npt.NDArray[np.float64]
# published: ten bins of equal width
BINS = 10
_FLOOR = 1e-12


def class_figures(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> dict[str, float]:
    """Calibration of class probabilities, given that there is an object.

    Args:
        probabilities: ``(N, C)``, rows that sum to 1. Logits are refused: their negative "logarithm" is no
            likelihood, although the published figure for the uncalibrated model was computed so.
        labels: ``(N,)`` true classes.

    Returns:
        ``n``; ``accuracy``; ``ece``, ``mce`` (ten bins of the winning probability); ``ace`` (bins of equal
        population); ``sce`` (mean over classes of the class-wise error); ``brier`` (sum over classes);
        ``nll``. NaN without rows.

    Raises:
        InputError: shapes differ or a value is no probability.

    >>> found = class_figures([[0.8, 0.2], [0.8, 0.2]], [0, 1])
    >>> round(found["ece"], 3), round(found["nll"], 3)
    (0.3, 0.916)
    """
    p, y = np.asarray(probabilities, np.float64), np.asarray(labels, np.int64).ravel()
    if not len(y):
        names = ("accuracy", "ece", "mce", "ace", "sce", "brier", "nll")
        return {"n": 0.0} | dict.fromkeys(names, float("nan"))
    top, right = p.max(1), p.argmax(1) == y
    return {
        "n": float(len(y)),
        "accuracy": float(right.mean()),
        "ece": calibration_error(top, right, BINS),
        "mce": calibration_error(top, right, BINS, norm="max"),
        "ace": calibration_error(top, right, BINS, "population"),
        "sce": float(np.mean(classwise_calibration_error(p, y, BINS))),
        "brier": brier_score(p, y),
        "nll": negative_log_likelihood(np.log(np.maximum(p, _FLOOR)), y),
    }


def confidence_figures(confidence: npt.ArrayLike, right: npt.ArrayLike) -> dict[str, float]:
    """Calibration of confidence: how often a detection that is stated to be right is so.

    Args:
        confidence: ``(N,)`` in [0, 1].
        right: ``(N,)`` whether a detection is right.

    Returns:
        ``n``, ``precision``, ``ece``, ``mce``, ``ace``, ``brier`` (0 … 1), ``nll``. NaN without detections.

    Raises:
        InputError: lengths differ or a value is no probability.

    >>> round(confidence_figures([0.9, 0.9], [True, False])["ece"], 3)
    0.4
    """
    p, hit = np.asarray(confidence, np.float64).ravel(), np.asarray(right, bool).ravel()
    names = ("precision", "ece", "mce", "ace", "brier", "nll")
    if not len(p):
        return {"n": 0.0} | dict.fromkeys(names, float("nan"))
    ece = calibration_error(p, hit, BINS)
    safe = np.clip(p, _FLOOR, 1 - _FLOOR)
    values = (
        float(hit.mean()),
        ece,
        calibration_error(p, hit, BINS, norm="max"),
        calibration_error(p, hit, BINS, "population"),
        float(((p - hit) ** 2).mean()),
        float(-np.where(hit, np.log(safe), np.log1p(-safe)).mean()),
    )
    return {"n": float(len(p))} | dict(zip(names, values, strict=True))
