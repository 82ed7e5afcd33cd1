"""Distances from a point to the four sides: FCOS and its kin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dubio.core.errors import InputError
from dubio.uncertainty.boxes.arrays import (
    Array,
    Library,
    check_variance,
    per_axis,
    rows_of_four,
    same_length,
)
from dubio.uncertainty.boxes.decoded import DecodedBoxes
from dubio.uncertainty.boxes.laws import Part, SidesLaw
from dubio.uncertainty.boxes.methods import decode_by
from dubio.uncertainty.boxes.moments import exponential_moments


@dataclass(frozen=True)
class DistanceCoder:
    """Decodes distances left, top, right, bottom of a point.

    The four predictions are independent normal variables; so are the sides, and opposite sides don't
    correlate. A distance may come out negative: heads that cut at zero do so before decoding.

    Args:
        kind: ``"linear"`` (torchvision's FCOS): distance = scale × prediction. ``"exponential"`` (the first
            FCOS): distance = scale × exp(prediction), log-normal.
        clamp: largest exponent of the exponential kind; ``None``: none, moments may then be infinite.

    Raises:
        InputError: no such kind, or a clamp without an exponential.

    >>> point, stride = np.array([[50.0, 60]]), 8
    >>> found = DistanceCoder().decode(np.array([[1.0, 2, 3, 4]]), np.full((1, 4), 0.25), point, stride)
    >>> found.mean.tolist(), found.std.tolist()
    ([[42.0, 44.0, 74.0, 92.0]], [[4.0, 4.0, 4.0, 4.0]])
    """

    kind: Literal["linear", "exponential"] = "linear"
    clamp: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("linear", "exponential"):
            raise InputError(f"distances are linear or exponential, not '{self.kind}'")
        if self.clamp is not None and (self.kind == "linear" or not math.isfinite(self.clamp)):
            raise InputError("only exponential distances have a clamp, a finite number or None")

    @property
    def _cap(self) -> float:
        return math.inf if self.clamp is None else self.clamp

    def decode_point(self, mean: Array, points: Array, scale: Array = 1.0) -> Array:
        """Plain decoding: ``(N, 4)`` xyxy. Arguments and errors as in :meth:`decode`."""
        lib, t, p, s = _inputs(mean, points, scale)
        return lib.give(self._point(lib, t, p, s))

    def decode(
        self,
        mean: Array,
        variance: Array,
        points: Array,
        scale: Array = 1.0,
        *,
        method: str = "exact",
        n_samples: int = 100,
        seed: int = 0,
    ) -> DecodedBoxes:
        """Moments of the corners; quantiles are closed.

        Args:
            mean: ``(N, 4)`` predictions for left, top, right, bottom.
            variance: ``(N, 4)`` their variances.
            points: ``(N, 2)`` x, y in pixels; torchvision takes the centres of its anchors.
            scale: pixels of one unit: a number (stride), ``(N,)``, or ``(N, 2)`` for x and y
                (torchvision: width and height of the anchor).
            method: one of :data:`dubio.uncertainty.boxes.METHODS`.
            n_samples: draws of ``sample``.
            seed: of ``sample``.

        Raises:
            InputError: shapes that don't fit, a negative scale, a variance that is negative or not finite,
                or no such method.
        """
        lib, t, p, s = _inputs(mean, points, scale)
        v = rows_of_four(lib, variance, "variances")
        same_length(t, v, "variances")
        check_variance(v)
        return decode_by(
            method,
            lib,
            t,
            v,
            exact=lambda: self._exact(lib, t, v, p, s),
            point=lambda x: self._point(lib, x, p, s),
            n_samples=n_samples,
            seed=seed,
        )

    def _point(self, lib: Library, t: Array, points: Array, scale: Array) -> Array:
        if self.kind == "exponential":
            with np.errstate(over="ignore"):
                t = lib.xp.exp(lib.xp.clip(t, None, self._cap))
        return points + scale * (t * lib.take([-1.0, -1.0, 1.0, 1.0]))

    def _exact(self, lib: Library, t: Array, v: Array, points: Array, scale: Array) -> DecodedBoxes:
        linear = self.kind == "linear"
        first, second = (t, v) if linear else exponential_moments(lib, t, v, self._cap)
        signs = lib.take([-1.0, -1.0, 1.0, 1.0])
        with np.errstate(all="ignore"):
            mean = points + signs * lib.xp.where(scale == 0, scale, scale * first)
            variance = lib.xp.where(scale == 0, scale, scale * scale * second)
        part = Part(lib, "linear" if linear else "exponential", t, v**0.5, scale, 0.0 * t, self._cap)
        law = SidesLaw(lib, points[:, :2], part)
        return DecodedBoxes(lib.give(mean), lib.give(variance), lib.give(0.0 * points[:, :2]), law)


def _inputs(mean: Array, points: Array, scale: Array) -> tuple[Library, Array, Array, Array]:
    """Library, predictions, points and scales, the last two repeated to ``(N, 4)``."""
    lib = Library(mean, points)
    t, p = rows_of_four(lib, mean, "predictions"), lib.take(points)
    if tuple(p.shape) != (len(t), 2):
        raise InputError(f"points must have shape ({len(t)}, 2), not {tuple(p.shape)}")
    s = per_axis(lib, scale, len(t), "scales")
    return lib, t, lib.xp.concatenate([p, p], 1), lib.xp.concatenate([s, s], 1)
