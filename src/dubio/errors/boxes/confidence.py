"""Scores made comparable: what share of detections is right at a score.

Detectors mean different things by 0.9, and fixed bars such as 0.95 leave tools blind where scores stay low.
Here a score counts by its rank alone: the share of right detections at it, monotone in the score (isotonic
regression). So the scale of the scores doesn't matter: 0.9 times or the root of them gives the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_LEAST = 1e-3
# The rank weighs as much as so many detections.
_FEW = 10


@dataclass(frozen=True)
class Confidence:
    """A monotone map from scores to the share of right detections.

    Attributes:
        score: ``(K,)`` distinct scores, rising.
        value: ``(K,)`` their confidence, 0.001 to 0.999, rising.
    """

    score: Floats
    value: Floats

    @classmethod
    def fit(cls, score: npt.ArrayLike, right: npt.ArrayLike) -> Confidence:
        """Learn the map.

        Args:
            score: ``(N,)`` scores.
            right: ``(N,)`` whether each detection agrees with a label.

        >>> seen = Confidence.fit([0.1, 0.2, 0.3, 0.4], [False, True, False, True])
        >>> seen([0.1, 0.25, 0.4]).round(2).tolist()
        [0.09, 0.5, 0.91]
        """
        from scipy.optimize import isotonic_regression

        values = np.asarray(score, np.float64)
        if not len(values):
            return cls(np.zeros(0), np.zeros(0))
        distinct, which, count = np.unique(values, return_inverse=True, return_counts=True)
        mean = np.bincount(which, weights=np.asarray(right, np.float64)) / count
        fitted = np.asarray(isotonic_regression(mean, weights=count).x)
        # Between the middles of the steps it rises with the rank, so that the order of scores is kept.
        edges = np.flatnonzero(np.diff(fitted, prepend=-1, append=2))
        middle = (edges[:-1] + edges[1:] - 1) / 2
        smooth = np.interp(np.arange(len(distinct)), middle, fitted[edges[:-1]])
        # A few detections tell little: there the rank counts too.
        rank = (np.arange(len(distinct)) + 0.5) / len(distinct)
        n = len(values)
        return cls(distinct, np.clip((n * smooth + _FEW * rank) / (n + _FEW), _LEAST, 1 - _LEAST))

    def __call__(self, score: npt.ArrayLike) -> Floats:
        """Confidence of scores of any shape; between two known scores their mean."""
        values = np.asarray(score, np.float64)
        if not len(self.score):
            return np.full(values.shape, 0.5)
        last = len(self.score) - 1
        low = np.clip(np.searchsorted(self.score, values, "right") - 1, 0, last)
        high = np.clip(np.searchsorted(self.score, values, "left"), 0, last)
        return np.asarray((self.value[low] + self.value[high]) / 2)
