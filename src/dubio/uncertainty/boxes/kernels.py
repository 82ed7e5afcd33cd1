# mypy: disable-error-code="untyped-decorator"
"""Anchor deltas decoded in one pass over the boxes; the arithmetic stands in :mod:`.formulas`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from dubio.uncertainty.boxes import formulas

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
_lognormal = njit(**_OPTIONS)(formulas.lognormal)
_corner_pair = njit(**_OPTIONS)(formulas.corner_pair)
_uncapped = njit(**_OPTIONS)(formulas.uncapped)


@njit(**_OPTIONS)
def plain_deltas(
    mean: Any,  # (N, 4) tx, ty, tw, th, already divided by the weights
    anchors: Any,  # (N, 4) xyxy
    cap: float,
    box: Any,  # (N, 4), out
) -> None:
    """Plain decoding."""
    for i in range(len(mean)):
        for k in range(2):
            size = anchors[i, k + 2] - anchors[i, k]
            centre = anchors[i, k] + 0.5 * size + mean[i, k] * size
            # a NaN stays one: no min()
            t = cap if mean[i, k + 2] > cap else mean[i, k + 2]
            half = 0.5 * size * math.exp(t)
            box[i, k] = centre - half
            box[i, k + 2] = centre + half


@njit(**_OPTIONS)
def exact_deltas(
    mean: Any,  # (N, 4), already divided by the weights
    variance: Any,  # (N, 4), already divided by the squared weights
    anchors: Any,  # (N, 4)
    cap: float,
    box: Any,  # (N, 4), out
    box_var: Any,  # (N, 4), out
    pair_cov: Any,  # (N, 2), out
    hard: Any,  # (N,) bool, out: rows that need care; their results don't hold
) -> int:
    """Exact moments of ordinary rows; returns how many are left."""
    n_hard = 0
    for i in range(len(mean)):
        fine = True
        for k in range(2):
            size = anchors[i, k + 2] - anchors[i, k]
            t, v, vc = mean[i, k + 2], variance[i, k + 2], variance[i, k]
            fine &= _uncapped(t, v, math.sqrt(v), cap) & (v >= 0.0) & (vc >= 0.0) & (vc < np.inf)
            fine &= size >= 0.0
            grown, grown_var = _lognormal(math.exp(t), math.expm1(0.5 * v))
            half = 0.5 * size
            low, high, var, cov = _corner_pair(
                anchors[i, k] + half + mean[i, k] * size,
                vc * size * size,
                half * grown,
                half * half * grown_var,
            )
            box[i, k] = low
            box[i, k + 2] = high
            box_var[i, k] = var
            box_var[i, k + 2] = var
            pair_cov[i, k] = cov
        hard[i] = not fine
        n_hard += not fine
    return n_hard
