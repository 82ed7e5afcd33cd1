"""From the finder's scores to probabilities of an error, and to their expected number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dubio.errors.recalibration import Recalibration

Floats = npt.NDArray[np.float64]
# Nobody is surer than this that a label is wrong before a person has looked.
_MOST, _BEND = 0.99, 0.9
# Shares of the known errors that pass the thresholds at which the share of errors is read off; and the
# range from which the draws of the interval take theirs, because where to read it off is itself unsure.
LEVELS = (0.1, 0.15, 0.2, 0.25)
_LEVEL_RANGE = (0.05, 0.3)


def error_probability(odds: npt.ArrayLike, share: float) -> Floats:
    """Probability of an error from likelihood ratios against *all* places, good and bad together.

    The finder tells planted errors from the places of the given labels. Those hold real errors too, so
    it never sees clean negatives: with errors of density ``f`` and all places of density ``u``, its odds
    are ``f / u``, and the probability of an error is ``share * f / u`` (Elkan and Noto, 2008).

    Args:
        odds: ``(N,)`` ratios ``f / u``.
        share: share of errors among all places.

    >>> error_probability([0.0, 2.0, 50.0], 0.1).tolist()
    [0.0, 0.2, 0.99]
    """
    p = share * np.asarray(odds, np.float64)
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
        fixed: share that is assumed in place of an estimate, or ``None``.
    """

    positive: Floats
    every: Floats
    fixed: float | None = None

    @classmethod
    def collect(
        cls,
        positive: Floats,
        positive_image: npt.NDArray[np.int64],
        every: Floats,
        every_image: npt.NDArray[np.int64],
        n_images: int,
        *,
        bins: int = 512,
    ) -> Evidence:
        """Bin scores (log odds) of known errors and of all places by image."""
        edges = np.unique(np.quantile(np.concatenate([positive, every]), np.linspace(0, 1, bins + 1)))

        def count(score: Floats, image: npt.NDArray[np.int64]) -> Floats:
            which = np.clip(np.searchsorted(edges, score, "right") - 1, 0, len(edges) - 1)
            table = np.zeros((n_images, len(edges)))
            np.add.at(table, (image, which), 1)
            return table

        return cls(count(positive, positive_image), count(every, every_image))

    def share(self, weight: Floats | None = None, levels: tuple[float, ...] = LEVELS) -> float:
        """Share of errors with images weighted, as in a bootstrap draw."""
        if self.fixed is not None:
            return self.fixed
        w = np.ones(len(self.every)) if weight is None else weight
        return share_from_counts(w @ self.positive, w @ self.every, levels)


def expected_errors(
    odds: Floats,
    image: npt.NDArray[np.int64],
    evidence: Evidence,
    *,
    level: float = 0.9,
    draws: int = 200,
    seed: int = 0,
    verdict: npt.NDArray[np.int8] | None = None,
    recalibration: Recalibration | None = None,
) -> tuple[float, float, float]:
    """Expected number of errors among some places, with an interval by bootstrap over images.

    Each draw takes images with replacement, reads the share off at another threshold, sums the
    probabilities, and draws a number of errors (Poisson). Where reviewers judged, places found wrong
    count one and places found fine nothing; the probabilities of the others are recalibrated, each draw
    by another draw of the recalibration, which then stands for the doubt about the share.

    Args:
        odds: ``(N,)`` likelihood ratios of the places counted.
        image: ``(N,)`` number of the image of each.
        evidence: what the share is estimated from.
        level: mass of the interval.
        draws: number of draws.
        seed: seed.
        verdict: ``(N,)`` int8: 1 found wrong, -1 found fine, 0 not judged; ``None``: none was.
        recalibration: what the verdicts say of the probabilities.

    Returns:
        Expectation, lower and upper bound.
    """
    if len(odds) == 0:
        return 0.0, 0.0, 0.0
    if verdict is not None and verdict.any():
        wrong, rest = float((verdict > 0).sum()), verdict == 0
        found = _recalibrated(odds[rest], evidence, recalibration or Recalibration(), level, draws, seed)
        return wrong + found[0], wrong + found[1], wrong + found[2]
    rng = np.random.default_rng(seed)
    n = len(evidence.every)
    drawn = []
    for _ in range(draws):
        weight = rng.multinomial(n, np.full(n, 1 / n)).astype(np.float64)
        share = evidence.share(weight, (float(rng.uniform(*_LEVEL_RANGE)),))
        mean = float((weight[image] * error_probability(odds, share)).sum()) if np.isfinite(share) else 0.0
        drawn.append(rng.poisson(mean))
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(error_probability(odds, evidence.share()).sum()), float(low), float(high)


def _recalibrated(
    odds: Floats, evidence: Evidence, recalibration: Recalibration, level: float, draws: int, seed: int
) -> tuple[float, float, float]:
    rng = np.random.default_rng(seed)
    p = error_probability(odds, evidence.share())
    drawn = [rng.poisson(float(recalibration.draw(rng).apply(p).sum())) for _ in range(draws)]
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(recalibration.apply(p).sum()), float(low), float(high)
