"""The classifier behind the finder."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from dubio.core.seeds import rng_for
from dubio.errors.traits import Committee, Traits
from dubio.regions.boosting import BoostedTrees

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# Rows that are widened to double precision at once.
_STEP = 200_000
_TINY = 1e-9


class Judge:
    """Log odds of an error: boosted trees, or a committee of them with a linear model beside it.

    Trees that see half of the features each, and a linear model of a few strong ones, agree on less noise
    than one model of all features. That matters where there are few labels to plant errors into.

    Args:
        traits: the kind of region.
        seed: seed.
    """

    def __init__(self, traits: Traits, seed: int) -> None:
        self.traits, self.seed = traits, seed

    def fit(self, x: npt.NDArray[Any], y: npt.NDArray[Any], weight: npt.NDArray[Any]) -> Self:
        """Learn from rows of features and whether they are errors."""
        committee = self.traits.committee
        learned = self.traits.learned(x)
        if committee is not None and _even(y, weight):
            weight = np.ones(len(y))  # the odds are calibrated later
        self.columns_ = _parts(learned.shape[1], committee, self.seed)
        options = {} if committee is None else dict(committee.trees)
        self.trees_ = [
            BoostedTrees(seed=self.seed, **options).fit(learned[:, part], y, weight) for part in self.columns_
        ]
        self.linear_ = None if committee is None else _Linear(committee).fit(x, y, weight)
        return self

    def decision(self, x: npt.NDArray[Any], rows: Ints) -> Floats:
        """Log odds of some rows, ``(n,)``, in steps that fit into memory."""
        out = np.zeros(len(rows))
        for start in range(0, len(rows), _STEP):
            step = slice(start, start + _STEP)
            out[step] = self._decision(x[rows[step]])
        return out

    def _decision(self, x: npt.NDArray[Any]) -> Floats:
        learned = self.traits.learned(x)
        pairs = zip(self.trees_, self.columns_, strict=True)
        found = sum((tree.decision(learned[:, part]) for tree, part in pairs), np.zeros(len(x)))
        found = found / len(self.trees_)
        if self.linear_ is None:
            return found
        share = self.linear_.committee.linear
        return np.asarray((1 - share) * found + share * self.linear_.decision(x))


def _even(y: npt.NDArray[Any], weight: npt.NDArray[Any]) -> bool:
    """Whether rows of a class weigh the same, so that weights only shift all odds."""
    return all(np.ptp(weight[y == v]) <= _TINY for v in (0, 1) if (y == v).any())


def _parts(width: int, committee: Committee | None, seed: int) -> list[Any]:
    """Columns that each member sees; the first one, that says what a row is, is always among them."""
    if committee is None:
        return [slice(None)]
    rng = rng_for(seed, "columns of the committee")
    size = max(1, round(committee.share * (width - 1)))
    return [np.append(0, np.sort(1 + rng.permutation(width - 1)[:size])) for _ in range(committee.members)]


class _Linear:
    """Logistic regression of a few strong features, brought to one scale."""

    def __init__(self, committee: Committee) -> None:
        self.committee = committee

    def fit(self, x: npt.NDArray[Any], y: npt.NDArray[Any], weight: npt.NDArray[Any]) -> Self:
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        strong = self.committee.strong(x)
        self.mean_, self.scale_ = strong.mean(0), strong.std(0) + _TINY
        with threadpool_limits(1):
            model = LogisticRegression(C=self.committee.penalty, max_iter=300)
            model.fit((strong - self.mean_) / self.scale_, y, weight)
        self.coef_, self.intercept_ = np.asarray(model.coef_[0]), float(model.intercept_[0])
        return self

    def decision(self, x: npt.NDArray[Any]) -> Floats:
        strong = (self.committee.strong(x) - self.mean_) / self.scale_
        return np.asarray(strong @ self.coef_ + self.intercept_)
