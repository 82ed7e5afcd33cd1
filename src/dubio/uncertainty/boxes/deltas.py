"""Anchor deltas with exponential sizes: RetinaNet, SSD, Faster R-CNN, EfficientDet.

Moments: Kassem Sbeyti et al., *Overcoming the limitations of localization uncertainty* (ECML PKDD 2023), and
here also the clamp on sizes and the covariance of opposite corners.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dubio.core.errors import InputError
from dubio.uncertainty.boxes import formulas, kernels
from dubio.uncertainty.boxes.arrays import Array, Library, check_variance, rows_of_four, same_length
from dubio.uncertainty.boxes.decoded import DecodedBoxes
from dubio.uncertainty.boxes.laws import CentreSizeLaw, Part
from dubio.uncertainty.boxes.methods import decode_by
from dubio.uncertainty.boxes.moments import exponential_moments

TORCHVISION_CLAMP = math.log(1000.0 / 16)


@dataclass(frozen=True)
class DeltaCoder:
    """Decodes shifts and log sizes relative to anchors.

    With an anchor of centre ``c`` and size ``s``: centre ``c + s tx / wx``, size
    ``s exp(min(tw / ww, clamp))``. The predictions are taken as independent normal variables, so
    that sizes are log-normal.

    Args:
        weights: of tx, ty, tw, th, which are divided by them; torchvision's Faster R-CNN has (10, 10, 5, 5).
        clamp: largest log size ratio; torchvision's log(1000 / 16) by default. ``None``: no clamp
            (EfficientDet); then the moments of a size may be infinite (from a standard deviation of
            about 19 on).

    Raises:
        InputError: a weight that is not positive, or a clamp that is not a number.

    >>> anchors = np.array([[0.0, 0, 100, 100]])
    >>> found = DeltaCoder().decode(np.zeros((1, 4)), np.full((1, 4), 0.01), anchors)
    >>> found.mean.round(2).tolist(), found.std.round(2).tolist()
    ([[-0.25, -0.25, 100.25, 100.25]], [[11.2, 11.2, 11.2, 11.2]])
    >>> found.correlation.round(2).tolist()
    [[0.6, 0.6]]
    """

    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    clamp: float | None = TORCHVISION_CLAMP

    def __post_init__(self) -> None:
        if len(self.weights) != 4 or not all(0 < w < math.inf for w in self.weights):
            raise InputError(f"weights must be four positive numbers, not {self.weights}")
        if self.clamp is not None and not math.isfinite(self.clamp):
            raise InputError(f"a clamp is a finite number, not {self.clamp:g}", remedy="use None for none")

    @property
    def _cap(self) -> float:
        return math.inf if self.clamp is None else self.clamp

    def decode_point(self, mean: Array, anchors: Array) -> Array:
        """Plain decoding, as detectors do it: ``(N, 4)`` xyxy.

        Args:
            mean: ``(N, 4)`` tx, ty, tw, th.
            anchors: ``(N, 4)`` xyxy, pixels.

        Raises:
            InputError: shapes that don't fit.
        """
        lib, t, a = self._inputs(mean, anchors)
        return lib.give(self._point(lib, t, a))

    def decode(
        self,
        mean: Array,
        variance: Array,
        anchors: Array,
        *,
        method: str = "exact",
        n_samples: int = 100,
        seed: int = 0,
    ) -> DecodedBoxes:
        """Moments of the corners.

        Quantiles come from the law of normal centre plus or minus half a (capped) log-normal size.

        Args:
            mean: ``(N, 4)`` predicted tx, ty, tw, th. A NaN gives a box of NaN.
            variance: ``(N, 4)`` their variances (not standard deviations, not logarithms).
            anchors: ``(N, 4)`` xyxy, pixels.
            method: one of :data:`dubio.uncertainty.boxes.METHODS`.
            n_samples: draws of ``sample``.
            seed: of ``sample``.

        Raises:
            InputError: shapes that don't fit, a variance that is negative or not finite, an anchor of
                negative size, or no such method.
        """
        lib, t, a = self._inputs(mean, anchors)
        v = rows_of_four(lib, variance, "variances")
        same_length(t, v, "variances")
        if self.weights != (1.0, 1.0, 1.0, 1.0):
            v = v / lib.take(self.weights) ** 2
        if method in ("sample", "falsedec"):
            check_variance(v)
        return decode_by(
            method,
            lib,
            t,
            v,
            exact=lambda: self._exact(lib, t, v, a),
            point=lambda x: self._point(lib, x, a),
            n_samples=n_samples,
            seed=seed,
        )

    def _inputs(self, mean: Array, anchors: Array) -> tuple[Library, Array, Array]:
        lib = Library(mean, anchors)
        t, a = rows_of_four(lib, mean, "predictions"), rows_of_four(lib, anchors, "anchors")
        same_length(t, a, "anchors")
        if self.weights != (1.0, 1.0, 1.0, 1.0):
            t = t / lib.take(self.weights)
        return lib, t, a

    def _point(self, lib: Library, t: Array, a: Array) -> Array:
        arrays = lib.on_host(t, a)
        if arrays is not None:
            box = np.empty((len(t), 4))
            kernels.plain_deltas(*arrays, self._cap, box)
            return lib.take(box)
        size = a[:, 2:] - a[:, :2]
        centre = a[:, :2] + 0.5 * size + t[:, :2] * size
        half = 0.5 * size * lib.xp.exp(lib.xp.clip(t[:, 2:], None, self._cap))
        return lib.xp.concatenate([centre - half, centre + half], 1)

    def _exact(self, lib: Library, t: Array, v: Array, a: Array) -> DecodedBoxes:
        arrays = lib.on_host(t, v, a)
        found = _moments(lib, t, v, a, self._cap) if arrays is None else _fused(arrays, self._cap)
        box, var, cov = (lib.give(lib.take(x)) for x in found)
        return DecodedBoxes(box, var, cov, _Law(lib, t, v, a, self._cap))


def _fused(arrays: tuple[Array, ...], cap: float) -> tuple[Array, Array, Array]:
    """As :func:`_moments`, ordinary rows in one compiled pass."""
    t, v, a = arrays
    n = len(t)
    # one block: where it is large, numpy asks for large pages, and fresh memory costs less
    block = np.empty(10 * n)
    box, var = block[: 4 * n].reshape(n, 4), block[4 * n : 8 * n].reshape(n, 4)
    found = box, var, block[8 * n :].reshape(n, 2)
    hard = np.empty(n, np.bool_)
    if kernels.exact_deltas(t, v, a, cap, *found, hard):
        rows = np.flatnonzero(hard)
        for out, values in zip(found, _moments(Library(), t[rows], v[rows], a[rows], cap), strict=True):
            out[rows] = values
    return found


def _moments(lib: Library, t: Array, v: Array, a: Array, cap: float) -> tuple[Array, Array, Array]:
    """Means ``(n, 4)``, variances ``(n, 4)`` and pair covariances ``(n, 2)`` of any rows."""
    check_variance(v)
    size = a[:, 2:] - a[:, :2]
    if bool((size < 0).any()):
        raise InputError("an anchor has x1 < x0 or y1 < y0", remedy="pass anchors as x0, y0, x1, y1")
    grown, grown_var = exponential_moments(lib, t[:, 2:], v[:, 2:], cap)
    half = 0.5 * size
    with np.errstate(all="ignore"):
        # an anchor without size keeps none, even where its factor is infinite
        empty = size == 0
        low, high, var, cov = formulas.corner_pair(
            a[:, :2] + half + t[:, :2] * size,
            v[:, :2] * size * size,
            lib.xp.where(empty, size, half * grown),
            lib.xp.where(empty, size, half * half * grown_var),
        )
    return lib.xp.concatenate([low, high], 1), lib.xp.concatenate([var, var], 1), cov


@dataclass(frozen=True)
class _Law:
    """The corners' law, built only when a quantile is asked for."""

    lib: Library
    t: Any
    v: Any
    a: Any
    cap: float

    def quantile(self, q: float) -> Array:
        """The ``q`` quantile of x0, y0, x1, y1, ``(N, 4)``."""
        size, zero = self.a[:, 2:] - self.a[:, :2], 0.0 * self.a[:, :2]
        std = self.v**0.5
        centre = Part(self.lib, "linear", self.t[:, :2], std[:, :2], size, self.a[:, :2] + 0.5 * size)
        width = Part(self.lib, "exponential", self.t[:, 2:], std[:, 2:], size, zero, self.cap)
        # spread of half the size within one deviation; its variance may be infinite
        with np.errstate(all="ignore"):
            half_spread = 0.25 * (width.at(1.0) - width.at(-1.0))
        return CentreSizeLaw(self.lib, centre, width, size * std[:, :2] <= half_spread).quantile(q)
