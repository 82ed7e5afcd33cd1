"""Boxes whose corners are uncertain: means, variances, covariances and quantiles in pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from dubio.core.errors import InputError
from dubio.uncertainty.boxes.arrays import Array, Library


class CornerLaw(Protocol):
    """The distribution of each of the four corner coordinates."""

    def quantile(self, q: float) -> Array:
        """The ``q`` quantile, ``(N, 4)``, double precision."""
        ...


@dataclass(frozen=True)
class DecodedBoxes:
    """Moments of box corners, numpy (float64) or torch (dtype of the predictions).

    The horizontal and the vertical sides are independent in every coder here, so that the covariance of a
    box is told by the four variances and two covariances.

    Attributes:
        mean: ``(N, 4)`` expected x0, y0, x1, y1, pixels.
        variance: ``(N, 4)`` their variances, square pixels; ``inf`` where a log-normal size without a
            clamp exceeds the largest double.
        pair_covariance: ``(N, 2)`` covariances of x0 with x1 and of y0 with y1, square pixels.
        law: the distribution of the corners; ``None`` where only moments are known (``sample``,
            ``falsedec``): then a normal one is taken.

    >>> boxes = DecodedBoxes(np.array([[10.0, 10, 30, 50]]), np.full((1, 4), 4.0), np.array([[-4.0, 0]]))
    >>> boxes.std[0, 0].item(), boxes.correlation.tolist()
    (2.0, [[-1.0, 0.0]])
    >>> low, high = boxes.interval(0.9)
    >>> [round(v, 2) for v in (low[0, 0].item(), high[0, 0].item())]
    [6.71, 13.29]
    """

    mean: Array
    variance: Array
    pair_covariance: Array
    law: CornerLaw | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.mean)

    @property
    def std(self) -> Array:
        """``(N, 4)`` standard deviations, pixels."""
        return self.variance**0.5

    @property
    def covariance(self) -> Array:
        """``(N, 4, 4)`` covariance of x0, y0, x1, y1, square pixels; zero between x and y."""
        lib = Library(self.mean)
        full = lib.xp.zeros((len(self.mean), 4, 4), dtype=self.mean.dtype)
        if not lib.is_numpy:
            full = full.to(self.mean.device)
        for i in range(4):
            full[:, i, i] = self.variance[:, i]
        for i in range(2):
            full[:, i, i + 2] = full[:, i + 2, i] = self.pair_covariance[:, i]
        return full

    @property
    def correlation(self) -> Array:
        """``(N, 2)`` correlation of x0 with x1 and of y0 with y1.

        -1: only the size is uncertain, 1: only the position. NaN where a side has no variance; -1 where
        variances are infinite, because only sizes can be.
        """
        xp = Library(self.mean).xp
        with np.errstate(all="ignore"):
            found = self.pair_covariance / (self.std[:, :2] * self.std[:, 2:])
        endless = xp.isinf(self.variance[:, :2]) & xp.isinf(self.variance[:, 2:])
        return xp.where(endless, -xp.ones_like(found), xp.clip(found, -1.0, 1.0))

    def quantile(self, q: float) -> Array:
        """The ``q`` quantile of each corner coordinate, ``(N, 4)`` pixels.

        From the law of the corners: closed for distances and discrete sides; for a centre plus or minus
        half a size by bisection of the distribution function, itself a quadrature; meant for boxes
        after suppression, about a millisecond each. See :mod:`.laws` for its accuracy.

        Raises:
            InputError: ``q`` is not between 0 and 1.
        """
        if not 0 < q < 1:
            raise InputError(f"a quantile lies between 0 and 1, not at {q:g}")
        lib = Library(self.mean)
        if self.law is None:
            z = lib.special.ndtri(lib.take(q))
            return lib.give(lib.take(self.mean) + z * lib.take(self.variance) ** 0.5)
        return lib.give(self.law.quantile(q))

    def interval(self, level: float) -> tuple[Array, Array]:
        """Central interval of each coordinate by itself: two ``(N, 4)``, lower and upper ends, pixels.

        Args:
            level: probability of the interval, between 0 and 1.

        Raises:
            InputError: ``level`` is not between 0 and 1.
        """
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)
