"""Compiled passes over one image for confident learning (see :mod:`dubio.errors.confident`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from dubio.uncertainty.fastmath import exp_negative

# Bits of a float32 that are dropped to number the histogram's bins: neighbours differ by 0.1 %.
SHIFT = 13
BINS = (0x3F800000 >> SHIFT) + 2
_F = np.float32
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}


@njit(**_OPTIONS)
def _row(label: Any, scores: Any, r: int, logits: bool, best: Any, arg: Any, own: Any, total: Any) -> None:
    """Winner, its probability and the label's probability of one row."""
    k, _, w = scores.shape
    for x in range(w):
        best[x] = scores[0, r, x]
        arg[x] = 0
    for c in range(1, k):
        row = scores[c, r]
        channel = np.int32(c)
        for x in range(w):
            arg[x] = channel if row[x] > best[x] else arg[x]
            best[x] = max(best[x], row[x])
    for x in range(w):
        given = label[r, x]
        own[x] = scores[given, r, x] if given < k else _F(0.0)
    if logits:
        total[:] = _F(0.0)
        for c in range(k):
            row = scores[c, r]
            for x in range(w):
                total[x] += exp_negative(row[x] - best[x])
        for x in range(w):
            own[x] = exp_negative(min(own[x] - best[x], _F(0.0))) / total[x]
            best[x] = _F(1.0) / total[x]


@njit(**_OPTIONS)
def class_sums(label: Any, scores: Any, logits: bool, p_sum: Any, n_label: Any) -> None:
    """Add each pixel's label probability and count to its class; void (``>= C``) to none."""
    _, h, w = scores.shape
    n = p_sum.size - 1
    best, own, total = np.empty(w, np.float32), np.empty(w, np.float32), np.empty(w, np.float32)
    arg = np.empty(w, np.int32)
    for r in range(h):
        if logits:
            _row(label, scores, r, True, best, arg, own, total)
        for x in range(w):
            given = label[r, x]
            if given < n:
                p_sum[given] += own[x] if logits else scores[given, r, x]
                n_label[given] += 1


@njit(**_OPTIONS)
def count_pixels(label: Any, scores: Any, logits: bool, thresholds: Any, histogram: Any) -> int:
    """Add label probabilities to the histogram; number of pixels whose winner is confident and not given."""
    _, h, w = scores.shape
    n = thresholds.size
    best, own, total = np.empty(w, np.float32), np.empty(w, np.float32), np.empty(w, np.float32)
    arg = np.empty(w, np.int32)
    bits = own.view(np.int32)
    last = histogram.size - 1
    off = 0
    for r in range(h):
        _row(label, scores, r, logits, best, arg, own, total)
        for x in range(w):
            given = label[r, x]
            if given >= n:
                continue
            histogram[min(max(bits[x] >> SHIFT, 0), last)] += 1
            c = arg[x]
            if c != given and c < n and best[x] >= thresholds[c]:
                off += 1
    return off


@njit(**_OPTIONS)
def mark_pixels(label: Any, scores: Any, logits: bool, n: int, cutoff: Any, out: Any) -> None:
    """Mark pixels that the winner denies and whose label has less probability than the cutoff."""
    _, h, w = scores.shape
    best, own, total = np.empty(w, np.float32), np.empty(w, np.float32), np.empty(w, np.float32)
    arg = np.empty(w, np.int32)
    for r in range(h):
        _row(label, scores, r, logits, best, arg, own, total)
        for x in range(w):
            given = label[r, x]
            out[r, x] = given < n and arg[x] != given and own[x] < cutoff
