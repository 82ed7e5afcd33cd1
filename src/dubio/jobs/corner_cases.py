"""Epistemic against aleatoric uncertainty: the detections in the two far corners of a grid.

Source: Kassem Sbeyti et al., Overcoming the Limitations of Localization Uncertainty, ECML PKDD 2023, and
their code, whose rule for the grid this is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import Floats
from dubio.jobs.validate_pairs import WRONG_CLASS
from dubio.jobs.validate_rows import ValidationRows
from dubio.reliability.boxes.quality import spearman

Ints = npt.NDArray[np.int64]
LEAST = 3  # published: as many detections keep a corner worth a look
LEAST_IOU = 0.1  # published: pairs below are left out
SHOWN = 10
_SLACK = 1.05  # published: the grid is this much wider than the values
_MOST = 100


@dataclass(frozen=True, eq=False)
class CornerGrid:
    """Detections on a grid of aleatoric (across) and epistemic (up) uncertainty.

    Attributes:
        side: cells along each side; 1: even the coarsest grid has an empty corner.
        cells: ``(N,)`` cell, counted along the aleatoric axis first; -1: a value is unknown.
        origin: least aleatoric and epistemic value.
        step: width and height of a cell.
    """

    side: int
    cells: Ints
    origin: tuple[float, float]
    step: tuple[float, float]

    @property
    def high_aleatoric(self) -> Ints:
        """Detections of high aleatoric and low epistemic uncertainty."""
        return np.flatnonzero(self.cells == self.side - 1) if self.side > 1 else np.zeros(0, np.int64)

    @property
    def high_epistemic(self) -> Ints:
        """Detections of low aleatoric and high epistemic uncertainty."""
        last = self.side * (self.side - 1)
        return np.flatnonzero(self.cells == last) if self.side > 1 else np.zeros(0, np.int64)


def corner_grid(aleatoric: npt.ArrayLike, epistemic: npt.ArrayLike, *, least: int = LEAST) -> CornerGrid:
    """The finest grid whose two far corners still hold enough detections, grown from 2 x 2.

    Args:
        aleatoric: ``(N,)`` relative aleatoric uncertainty; NaN is left out.
        epistemic: ``(N,)`` relative epistemic uncertainty.
        least: detections that each of the two corners must hold.

    >>> x = np.array([0, 0, 0, 9, 9, 9.0])
    >>> corner_grid(x, x[::-1]).high_epistemic.tolist()
    [0, 1, 2]
    """
    x, y = np.asarray(aleatoric, np.float64), np.asarray(epistemic, np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    best = CornerGrid(1, np.where(known, 0, -1), (float("nan"),) * 2, (float("nan"),) * 2)
    if not known.any() or np.ptp(x[known]) == 0 or np.ptp(y[known]) == 0:
        return best
    for side in range(2, _MOST + 1):
        grid = _grid(x, y, known, side)
        if min(len(grid.high_aleatoric), len(grid.high_epistemic)) < least:
            break
        best = grid
    return best


def _grid(x: Floats, y: Floats, known: npt.NDArray[np.bool_], side: int) -> CornerGrid:
    low = float(x[known].min()), float(y[known].min())
    step = tuple(float(np.ptp(v[known])) * _SLACK / side for v in (x, y))
    cells = np.full(len(x), -1, np.int64)
    column = ((x[known] - low[0]) / step[0]).astype(np.int64)
    row = ((y[known] - low[1]) / step[1]).astype(np.int64)
    cells[known] = column + side * row
    return CornerGrid(side, cells, low, (step[0], step[1]))


def corner_cases(rows: ValidationRows, *, shown: int = SHOWN) -> dict[str, Any]:
    """The two corners of a validation, with the figures of their detections beside those of all.

    Args:
        rows: of the validation.
        shown: detections per corner that are named, the most extreme first.

    Returns:
        ``side``, ``origin``, ``step``; ``corners`` by name with ``n``, mean ``iou``, ``score``,
        ``entropy``, ``size``, share ``wrong_class``, and ``rows``: their numbers; ``all`` the same figures;
        ``spearman`` of the two; ``points``: both values of a sample. Or ``left_out``: why there is nothing.
    """
    missing = [w for c, w in (("al_rel", "aleatoric"), ("ep_rel", "epistemic")) if c not in rows]
    if missing:
        return {"left_out": f"the detections state no {' and no '.join(missing)} variances"}
    kept = np.flatnonzero(rows.paired & (rows["iou"] > LEAST_IOU))
    x, y = (rows[c][kept].astype(np.float64) for c in ("al_rel", "ep_rel"))
    grid = corner_grid(x, y)
    if grid.side < 2:
        return {"left_out": f"fewer than {LEAST} detections lie in one of the two corners"}
    tilt = (x - grid.origin[0]) / grid.step[0] - (y - grid.origin[1]) / grid.step[1]
    corners = {}
    for name, cell, sign in (
        ("high_aleatoric", grid.high_aleatoric, -1),
        ("high_epistemic", grid.high_epistemic, 1),
    ):
        own = cell[np.argsort(sign * tilt[cell], kind="stable")]
        corners[name] = {**_means(rows, kept[own]), "rows": kept[own[:shown]].tolist()}
    return {
        "side": grid.side,
        "origin": list(grid.origin),
        "step": list(grid.step),
        "least_iou": LEAST_IOU,
        "corners": corners,
        "all": _means(rows, kept),
        "spearman": spearman(x, y),
        "points": _sample(x, y),
    }


def _means(rows: ValidationRows, own: Ints) -> dict[str, float]:
    found: dict[str, float] = {"n": len(own)}
    for name in ("iou", "score", "entropy", "size", "al_rel", "ep_rel"):
        values = rows[name][own].astype(np.float64) if name in rows else np.zeros(0)
        found[name] = float(np.mean(values)) if len(values) else float("nan")
    found["wrong_class"] = float((rows["state"][own] == WRONG_CLASS).mean()) if len(own) else float("nan")
    return found


def _sample(x: Floats, y: Floats, most: int = 600) -> list[list[float]]:
    step = max(1, -(-len(x) // most))
    return [[float(a), float(b)] for a, b in zip(x[::step], y[::step], strict=True)]
