"""Rankings by uncertainty: do errors, or unknown objects, come out on top?

Hendrycks and Gimpel, ICLR 2017 (AUROC, AUPR for misclassification and unknown inputs); Malinin et al.,
arXiv:2006.02590 (prediction rejection ratio); Geifman et al., ICLR 2019 (excess AURC). The positives are
always what should be doubted, and a higher score means more doubt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.reliability import rank_metrics

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
METRICS = ("auroc", "prr", "aupr", "aupr_rest", "fpr95")


@dataclass(frozen=True)
class Ranking:
    """Samples in ascending order of a score, equal ones together.

    Args:
        values: ``(M,)`` the scores, ascending.
        positives: ``(M,)`` int64 samples with that score that should score high: errors, unknown objects.
        negatives: ``(M,)`` int64 the other samples.
        names: what positives and negatives are called in :meth:`reasons`.

    >>> r = Ranking.of([0.1, 0.2, 0.9, 0.2], [False, False, True, True])
    >>> r.auroc, r.prr, r.fpr95
    (0.875, 0.75, 0.5)
    """

    values: Floats
    positives: Counts
    negatives: Counts
    names: tuple[str, str] = ("error", "right sample")

    @classmethod
    def of(
        cls,
        score: npt.ArrayLike,
        positive: npt.ArrayLike,
        names: tuple[str, str] = ("error", "right sample"),
    ) -> Ranking:
        """Rank samples exactly.

        Args:
            score: floats of any shape; higher = more doubt.
            positive: booleans of the same shape.
            names: singular names of positives and negatives.

        Raises:
            InputError: shapes differ or a score isn't a number.
        """
        scores, marks = np.asarray(score, np.float64).reshape(-1), np.asarray(positive, np.bool_).reshape(-1)
        if scores.shape != marks.shape:
            raise InputError(f"{scores.size} scores for {marks.size} samples")
        if np.isnan(scores).any():
            raise InputError("a score is not a number", remedy="leave out samples without a score")
        values, place = np.unique(scores, return_inverse=True)
        sizes = np.bincount(place, minlength=len(values))
        pos = np.bincount(place[marks], minlength=len(values))
        return cls(values, pos.astype(np.int64), (sizes - pos).astype(np.int64), names)

    @property
    def n_positive(self) -> int:
        """Number of positives."""
        return int(self.positives.sum())

    @property
    def n_negative(self) -> int:
        """Number of negatives."""
        return int(self.negatives.sum())

    def _one(self, function: Any, *more: float) -> float:
        if not len(self.values):
            return float("nan")
        return float(function(self.positives, self.negatives, *more))

    @property
    def auroc(self) -> float:
        """Probability that a positive scores above a negative; ties count half."""
        return self._one(rank_metrics.auroc)

    @property
    def prr(self) -> float:
        """Prediction rejection ratio, 2 AUROC - 1: 1 for a perfect ranking, 0 for a random one.

        The area between the rejection curve and that of random rejection, over the same area of an oracle:
        the error rate cancels. (The released code of de Jorge et al., CVPR 2023, drew the oracle's curve a
        hundred times too short; its number is (1 - e) / (1 - e / 100) of this one for an error rate e.)
        """
        return 2 * self.auroc - 1

    @property
    def aupr(self) -> float:
        """Average precision of finding the positives by a high score (AUPR out, for unknown objects)."""
        return self._one(rank_metrics.average_precision)

    @property
    def aupr_rest(self) -> float:
        """Average precision of finding the negatives by a low score (AUPR in, for unknown objects)."""
        if not len(self.values):
            return float("nan")
        return float(rank_metrics.average_precision(self.negatives[::-1], self.positives[::-1]))

    @property
    def fpr95(self) -> float:
        """Share of negatives at or above the highest threshold that finds 95 % of the positives."""
        return self._one(rank_metrics.false_positive_rate)

    @property
    def aurc(self) -> float:
        """Mean error rate over all coverages, least doubtful samples first; NaN without samples."""
        return self._one(rank_metrics.aurc)

    @property
    def excess_aurc(self) -> float:
        """:attr:`aurc` minus that of a perfect ranking."""
        return self.aurc - self._one(rank_metrics.best_aurc)

    def coverage_at_risk(self, risk: float) -> float:
        """Largest share of samples that can be kept at an error rate of at most ``risk``; 0 if none can."""
        return self._one(rank_metrics.coverage_at_risk, risk)

    def risk_at_coverage(self, coverage: float) -> float:
        """Error rate of the least doubtful samples when at least the share ``coverage`` is kept."""
        return self._one(rank_metrics.risk_at_coverage, coverage)

    def threshold_at_risk(self, risk: float) -> float:
        """The score up to which samples are kept for :meth:`coverage_at_risk`; -inf if none is kept."""
        kept = self.coverage_at_risk(risk)
        if not kept > 0:
            return float("nan") if np.isnan(kept) else float("-inf")
        n = np.cumsum(self.positives + self.negatives)
        return float(self.values[np.searchsorted(n, kept * n[-1] * (1 - 1e-12))])

    def risk_coverage(self, points: int = 200) -> tuple[Floats, Floats]:
        """Coverage and error rate, thinned to at most ``points`` for a plot; empty without samples."""
        errors = np.cumsum(self.positives)
        n = errors + np.cumsum(self.negatives)
        keep = np.flatnonzero(np.diff(n, prepend=0))
        if not keep.size:
            return np.zeros(0), np.zeros(0)
        if keep.size > points:
            wanted = np.linspace(0, 1, points) * n[-1]
            keep = np.unique(keep[np.searchsorted(n[keep], wanted).clip(max=keep.size - 1)])
        return n[keep] / n[-1], errors[keep] / n[keep]

    def best_f1(self) -> tuple[float, float]:
        """Lowest score that counts as positive for the best F1, and that F1; NaN without positives."""
        if self.n_positive == 0:
            return float("nan"), float("nan")
        place, f1 = rank_metrics.best_f1(self.positives, self.negatives)
        return float(self.values[place]), f1

    def compute(self) -> dict[str, float]:
        """``auroc``, ``prr``, ``aupr``, ``aupr_rest``, ``fpr95``, ``aurc`` and ``excess_aurc``."""
        found = {name: float(getattr(self, name)) for name in METRICS}
        return found | {"aurc": self.aurc, "excess_aurc": self.excess_aurc}

    def reasons(self) -> dict[str, str]:
        """Why each of the results of :meth:`compute` that is NaN is undefined."""
        missing = [n for n, k in zip(self.names, (self.n_positive, self.n_negative), strict=True) if not k]
        why = f"there is no {' and no '.join(missing)}"
        return {name: why for name, value in self.compute().items() if np.isnan(value)}
