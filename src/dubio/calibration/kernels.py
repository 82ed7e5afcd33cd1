# mypy: disable-error-code="untyped-decorator"
"""Compiled passes over sampled logits and over whole maps.

A label may stand for several channels (a class map): ``first`` and ``channels`` list those of label ``y`` as
``channels[first[y]:first[y + 1]]``. Rows are worked on in blocks that stay in the cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from dubio.uncertainty.fastmath import exp_negative

_F = np.float32
_ZERO, _ONE = _F(0.0), _F(1.0)
_FLOOR = _F(-87.0)  # exp of less is 0 in single precision
_BLOCK = 256
_FAST = {"contract", "nsz", "reassoc"}  # sums may be reordered; NaN and infinity keep their meaning
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": _FAST, "error_model": "numpy"}


@njit(**_OPTIONS)
def _winner(block: Any, n: int, top: Any, arg: Any) -> None:
    for x in range(n):
        top[x] = block[0, x]
        arg[x] = 0
    for c in range(1, block.shape[0]):
        row = block[c]
        channel = np.int32(c)
        for x in range(n):
            v = row[x]
            arg[x] = channel if v > top[x] else arg[x]
            top[x] = max(top[x], v)


@njit(**_OPTIONS)
def temperature_loss(
    logits: Any,  # (N, K) float32
    labels: Any,  # (N,) int32
    first: Any,  # (C + 1,) int32
    channels: Any,  # int32
    beta: float,  # 1 / T
) -> tuple[float, float]:
    """Sum of the mapped NLL of ``logits * beta`` and its derivative by log T."""
    n_rows, k = logits.shape
    scale = _F(beta)
    z = np.empty((k, _BLOCK), np.float32)
    top, rest = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float32)
    weighted = np.empty(_BLOCK, np.float32)
    arg = np.empty(_BLOCK, np.int32)
    loss, slope = 0.0, 0.0
    for start in range(0, n_rows, _BLOCK):
        n = min(_BLOCK, n_rows - start)
        for x in range(n):
            for c in range(k):
                z[c, x] = logits[start + x, c] * scale
        _winner(z, n, top, arg)
        rest[:n] = _ZERO
        weighted[:n] = _ZERO
        for c in range(k):
            row = z[c]
            channel = np.int32(c)
            for x in range(n):
                t = max(row[x] - top[x], _FLOOR)
                e = exp_negative(t)
                e = _ZERO if arg[x] == channel else e
                rest[x] += e
                weighted[x] += e * t
        for x in range(n):
            a = labels[start + x]
            own, low, high = -np.inf, first[a], first[a + 1]
            for i in range(low, high):
                own = max(own, np.float64(z[channels[i], x]))
            total, pull = 1.0, 0.0
            if high - low > 1:
                total = 0.0
                for i in range(low, high):
                    t = z[channels[i], x] - own
                    e = np.exp(t)
                    total += e
                    pull += e * t
            gap = top[x] - own
            # the winner's own part is left out of ``rest``, so that small doubts keep their digits
            loss += gap + np.log1p(np.float64(rest[x])) - np.log(total)
            slope -= gap + weighted[x] / (1.0 + rest[x]) - pull / total
    return loss, slope


@njit(**_OPTIONS)
def affine_loss(
    logits: Any,  # (N, K) float32
    labels: Any,  # (N,) int32
    first: Any,  # (C + 1,) int32
    channels: Any,  # int32
    scale: Any,  # (K,) float32
    bias: Any,  # (K,) float32
    by_scale: Any,  # (K,) float64, out: derivative of the sum by scale
    by_bias: Any,  # (K,) float64, out: derivative of the sum by bias
) -> float:
    """Sum of the mapped NLL of ``logits * scale + bias`` with its gradient."""
    n_rows, k = logits.shape
    z = np.empty((k, _BLOCK), np.float32)
    u = np.empty((k, _BLOCK), np.float32)
    e = np.empty((k, _BLOCK), np.float32)
    top, total = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float32)
    arg = np.empty(_BLOCK, np.int32)
    loss = 0.0
    by_scale[:] = 0.0
    by_bias[:] = 0.0
    for start in range(0, n_rows, _BLOCK):
        n = min(_BLOCK, n_rows - start)
        for x in range(n):
            for c in range(k):
                z[c, x] = logits[start + x, c]
                u[c, x] = z[c, x] * scale[c] + bias[c]
        _winner(u, n, top, arg)
        total[:n] = _ZERO
        for c in range(k):
            for x in range(n):
                v = exp_negative(max(u[c, x] - top[x], _FLOOR))
                e[c, x] = v
                total[x] += v
        for c in range(k):
            s, b = _ZERO, _ZERO
            for x in range(n):
                p = e[c, x] / total[x]
                s += p * z[c, x]
                b += p
            by_scale[c] += s
            by_bias[c] += b
        for x in range(n):
            a = labels[start + x]
            own, mass = -np.inf, 0.0
            for i in range(first[a], first[a + 1]):
                own = max(own, np.float64(u[channels[i], x]))
            for i in range(first[a], first[a + 1]):
                mass += np.exp(u[channels[i], x] - own)
            for i in range(first[a], first[a + 1]):
                c = channels[i]
                r = np.exp(u[c, x] - own) / mass
                by_scale[c] -= r * z[c, x]
                by_bias[c] -= r
            loss += top[x] - own + np.log(np.float64(total[x])) - np.log(mass)
    return loss


@njit(**_OPTIONS)
def confidence_rows(
    logits: Any,  # (N, K) float32
    labels: Any,  # (N,) int32
    targets: Any,  # (K,) int32, class of each channel; n_classes for none
    n_classes: int,
    beta: float,
    confidence: Any,  # (N,) float32, out
    correct: Any,  # (N,) bool, out
) -> None:
    """Largest class probability of ``logits * beta`` after the class map, and whether it is the label's."""
    n_rows, k = logits.shape
    scale = _F(beta)
    z = np.empty((k, _BLOCK), np.float32)
    p = np.empty((n_classes + 1, _BLOCK), np.float32)
    top, total = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float32)
    arg = np.empty(_BLOCK, np.int32)
    for start in range(0, n_rows, _BLOCK):
        n = min(_BLOCK, n_rows - start)
        for x in range(n):
            for c in range(k):
                z[c, x] = logits[start + x, c] * scale
        _winner(z, n, top, arg)
        p[:, :n] = _ZERO
        total[:n] = _ZERO
        for c in range(k):
            row, mass = z[c], p[targets[c]]
            for x in range(n):
                e = exp_negative(max(row[x] - top[x], _FLOOR))
                mass[x] += e
                total[x] += e
        _winner(p, n, top, arg)
        for x in range(n):
            confidence[start + x] = min(top[x] / total[x], _ONE)
            correct[start + x] = arg[x] == labels[start + x]


