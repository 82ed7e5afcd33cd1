"""Resizing class scores and label maps."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.labelspace import IndexMap
from dubio.core.records import ScoreKind

# Networks round sizes up to their stride, which stays below 2 % for pictures of 500 pixels and more.
ASPECT_TOLERANCE = 0.02
# Networks score at 1/8 to 1/32 of the size; a coarser map than this says nothing about regions.
_COARSEST = 64


def resize_scores(
    scores: npt.NDArray[Any],
    size: tuple[int, int],
    kind: ScoreKind,
    *,
    aspect_tolerance: float = ASPECT_TOLERANCE,
) -> npt.NDArray[np.float32]:
    """Resize class scores bilinearly: half-pixel centres, clamped at the edge, no anti-aliasing.

    Equals ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False)``. Logits are
    interpolated as logits, probabilities as probabilities; these keep summing to 1, since every pixel
    is a convex mixture of four.

    Args:
        scores: ``(C, h, w)`` floats.
        size: the new height and width.
        kind: ``"logits"`` or ``"probabilities"``; renormalises the rounding of stored probabilities.
        aspect_tolerance: by how much the ratio of the sides may differ.

    Returns:
        ``(C, H, W)`` ``float32``.

    Raises:
        InputError: the sides' ratio differs by more than the tolerance and more than a pixel.

    >>> resize_scores(np.array([[[0.0, 1.0]]]), (1, 4), "logits", aspect_tolerance=2)[0, 0].tolist()
    [0.0, 0.25, 0.75, 1.0]
    """
    _, old_height, old_width = scores.shape
    check_aspect((old_height, old_width), size, aspect_tolerance)
    height, width = size
    rows = _resize_rows(np.asarray(scores), height)
    out = np.empty((len(scores), height, width), np.float32)
    left, right, weight = _taps(old_width, width)
    for channel, source in enumerate(rows):
        # One channel at a time stays in the processor's cache.
        np.take(source, left, axis=1, out=out[channel], mode="clip")
        step = np.take(source, right, axis=1, mode="clip")
        step -= out[channel]
        step *= weight
        out[channel] += step
    if kind == "probabilities":
        total = out.sum(axis=0)
        np.divide(out, total, out=out, where=total > 0)
    return out


def _resize_rows(scores: npt.NDArray[Any], height: int) -> npt.NDArray[np.float32]:
    top, bottom, weight = _taps(scores.shape[1], height)
    upper = scores[:, top].astype(np.float32, copy=False)
    step = scores[:, bottom].astype(np.float32) - upper
    step *= weight[:, None]
    step += upper
    return step


def _taps(old: int, new: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Lower and upper neighbour of every new position, and the upper one's weight."""
    # In float32, as torch does: on wide pictures the rounding of the positions would show otherwise.
    centres = np.arange(new, dtype=np.float32) + np.float32(0.5)
    place = np.clip(centres * np.float32(old / new) - np.float32(0.5), 0, old - 1)
    low = np.floor(place).astype(np.intp)
    return low, np.minimum(low + 1, old - 1), place - low.astype(np.float32)


def resize_indices(
    indices: IndexMap, size: tuple[int, int], *, aspect_tolerance: float = ASPECT_TOLERANCE
) -> IndexMap:
    """Resize a label map ``(h, w)`` to the nearest pixel centre; classes are never mixed.

    Raises:
        InputError: the sides' ratio differs (see :func:`resize_scores`).
    """
    old_height, old_width = indices.shape
    check_aspect((old_height, old_width), size, aspect_tolerance)
    rows = ((np.arange(size[0]) + 0.5) * (old_height / size[0])).astype(np.intp)
    columns = ((np.arange(size[1]) + 0.5) * (old_width / size[1])).astype(np.intp)
    resized: IndexMap = indices[rows[:, None], columns]
    return resized


def check_aspect(
    old: tuple[int, int], new: tuple[int, int], tolerance: float, *, what: str = "the prediction"
) -> None:
    """Refuse to stretch: a different ratio of sides means another picture, crop or a swapped axis.

    Args:
        old: height and width that there are.
        new: height and width that are wanted, the label's.
        tolerance: by how much the ratio may differ; rounding to a pixel is always fine.
        what: what is to be resized, for the message.

    Raises:
        InputError: the ratios differ, or the old size is less than a 64th of the new one.
    """
    (h, w), (height, width) = old, new
    if min(h, w, height, width) < 1:
        raise InputError(f"can't resize {h} x {w} to {height} x {width}")
    off = abs(height * w / (h * width) - 1)
    within_a_pixel = abs(h - w * height / width) <= 1 or abs(w - h * width / height) <= 1
    if off > tolerance and not within_a_pixel:
        raise InputError(
            f"{what} of {h} x {w} pixels (height x width) has other proportions than the label of "
            f"{height} x {width}",
            remedy=f"check that {what} and the label show the same picture, uncropped and not turned",
        )
    if tolerance < 1 and max(height / h, width / w) > _COARSEST:
        raise InputError(
            f"{what} of {h} x {w} pixels (height x width) is too coarse for the label of {height} x {width}",
            remedy="store it in a size nearer to the image's",
        )
