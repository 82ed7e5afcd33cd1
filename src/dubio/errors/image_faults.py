"""Probabilities that a whole label is faulty, learned from faulty copies of the other images' labels.

Masks have so many pixels that one classifier of all faults does. The labels of an image may be two boxes,
and a detector may be weak: there each kind of fault has a classifier and a share of its own, and where an
image's boxes can't show a fault, little is made of its looks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from dubio.core.seeds import rng_for
from dubio.errors.finder import image_folds
from dubio.errors.odds import expit, platt
from dubio.errors.prior import Evidence, error_probability
from dubio.errors.traits import Work, traits_of
from dubio.regions.boosting import BoostedTrees

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Learner = Callable[[Floats, Flags, Floats, Floats], Floats]
# Fewer images teach nothing about images.
MIN_IMAGES = 12
# So many faulty copies are enough, however many images there are; of one kind, fewer are too few.
_ENOUGH, _MIN_COPIES = 1000, 20
# Of more labels as given, so many are learned from, kind by kind.
_LEARNED = 5000
# From this score on a label looks more like a faulty copy than like the labels as given.
LIKE = 0.5
# From this probability on a fault of the whole label is said in words.
SHOWN_FAULT = 0.2
# Shares of the planted faults at which the share of real ones is read off. They are told apart so well that
# a threshold most of them pass is still a high one; real faults are often milder than planted ones.
_LEVELS, _KIND_LEVELS = (0.5, 0.7, 0.8, 0.9), (0.3, 0.5, 0.7, 0.9)
# Before anything is seen, one label in 200 has a fault of each kind; this weighs as much as one image found.
_USUAL = 1 / 200
# An image that can't show a fault never speaks for it by more than this likelihood ratio.
_WEAK = 5.0
# A fault is named by its looks if it is at least this share as likely as the likeliest.
_SAYS = 0.1
# What a linear model of the measures adds to the trees: with few images it knows as much. It sees measures
# within some deviations, so that none decides alone.
_LINEAR, _PENALTY, _FARTHEST = 0.5, 0.1, 4.0
# Rounds of learning, each of which doubts the labels that the one before found faulty; the last with trees.
_ROUNDS = 3
# Log odds beyond this say nothing.
_MOST = 14.0


@dataclass(frozen=True)
class Faults:
    """Faults of whole labels, in the order of the works.

    Attributes:
        first: ``(n,)`` labels that come before others that only have wrong regions.
        like: ``(n,)`` how much each looks like a faulty one, 0 … 1; NaN if nothing was learned.
        probability: ``(n,)`` of a fault; NaN if nothing was learned.
        kind: ``(n,)`` position in the faults of the one that it looks most like.
        quality: AUROC and average precision on planted faults in unseen images, their number, the expected
            number of faulty labels, and how many look so; empty if not learned.
    """

    first: Flags
    like: Floats
    probability: Floats
    kind: Ints
    quality: dict[str, float]


@dataclass(frozen=True)
class _Rows:
    """Labels as given (first), then their faulty copies.

    Attributes:
        x: ``(n + m, F)`` measures.
        y: ``(n + m,)`` whether it is a copy.
        image: ``(n + m,)`` number of the image; ``fold`` its part.
        kind: ``(n + m,)`` position in the faults, -1: as given.
        weight: ``(n + m,)``; the copies of an image weigh together what its own label weighs.
        fold: see there.
        n: number of images.
    """

    x: Floats
    y: Flags
    image: Ints
    kind: Ints
    weight: Floats
    fold: Ints
    n: int

    @classmethod
    def of(cls, works: Sequence[Work], folds: int, seed: int) -> Self:
        n = len(works)
        x = np.concatenate([np.array([w.whole.x for w in works]), *(w.whole.faulty for w in works)])
        owner = np.repeat(np.arange(n), [len(w.whole.faulty) for w in works])
        kind = np.concatenate([np.full(n, -1), *(w.whole.kinds for w in works)])
        weight = np.concatenate([np.ones(n), 1 / np.bincount(owner, minlength=n)[owner]])
        image = np.concatenate([np.arange(n), owner])
        fold = image_folds([w.image_id for w in works], min(folds, n), seed)[image]
        return cls(x, np.arange(len(x)) >= n, image, kind, weight, fold, n)

    def cross_fitted(self, rows: Ints, target: Flags, weight: Floats, learner: Learner) -> Floats:
        """``(n + m,)`` log odds of all rows, each by a model that learned from rows of other images."""
        z = np.zeros(len(self.x))
        for k in np.unique(self.fold):
            learn, mine = self.fold[rows] != k, self.fold == k
            y = target[learn]
            if 0 < y.sum() < len(y):
                z[mine] = learner(self.x[rows[learn]], y, weight[learn], self.x[mine])
        return z

    def quality(self, score: Floats, fault: Floats) -> dict[str, float]:
        """How well copies are told from labels as given; how many of these are expected, or look, faulty."""
        from sklearn.metrics import average_precision_score, roc_auc_score

        return {
            "auroc": float(roc_auc_score(self.y, score, sample_weight=self.weight)),
            "ap": float(average_precision_score(self.y, score, sample_weight=self.weight)),
            "planted": float(self.y.sum()),
            "expected": float(fault.sum()),
            "suspect": float((fault >= SHOWN_FAULT).sum()),
        }


def find_faults(works: Sequence[Work], folds: int, seed: int) -> Faults:
    """Judge the labels of whole images.

    Args:
        works: the images' measures.
        folds: parts for cross-fitting.
        seed: seed.
    """
    n = len(works)
    copies = sum(len(w.whole.kinds) for w in works)
    if n < MIN_IMAGES or copies < min(n, _ENOUGH):
        unknown = np.full(n, np.nan)
        return Faults(np.zeros(n, bool), unknown, unknown, np.zeros(n, np.int64), {})
    rows = _Rows.of(works, folds, seed)
    shown = [w.whole.shown() for w in works]
    if any(s is None for s in shown):
        return _together(rows, works, seed)
    given = np.array([s[0] for s in shown if s is not None])
    return _by_kind(rows, np.concatenate([given, *(s[1:] for s in shown if s is not None)]), works, seed)


def _together(rows: _Rows, works: Sequence[Work], seed: int) -> Faults:
    """One classifier of all faults."""
    n, y, weight = rows.n, rows.y, rows.weight
    bins = traits_of(works).whole.max_bins
    z = rows.cross_fitted(np.arange(len(y)), y, weight, _trees(seed, bins))
    a, b = platt(z, y, weight)
    score = expit(a * z + b)
    odds = score[:n] / (1 - score[:n]) * float(weight[~y].sum() / weight[y].sum())
    evidence = Evidence.collect(z[y], rows.image[y], z[:n], np.arange(n), n)
    fault = error_probability(odds, evidence.share(levels=_LEVELS))
    like = score[:n]
    kind = _looks(rows, works, seed).argmax(1)
    return Faults(like >= LIKE, like, fault, kind, rows.quality(score, fault))


def _looks(rows: _Rows, works: Sequence[Work], seed: int) -> Floats:
    """``(n, faults)``: how much each label, were it faulty, would look like one with each fault."""
    known = traits_of(works).whole
    copies = np.flatnonzero(rows.y)
    looks = np.zeros((rows.n, len(known.faults)))
    for number in np.unique(rows.kind[copies]):
        mine = rows.kind[copies] == number
        # to name a fault, fewer rounds do
        learner = _trees(seed, known.max_bins, 0.2, 40, weighted=False)
        looks[:, number] = rows.cross_fitted(copies, mine, np.ones(len(copies)), learner)[: rows.n]
    return looks


def _by_kind(rows: _Rows, shown: Flags, works: Sequence[Work], seed: int) -> Faults:
    """A classifier and a share of each kind.

    What a round takes for faulty hardly counts among the labels as given in the next: a kind that is
    frequent would otherwise be learned as usual.
    """
    n = rows.n
    learners = [_linear] * (_ROUNDS - 1) + [_both(seed, traits_of(works).whole.max_bins)]
    some = np.arange(n)
    if n > _LEARNED:
        some = np.sort(rng_for(seed, "labels as given").choice(n, _LEARNED, replace=False))
    p = np.zeros(len(rows.x))
    odds, share = np.zeros(shown.shape), np.zeros(shown.shape[1])
    for learner in learners:
        for k in range(len(share)):
            odds[:, k], share[k] = _one_kind(rows, k, shown[:, k], some, 1 - p[some], learner)
        p = error_probability(odds, share)
    fault = p[:n]
    # the one that it looks like most, of those that speak for a fault at all
    speaks = odds[:n] * share
    some_say = speaks >= _SAYS * speaks.max(1, keepdims=True)
    kind = np.where(some_say, _looks(rows, works, seed), -np.inf).argmax(1)
    return Faults(fault >= SHOWN_FAULT, fault, fault, kind, rows.quality(p, fault))


def _one_kind(
    rows: _Rows, k: int, shown: Flags, some: Ints, good: Floats, learner: Learner
) -> tuple[Floats, float]:
    """Likelihood ratios of a kind of all rows, and its share among the labels as given.

    ``some`` of these are learned from, each as far as it is ``good``.
    """
    n, copies = rows.n, np.flatnonzero(rows.kind == k)
    if len(copies) < _MIN_COPIES:
        return np.zeros(len(rows.x)), 0.0
    use, owner = np.concatenate([some, copies]), rows.image[copies]
    own = 1 / np.bincount(owner, minlength=n)[owner]
    weight, y = np.concatenate([good, own * good.sum() / own.sum()]), rows.y[use]
    z = rows.cross_fitted(use, y, weight, learner)
    a, b = platt(z[use], y, weight)
    odds = np.exp(np.clip(a * z + b, -_MOST, _MOST))
    odds = np.where(shown, odds, odds / (1 + odds / _WEAK))
    return odds, _share(odds[copies], own, odds[:n])


def _share(copies: Floats, weight: Floats, given: Floats) -> float:
    """Share of the labels that have a fault, with what is usual counted as one more image found.

    The least over several thresholds counts, as in best bin estimation (Garg et al., 2021): where faults
    are hard to tell from hard images, they look frequent at most of them.
    """
    order = np.argsort(-copies, kind="stable")
    passed = np.cumsum(weight[order]) / weight.sum()
    at = np.minimum(np.searchsorted(passed, _KIND_LEVELS), len(copies) - 1)
    above = (given[:, None] >= copies[order][at]).sum(0)
    return float(((1 + above) / (1 / _USUAL + len(given) * np.array(_KIND_LEVELS))).min())


def _trees(seed: int, bins: int, rate: float = 0.08, rounds: int = 120, weighted: bool = True) -> Learner:
    """Small trees: a few hundred rows of a dozen measures."""

    def learner(x: Floats, y: Flags, weight: Floats, new: Floats) -> Floats:
        model = BoostedTrees(
            max_iter=rounds, learning_rate=rate, max_leaf_nodes=6, min_samples_leaf=8, seed=seed % 2**31,
            max_bins=bins,
        )  # fmt: skip
        return (model.fit(x, y, weight) if weighted else model.fit(x, y)).decision(new)

    return learner


def _both(seed: int, bins: int) -> Learner:
    """Trees and a linear model."""
    trees = _trees(seed, bins, 0.15, 60)

    def learner(x: Floats, y: Flags, weight: Floats, new: Floats) -> Floats:
        return (1 - _LINEAR) * trees(x, y, weight, new) + _LINEAR * _linear(x, y, weight, new)

    return learner


def _linear(x: Floats, y: Flags, weight: Floats, new: Floats) -> Floats:
    """Logistic regression: a few faulty labels among those as given hardly bend it."""
    from sklearn.linear_model import LogisticRegression

    known = np.nan_to_num(x)
    mean, spread = known.mean(0), known.std(0) + 1e-6

    def scaled(values: Floats) -> Floats:
        return np.asarray(np.clip((np.nan_to_num(values) - mean) / spread, -_FARTHEST, _FARTHEST))

    model = LogisticRegression(C=_PENALTY, max_iter=500).fit(scaled(x), y, weight)
    return np.asarray(model.decision_function(scaled(new)), np.float64)
