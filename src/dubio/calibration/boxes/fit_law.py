"""The law that residuals follow, and its scale: closed forms, and Student-t by likelihood."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special
from scipy.optimize import minimize_scalar

from dubio.core.errors import InputError
from dubio.uncertainty.boxes.residuals import ONE_SIGMA, Family, Floats, ResidualLaw

# Below 1.5 the mean distance says little; above 100 the law is normal.
_DF = (1.5, 100.0)


def fit_scale(residual: npt.ArrayLike, sigma: npt.ArrayLike, target: str, family: Family = "normal") -> float:
    """Factor by which sigmas become right, in closed form where there is one.

    Args:
        residual: residuals, any shape.
        sigma: stated sigmas, above zero.
        target: ``nll``: greatest likelihood under ``family`` (normal: root mean square of residual over
            sigma; Laplace: their mean, in its unit); ``rmse``, ``mae``: least squared or absolute difference
            between sigma and the absolute residual, as the published temperatures have it; ``quantile``:
            68.27 % of the residuals lie within sigma.
        family: of ``nll``; ``student`` is fitted by :func:`fit_law`.

    Raises:
        InputError: no such target, or no residuals.

    >>> fit_scale([1.0, -2.0], [1.0, 1.0], "rmse"), round(fit_scale([1.0, -2.0], [1.0, 1.0], "nll"), 4)
    (1.5, 1.5811)
    """
    r, s = _known(residual, sigma)
    if target == "rmse":
        return float((s * r).sum() / (s * s).sum())
    if target == "mae":
        return _weighted_median(r / s, s)
    if target == "quantile":
        return float(np.quantile(r / s, 2 * ONE_SIGMA - 1))
    if target != "nll":
        raise InputError(f"there is no target '{target}'", remedy="one of nll, rmse, mae, quantile")
    return fit_law(r / s, family)[1]


def fit_law(z: npt.ArrayLike, family: Family) -> tuple[ResidualLaw, float]:
    """The law of a family that fits standardised residuals best, and the factor for their sigmas.

    Args:
        z: residuals over stated sigmas.
        family: the family.

    Returns:
        Law and factor: residuals over (factor times sigma) follow the law.

    Raises:
        InputError: no residuals.
    """
    x, _ = _known(z, np.ones(np.shape(z)))
    if family == "normal":
        return ResidualLaw(), float(np.sqrt((x**2).mean()))
    if family == "laplace":
        law = ResidualLaw("laplace")
        return law, float(x.mean() * law.unit)
    found = minimize_scalar(
        lambda log_df: _student_nll(x, float(np.exp(log_df))), bounds=np.log(_DF), method="bounded",
        options={"xatol": 1e-4},
    )  # fmt: skip
    df = float(np.exp(found.x))
    law = ResidualLaw("student", df)
    return law, _student_scale(x, df) * law.unit


def student_scale(z: npt.ArrayLike, law: ResidualLaw) -> float:
    """Factor for the sigmas of a part of the residuals, under a Student-t law that is already known."""
    x, _ = _known(z, np.ones(np.shape(z)))
    return _student_scale(x, law.df or _DF[0]) * law.unit


def _student_nll(x: Floats, df: float) -> float:
    scale = _student_scale(x, df)
    norm = special.gammaln(df / 2) - special.gammaln((df + 1) / 2) + 0.5 * np.log(df * np.pi)
    return float(norm + np.log(scale) + (df + 1) / 2 * np.log1p((x / scale) ** 2 / df).mean())


def _student_scale(x: Floats, df: float) -> float:
    """Scale of greatest likelihood at fixed degrees of freedom: the zero of a monotone function."""
    square = x**2
    value = float(np.median(square)) or float(square.mean())
    for _ in range(200):
        # the weights of the usual EM; it cannot leave the positive numbers
        new = float(((df + 1) * square / (df + square / value)).mean())
        if abs(new - value) <= 1e-10 * value:
            break
        value = new
    return float(np.sqrt(value))


def _weighted_median(values: Floats, weight: Floats) -> float:
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _known(residual: npt.ArrayLike, sigma: npt.ArrayLike) -> tuple[Floats, Floats]:
    r, s = np.abs(np.asarray(residual, np.float64)).ravel(), np.asarray(sigma, np.float64).ravel()
    known = np.isfinite(r) & np.isfinite(s) & (s > 0)
    r, s = r[known], s[known]
    if not len(r):
        raise InputError("there are no residuals to calibrate on", remedy="no detection meets a label")
    if not (r > 0).any():
        raise InputError("all residuals are zero", remedy="were the labels made from these detections?")
    return r, s