@njit(**_OPTIONS)
def divide_by_winner(logits: Any, table: Any, out: Any, temperature: Any) -> None:
    """Divide each pixel of ``(K, N)`` logits by the temperature of its winning channel."""
    k, n_all = logits.shape
    top, arg = np.empty(_BLOCK * 16, np.float32), np.empty(_BLOCK * 16, np.int32)
    for start in range(0, n_all, _BLOCK * 16):
        n = min(_BLOCK * 16, n_all - start)
        block = logits[:, start : start + n]
        _winner(block, n, top, arg)
        for x in range(n):
            temperature[start + x] = table[arg[x]]
            top[x] = _ONE / table[arg[x]]
        for c in range(k):
            for x in range(n):
                out[c, start + x] = block[c, x] * top[x]


@njit(**_OPTIONS)
def describe_logits(logits: Any, sums: Any) -> None:
    """Add probabilities of the channels, largest probability and entropy (nats) of ``(K, N)`` logits."""
    k, n_all = logits.shape
    top, total = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float32)
    weighted = np.empty(_BLOCK, np.float32)
    e = np.empty((k, _BLOCK), np.float32)
    arg = np.empty(_BLOCK, np.int32)
    for start in range(0, n_all, _BLOCK):
        n = min(_BLOCK, n_all - start)
        block = logits[:, start : start + n]
        _winner(block, n, top, arg)
        total[:n] = _ZERO
        weighted[:n] = _ZERO
        for c in range(k):
            for x in range(n):
                t = max(block[c, x] - top[x], _FLOOR)
                v = exp_negative(t)
                e[c, x] = v
                total[x] += v
                weighted[x] += v * t
        for x in range(n):
            sums[k] += _ONE / total[x]
            sums[k + 1] += np.log(np.float64(total[x])) - weighted[x] / total[x]
        for c in range(k):
            s = _ZERO
            for x in range(n):
                s += e[c, x] / total[x]
            sums[c] += s
