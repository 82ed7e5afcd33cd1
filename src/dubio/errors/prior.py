"""From scores learned at one error rate to probabilities at another."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_TINY = 1e-9
_IMAGINARY = 1.0


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


def shift_prior(p: npt.ArrayLike, learned: float, actual: float) -> Floats:
    """Probabilities at another share of positives (Bayes' rule under label shift).

    >>> [round(float(v), 3) for v in shift_prior([0.5, 0.9], 0.5, 0.1)]
    [0.1, 0.5]
    """
    return expit(logit(p) + logit(actual) - logit(learned))


def estimate_prior(
    p: npt.ArrayLike, learned: float, *, weight: npt.ArrayLike | None = None, steps: int = 500
) -> float:
    """Share of positives in data to which a calibrated classifier is applied.

    Expectation maximisation of Saerens, Latinne and Decaestecker (2002): assumes that positives (and
    negatives) look alike in both sets and only their share differs. One imaginary positive is added to the
    data, so that a clean set is "hardly any" and not "none", which would make every probability zero.

    Args:
        p: ``(N,)`` probabilities by the classifier.
        learned: share of positives where it was calibrated, between 0 and 1.
        weight: ``(N,)`` weights; default 1.
        steps: largest number of iterations.

    Returns:
        The share, strictly between 0 and 1; ``nan`` without data.
    """
    values = np.asarray(p, np.float64)
    w = np.ones(len(values)) if weight is None else np.asarray(weight, np.float64)
    if len(values) == 0 or w.sum() <= 0:
        return float("nan")
    z = logit(values) - logit(learned)
    share = float(learned)
    for _ in range(steps):
        new = float(((w * expit(z + logit(share))).sum() + _IMAGINARY) / (w.sum() + 2 * _IMAGINARY))
        if abs(new - share) < 1e-6 * share:
            return new
        share = new
    return share


def expected_interval(
    p: Floats,
    image: npt.NDArray[np.int64],
    learned: float,
    *,
    level: float = 0.9,
    draws: int = 200,
    seed: int = 0,
    fixed_prior: float | None = None,
    bins: int = 256,
) -> tuple[float, float, float]:
    """Expected number of positives with an interval by bootstrap over images.

    Each draw takes images with replacement, estimates the share anew (unless ``fixed_prior``) and draws
    the number of positives given their probabilities. Probabilities are binned by log odds, so that a
    draw costs no more than the number of bins.

    Args:
        p: ``(N,)`` calibrated probabilities at the share ``learned``.
        image: ``(N,)`` number of the image of each row.
        learned: share of positives where ``p`` was calibrated.
        level: mass of the interval.
        draws: number of bootstrap draws.
        seed: seed.
        fixed_prior: share to use in place of the estimate.
        bins: number of bins.

    Returns:
        Expectation, lower and upper bound.
    """
    if len(p) == 0:
        return 0.0, 0.0, 0.0
    z = logit(p)
    edges = np.linspace(z.min(), z.max() + 1e-9, bins + 1)
    centre = 0.5 * (edges[:-1] + edges[1:])
    which = np.clip(np.searchsorted(edges, z, "right") - 1, 0, bins - 1)
    names, rows = np.unique(image, return_inverse=True)
    counts = np.zeros((len(names), bins))
    np.add.at(counts, (rows, which), 1)
    rng = np.random.default_rng(seed)

    def total(weight: Floats, *, noise: bool) -> float:
        share = (
            fixed_prior if fixed_prior is not None else estimate_prior(expit(centre), learned, weight=weight)
        )
        q = expit(centre + logit(share) - logit(learned))
        spread = float(np.sqrt((weight * q * (1 - q)).sum()))
        return max(float((weight * q).sum()) + (rng.normal(0, spread) if noise else 0.0), 0.0)

    drawn = [
        total(rng.multinomial(len(names), np.full(len(names), 1 / len(names))) @ counts, noise=True)
        for _ in range(draws)
    ]
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return total(counts.sum(0), noise=False), float(low), float(high)
