# mypy: disable-error-code="untyped-decorator"
"""Histograms of class probabilities on the thresholds of risk control."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

# The first 16 bits of a float32 after the sign number the thresholds: neighbours differ by 0.4 % to 0.8 %.
SHIFT = 16
_LEAST = np.float32(2.0**-20)
_FIRST = int(_LEAST.view(np.int32)) >> SHIFT
_LAST = 0x3F800000 >> SHIFT
# 0, then 2^-20 … 1, then one that nothing reaches
COUNT = _LAST - _FIRST + 3


def thresholds() -> np.ndarray[Any, np.dtype[np.float32]]:
    """All thresholds, ascending; the last is infinite."""
    bits = np.arange(_FIRST, _LAST + 1, dtype=np.int32) << SHIFT
    return np.concatenate([[0.0], bits.view(np.float32), [np.inf]]).astype(np.float32)


@njit(cache=True, nogil=True)
def _place(bits: Any) -> Any:
    """Number of the largest threshold that a probability reaches."""
    return max(min((bits >> SHIFT) - _FIRST, _LAST - _FIRST) + 1, 0)


@njit(cache=True, nogil=True)
def count_reached(
    bits: Any,  # (C, N) int32: float32 probabilities by their bits
    label: Any,  # (N,) class indices; C and above is void
    inside: Any,  # (C, COUNT) int64, out: pixels labelled c by the threshold that p_c reaches
    outside: Any,  # (C, COUNT) int64, out: other labelled pixels
) -> None:
    """Add an image to the histograms."""
    c_all, n = bits.shape
    for c in range(c_all):
        row, within, without = bits[c], inside[c], outside[c]
        for x in range(n):
            if label[x] < c_all:
                if label[x] == c:
                    within[_place(row[x])] += 1
                else:
                    without[_place(row[x])] += 1
