"""Intervals with a promise: split-conformal prediction for corners and for whole boxes.

Of new boxes like the ones that were fitted on, at least the asked share lies within, whatever the law of the
residuals. Boxes of one image are not independent, and what counts is detections that meet a labelled box:
the promise is on average over those. Sources: Vovk et al., Algorithmic Learning in a Random World (2005);
Timans et al., Adaptive Bounding Box Uncertainties via Two-Step Conformal Prediction, ECCV 2024.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any, Literal, get_args

import numpy as np

from dubio.calibration.boxes.rows import BoxRows
from dubio.core.errors import InputError
from dubio.uncertainty.boxes.residuals import Floats

Scope = Literal["coordinate", "box", "bonferroni"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
# Order statistics kept per group; between them the next greater one counts, which is on the safe side.
_KEPT = 1000


class ConformalIntervals:
    """Split-conformal intervals of corners.

    Args:
        scope: ``coordinate``: each coordinate keeps the level; ``box``: all four together do, by the
            greatest of the four; ``bonferroni``: all four together, each at a quarter of the risk.
        scaled: widths in proportion to sigma; else the same for all boxes, in pixels.
        sided: inner and outer residuals apart, each at half the risk.
        per_class: a quantile per class; classes with too few boxes for the level use that of all.

    Raises:
        InputError: an unknown scope.
    """

    def __init__(
        self, scope: Scope = "coordinate", scaled: bool = True, sided: bool = False, per_class: bool = False
    ) -> None:
        if scope not in SCOPES:
            raise InputError(f"there is no scope '{scope}'", remedy=f"one of {', '.join(SCOPES)}")
        self.scope, self.scaled = scope, bool(scaled)
        self.sided, self.per_class = bool(sided), bool(per_class)
        # per group: sorted scores and their number, for every column
        self.scores: dict[int, tuple[Floats, int]] = {}

    def fit(self, rows: BoxRows, sigma: Floats | None = None) -> ConformalIntervals:
        """Learn from matched detections, of images that sigma was not fitted on.

        Args:
            rows: the detections with residuals.
            sigma: ``(N, 4)`` calibrated sigmas; needed if ``scaled``.

        Raises:
            InputError: nothing to learn from.
        """
        if not len(rows):
            raise InputError("there are no residuals to calibrate on", remedy="no detection meets a label")
        columns = self._columns(rows.truth / self._unit(rows, sigma))
        self.scores = {-1: _kept(columns)}
        for k in np.unique(rows.classes) if self.per_class else ():
            self.scores[int(k)] = _kept(columns[rows.classes == k])
        return self

    def intervals(self, rows: BoxRows, level: float, sigma: Floats | None = None) -> tuple[Floats, Floats]:
        """Lowest and highest value of each corner, ``(N, 4)`` each, pixels.

        Args:
            rows: detections.
            level: share that is to lie within, 0 to 1.
            sigma: as in :meth:`fit`.

        Returns:
            Infinite where too few boxes were seen to promise the level.

        Raises:
            InputError: a level that is none.
        """
        if not 0 < level < 1:
            raise InputError(f"the level {level} is none", remedy="give a share between 0 and 1")
        risk = (1 - level) / (4 if self.scope == "bonferroni" else 1)
        unit = self._unit(rows, sigma)
        below, above = np.empty((len(rows), 4)), np.empty((len(rows), 4))
        for k in np.unique(rows.classes):
            mine = rows.classes == k
            inner, outer = self._widths(int(k), risk)
            # inwards is upwards for the first corner and downwards for the second
            below[mine] = np.concatenate([outer[:2], inner[2:]]) * unit[mine]
            above[mine] = np.concatenate([inner[:2], outer[2:]]) * unit[mine]
        return rows.boxes - below, rows.boxes + above

    def _widths(self, klass: int, risk: float) -> tuple[Floats, Floats]:
        group = klass if klass in self.scores else -1
        part = risk / 2 if self.sided else risk
        values, n = self.scores[group]
        if ceil((n + 1) * (1 - part)) > n:
            values, n = self.scores[-1]
        found = np.array([_quantile(column, n, part) for column in values.T])
        if self.scope == "box":
            found = np.repeat(found, 4)
        return (found[:4], found[4:]) if self.sided else (found, found)

    def _unit(self, rows: BoxRows, sigma: Floats | None) -> Floats:
        if not self.scaled:
            return np.ones((len(rows), 4))
        if sigma is None:
            raise InputError("scaled intervals need the sigma of each corner")
        return sigma

    def _columns(self, z: Floats) -> Floats:
        inward = z * np.array([1, 1, -1, -1])
        parts = [inward, -inward] if self.sided else [np.abs(z)]
        if self.scope == "box":
            parts = [p.max(1, keepdims=True) for p in parts]
        return np.concatenate(parts, 1)

    def state(self) -> dict[str, Any]:
        """Options and what was learned, as plain data."""
        return {
            "options": {n: getattr(self, n) for n in ("scope", "scaled", "sided", "per_class")},
            "scores": {str(k): [v.tolist(), n] for k, (v, n) in self.scores.items()},
        }

    @classmethod
    def restore(cls, data: Mapping[str, Any]) -> ConformalIntervals:
        """The inverse of :meth:`state`."""
        found = cls(**data["options"])
        found.scores = {int(k): (np.array(v, float), int(n)) for k, (v, n) in data["scores"].items()}
        return found


def _kept(columns: Floats) -> tuple[Floats, int]:
    ordered, n = np.sort(columns, axis=0), len(columns)
    if n <= _KEPT:
        return ordered, n
    # every rank is answered by a kept one that is not smaller
    return ordered[np.ceil(np.arange(1, _KEPT + 1) * n / _KEPT).astype(np.int64) - 1], n


def _quantile(column: Floats, n: int, risk: float) -> float:
    # rounding must not add a rank where the level divides evenly
    rank = ceil((n + 1) * (1 - risk) - 1e-9)
    if rank > n:
        return float("inf")
    kept = len(column)
    place = rank if kept == n else ceil(rank * kept / n)
    return float(column[max(place, 1) - 1])
