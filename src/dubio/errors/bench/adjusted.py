"""Adjusted IoU between segments of two binary maps, in both directions (Rottmann and Reese, 2023)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_EIGHT = np.ones((3, 3), np.int8)


def adjusted_ious(errors: npt.ArrayLike, proposals: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Adjusted IoU of each segment (8-connected) of either map with the other map's.

    For a segment x let Y* be the other map's segments that meet it; then
    ``|x ∩ Y*| / (|x| + |Y* outside of all segments of x's map|)``. What other segments of the same map
    cover is not held against x, so that an object found in two parts isn't punished twice.

    Args:
        errors: ``(H, W)``, true where there is an error.
        proposals: ``(H, W)``, true where one is proposed.

    Returns:
        The values of the error segments and of the proposed ones, in row-major order of first pixels.

    >>> both = adjusted_ious([[1, 1, 1, 1]], [[1, 0, 1, 1]])
    >>> [v.round(2).tolist() for v in both]
    [[0.75], [0.5, 0.67]]
    """
    ours, n = _segments(errors)
    theirs, m = _segments(proposals)
    width = m + 1
    cells = np.bincount((ours.astype(np.int64) * width + theirs).ravel(), minlength=(n + 1) * width)
    common = cells.reshape(n + 1, width)
    return _one_way(common), _one_way(common.T)


def _segments(mask: npt.ArrayLike) -> tuple[npt.NDArray[np.int32], int]:
    ids, n = ndimage.label(np.asarray(mask, bool), structure=_EIGHT)
    return ids, int(n)


def _one_way(common: Ints) -> Floats:
    """From pixel counts of pairs; row and column 0 stand for the background."""
    inside = common[1:, 1:]
    uncovered = (inside > 0) @ common[0, 1:]
    return np.asarray(inside.sum(1) / (common[1:].sum(1) + uncovered))
