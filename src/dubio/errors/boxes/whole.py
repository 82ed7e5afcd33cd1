"""Faults of all labels of an image: most boxes missing, a class missing, shifted, mirrored, classes mixed up.

As with single boxes, copies of the labels get such faults on purpose, and a classifier learns from measures
of the image as a whole (:mod:`dubio.errors.image_scores`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dubio.errors.boxes import kernels, passes
from dubio.errors.boxes.draws import image_keys, uniform
from dubio.errors.boxes.kernels import RIGHT_IOU
from dubio.errors.boxes.relations import Relations, heads
from dubio.errors.boxes.scene import Flags, Floats, Ints, Scene, summed
from dubio.errors.boxes.whole_faults import FAULTS, mirrored, plant_fault
from dubio.errors.image_faults import MIN_IMAGES
from dubio.errors.whole_image import WholeImage

__all__ = [
    "FAULTS",
    "FEATURES",
    "LOOKS",
    "WholeBoxes",
    "measure",
    "measure_whole",
    "plant_fault",
    "usual_offset",
]
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
    "shift_agree",  # boxes that the shift brings onto an object seen, and that have none where they are
    "shift_stay",  # boxes that have an object where they are
    "mirror_gain",  # support that mirroring would win
    "mirror_agree",  # boxes that mirroring brings onto an object, and that have none where they are
    "mirror_stay",  # boxes that have an object where they are
    "rename_gain",  # support that is lost to classes
    "rename_mass",  # confidence in another class, of the boxes where it is higher, added up
    "surprise",  # objects seen without a label beyond those that confidence allows for, in deviations
    "class_surprise",  # … of the class where it is largest
    "log_given",
    "log_seen",
)
# Boxes with less than this many pixels across are slips of the hand.
_SLIP = 1.5
# A box is brought onto an object by a move if one of this confidence is there, or this support; and where a
# detector's middle is usually off by so much, this factor of it is still the same place.
_SURE, _SUPPORTED, _OFFSETS = 0.2, 0.15, 3.0
# Boxes that must agree in how they were moved, and confidence that must add up where objects or names differ.
_AGREE, _OBJECTS = 4, 2.0
# Faults are planted into this many images at most; more teach nothing new.
_MOST = 2000
# Fewer images than this get several copies of a kind, so many at most: what differs is chance.
_FEW, _ROUNDS = 400, 6
# … where that is not many boxes.
_BOXES = 50_000


@dataclass(frozen=True)
class WholeBoxes(WholeImage):
    """Measures of all labels of an image, and of faulty copies."""

    def shown(self) -> Flags:
        """``(1 + n, faults)``: whether the measures of the labels, and of each copy, can show each fault.

        Two boxes that a weak detector sees elsewhere are no evidence that all were shifted.
        """
        x = np.concatenate([self.x[None], self.faulty])

        def column(name: str) -> Floats:
            return np.asarray(x[:, FEATURES.index(name)])

        moved = {
            kind: (column(f"{kind}_agree") >= _AGREE) & (column(f"{kind}_agree") > column(f"{kind}_stay"))
            for kind in ("shift", "mirror")
        }
        flags = {
            "unlabelled": np.expm1(column("mass")) >= _OBJECTS,
            "class_unlabelled": np.expm1(column("class_mass")) >= _OBJECTS,
            "shifted": moved["shift"],
            "mirrored": moved["mirror"],
            "renamed": column("rename_mass") >= _OBJECTS,
        }
        return np.column_stack([flags[kind] for kind in FAULTS])


def measure(scene: Scene, found: Relations, usual: Floats) -> tuple[Floats, Floats]:
    """Measures of all images.

    Args:
        scene: labels and detections.
        found: their relations.
        usual: what :func:`usual_offset` says of the labels as given.

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
    worst, worst_mass, class_surprise = _worst_class(scene, head, free)
    gain, shift = kernels.best_shift(g.box, g.start, s.box, s.conf, s.start, scene.size)
    step = kernels.shift_step(scene.size)
    agree = kernels.agreeing(g.box, g.start, s.box, s.conf, s.start, shift, usual, step, _SURE)
    turned = _mirrored_support(scene)
    rest = mean(any_)
    doubt = 1 - mean(same)
    other = found.support["conf_other_50"]
    swapped = other > found.support["conf_same_50"]
    columns = {
        "disagree": (np.nan_to_num(doubt) * count + lost) / np.maximum(count + lost, 1e-6),
        "doubt": doubt,
        "denied": mean(found.support["iou_any"] < passes.NEAR),
        "swapped": mean(swapped),
        "unlabelled": np.divide(lost, mass, out=np.full(n, np.nan), where=mass > 0.1),
        "mass": np.log1p(lost),
        "fewer": np.log((mass + 1) / (count + 1)),
        "class_worst": worst,
        "class_mass": np.log1p(worst_mass),
        "shift_gain": gain,
        "shift_size": np.hypot(*shift.T) / scene.size.min(1),
        "shift_agree": agree[:, 0],
        "shift_stay": agree[:, 1],
        "mirror_gain": mean(turned) - rest,
        "mirror_agree": summed(g.image, (turned >= _SUPPORTED) & (turned > any_), n),
        "mirror_stay": summed(g.image, (any_ >= _SUPPORTED) & (any_ >= turned), n),
        "rename_gain": rest - mean(same),
        "rename_mass": summed(g.image, other * swapped, n),
        "surprise": _surprise(s.image[head], s.conf[head], free, n),
        "class_surprise": class_surprise,
        "log_given": np.log1p(count),
        "log_seen": np.log1p(mass),
    }
    return np.column_stack([columns[name] for name in FEATURES]), shift


