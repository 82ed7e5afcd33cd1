"""Compiled passes over the pixels of one image: outcomes, histograms, sums."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from numba import njit

from dubio.reliability.binning import REAL, SHIFT, UNIT
from dubio.uncertainty.fastmath import exp_negative, log_positive

# what became of a pixel; the first three are rows of a histogram
RIGHT, WRONG, UNKNOWN, IGNORED = np.uint8(0), np.uint8(1), np.uint8(2), np.uint8(3)
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
_UNIT_FIRST, _UNIT_TOP = UNIT.first - 1, UNIT.levels + 1
_REAL_FIRST, _REAL_TOP = REAL.first - 1, REAL.levels + 1
_LOW = (1 << SHIFT) - 1
_MAGNITUDE = 0x7FFFFFFF
_F = np.float32
_ZERO, _ONE, _TINY = _F(0.0), _F(1.0), _F(1.2e-38)
_VOID = _F(2.0)  # more than any probability


@njit(**_OPTIONS)
def judge(pred: Any, label: Any, unknown: Any, out: Any, confusion: Any) -> None:
    """Say of each pixel whether it is right, wrong, unknown or ignored; add to the confusion counts."""
    c = confusion.shape[0]
    marked = unknown.size > 0
    for i in range(label.size):
        given = label[i]
        if marked and unknown[i]:
            out[i] = UNKNOWN
        elif given >= c:
            out[i] = IGNORED
        else:
            found = min(int(pred[i]), c)
            confusion[given, found] += 1
            out[i] = RIGHT if found == given else WRONG


@njit(**_OPTIONS)
def count_unit(bits: Any, outcome: Any, counts: Any) -> None:
    """Add scores between 0 and 1, given by their bits, to the counts ``(3, bins)``."""
    for i in range(bits.size):
        o = outcome[i]
        if o < IGNORED:
            counts[o, min(max((bits[i] >> SHIFT) - _UNIT_FIRST, 0), _UNIT_TOP)] += 1


@njit(**_OPTIONS)
def count_real(bits: Any, outcome: Any, counts: Any) -> None:
    """Add signed scores, given by their bits, to the counts ``(3, bins)``."""
    for i in range(bits.size):
        o = outcome[i]
        if o < IGNORED:
            b = bits[i]
            size = min(max(((b & _MAGNITUDE) >> SHIFT) - _REAL_FIRST, 0), _REAL_TOP)
            counts[o, _REAL_TOP - size if b < 0 else _REAL_TOP + size] += 1


@njit(**_OPTIONS)
def sum_scores(score: Any, outcome: Any) -> tuple[float, int]:
    """Sum and number of the scores of pixels that are not ignored."""
    total, n = 0.0, 0
    for i in range(score.size):
        if outcome[i] < IGNORED:
            total += score[i]
            n += 1
    return total, n


@njit(**_OPTIONS)
def count_confidence(
    doubt: Any,  # (n,) float32 one minus the confidence
    bits: Any,  # (n,) int32, the same memory
    outcome: Any,  # (n,) uint8
    uniform: Any,  # (2, B) int64, add: pixels, right ones
    doubt_sums: Any,  # (B,) float64, add: sums of doubt
    fine: Any,  # (3, bins) int64, add: pixels, right ones, sums of dropped bits
) -> None:
    """Add the confidence of known pixels to uniform bins, right-closed, and to the fine histogram."""
    n_bins = uniform.shape[1]
    for i in range(doubt.size):
        o = outcome[i]
        if o > WRONG:
            continue
        right = np.int64(1) - np.int64(o)
        d = np.float64(doubt[i])
        b = min(max(ceil((1.0 - d) * n_bins) - 1, 0), n_bins - 1)
        uniform[0, b] += 1
        uniform[1, b] += right
        doubt_sums[b] += d
        f = min(max((bits[i] >> SHIFT) - _UNIT_FIRST, 0), _UNIT_TOP)
        fine[0, f] += 1
        fine[1, f] += right
        fine[2, f] += bits[i] & _LOW


@njit(**_OPTIONS)
def sum_losses(log_label: Any, square: Any, outcome: Any) -> tuple[float, float, int]:
    """Sums of the negative log-likelihood and of the Brier score, and the number of pixels."""
    nll, brier, n = 0.0, 0.0, 0
    for i in range(log_label.size):
        if outcome[i] <= WRONG:
            value = np.float64(log_label[i])
            nll -= value
            brier += np.float64(square[i]) + 1.0 - 2.0 * np.float64(exp_negative(min(log_label[i], _ZERO)))
            n += 1
    return nll, brier, n


@njit(**_OPTIONS)
def gather_logit(scores: Any, label: Any, lse: Any, out: Any) -> None:
    """Log-probability of each pixel's label from logits ``(K, n)``; NaN where the label has no channel."""
    k = scores.shape[0]
    for i in range(label.size):
        given = label[i]
        out[i] = scores[given, i] - lse[i] if given < k else _F(np.nan)


