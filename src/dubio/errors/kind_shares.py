"""Shares of errors of several kinds, and the expected number of errors of all."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from dubio.errors.prior import Evidence, error_probability, share_from_counts

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Draws = tuple[Floats, Floats]
# Shares of the known errors of a kind that pass the thresholds at which its share is read off. Kinds that are
# hard to tell from good places look frequent at most thresholds; so the least share counts, as in best bin
# estimation (Garg et al., 2021). Each draw of the interval looks at some of the thresholds.
LEVELS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.35, 0.5)
_LOOKED_AT = 5
# A kind with so many errors is drawn half as much.
_MANY = 300
# Places less probable than this stay in the range where probabilities grow with the share, in all draws.
_SMALL = 0.2


@dataclass(frozen=True)
class KindEvidence:
    """What the share of errors of each kind is estimated from.

    The mixture of kinds among real errors is not that among the planted ones: a data set may have many
    missing boxes and no duplicates. So each kind's share is read off its own scores. That is noisy where a
    kind is rare, so the mixture is drawn towards the planted one (on the scale of logarithms): halfway for
    rare kinds, hardly for those of many hundred errors; the total stays.

    Attributes:
        parts: of each kind.
        planted: ``(K,)`` share of each kind among the planted errors.
        fixed: share of all kinds together that is assumed in place of an estimate, or ``None``.
    """

    parts: tuple[Evidence, ...]
    planted: Floats
    fixed: float | None = None
    _drawn: dict[tuple[int, int], Draws] = field(default_factory=dict, repr=False, compare=False)

    def assume(self, share: float) -> KindEvidence:
        """The same with a share of all kinds together that is known."""
        return replace(self, fixed=share, _drawn={})

    def share(self) -> Floats:
        """``(K,)`` share of errors of each kind."""
        ones = np.ones(len(self.parts[0].every))
        return self._scaled(np.array([_share(part, ones, LEVELS, None) for part in self.parts]))

    def draws(self, n: int, seed: int) -> Draws:
        """Weights of the images ``(n, images)`` and shares ``(n, K)`` of draws with replacement."""
        if (n, seed) not in self._drawn:
            rng = np.random.default_rng(seed)
            images = len(self.parts[0].every)
            weights = rng.multinomial(images, np.full(images, 1 / images), size=n).astype(np.float64)
            shares = []
            for weight in weights:
                levels = tuple(rng.choice(LEVELS, _LOOKED_AT, replace=False))
                shares.append(self._scaled(np.array([_share(p, weight, levels, rng) for p in self.parts])))
            self._drawn[n, seed] = weights, np.array(shares)
        return self._drawn[n, seed]

    def _scaled(self, found: Floats) -> Floats:
        # a kind that was never planted isn't found either
        shares = np.nan_to_num(found)
        total = float(shares.sum())
        if not total > 0:
            return shares
        number = shares * float(self.parts[0].every.sum())
        own = 0.5 + 0.5 * number / (number + _MANY)
        mixed = shares**own * (self.planted * total) ** (1 - own)
        return np.asarray(mixed * (total if self.fixed is None else self.fixed) / mixed.sum())


def _share(
    part: Evidence, weight: Floats, levels: tuple[float, ...], rng: np.random.Generator | None
) -> float:
    """Share of a kind with images weighted; drawn, if verdicts say how sure it is."""
    if part.fixed is not None:
        return part.fixed
    known, every = weight @ part.positive, weight @ part.every
    # NaN where there is nothing to go by
    alone = min(share_from_counts(known, every, (level,)) for level in levels)
    if not part.judged.any() or not np.isfinite(alone):
        return alone
    shape, rate = part.posterior(alone, weight)
    number = shape / rate if rng is None else rng.gamma(shape, 1 / rate)
    return float(min(number / max(every.sum(), 1), 1.0))


def expected_by_kind(
    odds: Floats,
    image: Ints,
    evidence: KindEvidence,
    *,
    level: float = 0.9,
    draws: int = 200,
    seed: int = 0,
    verdict: npt.NDArray[np.int8] | None = None,
) -> tuple[float, float, float]:
    """Expected number of errors among some places: :func:`~dubio.errors.prior.expected_errors` by kind.

    Args:
        odds: ``(N, K)`` likelihood ratios of the places counted, by kind.
        image: ``(N,)`` number of the image of each.
        evidence: what the shares are estimated from.
        level: mass of the interval.
        draws: number of draws; other places of one audit are counted by the same ones.
        seed: seed.
        verdict: ``(N,)`` int8: 1 found wrong, -1 found fine, 0 not judged; ``None``: none was.

    Returns:
        Expectation, lower and upper bound.
    """
    if len(odds) == 0:
        return 0.0, 0.0, 0.0
    told = np.zeros(len(odds), np.int8) if verdict is None else verdict
    sure, odds, image = float((told > 0).sum()), odds[told == 0], image[told == 0]
    weights, shares = evidence.draws(draws, seed)
    p = error_probability(odds, evidence.share())
    large = p > _SMALL
    # small probabilities add up by image before they are weighted
    images = weights.shape[1]
    totals = np.column_stack(
        [np.bincount(image[~large], weights=column, minlength=images) for column in odds[~large].T]
    )
    mean = ((weights @ totals) * shares).sum(1)
    for d in range(draws):
        mean[d] += float((weights[d, image[large]] * error_probability(odds[large], shares[d])).sum())
    drawn = np.random.default_rng([seed, 1]).poisson(mean)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return sure + float(p.sum()), sure + float(low), sure + float(high)
