"""One pass over class scores: winner, doubt, entropy, margin, largest logit and log-sum-exp of each pixel.

The doubt, one minus the largest probability, is summed over the other classes, so that it keeps its digits
where the confidence itself rounds to one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from dubio.uncertainty.fastmath import exp_negative, log_positive

_F = np.float32
_ZERO, _ONE = _F(0.0), _F(1.0)
_LOWEST = _F(-3.0e38)
_FLOOR = _F(-87.0)  # exp of less is 0 in single precision
_TINY = _F(1.2e-38)
_FAST = {"contract", "nsz", "reassoc"}  # sums may be reordered; NaN and infinity keep their meaning
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": _FAST, "error_model": "numpy"}


@njit(**_OPTIONS)
def _winners(block: Any, best: Any, second: Any, arg: Any) -> None:
    k, n = block.shape
    row = block[0]
    for x in range(n):
        best[x] = row[x]
        second[x] = _LOWEST
        arg[x] = 0
    for c in range(1, k):
        channel = np.int32(c)
        row = block[c]
        for x in range(n):
            v = row[x]
            top = best[x]
            arg[x] = channel if v > top else arg[x]
            second[x] = max(second[x], min(v, top))
            best[x] = max(v, top)


@njit(**_OPTIONS)
def logit_block(
    block: Any,  # (K, n) float32 logits
    pred: Any,  # (n,) int32, out: winning channel
    doubt: Any,  # (n,) float32, out: one minus the largest probability
    entropy: Any,  # (n,) float32, out: nats
    closeness: Any,  # (n,) float32, out: one minus the difference of the two largest probabilities
    square: Any,  # (n,) float32, out: sum of squared probabilities
    top: Any,  # (n,) float32, out: largest logit
    lse: Any,  # (n,) float32, out: log-sum-exp
) -> None:
    """All scores of a block of logits."""
    k, n = block.shape
    second, rest = np.empty(n, np.float32), np.zeros(n, np.float32)
    weighted = np.zeros(n, np.float32)
    _winners(block, top, second, pred)
    for x in range(n):
        square[x] = _ZERO
    for c in range(k):
        row = block[c]
        channel = np.int32(c)
        for x in range(n):
            t = max(row[x] - top[x], _FLOOR)
            e = exp_negative(t)
            e = _ZERO if pred[x] == channel else e
            rest[x] += e
            weighted[x] += e * t
            square[x] += e * e
    for x in range(n):
        total = _ONE + rest[x]
        inverse = _ONE / total
        # log(1 + rest) by its series where the sum would lose the small part
        small = rest[x] < _F(1e-4)
        log_total = rest[x] * (_ONE - _F(0.5) * rest[x]) if small else log_positive(total)
        doubt[x] = rest[x] * inverse
        entropy[x] = max(log_total - weighted[x] * inverse, _ZERO)
        runner_up = exp_negative(max(second[x] - top[x], _FLOOR)) * inverse
        closeness[x] = doubt[x] + runner_up if k > 1 else _ZERO
        square[x] = (_ONE + square[x]) * inverse * inverse
        lse[x] = top[x] + log_total


@njit(**_OPTIONS)
def probability_block(
    block: Any,  # (K, n) float32 probabilities
    pred: Any,
    doubt: Any,
    entropy: Any,
    closeness: Any,
    square: Any,
    top: Any,  # (n,) float32, out: largest probability
) -> None:
    """All scores of a block of probabilities; they are taken as they are, summing to one or not."""
    k, n = block.shape
    second = np.empty(n, np.float32)
    _winners(block, top, second, pred)
    for x in range(n):
        doubt[x] = _ZERO
        entropy[x] = _ZERO
        square[x] = _ZERO
    for c in range(k):
        row = block[c]
        channel = np.int32(c)
        for x in range(n):
            q = max(row[x], _ZERO)
            doubt[x] += _ZERO if pred[x] == channel else q
            entropy[x] -= q * log_positive(max(q, _TINY))
            square[x] += q * q
    for x in range(n):
        doubt[x] = min(doubt[x], _ONE)
        entropy[x] = max(entropy[x], _ZERO)
        closeness[x] = max(_ONE - top[x] + second[x], _ZERO) if k > 1 else _ZERO
