"""Whether the stated uncertainty of corners is true: calibration, sharpness and proper scores.

A residual is what a true corner differs from the predicted one, in pixels; sigma is the stated spread
(:mod:`dubio.uncertainty.boxes.residuals`). The published figures (Kassem Sbeyti et al., ECML PKDD 2023) are
those of the normal law over 100 levels; other laws are judged by what they themselves say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.uncertainty.boxes.residuals import Floats, ResidualLaw

LEVELS = np.linspace(0, 1, 100)
# A stated spread below this is taken as this: a density of infinity would decide the whole mean.
SIGMA_FLOOR = 0.05
_NORMAL = ResidualLaw()


def interval_ece(
    residual: npt.ArrayLike,
    sigma: npt.ArrayLike,
    law: ResidualLaw = _NORMAL,
    *,
    per_coordinate: bool = False,
    levels: npt.ArrayLike = LEVELS,
) -> float:
    """Mean difference between the stated and the true share of residuals in central intervals.

    0 is perfect; 0.5 the most that can be.

    Args:
        residual: any shape, pixels; NaN is left out.
        sigma: the same shape.
        law: what the sigmas are of.
        per_coordinate: mean of the errors of the columns, so that they can't make up for each other.
        levels: stated shares.

    >>> rng = np.random.default_rng(0)
    >>> round(interval_ece(rng.normal(size=100_000), np.ones(100_000)), 3)
    0.001
    """
    r, s = _pair(residual, sigma)
    if per_coordinate and r.ndim > 1:
        columns = [interval_ece(r[..., k], s[..., k], law, levels=levels) for k in range(r.shape[-1])]
        return float(np.mean(columns))
    stated = np.asarray(levels, np.float64)
    reached = coverage(r, s, law, stated)
    return float(np.abs(reached - stated).mean())


def coverage(
    residual: npt.ArrayLike, sigma: npt.ArrayLike, law: ResidualLaw = _NORMAL, levels: npt.ArrayLike = LEVELS
) -> Floats:
    """True share of residuals in the central interval of each level; NaN without residuals."""
    r, s = _pair(residual, sigma)
    known = np.isfinite(r) & np.isfinite(s)
    stated = np.asarray(levels, np.float64)
    if not known.any():
        return np.full(stated.shape, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        # a residual of 0 with sigma 0 lies in every interval
        z = np.where(r[known] == 0, 0.0, np.abs(r[known]) / s[known])
    reached = np.sort(z)
    return np.asarray(np.searchsorted(reached, law.half_width(stated), side="right") / len(reached))


def interval_score(
    residual: npt.ArrayLike, sigma: npt.ArrayLike, law: ResidualLaw = _NORMAL, *, level: float = 0.9
) -> float:
    """Mean interval score of Winkler: the width, and 2/(1 - level) for every pixel outside. Less is better.

    Source: Gneiting and Raftery, Strictly Proper Scoring Rules, JASA 2007.
    """
    r, s = _pair(residual, sigma)
    half = s * law.half_width(level)
    return float(np.nanmean(2 * half + 2 / (1 - level) * np.maximum(np.abs(r) - half, 0)))


def rmse(residual: npt.ArrayLike) -> float:
    """Root mean square of residuals, all coordinates alike; NaN without any.

    The published code leaves out coordinates whose label is 0, which are those at the picture's border.
    """
    r = np.asarray(residual, np.float64)
    return float(np.sqrt(np.nanmean(r**2))) if np.isfinite(r).any() else float("nan")


def urmse(residual: npt.ArrayLike, sigma: npt.ArrayLike) -> float:
    """Root mean square difference between sigma and the absolute residual, pixels."""
    r, s = _pair(residual, sigma)
    return rmse(s - np.abs(r))


def relative_sigma(sigma: npt.ArrayLike, boxes: npt.ArrayLike) -> Floats:
    """Sigma of each corner over the side of its own box, ``(N, 4)``; x0 y0 x1 y1, NaN without a side.

    The published inference divides by the first box of the image for all of them.
    """
    s, b = np.asarray(sigma, np.float64), np.asarray(boxes, np.float64)
    sides = b[:, 2:] - b[:, :2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(sides[:, [0, 1, 0, 1]] > 0, s / sides[:, [0, 1, 0, 1]], np.nan))


def ence(residual: npt.ArrayLike, sigma: npt.ArrayLike, *, bins: int = 15) -> float:
    """Expected normalised calibration error: how far RMS residual and RMS sigma differ bin by bin.

    Bins of equal population along sigma. Source: Levi et al., Evaluating and Calibrating Uncertainty
    Prediction in Regression Tasks, Sensors 2022.
    """
    r, s = (v.ravel() for v in _pair(residual, sigma))
    known = np.isfinite(r) & np.isfinite(s)
    order = np.argsort(s[known], kind="stable")
    parts = [p for p in np.array_split(order, bins) if len(p)]
    if not parts:
        return float("nan")
    stated = np.array([np.sqrt((s[known][p] ** 2).mean()) for p in parts])
    true = np.array([np.sqrt((r[known][p] ** 2).mean()) for p in parts])
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.nanmean(np.abs(stated - true) / stated))


@dataclass
class ResidualState:
    """Figures of residuals in one pass; states add up, and their size doesn't grow with the data.

    Args:
        law: what the sigmas are of.
        floor: sigmas below are taken as this in densities, pixels.

    >>> one, other = ResidualState(), ResidualState()
    >>> one.update([1.0, -2.0], [1.0, 2.0]); other.update([0.5], [1.0])
    >>> both = one.merge(other).compute()
    >>> int(both["n"]), round(both["sharpness"], 4)
    (3, 1.4142)
    """

    law: ResidualLaw = _NORMAL
    floor: float = SIGMA_FLOOR
    cells: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(LEVELS) + 1, np.int64))
    sums: Floats = field(default_factory=lambda: np.zeros(6))

    def update(self, residual: npt.ArrayLike, sigma: npt.ArrayLike) -> None:
        """Add residuals with their sigmas, any shape; NaN is left out."""
        r, s = (v.ravel() for v in _pair(residual, sigma))
        known = np.isfinite(r) & np.isfinite(s)
        r, s = r[known], s[known]
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(r == 0, 0.0, np.abs(r) / s)
        # the first level whose interval holds the residual; the last cell: none does
        place = np.searchsorted(self.law.half_width(LEVELS), z, side="left")
        self.cells += np.bincount(place, minlength=len(LEVELS) + 1)
        safe = np.maximum(s, self.floor)
        self.sums += [
            len(r), (r**2).sum(), (s**2).sum(), ((s - np.abs(r)) ** 2).sum(),
            self.law.nll(r, safe).sum(), self.law.crps(r, safe).sum(),
        ]  # fmt: skip

    def merge(self, other: ResidualState) -> ResidualState:
        """Both together.

        Raises:
            InputError: they are of different laws.
        """
        if (self.law, self.floor) != (other.law, other.floor):
            raise InputError(f"figures of {self.law} and {other.law} residuals can't be added")
        return ResidualState(self.law, self.floor, self.cells + other.cells, self.sums + other.sums)

    def compute(self) -> dict[str, float]:
        """``n``, ``ece``, ``nll``, ``crps``, ``rmse``, ``sharpness``, ``urmse``, ``within_sigma``.

        ``sharpness`` is the root mean square of sigma; ``within_sigma`` the share of residuals below one
        sigma (0.683 is right), read off the nearest level. All but ``n`` are NaN without residuals.
        """
        names = ("ece", "nll", "crps", "rmse", "sharpness", "urmse", "within_sigma")
        n = float(self.sums[0])
        if not n:
            return {"n": 0.0} | dict.fromkeys(names, float("nan"))
        reached = np.cumsum(self.cells)[:-1] / n
        square, stated, gap, nll, crps = (self.sums[1:] / n).tolist()
        near = int(np.abs(LEVELS - 0.6827).argmin())
        return {
            "n": n, "ece": float(np.abs(reached - LEVELS).mean()), "nll": nll, "crps": crps,
            "rmse": square**0.5, "sharpness": stated**0.5, "urmse": gap**0.5,
            "within_sigma": float(reached[near]),
        }  # fmt: skip


def residual_figures(
    residual: npt.ArrayLike,
    sigma: npt.ArrayLike,
    law: ResidualLaw = _NORMAL,
    *,
    levels: Sequence[float] = (0.5, 0.9, 0.95),
) -> dict[str, float]:
    """Figures of :class:`ResidualState`, and coverage, interval score and ENCE."""
    state = ResidualState(law)
    state.update(residual, sigma)
    found = state.compute()
    reached = coverage(residual, sigma, law, levels)
    found |= {f"coverage_{100 * p:g}": float(c) for p, c in zip(levels, reached, strict=True)}
    if found["n"]:
        found["interval_score_90"] = interval_score(residual, sigma, law)
        found["ence"] = ence(residual, sigma)
    return found


def _pair(residual: npt.ArrayLike, sigma: npt.ArrayLike) -> tuple[Floats, Floats]:
    r, s = np.asarray(residual, np.float64), np.asarray(sigma, np.float64)
    if r.shape != s.shape:
        raise InputError(f"residuals have the shape {r.shape}, sigmas {s.shape}")
    if (s < 0).any():
        raise InputError("sigmas are negative", remedy="give standard deviations, not variances' signs")
    return r, s
