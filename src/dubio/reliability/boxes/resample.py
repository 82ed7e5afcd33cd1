"""Intervals of figures of boxes: whole images are drawn again, since boxes of an image go together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from dubio.core.seeds import rng_for
from dubio.reliability.boxes.intervals import LEVELS

Floats = npt.NDArray[np.float64]
# draws at once: their weights for all images fit into the cache
BLOCK = 50


def image_weights(rng: np.random.Generator, n: int, draws: int) -> Floats:
    """How often each of ``n`` images is drawn, ``(draws, n)``; ``n`` are drawn each time, with replacement.

    Counting drawn numbers is a hundred times faster than drawing counts (``rng.multinomial``).

    >>> image_weights(np.random.default_rng(0), 5, 2).sum(1).tolist()
    [5.0, 5.0]
    """
    drawn = rng.integers(n, size=(draws, n)) + n * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * n).reshape(draws, n).astype(np.float64)


def level_figures(level: npt.ArrayLike, values: Mapping[str, npt.ArrayLike]) -> dict[str, float]:
    """Calibration error of levels, and means of further values.

    Args:
        level: any shape: share of the central interval that just holds a residual.
        values: figures per residual, of the same shape; their means are given.

    Returns:
        ``ece``, ``coverage_90``, and the means by name; NaN without residuals.
    """
    u = np.asarray(level, np.float64).ravel()
    if not len(u):
        return dict.fromkeys(("ece", "coverage_90", *values), float("nan"))
    reached = np.searchsorted(np.sort(u), LEVELS, side="right") / len(u)
    found = {"ece": float(np.abs(reached - LEVELS).mean()), "coverage_90": float((u <= 0.9).mean())}
    return found | {name: float(np.mean(np.asarray(v, np.float64))) for name, v in values.items()}


def level_intervals(
    level: npt.ArrayLike,
    values: Mapping[str, npt.ArrayLike],
    image: npt.NDArray[np.int64],
    *,
    replicates: int = 1000,
    share: float = 0.9,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Bootstrap intervals of :func:`level_figures` over images.

    Args:
        level: ``(N, 4)``.
        values: figures per residual, ``(N, 4)`` each.
        image: ``(N,)`` number of the image of each box.
        replicates: draws; 0: no intervals.
        share: of the draws that lies within.
        seed: seed.

    Returns:
        Low and high by name; percentiles of the draws.
    """
    u = np.asarray(level, np.float64)
    if not len(u) or replicates < 1:
        return {}
    _, place = np.unique(image, return_inverse=True)
    n = int(place.max()) + 1
    cells = np.searchsorted(LEVELS, u.ravel(), side="left")
    rows = np.repeat(place, u.shape[1])
    counts = np.zeros((n, len(LEVELS) + 1))
    np.add.at(counts, (rows, cells), 1)
    sums = [np.bincount(rows, np.asarray(v, np.float64).ravel(), n) for v in values.values()]
    sums.append(np.bincount(rows, (u.ravel() <= 0.9).astype(np.float64), n))
    table = np.column_stack([counts, *sums])
    rng = rng_for(seed, "boxes bootstrap")
    drawn: list[Floats] = []
    for start in range(0, replicates, BLOCK):
        total = image_weights(rng, n, min(BLOCK, replicates - start)) @ table
        size = total[:, : len(LEVELS) + 1].sum(1, keepdims=True)
        reached = np.cumsum(total[:, : len(LEVELS)], 1) / size
        means = total[:, len(LEVELS) + 1 :] / size
        drawn.append(np.column_stack([np.abs(reached - LEVELS).mean(1), means]))
    low, high = np.quantile(np.concatenate(drawn), [(1 - share) / 2, (1 + share) / 2], axis=0)
    names = ("ece", *values, "coverage_90")
    return {k: (float(a), float(b)) for k, a, b in zip(names, low, high, strict=True)}
