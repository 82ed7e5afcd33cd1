"""Counts down a ranked list, for many resamples at once, and the measures that follow from them.

Findings of equal probability form one group. Inside a group the list has no order, so measures take the
group as a whole or their expectation over a random order; the order of the file never shows.
A measure that is not defined (precision of nothing, recall where there are no errors) is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dubio.errors.bench.published_auc import auc_of_counts

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tally:
    """Cumulative counts; D resamples (draws) of the images, G groups of equal probability.

    Attributes:
        level: ``(G,)`` the groups' probabilities, falling.
        read: ``(D, G)`` findings down to the end of each group.
        hits: ``(D, G)`` found errors among them.
        errors: ``(D,)`` errors in all.
    """

    level: Floats
    read: Floats
    hits: Floats
    errors: Floats


def tally(
    probability: Floats, image: Ints, hit: npt.NDArray[np.bool_], errors: Floats, weights: Floats
) -> Tally:
    """Count.

    Args:
        probability: ``(R,)`` of the findings, falling.
        image: ``(R,)`` position of the image of each.
        hit: ``(R,)`` whether it is the first to meet an error.
        errors: ``(I,)`` number of errors of each image.
        weights: ``(D, I)`` how often each draw has each image; ones for the set itself.
    """
    ends = (
        np.flatnonzero(np.append(np.diff(probability) != 0, True)) if len(probability) else np.zeros(0, int)
    )
    weight = weights[:, image]
    read = np.cumsum(weight, axis=1)[:, ends]
    hits = np.cumsum(weight * hit, axis=1)[:, ends]
    return Tally(probability[ends], read, hits, weights @ errors)


def average_precision(t: Tally) -> Floats:
    """Area under the precision-recall curve, not interpolated, ``(D,)``: the mean precision over all errors.

    Errors that the list misses count with precision 0.
    """
    precision = _share(t.hits, t.read, 0.0)
    gained = np.diff(t.hits, axis=1, prepend=0)
    return _share((gained * precision).sum(1), t.errors)


def recall(t: Tally) -> Floats:
    """Share of the errors that the whole list finds, ``(D,)``."""
    return _share(_last(t.hits), t.errors)


def best_f1(t: Tally) -> tuple[Floats, Floats]:
    """Highest F1 over all thresholds, ``(D,)``, and the threshold; an empty list has 0 and NaN."""
    if not len(t.level):
        return _share(np.zeros(len(t.errors)), t.errors), np.full(len(t.errors), np.nan)
    f1 = 2 * t.hits / np.maximum(t.read + t.errors[:, None], 1)
    best = f1.argmax(1)
    rows = np.arange(len(f1))
    none = t.errors == 0
    return np.where(none, np.nan, f1[rows, best]), np.where(none, np.nan, t.level[best])


def at_budget(t: Tally, budget: Floats) -> tuple[Floats, Floats]:
    """Findings read and errors found (expected) with a budget of findings.

    Args:
        t: counts.
        budget: ``(D, K)`` numbers of findings to read.

    Returns:
        Two ``(D, K)`` arrays; no more is read than the list holds.
    """
    if not len(t.level):
        return np.zeros_like(budget), np.zeros_like(budget)
    read = np.minimum(budget, _last(t.read)[:, None])
    return read, hits_after(t, read, t.hits)


def hits_after(t: Tally, read: Floats, hits: Floats) -> Floats:
    """Hits (expected) after so many findings, ``(D, K)``; ``hits``: ``(D, G)`` cumulative."""
    found = np.zeros_like(read)
    for d in range(len(read)):
        xs, ys = np.append(0, t.read[d]), np.append(0, hits[d])
        found[d] = np.interp(read[d], xs, ys)
    return found


def at_threshold(t: Tally, thresholds: Sequence[float], *, above: bool = False) -> tuple[Floats, Floats]:
    """Findings and hits with a probability of at least (``above``: above) each threshold, ``(D, K)``."""
    wanted = -np.asarray(thresholds, np.float64)
    count = np.searchsorted(-t.level, wanted, side="left" if above else "right")
    read = np.concatenate([np.zeros((len(t.errors), 1)), t.read], axis=1)
    hits = np.concatenate([np.zeros((len(t.errors), 1)), t.hits], axis=1)
    return read[:, count], hits[:, count]


def effort(t: Tally, shares: Sequence[float]) -> Floats:
    """Expected number of findings to read until the share of the errors is found, ``(D, K)``.

    Infinite if the list never gets there. In a group of m findings with h hits the j-th hit comes after
    j (m + 1) / (h + 1) findings, on average over their orders.
    """
    out = np.full((len(t.errors), len(shares)), np.nan)
    for d, errors in enumerate(t.errors):
        if errors == 0:
            continue
        hits, read = np.append(0, t.hits[d]), np.append(0, t.read[d])
        for k, share in enumerate(shares):
            wanted = max(np.ceil(share * errors - 1e-9), 1)
            g = int(np.searchsorted(hits, wanted))
            if g == len(hits):
                out[d, k] = np.inf
                continue
            m, h = read[g] - read[g - 1], hits[g] - hits[g - 1]
            out[d, k] = read[g - 1] + (wanted - hits[g - 1]) * (m + 1) / (h + 1)
    return out


def published_auc_of(t: Tally) -> Floats:
    """The published area (see :mod:`dubio.errors.bench.published_auc`) of this list, ``(D,)``."""
    read, hits = at_threshold(t, np.linspace(0, 1, 21).tolist(), above=True)
    area = [auc_of_counts(h, r - h, e - h) for h, r, e in zip(hits, read, t.errors, strict=True)]
    return np.where(t.errors > 0, area, np.nan)


def rates(read: Floats, hits: Floats, errors: Floats) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1, ``(D, K)``, of so many findings with so many hits among ``(D,)`` errors."""
    every = np.broadcast_to(errors[:, None], hits.shape)
    f1 = np.where(every > 0, 2 * hits / np.maximum(read + every, 1), np.nan)
    return _share(hits, read), _share(hits, every), f1


def _share(part: Floats, whole: Floats, otherwise: float = np.nan) -> Floats:
    out: Floats = np.full(np.broadcast(part, whole).shape, otherwise)
    np.divide(part, whole, out=out, where=np.asarray(whole) > 0)
    return out


def _last(values: Floats) -> Floats:
    return values[:, -1] if values.shape[1] else np.zeros(len(values))
