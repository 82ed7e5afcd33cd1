"""Sides told by a distribution over bins: GFL, NanoDet, YOLOv8 and later, D-FINE."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.uncertainty.boxes.arrays import Array, Library, per_axis
from dubio.uncertainty.boxes.decoded import DecodedBoxes
from dubio.uncertainty.boxes.laws import DiscreteLaw


@dataclass(frozen=True)
class DistributionCoder:
    """Decodes the logits of a distance per side; the softmax is the distribution of that distance.

    Li et al., *Generalized Focal Loss* (NeurIPS 2020). The plain box is the mean of this law, so that plain
    and exact decoding agree; variances and quantiles come without training for them. Sides are independent.

    Args:
        values: ``(B,)`` distance of each bin in units of ``scale``, rising; ``None``: 0, 1, 2 …
        probabilities: the inputs are probabilities already, not logits.

    Raises:
        InputError: values that don't rise.

    >>> logits = np.log(np.array([[[.5, .5, 1e-9], [1e-9, 1, 1e-9], [1, 1e-9, 1e-9], [.25, .5, .25]]]))
    >>> found = DistributionCoder().decode(logits, np.array([[40.0, 40]]), 8)
    >>> found.mean.round(4).tolist(), found.std.round(2).tolist()
    ([[36.0, 32.0, 40.0, 48.0]], [[4.0, 0.0, 0.0, 5.66]])
    """

    values: tuple[float, ...] | None = None
    probabilities: bool = False

    def __post_init__(self) -> None:
        if self.values is not None and (
            len(self.values) < 2 or not bool((np.diff(np.asarray(self.values, np.float64)) > 0).all())
        ):
            raise InputError("the values of the bins must rise, and be two at least")

    def decode_point(self, logits: Array, points: Array, scale: Array = 1.0, offset: Array = 0.0) -> Array:
        """Plain decoding: ``(N, 4)`` xyxy. Arguments and errors as in :meth:`decode`."""
        return self.decode(logits, points, scale, offset).mean

    def decode(self, logits: Array, points: Array, scale: Array = 1.0, offset: Array = 0.0) -> DecodedBoxes:
        """Moments of the corners; quantiles are those of the discrete law.

        Args:
            logits: ``(N, 4, B)`` of left, top, right, bottom.
            points: ``(N, 2)`` x, y in pixels, from which the distances count.
            scale: pixels of one unit: a number (stride), ``(N,)``, or ``(N, 2)`` for x and y.
            offset: pixels added to every distance, in the shapes of ``scale``. D-FINE: half the size of the
                reference box here, its size divided by ``reg_scale`` as ``scale``.

        Raises:
            InputError: shapes that don't fit, or a negative scale or offset.
        """
        lib = Library(logits, points)
        z, p = lib.take(logits), lib.take(points)
        if z.ndim != 3 or z.shape[1] != 4:
            raise InputError(f"distributions of sides have shape (N, 4, B), not {tuple(z.shape)}")
        if tuple(p.shape) != (len(z), 2):
            raise InputError(f"points must have shape ({len(z)}, 2), not {tuple(p.shape)}")
        prob = z if self.probabilities else _softmax(lib, z)
        distance = lib.take(self._bins(int(z.shape[2])))
        first = (prob * distance).sum(-1)
        second = (prob * (distance - first[..., None]) ** 2).sum(-1)
        s, o = (per_axis(lib, x, len(z), what) for x, what in ((scale, "scales"), (offset, "offsets")))
        s, o, p = (lib.xp.concatenate([x, x], 1) for x in (s, o, p))
        signs = lib.take([-1.0, -1.0, 1.0, 1.0])
        law = _Law(lib, prob, distance, p + signs * o, signs * s)
        return DecodedBoxes(
            lib.give(p + signs * (o + s * first)), lib.give(s * s * second), lib.give(0.0 * p[:, :2]), law
        )

    def _bins(self, n: int) -> npt.NDArray[np.float64]:
        if self.values is None:
            return np.arange(n, dtype=np.float64)
        if len(self.values) != n:
            raise InputError(f"there are {len(self.values)} values for {n} bins")
        return np.asarray(self.values, np.float64)


@dataclass(frozen=True)
class _Law:
    """Corners at ``start + step * distance``; listed in rising order when a quantile is asked for."""

    lib: Library
    p: Array
    distance: Array
    start: Array
    step: Array

    def quantile(self, q: float) -> Array:
        """The ``q`` quantile of x0, y0, x1, y1, ``(N, 4)``."""
        corners = self.start[..., None] + self.step[..., None] * self.distance
        flip = self.lib.xp.flip
        corners, p = (self.lib.xp.concatenate([flip(x[:, :2], (2,)), x[:, 2:]], 1) for x in (corners, self.p))
        return DiscreteLaw(self.lib, corners, p).quantile(q)


def _softmax(lib: Library, z: Array) -> Array:
    top = z.max(-1, keepdims=True) if lib.is_numpy else z.amax(-1, keepdim=True)
    grown = lib.xp.exp(z - top)
    return grown / grown.sum(-1)[..., None]
