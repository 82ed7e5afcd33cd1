"""Histograms of scores with bins of constant relative width, found by the bit pattern of a float32.

The exponent and the first eight bits of the mantissa number the bin: 256 bins per power of two, no logarithm,
neighbouring bins less than 0.4 % apart. That keeps the ranking near zero, where the doubts of a sure network
crowd, as well as near one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# mantissa bits that are dropped; the 8 that stay give 256 bins per power of two
SHIFT = 15
STEPS = 1 << (23 - SHIFT)
_ONE = 127 * STEPS  # what the bits of 1.0 shift to


@dataclass(frozen=True)
class Binning:
    """A monotone numbering of float32 values.

    Args:
        name: ``unit`` or ``real``.
        low: binary exponent below which magnitudes count as zero.
        high: binary exponent from which magnitudes share the last bin.
        signed: whether negative values have bins of their own; otherwise they count as zero.
    """

    name: str
    low: int
    high: int
    signed: bool

    @property
    def first(self) -> int:
        """Shifted bits of the smallest magnitude that isn't zero."""
        return _ONE + self.low * STEPS

    @property
    def levels(self) -> int:
        """Number of bins of magnitudes between the smallest and the largest."""
        return (self.high - self.low) * STEPS

    @property
    def bins(self) -> int:
        """Number of bins."""
        return 2 * self.levels + 3 if self.signed else self.levels + 2

    @property
    def edges(self) -> npt.NDArray[np.float64]:
        """``(bins,)`` lower edge of each bin; of a negative bin the edge nearer to zero."""
        bits = ((np.arange(self.levels + 1) + self.first) << SHIFT).astype(np.int32)
        positive = np.concatenate([[0.0], bits.view(np.float32).astype(np.float64)])
        return np.concatenate([-positive[:0:-1], positive]) if self.signed else positive


# uncertainties between 0 and 1: 64 powers of two below one
UNIT = Binning("unit", -64, 0, False)
# signed scores such as logits and distances: magnitudes from 6e-8 to 1.7e7
REAL = Binning("real", -24, 24, True)


def bin_of(values: npt.ArrayLike, binning: Binning) -> npt.NDArray[np.int32]:
    """Number the bin of each value; higher values never have lower numbers.

    Args:
        values: floats of any shape; what lies outside the range of the binning goes to its end.
        binning: :data:`UNIT` or :data:`REAL`.

    >>> bin_of([0.0, 1e-6, 0.5, 1.0], UNIT).tolist()
    [0, 11277, 16129, 16385]
    >>> bin_of([-3.0, 0.0, 3.0], REAL).tolist()
    [5760, 12289, 18818]
    """
    bits = np.asarray(values, np.float32).view(np.int32)
    top = binning.levels + 1
    if not binning.signed:
        return np.asarray(np.clip((bits >> SHIFT) - (binning.first - 1), 0, top), np.int32)
    size = np.clip(((bits & 0x7FFFFFFF) >> SHIFT) - (binning.first - 1), 0, top)
    return np.asarray(top + np.where(bits < 0, -size, size), np.int32)


def values_of(binning: Binning) -> npt.NDArray[np.float64]:
    """``(bins,)`` float64 value that stands for each bin: its middle; the edge for the bins at the ends.

    >>> float(values_of(UNIT)[bin_of(0.3, UNIT)])
    0.30029296875
    """
    edges = binning.edges
    if not binning.signed:
        return _middles(edges)
    half = _middles(edges[binning.levels + 1 :])
    return np.concatenate([-half[:0:-1], half])


def _middles(edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    middle = (edges + np.append(edges[1:], edges[-1])) / 2
    middle[0] = 0.0
    return np.asarray(middle)


def whole_bins(low_sums: npt.NDArray[Any], counts: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Exact sums of the values in the bins of :data:`UNIT`.

    Inside a bin all values have the same exponent, so that their sum is the count times the lower edge
    plus the sum of the dropped mantissa bits, an integer, times the unit of the last place: no rounding, no
    dependence on the order.

    Args:
        low_sums: ``(bins,)`` int64 sum of the :data:`SHIFT` dropped bits of the values of each bin.
        counts: ``(bins,)`` int64 number of values.
    """
    edges = UNIT.edges
    unit = np.append(np.diff(edges), 0.0) / (1 << SHIFT)
    unit[0] = 0.0
    return np.asarray(edges * counts + unit * low_sums)
