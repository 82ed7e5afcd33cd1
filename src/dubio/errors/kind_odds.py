"""Likelihood ratios of each kind of error: what was learned, and suspicion that was not, taken together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.errors.odds import logit, platt
from dubio.errors.rows import Rows
from dubio.errors.traits import Traits

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_TINY = 1e-12
# Suspicion is kept off 0 and 1 by this, so that no place is ruled out by it alone.
_FLOOR = 1e-3
# So many places outweigh a logistic curve.
_FEW = 2000
# On steps of the ratio the score still decides the order, by so little.
_SLOPE = 1e-3


@dataclass(frozen=True)
class KindOdds:
    """Log likelihood ratios of an error of each kind against all places.

    Attributes:
        given: ``(N, K)`` of the places as given.
        learned: ``(n, K)`` of the places of the planted copies.
    """

    given: Floats
    learned: Floats


def kind_odds(
    traits: Traits,
    given: tuple[Floats, Floats, npt.NDArray[Any]],
    learned: tuple[Floats, Floats, npt.NDArray[Any]],
    kind: npt.NDArray[np.int8],
    weight: Floats,
    planted: Floats,
) -> KindOdds:
    """Log likelihood ratios by kind.

    Planted errors are not quite like real ones: any labelled box may be dropped, while people overlook some
    objects more than others. What is learned from them is sharper than suspicion by ranks, and less robust.
    So a share of the log odds of that suspicion (``traits.trust``) is added. The sum of a kind becomes the
    ratio of its density among the errors of that kind to that among all places as given.

    Args:
        traits: the kind of region.
        given: of the places as given: log likelihood ratios of any error ``(N,)``, probability of each kind
            ``(N, K)``, features ``(N, F)``.
        learned: the same of the places of the planted copies.
        kind: ``(n,)`` kind that was planted there, -1: none.
        weight: ``(n,)`` weights of these.
        planted: ``(K,)`` share of each kind among the planted errors.
    """
    out = [z[:, None] + np.log(np.maximum(kinds / planted, _TINY)) for z, kinds, _ in (given, learned)]
    views = [np.asarray(traits.free(x), np.float64) for *_, x in (given, learned)] if traits.trust else []
    for k in range(len(planted)):
        for z, view in zip(out, views, strict=False):
            z[:, k] += traits.trust[k] * logit(np.clip(np.nan_to_num(view[:, k]), _FLOOR, 1 - _FLOOR))
        rows = kind == k
        ratio = likelihood_ratio(out[1][rows, k], weight[rows], out[0][:, k])
        fine = rows | (kind < 0)
        slope, shift = _logistic(out[1][fine, k], rows[fine], weight[fine])
        share = len(out[0]) / (len(out[0]) + _FEW)
        for z in out:
            z[:, k] = share * ratio(z[:, k]) + (1 - share) * (slope * z[:, k] + shift)
    out[0][given[1] <= 0] = np.log(_TINY)  # kinds that would be no error there
    return KindOdds(*out)


def likelihood_ratio(known: Floats, weight: Floats, every: Floats) -> Callable[[Floats], Floats]:
    """From scores to the log of the density of known errors over that of all places.

    The ratio rises with the score (isotonic regression of what is known against what is there). Half a place
    is added to all, so that it stays finite where known errors lie alone.

    Args:
        known: ``(n,)`` scores of known errors.
        weight: ``(n,)`` their weights.
        every: ``(N,)`` scores of all places.

    >>> ratio = likelihood_ratio(np.array([1.0, 2, 3]), np.ones(3), np.array([0.0, 0, 0, 1, 2]))
    >>> bool(np.all(np.diff(ratio(np.array([0.0, 1.0, 3.0]))) > 0))
    True
    """
    from scipy.optimize import isotonic_regression

    if not len(known) or not len(every):
        return lambda z: z
    scores = np.concatenate([known, every])
    mass = np.concatenate([weight / weight.sum(), np.full(len(every), 1 / (len(every) + 1))])
    distinct, which = np.unique(scores, return_inverse=True)
    total = np.bincount(which, weights=mass)
    of_known = np.bincount(which[: len(known)], weights=mass[: len(known)], minlength=len(distinct))
    # the half place lies above all
    total[-1] += 0.5 / (len(every) + 1)
    fitted = np.asarray(isotonic_regression(of_known / total, weights=total).x)
    edges = np.flatnonzero(np.diff(fitted, prepend=-1, append=2))
    middle = (edges[:-1] + edges[1:] - 1) / 2
    share = np.clip(np.interp(np.arange(len(distinct)), middle, fitted[edges[:-1]]), _TINY, 1 - _TINY)
    log_ratio = np.log(share) - np.log1p(-share) + _SLOPE * np.arange(len(distinct)) / len(distinct)

    def ratio(z: Floats) -> Floats:
        return np.asarray(np.interp(z, distinct, log_ratio))

    return ratio


def _logistic(z: Floats, wrong: Flags, weight: Floats) -> tuple[float, float]:
    """Slope and shift to log likelihood ratios; none where there is nothing to go by."""
    positive, negative = float(weight[wrong].sum()), float(weight[~wrong].sum())
    if positive <= 0 or negative <= 0:
        return 1.0, 0.0
    slope, shift = platt(z, wrong, weight)
    return slope, shift - float(np.log(positive / negative))


def planted_shares(learn: Rows, best: Ints, wrong: Flags, n: int) -> Floats:
    """Share of each kind among the planted errors, ``(K,)``; never 0."""
    kind, weight = learn.kind[best][wrong], learn.weight[best][wrong]
    total = np.bincount(kind[kind >= 0], weights=weight[kind >= 0], minlength=n)
    return np.asarray(np.maximum(total / max(total.sum(), _TINY), 1e-6))


def posterior(expected: Floats, kinds: Floats) -> Floats:
    """Probability of each kind as likely as it is in this data set; as planted, where none is likely."""
    total, planted = expected.sum(1, keepdims=True), kinds.sum(1, keepdims=True)
    found = np.where(total > 0, expected / np.maximum(total, _TINY**2), kinds / np.maximum(planted, _TINY**2))
    return np.asarray(found)


def guilty(traits: Traits, x: npt.NDArray[Any], kinds: Floats) -> Floats:
    """Kinds without those that would be no error there; rows may add up to less than 1."""
    return kinds if traits.excused is None else kinds * ~traits.excused(x)
