"""Laws of residuals: how far a true corner lies from the predicted one, in units of sigma.

In every family here sigma is half the width of the central 68.27 % interval. For the normal law that is
the standard deviation; a Student-t law with few degrees of freedom has none, but its interval is as
meaningful. So figures of one family can be held beside those of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import special

from dubio.core.errors import InputError

Floats = npt.NDArray[np.float64]
Family = Literal["normal", "laplace", "student"]
FAMILIES: tuple[Family, ...] = get_args(Family)
ONE_SIGMA = float(special.ndtr(1.0))  # 0.8413: where the interval of one sigma ends


@dataclass(frozen=True)
class ResidualLaw:
    """A symmetric law around zero with sigma 1 (see the module).

    Args:
        family: ``normal``, ``laplace`` or ``student``.
        df: degrees of freedom of ``student``; more than 1, so that the mean distance is finite.

    Raises:
        InputError: no such family, or impossible degrees of freedom.

    >>> law = ResidualLaw("student", df=3)
    >>> float(law.quantile(ONE_SIGMA).round(6)), float(law.central(1.0).round(4))
    (1.0, 0.6827)
    """

    family: Family = "normal"
    df: float | None = None

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            known = ", ".join(FAMILIES)
            raise InputError(f"there is no family of residuals '{self.family}'", remedy=f"one of {known}")
        if self.family == "student" and not (self.df is not None and np.isfinite(self.df) and self.df > 1):
            raise InputError(f"a Student-t law can't have {self.df} degrees of freedom", remedy="more than 1")

    @cached_property
    def unit(self) -> float:
        """Sigma in units of the family's own scale."""
        return float(self._quantile(np.asarray(ONE_SIGMA)))

    def quantile(self, p: npt.ArrayLike) -> Floats:
        """Where the share ``p`` of residuals is smaller, in sigmas."""
        return self._quantile(np.asarray(p, np.float64)) / self.unit

    def half_width(self, level: npt.ArrayLike) -> Floats:
        """Half the width of the central interval that holds the share ``level``, in sigmas.

        >>> float(ResidualLaw().half_width(0.9).round(3))
        1.645
        """
        return self.quantile((1 + np.asarray(level, np.float64)) / 2)

    def central(self, z: npt.ArrayLike) -> Floats:
        """Share of residuals nearer to zero than ``|z|`` sigmas; inverse of :meth:`half_width`."""
        x = np.abs(np.asarray(z, np.float64)) * self.unit
        if self.family == "normal":
            return np.asarray(special.erf(x / np.sqrt(2)))
        if self.family == "laplace":
            return np.asarray(-np.expm1(-x))
        return np.asarray(2 * special.stdtr(self.df, x) - 1)

    def nll(self, residual: npt.ArrayLike, sigma: npt.ArrayLike) -> Floats:
        """Negative log density of residuals, nats; elementwise."""
        scale = np.asarray(sigma, np.float64) / self.unit
        y = np.asarray(residual, np.float64) / scale
        if self.family == "normal":
            value = 0.5 * y**2 + 0.5 * np.log(2 * np.pi)
        elif self.family == "laplace":
            value = np.abs(y) + np.log(2)
        else:
            df = float(self.df or 0)
            norm = special.gammaln(df / 2) - special.gammaln((df + 1) / 2) + 0.5 * np.log(df * np.pi)
            value = norm + (df + 1) / 2 * np.log1p(y**2 / df)
        return np.asarray(value + np.log(scale), np.float64)

    def crps(self, residual: npt.ArrayLike, sigma: npt.ArrayLike) -> Floats:
        """Continuous ranked probability score, in the residual's unit; elementwise, the less the better.

        Closed forms: Gneiting and Raftery (2007); Jordan, Krüger and Lerch (2019).
        """
        scale = np.asarray(sigma, np.float64) / self.unit
        y = np.abs(np.asarray(residual, np.float64)) / scale
        if self.family == "normal":
            density = np.exp(-0.5 * y**2) / np.sqrt(2 * np.pi)
            value = y * (2 * special.ndtr(y) - 1) + 2 * density - 1 / np.sqrt(np.pi)
        elif self.family == "laplace":
            value = y + np.exp(-y) - 0.75
        else:
            value = self._student_crps(y)
        return np.asarray(value * scale, np.float64)

    def _student_crps(self, y: Floats) -> Floats:
        df = float(self.df or 0)
        density = np.exp(
            special.gammaln((df + 1) / 2) - special.gammaln(df / 2) - 0.5 * np.log(df * np.pi)
            - (df + 1) / 2 * np.log1p(y**2 / df)
        )  # fmt: skip
        spread = np.exp(special.betaln(0.5, df - 0.5) - 2 * special.betaln(0.5, df / 2))
        body = y * (2 * special.stdtr(df, y) - 1) + 2 * density * (df + y**2) / (df - 1)
        return np.asarray(body - 2 * np.sqrt(df) / (df - 1) * spread)

    def _quantile(self, p: Floats) -> Floats:
        if self.family == "normal":
            return np.asarray(special.ndtri(p))
        if self.family == "laplace":
            tail = np.minimum(p, 1 - p)
            with np.errstate(divide="ignore"):
                return np.asarray(np.where(p < 0.5, 1, -1) * np.log(2 * tail))
        # scipy's stdtrit fails at the ends
        with np.errstate(invalid="ignore"):
            inner = special.stdtrit(self.df, np.clip(p, 1e-300, 1 - 1e-16))
        return np.asarray(np.where(p >= 1, np.inf, np.where(p <= 0, -np.inf, inner)))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"family": self.family} | ({} if self.df is None else {"df": self.df})

    def __str__(self) -> str:
        return self.family if self.df is None else f"{self.family} (df {self.df:.3g})"
