"""Overlap of boxes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def pairwise_iou(a: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    """Intersection over union of every box with every other.

    Args:
        a: ``(N, 4)`` x1, y1, x2, y2, pixels.
        b: ``(M, 4)``.

    Returns:
        ``(N, M)`` float64; 0 for two boxes without area.

    >>> pairwise_iou([[0, 0, 2, 2]], [[1, 0, 3, 2], [0, 0, 2, 2], [5, 5, 6, 6]]).round(3).tolist()
    [[0.333, 1.0, 0.0]]
    """
    first, second, inter = _overlap(a, b)
    union = box_areas(first)[:, None] + box_areas(second)[None, :]
    union -= inter
    # in place, as these are large; what shares an area has a union
    return np.divide(inter, union, out=inter, where=union > 0)


def pairwise_cover(a: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    """Share of each box of ``a`` that lies in each box of ``b``.

    Returns:
        ``(N, M)`` float64; 0 for boxes without area.

    >>> pairwise_cover([[0, 0, 2, 2]], [[1, 0, 9, 9]]).tolist()
    [[0.5]]
    """
    first, _, inter = _overlap(a, b)
    area = np.broadcast_to(box_areas(first)[:, None], inter.shape)
    return np.divide(inter, area, out=np.zeros_like(inter), where=area > 0)


def paired_iou(a: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    """Intersection over union row by row, ``(N,)``.

    >>> paired_iou([[0, 0, 2, 2]], [[1, 0, 3, 2]]).round(3).tolist()
    [0.333]
    """
    first, second = _boxes(a), _boxes(b)
    low = np.maximum(first[:, :2], second[:, :2])
    high = np.minimum(first[:, 2:], second[:, 2:])
    inter = np.clip(high - low, 0, None).prod(1)
    union = box_areas(first) + box_areas(second) - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def box_areas(boxes: Floats) -> Floats:
    """Areas ``(N,)`` of boxes ``(N, 4)``, square pixels."""
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), np.float64)


def _boxes(values: npt.ArrayLike) -> Floats:
    return np.asarray(values, np.float64).reshape(-1, 4)


def _overlap(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    first, second = _boxes(a), _boxes(b)
    inter = _shared(first, second, 0)
    inter *= _shared(first, second, 1)
    return first, second, inter


def _shared(first: Floats, second: Floats, axis: int) -> Floats:
    """Length ``(N, M)`` that boxes share along an axis, made in place."""
    length = np.minimum(first[:, None, axis + 2], second[None, :, axis + 2])
    length -= np.maximum(first[:, None, axis], second[None, :, axis])
    return np.clip(length, 0, None, out=length)
