"""The decodings side by side: error, likelihood and time on boxes whose truth is known."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dubio.core.errors import InputError
from dubio.uncertainty.boxes.arrays import Array, Library, rows_of_four, same_length
from dubio.uncertainty.boxes.deltas import DeltaCoder

COMPARED = ("exact", "n-flow", "sample", "falsedec")


def compare_decodings(
    mean: Array,
    variance: Array,
    anchors: Array,
    truth: Array,
    *,
    coder: DeltaCoder | None = None,
    methods: Sequence[str] = COMPARED,
    n_images: int = 1,
    n_samples: int = 100,
    seed: int = 0,
    floor: float = 0.05,
    repeats: int = 3,
) -> pa.Table:
    """Decode predictions by every method and compare the corners with the truth.

    Args:
        mean: ``(N, 4)`` predicted deltas of matched boxes.
        variance: ``(N, 4)`` their variances.
        anchors: ``(N, 4)`` xyxy, pixels.
        truth: ``(N, 4)`` xyxy, pixels, row by row the box that the prediction is about. A row with a NaN is
            left out.
        coder: of the detector; :class:`DeltaCoder` with its defaults if ``None``.
        methods: which of :data:`dubio.uncertainty.boxes.METHODS`.
        n_images: number of images that the boxes come from, for the time per image.
        n_samples: draws of ``sample``.
        seed: of ``sample``.
        floor: least standard deviation, pixels, that the likelihood allows (a box without doubt that is
            off by a hair would else decide the mean).
        repeats: how often the time is taken; the median counts.

    Returns:
        One row per method: ``method``; ``boxes`` used; ``rmse_px`` and ``mae_px`` over all corners;
        ``nll``, mean Gaussian negative log-likelihood of a coordinate, nats; ``within_1_std``, share of
        coordinates within one standard deviation (normal: 0.683); ``std_px``, median standard deviation;
        ``ms_per_image``, milliseconds. Figures are NaN when no box is left.

    Raises:
        InputError: shapes that don't fit, counts below 1, or no such method.

    >>> rng = np.random.default_rng(0)
    >>> anchors = np.tile([0.0, 0, 80, 80], (500, 1))
    >>> mean, variance = rng.normal(0, 0.2, (500, 4)), np.full((500, 4), 0.01)
    >>> truth = DeltaCoder().decode_point(mean + rng.normal(0, 0.1, (500, 4)), anchors)
    >>> table = compare_decodings(mean, variance, anchors, truth).to_pandas().set_index("method")
    >>> bool(table.nll["exact"] < table.nll["falsedec"])
    True
    """
    if min(n_images, repeats) < 1 or not floor > 0:
        raise InputError("the number of images, the repeats and the floor must be positive")
    coder = DeltaCoder() if coder is None else coder
    lib = Library(mean, anchors)
    target = rows_of_four(lib, truth, "true boxes")
    same_length(mean, target, "true boxes")
    target = _numpy(target)
    rows: list[dict[str, Any]] = []
    for method in methods:
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            found = coder.decode(mean, variance, anchors, method=method, n_samples=n_samples, seed=seed)
            seconds.append(time.perf_counter() - start)
        figures = _figures(_numpy(found.mean), _numpy(found.std), target, floor)
        rows.append(
            {"method": method, **figures, "ms_per_image": 1e3 * statistics.median(seconds) / n_images}
        )
    return pa.Table.from_pylist(rows)


def _numpy(x: Array) -> npt.NDArray[np.float64]:
    return np.asarray(x if Library(x).is_numpy else x.detach().cpu(), np.float64)


def _figures(
    box: npt.NDArray[np.float64], std: npt.NDArray[np.float64], truth: npt.NDArray[np.float64], floor: float
) -> dict[str, Any]:
    kept = ~np.isnan(truth).any(1)
    error, std = (box - truth)[kept], std[kept]
    names = ("rmse_px", "mae_px", "nll", "within_1_std", "std_px")
    if not kept.any():
        return {"boxes": 0, **dict.fromkeys(names, math.nan)}
    sigma = np.maximum(std, floor)
    with np.errstate(all="ignore"):
        nll = 0.5 * math.log(2 * math.pi) + np.log(sigma) + 0.5 * (error / sigma) ** 2
    figures: tuple[Any, ...] = (
        math.sqrt(np.mean(error**2)),
        np.mean(np.abs(error)),
        np.mean(nll),
        np.mean(np.abs(error) <= std),
        np.median(std),
    )
    return {"boxes": int(kept.sum()), **{n: float(f) for n, f in zip(names, figures, strict=True)}}
