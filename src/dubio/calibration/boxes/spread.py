"""Calibrators of the spread of corners.

The published ones (Kassem Sbeyti et al., ECML PKDD 2023) are temperatures and isotonic curves per group of
coordinates under a normal law. Here the temperature is solved for, not approached in a hundred steps; small
groups lean on what all together say; and the law may have heavier tails, which real residuals have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dubio.calibration.boxes.fit_law import fit_law, fit_scale, student_scale
from dubio.calibration.boxes.rows import GROUPINGS, BoxRows, Grouping
from dubio.core.errors import InputError
from dubio.uncertainty.boxes.residuals import Family, Floats, ResidualLaw

# A group of this many coordinates weighs as much as all others together.
POOLING = 50.0
# pixels: no corner is known better
LEAST_SIGMA = 0.05
_TARGETS = ("nll", "rmse", "mae", "quantile")


class SpreadCalibrator(Protocol):
    """What gives corners a sigma and a law."""

    kind: str
    law: ResidualLaw

    def fit(self, rows: BoxRows) -> SpreadCalibrator:
        """Learn from matched detections.

        Raises:
            InputError: there is nothing to learn from.
        """
        ...

    def sigma(self, rows: BoxRows) -> Floats:
        """Calibrated sigma of each corner, ``(N, 4)`` pixels."""
        ...

    def state(self) -> dict[str, Any]:
        """Options and what was learned, as plain data."""
        ...

    def describe(self) -> str:
        """What it is, in words."""
        ...


class ScaleSpread:
    """Sigma times a factor per group.

    Args:
        target: see :func:`~dubio.calibration.boxes.fit_law.fit_scale`.
        family: of the law.
        grouping: ``all``, per ``coordinate``, per ``class`` or per ``class-coordinate``.
        pooling: a group of so many coordinates leans half on the pooled factor; 0: not at all.

    Raises:
        InputError: an unknown option.
    """

    kind = "scale"

    def __init__(
        self,
        target: str = "nll",
        family: Family = "normal",
        grouping: Grouping = "all",
        pooling: float = POOLING,
    ) -> None:
        _check(grouping, target)
        self.target, self.family, self.grouping, self.pooling = target, family, grouping, float(pooling)
        self.law = ResidualLaw() if family == "normal" else ResidualLaw("laplace")
        self.factors: Floats = np.ones(1)

    def fit(self, rows: BoxRows) -> ScaleSpread:
        """See :class:`SpreadCalibrator`."""
        sigma, residual = stated_sigma(rows), rows.truth
        self.law, whole = fit_law(residual / sigma, self.family)
        if self.target != "nll":
            whole = fit_scale(residual, sigma, self.target, self.family)
        group, count = rows.groups(self.grouping)
        factors = np.full(count, whole)
        for g in range(count if count > 1 else 0):
            mine = group == g
            n = int(mine.sum())
            if n < 2 or not (residual[mine] != 0).any():
                continue
            own = fit_scale(residual[mine], sigma[mine], self.target, _closed(self.family))
            if self.family == "student" and self.target == "nll":
                own = student_scale(residual[mine] / sigma[mine], self.law)
            share = n / (n + self.pooling)
            factors[g] = np.exp(share * np.log(max(own, 1e-9)) + (1 - share) * np.log(whole))
        self.factors = factors
        return self

    def sigma(self, rows: BoxRows) -> Floats:
        """See :class:`SpreadCalibrator`."""
        group, _ = rows.groups(self.grouping)
        return np.maximum(stated_sigma(rows) * self.factors[group], LEAST_SIGMA)

    def state(self) -> dict[str, Any]:
        """See :class:`SpreadCalibrator`."""
        options = {name: getattr(self, name) for name in ("target", "family", "grouping", "pooling")}
        return {"options": options, "law": self.law.to_dict(), "factors": self.factors.tolist()}

    @classmethod
    def restore(cls, data: Mapping[str, Any]) -> ScaleSpread:
        """The inverse of :meth:`state`."""
        found = cls(**data["options"])
        found.law, found.factors = ResidualLaw(**data["law"]), np.array(data["factors"], np.float64)
        return found

    def describe(self) -> str:
        """See :class:`SpreadCalibrator`."""
        low, high = float(self.factors.min()), float(self.factors.max())
        factor = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
        return f"sigma times {factor} ({self.target}, {_words(self.grouping)}), {self.law} residuals"


class IsotonicSpread:
    """Sigma through a rising curve per group, then a factor so that the law fits.

    Args:
        target: ``square``: the curve is the root of the mean squared residual at a sigma; ``absolute``: the
            mean absolute residual, which of a normal law is 0.798 sigma.
        family: of the law.
        grouping: see :class:`ScaleSpread`.
        relative: curves over sigma and residual relative to the box's side.
        rescale: fit the law's scale after the curve; the published method doesn't.
        pooling: see :class:`ScaleSpread`.

    Raises:
        InputError: an unknown option.
    """

    kind = "isotonic"

    def __init__(
        self,
        target: str = "absolute",
        family: Family = "student",
        grouping: Grouping = "all",
        relative: bool = False,
        rescale: bool = True,
        pooling: float = POOLING,
    ) -> None:
        if target not in ("absolute", "square"):
            raise InputError(f"there is no target '{target}'", remedy="one of absolute, square")
        _check(grouping, "nll")
        self.target, self.family, self.grouping = target, family, grouping
        self.relative, self.rescale, self.pooling = bool(relative), bool(rescale), float(pooling)
        self.law, self.factor = ResidualLaw() if family != "laplace" else ResidualLaw("laplace"), 1.0
        # the pooled curve first, then one per group with the weight it has
        self.curves: list[tuple[Floats, Floats, float]] = []

    def fit(self, rows: BoxRows) -> IsotonicSpread:
        """See :class:`SpreadCalibrator`."""
        sigma, residual = stated_sigma(rows), np.abs(rows.truth)
        if not len(rows):
            raise InputError("there are no residuals to calibrate on", remedy="no detection meets a label")
        scale = rows.sides if self.relative else np.ones_like(sigma)
        x = sigma / scale
        y = (residual / scale) ** (2 if self.target == "square" else 1)
        group, count = rows.groups(self.grouping)
        self.curves = [(*_isotonic(x.ravel(), y.ravel()), 1.0)]
        for g in range(count if count > 1 else 0):
            mine = group == g
            n = int(mine.sum())
            curve = _isotonic(x[mine], y[mine]) if n >= 2 else self.curves[0][:2]
            self.curves.append((*curve, n / (n + self.pooling) if n >= 2 else 0.0))
        self.factor = 1.0
        if self.rescale:
            self.law, self.factor = fit_law(rows.truth / self.sigma(rows), self.family)
        return self

    def sigma(self, rows: BoxRows) -> Floats:
        """See :class:`SpreadCalibrator`."""
        scale = rows.sides if self.relative else np.ones((len(rows), 4))
        x = stated_sigma(rows) / scale
        group, count = rows.groups(self.grouping)
        y = np.interp(x, *self.curves[0][:2])
        for g in range(count if count > 1 else 0):
            mine = group == g
            if mine.any():
                xs, ys, weight = self.curves[g + 1]
                y[mine] = weight * np.interp(x[mine], xs, ys) + (1 - weight) * y[mine]
        found = np.sqrt(y) if self.target == "square" else y
        return np.asarray(np.maximum(found * scale * self.factor, LEAST_SIGMA), np.float64)

    def state(self) -> dict[str, Any]:
        """See :class:`SpreadCalibrator`."""
        names = ("target", "family", "grouping", "relative", "rescale", "pooling")
        return {
            "options": {name: getattr(self, name) for name in names},
            "law": self.law.to_dict(),
            "factor": self.factor,
            "curves": [[xs.tolist(), ys.tolist(), weight] for xs, ys, weight in self.curves],
        }

    @classmethod
    def restore(cls, data: Mapping[str, Any]) -> IsotonicSpread:
        """The inverse of :meth:`state`."""
        found = cls(**data["options"])
        found.law, found.factor = ResidualLaw(**data["law"]), float(data["factor"])
        found.curves = [(np.array(xs, float), np.array(ys, float), float(w)) for xs, ys, w in data["curves"]]
        return found

    def describe(self) -> str:
        """See :class:`SpreadCalibrator`."""
        what = "absolute" if self.target == "absolute" else "squared"
        size = ", relative to the box" if self.relative else ""
        return f"rising curve of the {what} residual ({_words(self.grouping)}{size}), {self.law} residuals"


def stated_sigma(rows: BoxRows) -> Floats:
    """The detector's own sigmas, at least :data:`LEAST_SIGMA` pixels.

    Raises:
        InputError: it states none.
    """
    if rows.sigma is None:
        raise InputError(
            "the detections state no uncertainty of their corners",
            remedy="calibrate with 'adaptive', which learns it from score and size",
        )
    return np.maximum(rows.sigma, LEAST_SIGMA)


def _isotonic(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(increasing=True, out_of_bounds="clip").fit(x, y)
    return np.asarray(model.X_thresholds_, np.float64), np.asarray(model.y_thresholds_, np.float64)


def _closed(family: Family) -> Family:
    return "normal" if family == "student" else family


def _check(grouping: str, target: str) -> None:
    if grouping not in GROUPINGS:
        raise InputError(f"there is no grouping '{grouping}'", remedy=f"one of {', '.join(GROUPINGS)}")
    if target not in _TARGETS:
        raise InputError(f"there is no target '{target}'", remedy=f"one of {', '.join(_TARGETS)}")


def _words(grouping: str) -> str:
    return {"all": "all coordinates", "class-coordinate": "per class and coordinate"}.get(
        grouping, f"per {grouping}"
    )