@njit(**_OPTIONS)
def gather_probability(scores: Any, label: Any, out: Any) -> None:
    """Log-probability of each pixel's label from probabilities ``(K, n)``; NaN without a channel."""
    k = scores.shape[0]
    for i in range(label.size):
        given = label[i]
        out[i] = log_positive(max(scores[given, i], _TINY)) if given < k else _F(np.nan)


@njit(fastmath={"contract", "nsz", "reassoc"}, **_OPTIONS)
def _first_bin(row: Any, lse: Any, void: Any, upper: Any, p: Any) -> tuple[Any, Any]:
    """Probabilities of a class; number and sum of those in its first bin, where most are."""
    if lse.size:
        for i in range(row.size):
            p[i] = exp_negative(min(row[i] - lse[i], _ZERO)) + void[i]
    else:
        for i in range(row.size):
            p[i] = min(max(row[i], _ZERO), _ONE) + void[i]
    n, total = _ZERO, np.float64(0.0)
    for i in range(row.size):
        first = p[i] <= upper
        n += _ONE if first else _ZERO
        total += np.float64(p[i]) if first else np.float64(0.0)
    return n, total


@njit(**_OPTIONS)
def class_block(
    block: Any,  # (K, n) float32 logits or probabilities
    lse: Any,  # (n,) float32 log-sum-exp; empty for probabilities
    label: Any,  # (n,) uint16 class indices
    outcome: Any,  # (n,) uint8
    counts: Any,  # (2, C, B) int64, add: pixels, those labelled with the class
    sums: Any,  # (C, B) float64, add: probabilities
) -> None:
    """Add the probability of every class to its uniform bins, right-closed."""
    _, n_class, n_bins = counts.shape
    n = label.size
    p, void = np.empty(n, np.float32), np.empty(n, np.float32)
    hits = np.empty(n + 1, np.int32)
    width = _F(n_bins)
    upper = _ONE / width
    for i in range(n):
        void[i] = _VOID if outcome[i] > WRONG else _ZERO
    for c in range(n_class):
        few, total = _first_bin(block[c], lse, void, upper, p)
        counts[0, c, 0] += np.int64(few)
        sums[c, 0] += total
        m = 0
        for i in range(n):  # without a branch, which could not be predicted
            hits[m] = i
            m += int((p[i] > upper) & (p[i] < _VOID))
        for j in range(m):
            q = p[hits[j]]
            b = min(ceil(q * width) - 1, n_bins - 1)
            counts[0, c, b] += 1
            sums[c, b] += q
    for i in range(n):
        if outcome[i] <= WRONG:
            own = block[label[i], i]
            q = exp_negative(min(own - lse[i], _ZERO)) if lse.size else min(max(own, _ZERO), _ONE)
            b = 0 if q <= upper else min(ceil(q * width) - 1, n_bins - 1)
            counts[1, label[i], b] += 1
