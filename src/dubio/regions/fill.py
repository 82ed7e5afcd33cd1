"""Holes in label maps, filled from around them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dubio.core.labelspace import IndexMap


def fill_from_surroundings(label: IndexMap, hole: npt.NDArray[np.bool_], n_classes: int) -> IndexMap:
    """Give each pixel of ``hole`` the class of the nearest pixel outside that is not void.

    >>> fill_from_surroundings(np.array([[0, 1, 2]], np.uint8), np.array([[False, True, False]]), 3).tolist()
    [[0, 0, 2]]
    """
    blocked = hole | (label >= n_classes)
    if blocked.all():
        return label.copy()
    _, (yy, xx) = ndimage.distance_transform_edt(blocked, return_indices=True)
    return np.where(hole, label[yy, xx], label).astype(label.dtype)
