"""Rankings of any number of pixels in a histogram of fixed size."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.reliability import kernels
from dubio.reliability.binning import REAL, UNIT, Binning, values_of
from dubio.reliability.ranking import Ranking

BINNINGS = {b.name: b for b in (UNIT, REAL)}
Flat = npt.NDArray[Any]


class RankingState:
    """Counts of right, wrong and unknown pixels by the bins of a score.

    Args:
        binning: :data:`~dubio.reliability.binning.UNIT` for uncertainties between 0 and 1,
            :data:`~dubio.reliability.binning.REAL` for all other scores.

    Attributes:
        counts: ``(3, bins)`` int64: right, wrong, unknown.

    >>> state = RankingState(UNIT)
    >>> state.update(np.array([0.1, 0.2, 0.9], np.float32), np.array([0, 0, 1], np.uint8))
    >>> state.errors().auroc
    1.0
    """

    def __init__(self, binning: Binning = REAL) -> None:
        self.binning = binning
        self.counts: npt.NDArray[np.int64] = np.zeros((3, binning.bins), np.int64)

    def update(self, score: npt.ArrayLike, code: npt.ArrayLike) -> None:
        """Add pixels.

        Args:
            score: float32 of any shape; higher = more doubt.
            code: uint8 of the same shape, see :class:`~dubio.reliability.outcome.Outcome`: 0 right,
                1 wrong, 2 unknown, 3 ignored.

        Raises:
            InputError: shapes differ.
        """
        values = np.ascontiguousarray(score, np.float32).reshape(-1)
        codes = np.ascontiguousarray(code, np.uint8).reshape(-1)
        if values.shape != codes.shape:
            raise InputError(f"{values.size} scores for {codes.size} pixels")
        count = kernels.count_real if self.binning.signed else kernels.count_unit
        count(values.view(np.int32), codes, self.counts)

    def merge(self, other: RankingState) -> None:
        """Add what another state saw.

        Raises:
            InputError: its bins are others.
        """
        if other.binning != self.binning:
            raise InputError(f"histograms '{self.binning.name}' and '{other.binning.name}' can't be merged")
        self.counts += other.counts

    def errors(self) -> Ranking:
        """Ranking of wrong against right pixels; unknown ones are left out."""
        return self._ranking(self.counts[1], self.counts[0], ("wrong pixel", "right pixel"))

    def unknowns(self) -> Ranking:
        """Ranking of pixels of unknown classes against all known ones."""
        return self._ranking(
            self.counts[2], self.counts[0] + self.counts[1], ("pixel of an unknown class", "known pixel")
        )

    def _ranking(self, pos: Flat, neg: Flat, names: tuple[str, str]) -> Ranking:
        keep = np.flatnonzero(pos + neg)
        return Ranking(values_of(self.binning)[keep], pos[keep], neg[keep], names)
