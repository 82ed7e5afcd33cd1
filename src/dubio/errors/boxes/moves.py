"""How a planted error changes a box; all lengths are relative to the box, so that scale doesn't matter."""

from __future__ import annotations

import numpy as np

from dubio.errors.boxes.draws import Keys, between, choose, uniform
from dubio.errors.boxes.scene import Floats, Ints, Scene

# Careless drawing moves a box by this share of its side, at least and at most; …
_SHIFT = (0.12, 0.5)
# … makes it smaller or larger by this factor; …
_SMALLER, _LARGER = (0.55, 0.88), (1.14, 1.9)
# … or misses the end of an object by this share.
_SIDE = (0.15, 0.55)
# The same object labelled twice: offset, in sides, and log of the factor, at most.
_JITTER = 0.15
# So many of the spurious boxes lie on what the model takes for an object, without conviction.
_DOUBTED, _DOUBT = 0.25, 0.2


def paired_iou(a: Floats, b: Floats) -> Floats:
    """Intersection over union row by row, ``(N,)``; 0 without any area."""
    side = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None)
    inter = side.prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - inter
    return np.asarray(np.divide(inter, union, out=np.zeros(len(inter)), where=union > 0))


def clipped(box: Floats, size: Floats) -> Floats:
    """Boxes inside their images; ``size``: height and width by row."""
    limit = np.column_stack([size[:, 1], size[:, 0]] * 2)
    return np.asarray(np.clip(box, 0, limit), np.float64)


def from_centre(centre: Floats, side: Floats) -> Floats:
    """Boxes of middles and sides, both ``(N, 2)``."""
    return np.concatenate([centre - side / 2, centre + side / 2], 1)


def moved(box: Floats, keys: Keys, size: Floats) -> Floats:
    """Boxes in the wrong place: shifted, smaller or larger, or with one side off."""
    side, centre = box[:, 2:] - box[:, :2], (box[:, :2] + box[:, 2:]) / 2
    how = choose(keys, 2, (0.4, 0.25, 0.35))
    angle, length = 2 * np.pi * uniform(keys, 3), between(keys, 4, *_SHIFT)
    shifted = from_centre(
        centre + np.column_stack([np.cos(angle), np.sin(angle)]) * length[:, None] * side, side
    )
    shrink = uniform(keys, 5) < 0.5
    factor = np.where(shrink, between(keys, 6, *_SMALLER), between(keys, 6, *_LARGER))
    scaled = from_centre(centre, side * factor[:, None])
    one = box.copy()
    which = (uniform(keys, 7) * 4).astype(np.int64)
    way = np.where(uniform(keys, 8) < 0.5, 1.0, -1.0) * between(keys, 9, *_SIDE)
    rows = np.arange(len(box))
    one[rows, which] += way * side[rows, which % 2]
    new = np.where((how == 0)[:, None], shifted, np.where((how == 1)[:, None], scaled, one))
    return clipped(new, size)


def jittered(box: Floats, keys: Keys, size: Floats) -> Floats:
    """The same object drawn once more; a third of the time the very same box."""
    side, centre = box[:, 2:] - box[:, :2], (box[:, :2] + box[:, 2:]) / 2
    most = np.where(uniform(keys, 2) < 0.3, 0.0, _JITTER * uniform(keys, 3))[:, None]
    offset = np.column_stack([between(keys, 4, -1, 1), between(keys, 5, -1, 1)])
    factor = np.column_stack([between(keys, 6, -1, 1), between(keys, 7, -1, 1)])
    return clipped(from_centre(centre + most * offset * side, side * np.exp(most * factor)), size)


def halves(box: Floats, keys: Keys) -> tuple[Floats, Floats]:
    """Two parts of boxes, cut across the longer side."""
    side = box[:, 2:] - box[:, :2]
    axis = np.where(side[:, 0] >= side[:, 1], 0, 1)
    rows = np.arange(len(box))
    cut = box[rows, axis] + between(keys, 4, 0.35, 0.65) * side[rows, axis]
    one, two = box.copy(), box.copy()
    one[rows, axis + 2], two[rows, axis] = cut, cut
    return one, two


def other_class(cls: Ints, n_classes: int, keys: Keys, confusion: Floats | None) -> Ints:
    """Another class for each box: half the time what the model would take it for, else any."""
    out = np.empty(len(cls), np.int64)
    plain = uniform(keys, 10)
    any_ = np.minimum((plain * (n_classes - 1)).astype(np.int64), n_classes - 2)
    out[:] = any_ + (any_ >= cls)
    if confusion is None:
        return out
    row = confusion[cls, :n_classes] + 1e-3
    row[np.arange(len(cls)), cls] = 0
    edge = np.cumsum(row, 1)
    drawn = (edge < (uniform(keys, 11) * edge[:, -1])[:, None]).sum(1)
    return np.where(uniform(keys, 13) < 0.5, drawn, out)


def invented(scene: Scene, image: Ints, keys: Keys, stream: int) -> tuple[Floats, Ints]:
    """Boxes with the size and class of boxes elsewhere, there or anywhere in the image; and their classes.

    Some lie on objects that the model sees with little confidence: such places deceive people too.
    """
    g, s = scene.given, scene.seen
    donor = np.minimum((uniform(keys, stream) * len(g)).astype(np.int64), len(g) - 1)
    of, here = scene.size[g.image[donor]][:, ::-1], scene.size[image][:, ::-1]
    side = (g.box[donor, 2:] - g.box[donor, :2]) / of
    centre = (g.box[donor, :2] + g.box[donor, 2:]) / 2 / of
    anywhere = np.column_stack([uniform(keys, stream + 1), uniform(keys, stream + 2)])
    anywhere = side / 2 + anywhere * np.maximum(1 - side, 0)
    there = (uniform(keys, stream + 3) < 0.5)[:, None]
    box = from_centre(np.where(there, centre, anywhere), side) * np.concatenate([here, here], 1)
    cls = g.cls[donor].copy()
    count = s.start[image + 1] - s.start[image]
    pick = s.start[image] + (uniform(keys, stream + 4) * count).astype(np.int64)
    doubted = (uniform(keys, stream + 5) < _DOUBTED) & (count > 0)
    if len(s):
        pick = np.minimum(pick, len(s) - 1)
        doubted &= s.conf[pick] < _DOUBT
        box[doubted], cls[doubted] = s.box[pick[doubted]], s.cls[pick[doubted]]
    return clipped(box, scene.size[image]), cls
