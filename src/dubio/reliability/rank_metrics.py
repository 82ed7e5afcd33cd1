"""How well a score puts some samples above others, from counts of tied samples.

All functions take counts along the last axis, in ascending order of the score, one entry per set of ties:
``pos`` are those that should score high (errors, unknown objects), ``neg`` the others. Leading axes are
independent problems (bootstrap replicates). Undefined results are NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import digamma

Array = npt.NDArray[Any]
Result = npt.NDArray[np.float64]


def _divide(a: Array, b: Array) -> Result:
    """Quotient; NaN where the divisor is 0."""
    a, b = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
    return np.asarray(np.divide(a, b, out=np.full(a.shape, np.nan), where=b != 0))


def auroc(pos: Array, neg: Array) -> Result:
    """Probability that a positive scores above a negative, ties counting half (mid-rank)."""
    p, n = pos.astype(np.float64), neg.astype(np.float64)
    below = np.cumsum(n, -1) - n / 2
    return _divide((p * below).sum(-1), p.sum(-1) * n.sum(-1))


def average_precision(pos: Array, neg: Array) -> Result:
    """Area under precision and recall as a step function of the threshold; ties share a threshold."""
    p, n = pos[..., ::-1].astype(np.float64), neg[..., ::-1].astype(np.float64)
    hit = np.cumsum(p, -1)
    taken = hit + np.cumsum(n, -1)
    precision = np.divide(hit, taken, out=np.zeros_like(hit), where=taken > 0)
    some = np.where(n.sum(-1) > 0, p.sum(-1), 0)
    return _divide((p * precision).sum(-1), some)


def false_positive_rate(pos: Array, neg: Array, recall: float = 0.95) -> Result:
    """Smallest share of negatives at or above a threshold that finds at least ``recall`` of the positives."""
    hit, off = np.cumsum(pos[..., ::-1], -1), np.cumsum(neg[..., ::-1], -1)
    # a share of 0.95 that misses by rounding still counts
    enough = hit >= recall * hit[..., -1:] * (1 - 1e-12)
    first = enough.argmax(-1)[..., None]
    rate = _divide(np.take_along_axis(off, first, -1)[..., 0], off[..., -1])
    return np.where(hit[..., -1] > 0, rate, np.nan)


def aurc(pos: Array, neg: Array) -> Result:
    """Mean error rate of the k least doubtful samples over all k: area under risk and coverage.

    Geifman and El-Yaniv, NeurIPS 2017. Inside ties it is the expected value under a random order: of a set of
    m ties with e errors, after n samples with E errors, the sum of the rates is
    e + (E - n e / m) (H(n + m) - H(n)) with the harmonic numbers H.
    """
    e = pos.astype(np.float64)
    m = e + neg
    n_after, e_after = np.cumsum(m, -1), np.cumsum(e, -1)
    n, before = n_after - m, e_after - e
    slope = np.divide(e, m, out=np.zeros_like(e), where=m > 0)
    # the sum starts at k = 1: without samples before, the first term vanishes
    rates = e + (before - n * slope) * (digamma(n_after + 1) - digamma(n + 1))
    return _divide(rates.sum(-1), n_after[..., -1])


def best_aurc(pos: Array, neg: Array) -> Result:
    """The area of a ranking that puts every error last."""
    e, r = pos.sum(-1).astype(np.float64), neg.sum(-1).astype(np.float64)
    return _divide(e - r * (digamma(e + r + 1) - digamma(r + 1)), e + r)


def coverage_at_risk(pos: Array, neg: Array, risk: float) -> Result:
    """Largest share of samples below a threshold whose error rate is at most ``risk``; 0 if none is."""
    errors = np.cumsum(pos, -1)
    n = errors + np.cumsum(neg, -1)
    total = n[..., -1:]
    good = (errors <= risk * n * (1 + 1e-12)) & (n > 0)
    return _divide(np.where(good, n, 0).max(-1), total[..., 0])


def risk_at_coverage(pos: Array, neg: Array, coverage: float) -> Result:
    """Error rate below the lowest threshold that keeps at least ``coverage`` of the samples."""
    errors = np.cumsum(pos, -1)
    n = errors + np.cumsum(neg, -1)
    first = (n >= coverage * n[..., -1:] * (1 - 1e-12)).argmax(-1)[..., None]
    kept = [np.take_along_axis(a, first, -1)[..., 0] for a in (errors, n)]
    return _divide(kept[0], kept[1])


def best_f1(pos: Array, neg: Array) -> tuple[int, float]:
    """Entry (ascending order) from which on everything counts as positive for the best F1, and that F1."""
    hit = np.cumsum(pos[::-1])[::-1].astype(np.float64)
    off = np.cumsum(neg[::-1])[::-1]
    f1 = _divide(2 * hit, hit + off + pos.sum())
    f1 = np.where(np.isnan(f1), 0.0, f1)
    best = int(f1.argmax())
    return best, float(f1[best])
