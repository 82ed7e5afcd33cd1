"""Calibration of confidence where it may depend on the place and size of a box.

Source: Küppers et al., Multivariate Confidence Calibration for Object Detection, CVPR-W 2020.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError

Floats = npt.NDArray[np.float64]
# bins along confidence, middle and sides; cells with fewer detections than this say nothing
BINS = (10, 5, 5, 5, 5)
LEAST = 8
# COCO's bounds of small, medium and large, square pixels
SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, np.inf)}


def detection_calibration_error(
    confidence: npt.ArrayLike,
    right: npt.ArrayLike,
    boxes: npt.ArrayLike,
    frame: npt.ArrayLike,
    *,
    bins: tuple[int, ...] = BINS,
    least: int = LEAST,
) -> float:
    """Detection ECE: mean gap between confidence and precision over cells of confidence, place and size.

    Args:
        confidence: ``(N,)`` in [0, 1].
        right: ``(N,)`` whether a detection is right.
        boxes: ``(N, 4)`` corners, pixels.
        frame: ``(N, 2)`` width and height of the picture.
        bins: number of bins along confidence, middle x and y, width and height; a shorter tuple leaves the
            last ones out.
        least: cells of fewer detections are left out, as published.

    Returns:
        NaN without a cell that is full enough.

    Raises:
        InputError: lengths differ, or a confidence is outside [0, 1].

    >>> n = 1000
    >>> boxes, frame = np.tile([10.0, 10, 20, 20], (n, 1)), np.full((n, 2), 100.0)
    >>> round(detection_calibration_error(np.full(n, 0.9), np.arange(n) % 2 == 0, boxes, frame), 3)
    0.4
    """
    p, hit = np.asarray(confidence, np.float64).ravel(), np.asarray(right, bool).ravel()
    b, f = np.asarray(boxes, np.float64).reshape(-1, 4), np.asarray(frame, np.float64).reshape(-1, 2)
    if not len(p) == len(hit) == len(b) == len(f):
        raise InputError(f"{len(p)} confidences, {len(hit)} outcomes, {len(b)} boxes and {len(f)} frames")
    if len(p) and not (p.min() >= 0 and p.max() <= 1 + 1e-6):
        raise InputError("a confidence is outside 0 … 1", remedy="give probabilities, not logits")
    middle, side = (b[:, :2] + b[:, 2:]) / 2 / f, (b[:, 2:] - b[:, :2]) / f
    values = np.column_stack([p, middle, side])[:, : len(bins)]
    known = np.isfinite(values).all(1)
    cell = np.zeros(int(known.sum()), np.int64)
    for column, count in zip(values[known].T, bins, strict=True):
        # right-closed bins, zero belongs to the first
        cell = cell * count + np.clip(np.ceil(column * count).astype(np.int64) - 1, 0, count - 1)
    _, place = np.unique(cell, return_inverse=True)
    inside = np.bincount(place)
    gap = np.abs(np.bincount(place, p[known]) - np.bincount(place, hit[known]))
    full = inside >= least
    return float(gap[full].sum() / inside[full].sum()) if full.any() else float("nan")


def by_size(
    confidence: npt.ArrayLike, right: npt.ArrayLike, boxes: npt.ArrayLike
) -> dict[str, tuple[int, float, float]]:
    """Number of detections, mean confidence and precision of small, medium and large boxes (COCO's bounds).

    >>> by_size([0.9, 0.5], [True, False], [[0, 0, 10, 10], [0, 0, 200, 200]])["large"]
    (1, 0.5, 0.0)
    """
    p, hit = np.asarray(confidence, np.float64), np.asarray(right, bool)
    b = np.asarray(boxes, np.float64).reshape(-1, 4)
    area = (b[:, 2:] - b[:, :2]).prod(1)
    found = {}
    for name, (low, high) in SIZES.items():
        mine = (area >= low) & (area < high)
        n = int(mine.sum())
        nan = float("nan")
        found[name] = (n, float(p[mine].mean()) if n else nan, float(hit[mine].mean()) if n else nan)
    return found
