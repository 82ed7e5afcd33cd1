"""Faults of all labels of an image, planted: one copy of the labels of all images with each kind."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from dubio.errors.boxes.draws import Keys, between, row_keys, uniform
from dubio.errors.boxes.moves import clipped
from dubio.errors.boxes.scene import Flags, Given, Ints, Scene

FaultKind = Literal["unlabelled", "class_unlabelled", "shifted", "mirrored", "renamed"]
FAULTS: tuple[FaultKind, ...] = get_args(FaultKind)
# Share of the boxes that unlabelled copies lose, and of the side by which shifted ones move.
_LOST, _MOVED = (0.4, 1.0), (0.03, 0.15)


def plant_fault(kind: FaultKind, scene: Scene, keys: Keys) -> tuple[Given, Flags]:
    """Labels with a fault in every image, and the images ``(n,)`` where there is room for it.

    Args:
        kind: the fault.
        scene: labels and sizes of the images.
        keys: random keys of the images (:func:`~dubio.errors.boxes.draws.image_keys`).
    """
    g = scene.given
    count = np.diff(g.start)
    mine = row_keys(keys[g.image], np.arange(len(g)) - g.start[g.image])
    # what concerns one class concerns that of one of the boxes
    pick = np.minimum(g.start[:-1] + (uniform(keys, 5) * count).astype(np.int64), max(len(g) - 1, 0))
    chosen = (g.cls == g.cls[pick][g.image]) if len(g) else np.zeros(0, bool)
    of_class = np.bincount(g.image[chosen], minlength=scene.n_images)
    if kind == "unlabelled":
        gone = uniform(mine, 1) < between(keys, 2, *_LOST)[g.image]
        return g.take(np.flatnonzero(~gone)), (count >= 3) & (_lost(g, gone) >= 2)
    if kind == "class_unlabelled":
        return g.take(np.flatnonzero(~chosen)), (of_class >= 2) & (of_class < count)
    if kind == "shifted":
        angle = 2 * np.pi * uniform(keys, 3)
        length = between(keys, 4, *_MOVED) * scene.size.min(1)
        step = (np.column_stack([np.cos(angle), np.sin(angle)]) * length[:, None])[g.image]
        moved = clipped(g.box + np.concatenate([step, step], 1), scene.size[g.image])
        return g.changed(box=moved), count >= 2
    if kind == "mirrored":
        return mirrored(scene, g), count >= 2
    return _renamed(scene, keys, chosen), (of_class >= 2) & (len(scene.classes) > 1)


def _lost(given: Given, gone: Flags) -> Ints:
    return np.bincount(given.image[gone], minlength=len(given.start) - 1)


def mirrored(scene: Scene, given: Given) -> Given:
    """All boxes mirrored left to right."""
    width = scene.size[given.image, 1]
    box = given.box.copy()
    box[:, 0], box[:, 2] = width - given.box[:, 2], width - given.box[:, 0]
    return given.changed(box=box)


def _renamed(scene: Scene, keys: Keys, chosen: Flags) -> Given:
    """A class takes the name of another; both ways where the image has both."""
    g, c = scene.given, len(scene.classes)
    if c < 2 or not len(g):
        return g
    first = np.zeros(scene.n_images, np.int64)
    first[g.image[chosen]] = g.cls[chosen]
    other = np.minimum((uniform(keys, 6) * (c - 1)).astype(np.int64), c - 2)
    other += other >= first
    cls = np.where(chosen, other[g.image], np.where(g.cls == other[g.image], first[g.image], g.cls))
    return g.changed(cls=cls)
