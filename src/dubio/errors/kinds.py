"""Of what kind an error is: learned from the kinds that were planted."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.errors.rows import Rows
from dubio.errors.traits import Traits
from dubio.regions.boosting import BoostedTrees

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# Small: a few thousand planted errors are told apart by a few strong features.
_TREES: dict[str, Any] = {"max_iter": 25, "learning_rate": 0.2, "max_leaf_nodes": 8, "min_samples_leaf": 10}
_TINY = 1e-6
# Rows that are widened to double precision at once.
_STEP = 200_000


class KindHead:
    """Tells the kinds of errors apart, one against the others; learned from planted errors alone.

    Args:
        traits: the kind of region.
        seed: seed.
    """

    def __init__(self, traits: Traits, seed: int) -> None:
        self.traits, self.seed = traits, seed
        self.models: list[BoostedTrees | float] = []

    def fit(self, learn: Rows, rows: Ints) -> KindHead:
        """Learn from the planted errors among some rows."""
        rows = rows[(learn.y[rows] == 1) & (learn.kind[rows] >= 0)]
        x, kind = self.traits.learned(learn.x[rows]), learn.kind[rows]
        for k in range(len(self.traits.calls)):
            mine = kind == k
            share = float(mine.mean()) if len(mine) else 0.0
            if 0 < share < 1:
                model = BoostedTrees(seed=self.seed, **_TREES).fit(x, mine)
                self.models.append(model)
            else:  # nothing to tell apart
                self.models.append(float(np.log((share + _TINY) / (1 - share + _TINY))))
        return self

    def predict(self, x: npt.NDArray[Any], rows: Ints) -> Floats:
        """Probability of each kind, given an error, ``(n, K)``; rows add up to 1."""
        out = np.empty((len(rows), len(self.models)))
        for start in range(0, len(rows), _STEP):
            step = slice(start, start + _STEP)
            out[step] = self._predict(x[rows[step]])
        return out

    def _predict(self, x: npt.NDArray[Any]) -> Floats:
        learned = self.traits.learned(x)
        odds = [
            np.full(len(x), model) if isinstance(model, float) else model.decision(learned)
            for model in self.models
        ]
        p = 1 / (1 + np.exp(-np.column_stack(odds))) + _TINY
        if self.traits.possible is not None:
            p = p * self.traits.possible(x)
        return np.asarray(p / p.sum(1, keepdims=True))
