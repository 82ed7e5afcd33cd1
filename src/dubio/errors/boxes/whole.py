"""Faults of all labels of an image: most boxes missing, a class missing, shifted, mirrored, classes mixed up.

As with single boxes, copies of the labels get such faults on purpose, and a classifier learns from measures
of the image as a whole (:mod:`dubio.errors.image_scores`).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from dubio.errors.boxes import kernels, passes
from dubio.errors.boxes.draws import Keys, between, image_keys, row_keys, uniform
from dubio.errors.boxes.kernels import RIGHT_IOU
from dubio.errors.boxes.moves import clipped
from dubio.errors.boxes.relations import Relations, heads
from dubio.errors.boxes.scene import Flags, Floats, Given, Ints, Scene, summed
from dubio.errors.whole_image import WholeImage

FaultKind = Literal["unlabelled", "class_unlabelled", "shifted", "mirrored", "renamed"]
FAULTS: tuple[FaultKind, ...] = get_args(FaultKind)
LOOKS = {
    "unlabelled": "most objects look unlabelled",
    "class_unlabelled": "the objects of one class look unlabelled",
    "shifted": "the boxes look shifted against the image",
    "mirrored": "the boxes look like those of another or a mirrored image",
    "renamed": "classes look exchanged",
}
FEATURES = (
    "disagree",  # share of the boxes and of the objects seen on which model and labels differ
    "doubt",  # 1 - mean support of the boxes
    "denied",  # share of the boxes where the model sees nothing
    "swapped",  # share of the boxes that the model takes for another class
    "unlabelled",  # share of the objects seen (by confidence) that are not labelled
    "mass",  # log of 1 + confidence of the unlabelled objects, added up
    "fewer",  # log of objects seen over boxes
    "class_worst",  # unlabelled share of the class where it is largest, few objects drawn to 0
    "class_mass",  # log of 1 + unlabelled confidence of that class
    "shift_gain",  # support that a shift of all boxes would win, per box
    "shift_size",  # length of that shift / side
    "mirror_gain",  # support that mirroring would win
    "rename_gain",  # support that is lost to classes
    "log_given",
    "log_seen",
)
# Share of the boxes that unlabelled copies lose, and of the side by which shifted ones move.
_LOST, _MOVED = (0.4, 1.0), (0.03, 0.15)
# Boxes with less than this many pixels across are slips of the hand.
_SLIP = 1.5
# Faults are planted into this many images at most; more teach nothing new.
_MOST = 2000


def measure(scene: Scene, found: Relations) -> tuple[Floats, Floats]:
    """Measures of all images.

    Returns:
        ``(images, len(FEATURES))``, NaN where there are no boxes or nothing is seen; and the best shift
        ``(images, 2)``: x and y, pixels.
    """
    g, s, n = scene.given, scene.seen, scene.n_images
    count = np.bincount(g.image, minlength=n).astype(np.float64)

    def mean(values: Floats | Flags) -> Floats:
        total = summed(g.image, values, n)
        return np.asarray(np.divide(total, count, out=np.full(n, np.nan), where=count > 0))

    same, any_ = found.support["support_same"], found.support["support_any"]
    head = np.flatnonzero(heads(scene))
    free = found.met["met_any"][head] < RIGHT_IOU
    mass = summed(s.image[head], s.conf[head], n)
    lost = summed(s.image[head], s.conf[head] * free, n)
    worst, worst_mass = _worst_class(scene, head, free)
    gain, shift = kernels.best_shift(g.box, g.start, s.box, s.conf, s.start, scene.size)
    rest = mean(any_)
    doubt = 1 - mean(same)
    columns = {
        "disagree": (np.nan_to_num(doubt) * count + lost) / np.maximum(count + lost, 1e-6),
        "doubt": doubt,
        "denied": mean(found.support["iou_any"] < passes.NEAR),
        "swapped": mean(found.support["conf_other_50"] > found.support["conf_same_50"]),
        "unlabelled": np.divide(lost, mass, out=np.full(n, np.nan), where=mass > 0.1),
        "mass": np.log1p(lost),
        "fewer": np.log((mass + 1) / (count + 1)),
        "class_worst": worst,
        "class_mass": np.log1p(worst_mass),
        "shift_gain": gain,
        "shift_size": np.hypot(*shift.T) / scene.size.min(1),
        "mirror_gain": mean(_mirrored_support(scene)) - rest,
        "rename_gain": rest - mean(same),
        "log_given": np.log1p(count),
        "log_seen": np.log1p(mass),
    }
    return np.column_stack([columns[name] for name in FEATURES]), shift


def _worst_class(scene: Scene, head: Ints, free: Flags) -> tuple[Floats, Floats]:
    s, n, c = scene.seen, scene.n_images, len(scene.classes)
    cell, back = np.unique(s.image[head] * c + s.cls[head], return_inverse=True)
    mass = np.bincount(back, weights=s.conf[head], minlength=len(cell))
    lost = np.bincount(back, weights=s.conf[head] * free, minlength=len(cell))
    worst, worst_mass = np.zeros(n), np.zeros(n)
    np.maximum.at(worst, cell // c, lost / (mass + 1))
    np.maximum.at(worst_mass, cell // c, lost)
    return worst, worst_mass


def _mirrored_support(scene: Scene) -> Floats:
    mirrored = scene.with_given(_mirror(scene, scene.given))
    return Relations.of(mirrored).support["support_any"]


def measure_whole(scene: Scene, found: Relations, *, seed: int, faults: bool = True) -> list[WholeImage]:
    """Measures of all images and of faulty copies of their labels, one of each kind where there is room.

    Args:
        scene: labels and detections.
        found: their relations.
        seed: seed.
        faults: plant faults at all.
    """
    x, shift = measure(scene, found)
    keys = image_keys(seed, scene.image_id, "whole image")
    chosen = uniform(keys, 0) < _MOST / max(scene.n_images, 1)
    copies: list[tuple[Ints, Floats]] = []
    for kind in FAULTS if faults else ():
        given, fit = plant_fault(kind, scene, keys)
        faulty = scene.with_given(given)
        rows = np.flatnonzero(fit & chosen)
        copies.append((rows, measure(faulty, Relations.of(faulty))[0][rows]))
    owner = np.concatenate([rows for rows, _ in copies]) if copies else np.zeros(0, np.int64)
    kinds = np.repeat(np.arange(len(copies)), [len(rows) for rows, _ in copies])
    faulty_x = np.concatenate([v for _, v in copies]) if copies else np.zeros((0, len(FEATURES)))
    order = np.argsort(owner, kind="stable")
    ends = np.searchsorted(owner[order], np.arange(scene.n_images + 1))
    number_of, pixels = _slips(scene)
    out = []
    for i in range(scene.n_images):
        mine = order[ends[i] : ends[i + 1]]
        moved = (round(float(shift[i, 1])), round(float(shift[i, 0])))
        slips = (int(number_of[i]), int(pixels[i]))
        out.append(WholeImage(x[i], faulty_x[mine], kinds[mine], moved, slips))
    return out


def _slips(scene: Scene) -> tuple[Ints, Ints]:
    """Number of boxes of a pixel or less across by image, and of the pixels that they touch."""
    g = scene.given
    side = g.box[:, 2:] - g.box[:, :2]
    small = side.min(1) <= _SLIP
    pixels = np.ceil(np.maximum(side, 0)).prod(1)
    n = scene.n_images
    return (
        np.bincount(g.image[small], minlength=n),
        summed(g.image[small], pixels[small], n).astype(np.int64),
    )


def plant_fault(kind: FaultKind, scene: Scene, keys: Keys) -> tuple[Given, Flags]:
    """Labels with a fault in every image, and the images ``(n,)`` where there is room for it."""
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
        return _mirror(scene, g), count >= 2
    return _renamed(scene, keys, chosen), (of_class >= 2) & (len(scene.classes) > 1)


def _lost(given: Given, gone: Flags) -> Ints:
    return np.bincount(given.image[gone], minlength=len(given.start) - 1)


def _mirror(scene: Scene, given: Given) -> Given:
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
