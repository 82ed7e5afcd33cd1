"""IoU between components of two segmentations, in linear time.

Three definitions, all zero for the same components:

* plain: intersection over union with all components of the class in the other map that are met;
* adjusted (Rottmann and Reese, 2023): of those components, what other components of this map
  cover is left out of the union, so that an object cut in two isn't punished twice;
* reference: what the published code computes: the union grows through pixels of the class in the
  other map that this map misses and that touch the component. It leaves out parts that don't
  touch, and counts parts of objects that the component doesn't meet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.regions import stats

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def iou_columns(
    seg: npt.NDArray[np.uint16],
    ids: npt.NDArray[np.int32],
    other: npt.NDArray[np.uint16],
    other_ids: npt.NDArray[np.int32],
    n_classes: int,
    size: Ints,
    agree: Ints,
    other_size: Ints,
    other_agree: Ints,
) -> tuple[Floats, Floats]:
    """Plain and adjusted IoU of each component ``1 … n``.

    Args:
        seg: ``(H, W)`` classes of this map, ``n_classes`` = none.
        ids: its component numbers.
        other: classes of the other map.
        other_ids: its component numbers.
        n_classes: number of classes.
        size: ``(n + 1,)`` pixels of each component; index 0 is unused.
        agree: ``(n + 1,)`` pixels on which the other map has the component's class.
        other_size: ``(m + 1,)`` sizes of the other map's components.
        other_agree: ``(m + 1,)`` pixels of those on which this map has their class.

    Returns:
        ``(n + 1,)`` plain and adjusted IoU.
    """
    pairs = unique_pairs(
        lambda room: stats.same_class_pairs(seg, ids, other, other_ids, n_classes, room), len(size)
    )
    met, met_missed = np.zeros(len(size), np.int64), np.zeros(len(size), np.int64)
    np.add.at(met, pairs[:, 0], other_size[pairs[:, 1]])
    np.add.at(met_missed, pairs[:, 0], (other_size - other_agree)[pairs[:, 1]])
    plain = agree / np.maximum(size + met - agree, 1)
    adjusted = agree / np.maximum(size + met_missed, 1)
    return plain, adjusted


def reference_iou(
    seg: npt.NDArray[np.uint16],
    ids: npt.NDArray[np.int32],
    label: npt.NDArray[np.uint16],
    n_classes: int,
    size: Ints,
    agree: Ints,
) -> Floats:
    """IoU as the published code computes it (see the module's text), ``(n + 1,)``."""
    from dubio.regions.extract import components

    missed = np.where(seg == label, n_classes, label).astype(np.uint16)
    missed_ids, _ = components(missed, n_classes)
    area = np.bincount(missed_ids.ravel())
    pairs = unique_pairs(
        lambda room: stats.touching_pairs(ids, seg, missed, missed_ids, n_classes, room), len(size)
    )
    grown = np.zeros(len(size), np.int64)
    np.add.at(grown, pairs[:, 0], area[pairs[:, 1]])
    return np.where(agree > 0, agree / np.maximum(size + grown, 1), 0.0)


def unique_pairs(write: Callable[[Any], int], guess: int) -> Ints:
    """Collect pairs from a kernel that returns -1 when the array it was given is too short."""
    room = 4 * guess + 1024
    while True:
        pairs = np.empty((room, 2), np.int32)
        n = write(pairs)
        if n >= 0:
            break
        room *= 4
    found = pairs[:n].astype(np.int64)
    keys = np.unique((found[:, 0] << 32) | found[:, 1])
    return np.column_stack([keys >> 32, keys & 0xFFFFFFFF])
