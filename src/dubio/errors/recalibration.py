"""Stated probabilities held against what reviewers found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.errors.odds import expit, logit

Floats = npt.NDArray[np.float64]
# Prior: standard deviations of the slope around 1 and of the shift around 0.
_SLOPE, _SHIFT = 0.3, 1.5


@dataclass(frozen=True)
class Recalibration:
    """From stated probabilities to what reviewers found: ``logit p' = slope * logit p + shift``.

    Attributes:
        slope: slope.
        shift: shift of the log odds.
        cov: their covariance, ``(2, 2)``.
        n: verdicts it rests on.
    """

    slope: float = 1.0
    shift: float = 0.0
    cov: Any = None
    n: int = 0

    @classmethod
    def fit(cls, p: npt.ArrayLike, y: npt.ArrayLike) -> Recalibration:
        """Maximum a posteriori fit (Laplace approximation) to probabilities and verdicts.

        The prior holds the slope near 1 and the shift near 0: few verdicts change little.

        >>> r = Recalibration.fit([0.1] * 40, [True] * 20 + [False] * 20)
        >>> bool(r.apply(0.1) > 0.35)
        True
        """
        z, target = logit(p), np.asarray(y, np.float64)
        w, precision = np.array([1.0, 0.0]), np.diag([1 / _SLOPE**2, 1 / _SHIFT**2])
        x = np.column_stack([z, np.ones_like(z)])
        hessian = precision
        for _ in range(50):
            q = expit(x @ w)
            slope = x.T @ (q - target) + precision @ (w - [1.0, 0.0])
            hessian = (x * (q * (1 - q))[:, None]).T @ x + precision
            step = np.linalg.solve(hessian, slope)
            w = w - np.clip(step, -1, 1)
            if np.abs(step).max() < 1e-8:
                break
        w[0] = max(w[0], 0.05)
        return cls(float(w[0]), float(w[1]), np.linalg.inv(hessian), len(z))

    def apply(self, p: npt.ArrayLike) -> Floats:
        """Recalibrated probabilities; the order is kept."""
        if not self.n:
            return np.asarray(p, np.float64)
        return np.minimum(expit(self.slope * logit(p) + self.shift), 0.99)

    def draw(self, rng: np.random.Generator) -> Recalibration:
        """One draw from the posterior, for intervals."""
        if not self.n:
            return self
        slope, shift = rng.multivariate_normal([self.slope, self.shift], self.cov)
        return Recalibration(max(float(slope), 0.05), float(shift), self.cov, self.n)
