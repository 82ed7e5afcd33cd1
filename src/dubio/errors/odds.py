"""Probabilities and log odds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_TINY = 1e-9


def logit(p: npt.ArrayLike) -> Floats:
    """Log odds; probabilities are kept off 0 and 1 by 1e-9."""
    q = np.clip(np.asarray(p, np.float64), _TINY, 1 - _TINY)
    return np.log(q) - np.log1p(-q)


def expit(z: npt.ArrayLike) -> Floats:
    """Inverse of :func:`logit`."""
    return np.asarray(1 / (1 + np.exp(-np.asarray(z, np.float64))))


def platt(z: Floats, y: npt.NDArray[np.bool_], weight: Floats) -> tuple[float, float]:
    """Slope and intercept that calibrate log odds ``z`` by log loss (Platt, 1999).

    The slope stays above 0.05, so that the ranking is kept.
    """
    from scipy.optimize import minimize

    def loss(w: Floats) -> tuple[float, Floats]:
        t = w[0] * z + w[1]
        p = expit(t)
        value = float((weight * (np.logaddexp(0, t) - y * t)).sum() / weight.sum())
        step = weight * (p - y) / weight.sum()
        return value, np.array([(step * z).sum(), step.sum()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0.05, 20), (-20, 20)])
    return float(found.x[0]), float(found.x[1])
