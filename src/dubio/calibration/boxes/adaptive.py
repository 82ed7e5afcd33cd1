"""Sigma as a function of everything that is known of a box.

Our own: the logarithm of the spread is linear in the logarithms of the stated sigma (if there is one) and of
the box's sides, the logit of the score, contact with the border, coordinate and class; a Student-t law. It
serves detectors that state no uncertainty of their corners at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.optimize import minimize

from dubio.calibration.boxes.fit_law import fit_law
from dubio.calibration.boxes.rows import BoxRows
from dubio.calibration.boxes.spread import LEAST_SIGMA, stated_sigma
from dubio.core.errors import InputError
from dubio.uncertainty.boxes.residuals import Floats, ResidualLaw

# pixels: a side this near to the picture's border is cut by it
_CONTACT = 2.0
_ROUNDS = 3


class AdaptiveSpread:
    """See the module.

    Args:
        use_sigma: use the stated sigma where there is one.
        ridge: penalty on standardised weights, in residuals: worth as many coordinates.

    >>> rng = np.random.default_rng(0)
    >>> low, side = rng.uniform(0, 50, (400, 2)), rng.uniform(5, 80, (400, 2))
    >>> boxes, none = np.concatenate([low, low + side], 1), np.full((400, 2), np.nan)
    >>> off = rng.normal(size=(400, 4)) * 0.1 * np.concatenate([side, side], 1)
    >>> rows = BoxRows(boxes, None, np.zeros(400, int), np.full(400, 0.5), none, 1, residual=off)
    >>> sigma = AdaptiveSpread().fit(rows).sigma(rows)
    >>> bool(np.corrcoef(sigma[:, 0], side[:, 0])[0, 1] > 0.95)
    True
    """

    kind = "adaptive"

    def __init__(self, use_sigma: bool = True, ridge: float = 10.0) -> None:
        self.use_sigma, self.ridge = bool(use_sigma), float(ridge)
        self.law = ResidualLaw("student", 3.0)
        self.with_sigma = False
        self.mean: Floats = np.zeros(0)
        self.std: Floats = np.ones(0)
        self.weights: Floats = np.zeros(0)

    def fit(self, rows: BoxRows) -> AdaptiveSpread:
        """See :class:`~dubio.calibration.boxes.spread.SpreadCalibrator`."""
        if not len(rows):
            raise InputError("there are no residuals to calibrate on", remedy="no detection meets a label")
        self.with_sigma = self.use_sigma and rows.sigma is not None
        x, r = self._features(rows), np.abs(rows.truth).reshape(-1)
        self.mean, self.std = x.mean(0), np.where(x.std(0) > 1e-9, x.std(0), np.inf)
        z = np.concatenate([(x - self.mean) / self.std, np.ones((len(x), 1))], 1)
        weights = np.zeros(z.shape[1])
        weights[-1] = np.log(max(float(np.median(r)), LEAST_SIGMA))
        square, df = np.maximum(r, 1e-3) ** 2, 3.0
        for _ in range(_ROUNDS):
            weights = _solve(z, square, df, weights, self.ridge)
            law, factor = fit_law(r / np.exp(z @ weights), "student")
            df = float(law.df or df)
        self.law, self.weights = law, weights
        self.weights[-1] += np.log(factor)
        return self

    def sigma(self, rows: BoxRows) -> Floats:
        """See :class:`~dubio.calibration.boxes.spread.SpreadCalibrator`."""
        if self.with_sigma and rows.sigma is None:
            raise InputError("the calibrator needs stated variances, and these detections have none")
        x = self._features(rows)
        z = np.concatenate([(x - self.mean) / self.std, np.ones((len(x), 1))], 1)
        return np.maximum(np.exp(z @ self.weights).reshape(-1, 4), LEAST_SIGMA)

    def _features(self, rows: BoxRows) -> Floats:
        """``(4 N, F)``, the coordinates of a box one after the other."""
        n, sides = len(rows), rows.sides
        own, other = np.log(sides), np.log(sides[:, [1, 0, 3, 2]])
        p = np.clip(rows.scores, 1e-4, 1 - 1e-4)
        logit = np.broadcast_to((np.log(p) - np.log1p(-p))[:, None], (n, 4))
        frame = np.concatenate([np.zeros((n, 2)), rows.frame], 1)
        with np.errstate(invalid="ignore"):
            # unknown pictures compare as false: no contact
            touch = (np.abs(rows.boxes - frame) < _CONTACT).astype(np.float64)
        opposite = touch[:, [2, 3, 0, 1]]
        columns = [own, other, logit, touch, opposite]
        if self.with_sigma:
            stated = np.log(stated_sigma(rows))
            columns += [stated, (stated - own) ** 2]
        columns += [np.broadcast_to(np.arange(4) == k, (n, 4)).astype(np.float64) for k in (1, 2, 3)]
        columns += [
            np.broadcast_to((rows.classes == k)[:, None], (n, 4)).astype(np.float64)
            for k in range(rows.n_classes if rows.n_classes > 1 else 0)
        ]
        return np.stack([c.reshape(-1) for c in columns], 1)

    def state(self) -> dict[str, Any]:
        """See :class:`~dubio.calibration.boxes.spread.SpreadCalibrator`."""
        return {
            "options": {"use_sigma": self.use_sigma, "ridge": self.ridge},
            "law": self.law.to_dict(),
            "with_sigma": self.with_sigma,
            "mean": self.mean.tolist(),
            # columns that never varied take no part
            "std": [None if np.isinf(s) else float(s) for s in self.std],
            "weights": self.weights.tolist(),
        }

    @classmethod
    def restore(cls, data: Mapping[str, Any]) -> AdaptiveSpread:
        """The inverse of :meth:`state`."""
        found = cls(**data["options"])
        found.law, found.with_sigma = ResidualLaw(**data["law"]), bool(data["with_sigma"])
        found.mean, found.weights = np.array(data["mean"], float), np.array(data["weights"], float)
        found.std = np.array([np.inf if s is None else s for s in data["std"]], float)
        return found

    def describe(self) -> str:
        """See :class:`~dubio.calibration.boxes.spread.SpreadCalibrator`."""
        base = (
            "stated sigma, score, size, border and class" if self.with_sigma else "score, size, border, class"
        )
        return f"sigma learned from {base}; {self.law} residuals"


def _solve(z: Floats, square: Floats, df: float, start: Floats, ridge: float) -> Floats:
    """Weights of greatest likelihood of a Student-t law with a log-linear scale."""
    penalty = np.full(z.shape[1], ridge)
    penalty[-1] = 0.0

    def loss(w: Floats) -> tuple[float, Floats]:
        log_scale = z @ w
        ratio = square * np.exp(-2 * np.clip(log_scale, -30, 30)) / df
        value = (log_scale + (df + 1) / 2 * np.log1p(ratio)).sum() + 0.5 * (penalty * w * w).sum()
        slope = 1 - (df + 1) * ratio / (1 + ratio)
        return float(value), np.asarray(z.T @ slope + penalty * w)

    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B").x, np.float64)
