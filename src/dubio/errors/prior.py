"""From the finder's scores to probabilities of an error, and to their expected number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_TINY = 1e-9
# Nobody is surer than this that a label is wrong before a person has looked.
_MOST, _BEND = 0.99, 0.9
# Shares of the known errors that pass the thresholds at which the share of errors is read off; and the
# range from which the draws of the interval take theirs, because where to read it off is itself unsure.
LEVELS = (0.1, 0.15, 0.2, 0.25)
_LEVEL_RANGE = (0.05, 0.3)
# Weight of the estimate without verdicts beside the verdicts, in errors found: it is good to a factor of two.
_PRIOR = 1.0


def error_probability(odds: npt.ArrayLike, share: float | Floats) -> Floats:
    """Probability of an error from likelihood ratios against *all* places, good and bad together.

    The finder tells planted errors from the places of the given labels. Those hold real errors too, so
    it never sees clean negatives: with errors of density ``f`` and all places of density ``u``, its odds
    are ``f / u``, and the probability of an error is ``share * f / u`` (Elkan and Noto, 2008).

    Args:
        odds: ``(N,)`` ratios ``f / u``; or ``(N, K)`` for errors of each kind.
        share: share of errors among all places; or ``(K,)`` of each kind.

    >>> error_probability([0.0, 2.0, 50.0], 0.1).tolist()
    [0.0, 0.2, 0.99]
    """
    ratio = np.asarray(odds, np.float64)
    p = share * ratio if ratio.ndim == 1 else ratio @ np.atleast_1d(share)
    # above _BEND it bends towards _MOST, so that the order is kept
    return np.asarray(
        np.where(p <= _BEND, p, _MOST - (_MOST - _BEND) * np.exp((_BEND - p) / (_MOST - _BEND)))
    )


def estimate_share(positive: npt.ArrayLike, every: npt.ArrayLike) -> float:
    """Share of errors among all places, from scores of known errors and of all places.

    If a share ``a`` of the places are errors that look like the known ones, then above a threshold that a
    share ``q`` of the known errors passes there are ``a q`` errors per place, and, where the threshold is
    high, hardly anything else (the assumption of best bin estimation: Garg et al., 2021, *Mixture
    Proportion Estimation and PU Learning*). The estimate is the median over several ``q``: far out in the
    tail a handful of places would decide, further in good places count as errors.

    Args:
        positive: scores of known errors that the classifier has not learned from.
        every: scores of all places.

    Returns:
        The share, between 0 and 1; ``nan`` without scores.
    """
    p, u = np.asarray(positive, np.float64), np.asarray(every, np.float64)
    if p.size == 0 or u.size == 0:
        return float("nan")
    edges = np.append(np.unique(np.quantile(np.concatenate([p, u]), np.linspace(0, 1, 513))), np.inf)
    counts = [np.histogram(v, edges)[0].astype(np.float64) for v in (p, u)]
    return share_from_counts(counts[0], counts[1])


def share_from_counts(positive: Floats, every: Floats, levels: tuple[float, ...] = LEVELS) -> float:
    """:func:`estimate_share` from counts in the same ascending bins, at given shares of known errors."""
    n_p, n_u = positive.sum(), every.sum()
    if n_p <= 0 or n_u <= 0:
        return float("nan")
    above_p, above_u = np.cumsum(positive[::-1]), np.cumsum(every[::-1])
    at = np.searchsorted(above_p, np.maximum(np.array(levels) * n_p, 1))
    # half a place more, so that a clean set is "hardly any" and not "none"
    ratio = (above_u[at] + 0.5) / (n_u + 1) / (above_p[at] / n_p)
    return float(min(np.median(ratio), 1.0))


@dataclass(frozen=True)
class Evidence:
    """Scores from which the share of errors is estimated, by image, in common bins.

    Attributes:
        positive: ``(images, bins)`` known errors that were not learned from.
        every: ``(images, bins)`` all places.
        judged: ``(images, bins)`` places that reviewers judged.
        wrong: ``(images,)`` how many of these they found wrong.
        fixed: share that is assumed in place of an estimate, or ``None``.
    """

    positive: Floats
    every: Floats
    judged: Floats
    wrong: Floats
    fixed: float | None = None

    @classmethod
    def collect(
        cls,
        positive: Floats,
        positive_image: Ints,
        every: Floats,
        every_image: Ints,
        n_images: int,
        *,
        verdict: npt.NDArray[np.int8] | None = None,
        bins: int = 512,
        of_known: bool = False,
    ) -> Evidence:
        """Bin scores (log odds) of known errors and of all places by image.

        ``verdict`` holds per place 1 where a reviewer found the label wrong, -1 where fine, else 0. Bins hold
        equally many scores, ``of_known`` equally many known errors.
        """
        binned = positive if of_known and len(positive) else np.concatenate([positive, every])
        edges = np.unique(np.quantile(binned, np.linspace(0, 1, bins + 1)))

        def count(score: Floats, image: Ints) -> Floats:
            which = np.clip(np.searchsorted(edges, score, "right") - 1, 0, len(edges) - 1)
            table = np.zeros((n_images, len(edges)))
            np.add.at(table, (image, which), 1)
            return table

        told = np.zeros(len(every), np.int8) if verdict is None else verdict
        judged, wrong = told != 0, np.bincount(every_image[told > 0], minlength=n_images)
        return cls(
            count(positive, positive_image), count(every, every_image),
            count(every[judged], every_image[judged]), wrong.astype(np.float64),
        )  # fmt: skip

    def share(self, weight: Floats | None = None, levels: tuple[float, ...] = LEVELS) -> float:
        """Share of errors with images weighted, as in a bootstrap draw."""
        if self.fixed is not None:
            return self.fixed
        w = np.ones(len(self.every)) if weight is None else weight
        alone = share_from_counts(w @ self.positive, w @ self.every, levels)
        if not self.judged.any() or not np.isfinite(alone):
            return alone
        shape, rate = self.posterior(alone, w)
        return float(min(shape / rate / max((w @ self.every).sum(), 1), 1.0))

    def draw(self, rng: np.random.Generator, weight: Floats, levels: tuple[float, ...]) -> float:
        """One draw of the share, with images weighted."""
        if self.fixed is not None or not self.judged.any():
            return self.share(weight, levels)
        alone = share_from_counts(weight @ self.positive, weight @ self.every, LEVELS)
        if not np.isfinite(alone):
            return alone
        shape, rate = self.posterior(alone, weight)
        total = rng.gamma(shape, 1 / rate) / max((weight @ self.every).sum(), 1)
        return float(min(total, 1.0))

    def posterior(self, alone: float, weight: Floats) -> tuple[float, float]:
        """Shape and rate of the gamma distribution of the number of errors, given the verdicts.

        Reviewers found ``a`` errors among the places that they judged, where a share ``q`` of the known
        errors would lie; so there are about ``a / q`` in all. The estimate without verdicts is a prior of
        the weight of one error found: it decides where hardly anything was judged.
        """
        known, every = weight @ self.positive, weight @ self.every
        seen = (weight @ self.judged) / np.maximum(every, 1)
        q = float((known * np.minimum(seen, 1)).sum() / max(known.sum(), 1e-9))
        prior = max(alone * every.sum(), _TINY)
        return _PRIOR + float(weight @ self.wrong), _PRIOR / prior + q


def expected_errors(
    odds: Floats,
    image: Ints,
    evidence: Evidence,
    *,
    level: float = 0.9,
    draws: int = 200,
    seed: int = 0,
    verdict: npt.NDArray[np.int8] | None = None,
) -> tuple[float, float, float]:
    """Expected number of errors among some places, with an interval by bootstrap over images.

    Each draw takes images with replacement, reads the share off at another threshold (or draws it, given
    verdicts), sums the probabilities, and draws a number of errors (Poisson). Places that reviewers judged
    count one if found wrong and nothing if found fine.

    Args:
        odds: ``(N,)`` likelihood ratios of the places counted.
        image: ``(N,)`` number of the image of each.
        evidence: what the share is estimated from.
        level: mass of the interval.
        draws: number of draws.
        seed: seed.
        verdict: ``(N,)`` int8: 1 found wrong, -1 found fine, 0 not judged; ``None``: none was.

    Returns:
        Expectation, lower and upper bound.
    """
    if len(odds) == 0:
        return 0.0, 0.0, 0.0
    told = np.zeros(len(odds), np.int8) if verdict is None else verdict
    sure, odds, image = float((told > 0).sum()), odds[told == 0], image[told == 0]
    rng = np.random.default_rng(seed)
    n = len(evidence.every)
    drawn = []
    for _ in range(draws):
        weight = rng.multinomial(n, np.full(n, 1 / n)).astype(np.float64)
        share = evidence.draw(rng, weight, (float(rng.uniform(*_LEVEL_RANGE)),))
        mean = float((weight[image] * error_probability(odds, share)).sum()) if np.isfinite(share) else 0.0
        drawn.append(rng.poisson(mean))
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    mean = float(error_probability(odds, evidence.share()).sum())
    return sure + mean, sure + float(low), sure + float(high)
