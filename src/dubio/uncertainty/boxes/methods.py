"""The published ways from predicted moments to corner moments, beside the exact one."""

from __future__ import annotations

from collections.abc import Callable

from dubio.core.errors import InputError
from dubio.core.seeds import rng_for
from dubio.uncertainty.boxes.arrays import Array, Library
from dubio.uncertainty.boxes.decoded import DecodedBoxes

# "l-norm" is the published name of the exact moments; "n-flow" reaches the same numbers by chained
# bijectors, so there is nothing else to compute
METHODS = ("exact", "l-norm", "n-flow", "sample", "falsedec")


def decode_by(
    method: str,
    lib: Library,
    mean: Array,
    variance: Array,
    *,
    exact: Callable[[], DecodedBoxes],
    point: Callable[[Array], Array],
    n_samples: int,
    seed: int,
) -> DecodedBoxes:
    """Decode by one of :data:`METHODS`.

    Args:
        method: its name.
        lib: numpy or torch.
        mean: ``(N, 4)`` doubles, in the head's own space.
        variance: the same.
        exact: gives the exact moments.
        point: plain decoding of ``(N, 4)`` predictions.
        n_samples: draws of ``sample``, at least 2.
        seed: of ``sample``; numpy and torch draw the same.

    Raises:
        InputError: no such method, or fewer than two draws.
    """
    if method not in METHODS:
        raise InputError(f"there is no decoding '{method}'", remedy=f"choose from {', '.join(METHODS)}")
    if method == "sample":
        return _sampled(lib, mean, variance, point, n_samples, seed)
    if method == "falsedec":
        return _false(lib, mean, variance, point)
    return exact()


def _sampled(
    lib: Library, mean: Array, variance: Array, point: Callable[[Array], Array], n: int, seed: int
) -> DecodedBoxes:
    """Sample mean and population variance of ``n`` decoded draws; memory doesn't grow with ``n``."""
    if n < 2:
        raise InputError(f"sampling needs at least 2 draws, not {n}")
    rng = rng_for(seed, "decoded boxes")
    std = variance**0.5
    total: Array = 0.0
    square: Array = 0.0
    product: Array = 0.0
    # sums of differences from the plain box, so that large coordinates cost no digits
    origin = point(mean)
    for _ in range(n):
        away = point(mean + std * lib.take(rng.standard_normal(tuple(mean.shape)))) - origin
        total, square = total + away, square + away * away
        product = product + away[:, :2] * away[:, 2:]
    shift = total / n
    return DecodedBoxes(
        lib.give(origin + shift),
        lib.give(lib.xp.clip(square / n - shift * shift, 0.0, None)),
        lib.give(product / n - shift[:, :2] * shift[:, 2:]),
    )


def _false(lib: Library, mean: Array, variance: Array, point: Callable[[Array], Array]) -> DecodedBoxes:
    """The straw man: variances decoded as if they were coordinates, their size taken for pixels squared."""
    wrong = abs(point(variance))
    return DecodedBoxes(lib.give(point(mean)), lib.give(wrong), lib.give(0.0 * wrong[:, :2]))
