"""Centre and size squeezed by a sigmoid: DETR and its kin."""

from __future__ import annotations

from dataclasses import dataclass

from dubio.uncertainty.boxes import formulas
from dubio.uncertainty.boxes.arrays import (
    Array,
    Library,
    check_variance,
    per_axis,
    rows_of_four,
    same_length,
)
from dubio.uncertainty.boxes.decoded import DecodedBoxes
from dubio.uncertainty.boxes.laws import CentreSizeLaw, Part
from dubio.uncertainty.boxes.methods import decode_by
from dubio.uncertainty.boxes.moments import logistic_moments


@dataclass(frozen=True)
class SigmoidCoder:
    """Decodes logits of centre and size, relative to the image.

    The four logits are independent normal variables. The moments of their sigmoids have no closed form and
    come from quadrature (:func:`dubio.uncertainty.boxes.moments.logistic_moments`): standard deviations are
    right to 1e-7 where a logit's own is up to 10.

    >>> import numpy as np
    >>> found = SigmoidCoder().decode(np.array([[0.0, 0, -1, -1]]), np.full((1, 4), 0.04), (640, 480))
    >>> found.mean.round(1).tolist(), found.std.round(1).tolist()
    ([[233.4, 175.0, 406.6, 305.0]], [[34.1, 25.6, 34.1, 25.6]])
    """

    def decode_point(self, mean: Array, size: Array) -> Array:
        """Plain decoding: ``(N, 4)`` xyxy. Arguments and errors as in :meth:`decode`."""
        lib, t, s = _inputs(mean, size)
        return lib.give(_point(lib, t, s))

    def decode(
        self,
        mean: Array,
        variance: Array,
        size: Array,
        *,
        method: str = "exact",
        n_samples: int = 100,
        seed: int = 0,
    ) -> DecodedBoxes:
        """Moments of the corners.

        Args:
            mean: ``(N, 4)`` logits of centre x, centre y, width, height.
            variance: ``(N, 4)`` their variances.
            size: width and height of the image in pixels: two numbers, or ``(N, 2)``.
            method: one of :data:`dubio.uncertainty.boxes.METHODS`.
            n_samples: draws of ``sample``.
            seed: of ``sample``.

        Raises:
            InputError: shapes that don't fit, a negative size, a variance that is negative or not finite,
                or no such method.
        """
        lib, t, s = _inputs(mean, size)
        v = rows_of_four(lib, variance, "variances")
        same_length(t, v, "variances")
        check_variance(v)
        return decode_by(
            method,
            lib,
            t,
            v,
            exact=lambda: _exact(lib, t, v, s),
            point=lambda x: _point(lib, x, s),
            n_samples=n_samples,
            seed=seed,
        )


def _inputs(mean: Array, size: Array) -> tuple[Library, Array, Array]:
    lib = Library(mean, size)
    t = rows_of_four(lib, mean, "predictions")
    return lib, t, per_axis(lib, size, len(t), "image sizes")


def _point(lib: Library, t: Array, size: Array) -> Array:
    p = lib.special.expit(t)
    centre, half = p[:, :2] * size, 0.5 * p[:, 2:] * size
    return lib.xp.concatenate([centre - half, centre + half], 1)


def _exact(lib: Library, t: Array, v: Array, size: Array) -> DecodedBoxes:
    first, second = logistic_moments(lib, t, v)
    centre_var, half_var = second[:, :2] * size**2, 0.25 * second[:, 2:] * size**2
    low, high, var, cov = formulas.corner_pair(
        first[:, :2] * size, centre_var, 0.5 * first[:, 2:] * size, half_var
    )
    zero, std = 0.0 * size, v**0.5
    law = CentreSizeLaw(
        lib,
        Part(lib, "logistic", t[:, :2], std[:, :2], size, zero),
        Part(lib, "logistic", t[:, 2:], std[:, 2:], size, zero),
        centre_var <= half_var,
    )
    return DecodedBoxes(
        lib.give(lib.xp.concatenate([low, high], 1)),
        lib.give(lib.xp.concatenate([var, var], 1)),
        lib.give(cov),
        law,
    )