def _worst_class(scene: Scene, head: Ints, free: Flags) -> tuple[Floats, Floats, Floats]:
    """Of the class where it is largest: unlabelled share, unlabelled confidence, and surprise at it."""
    s, n, c = scene.seen, scene.n_images, len(scene.classes)
    cell, back = np.unique(s.image[head] * c + s.cls[head], return_inverse=True)
    mass = np.bincount(back, weights=s.conf[head], minlength=len(cell))
    lost = np.bincount(back, weights=s.conf[head] * free, minlength=len(cell))
    worst, worst_mass, surprise = np.zeros(n), np.zeros(n), np.zeros(n)
    np.maximum.at(worst, cell // c, lost / (mass + 1))
    np.maximum.at(worst_mass, cell // c, lost)
    np.maximum.at(surprise, cell // c, _surprise(back, s.conf[head], free, len(cell)))
    return worst, worst_mass, surprise


def _surprise(group: Ints, conf: Floats, free: Flags, n: int) -> Floats:
    """How many more objects are unlabelled than confidences say, in deviations (one object's more)."""
    more = summed(group, conf - ~free, n)
    return np.asarray(more / np.sqrt(summed(group, conf * (1 - conf), n) + 1))


def usual_offset(scene: Scene, found: Relations) -> Floats:
    """``(2,)`` how far, in sides, what the model sees of a box may lie from it; most lie nearer."""
    own, best = scene.given.box, found.partner[:, 1]
    near = np.flatnonzero((found.support["iou_any"] >= RIGHT_IOU) & (best >= 0))
    side = own[near, 2:] - own[near, :2]
    theirs = scene.seen.box[best[near]]
    off = np.abs(theirs[:, :2] + theirs[:, 2:] - own[near, :2] - own[near, 2:]) / 2 / side
    return np.asarray(_OFFSETS * np.median(off, 0)) if len(near) else np.zeros(2)


def _mirrored_support(scene: Scene) -> Floats:
    turned = scene.with_given(mirrored(scene, scene.given))
    return Relations.of(turned).support["support_any"]


def measure_whole(scene: Scene, found: Relations, *, seed: int, faults: bool = True) -> list[WholeBoxes]:
    """Measures of all images and of faulty copies of their labels, of each kind where there is room.

    Args:
        scene: labels and detections.
        found: their relations.
        seed: seed.
        faults: plant faults at all.
    """
    usual = usual_offset(scene, found)
    x, shift = measure(scene, found, usual)
    owner, kinds, faulty_x = _copies(scene, usual, seed) if faults else _NO_COPIES
    order = np.argsort(owner, kind="stable")
    ends = np.searchsorted(owner[order], np.arange(scene.n_images + 1))
    number_of, pixels = _slips(scene)
    out = []
    for i in range(scene.n_images):
        mine = order[ends[i] : ends[i + 1]]
        moved = (round(float(shift[i, 1])), round(float(shift[i, 0])))
        slips = (int(number_of[i]), int(pixels[i]))
        out.append(WholeBoxes(x[i], faulty_x[mine], kinds[mine], moved, slips))
    return out


_NO_COPIES = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, len(FEATURES)))


def _copies(scene: Scene, usual: Floats, seed: int) -> tuple[Ints, Ints, Floats]:
    """Image, kind and measures of the faulty copies; of few images there are several of each kind."""
    if scene.n_images < MIN_IMAGES:
        return _NO_COPIES  # nothing is learned from them
    rounds = min(-(-_FEW // scene.n_images), _ROUNDS, max(_BOXES // max(len(scene.given), 1), 1))
    parts: list[tuple[Ints, Ints, Floats]] = [_NO_COPIES]
    for again in range(rounds):
        keys = image_keys(seed, scene.image_id, "whole image" + (f" {again}" if again else ""))
        chosen = uniform(keys, 0) < _MOST / max(scene.n_images, 1)
        for number, kind in enumerate(FAULTS):
            if kind == "mirrored" and again:
                continue  # there is one mirrored copy only
            given, fit = plant_fault(kind, scene, keys)
            faulty = scene.with_given(given)
            rows = np.flatnonzero(fit & chosen)
            x = measure(faulty, Relations.of(faulty), usual)[0][rows]
            parts.append((rows, np.full(len(rows), number), x))
    owner, kinds, x = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return owner, kinds, x


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
