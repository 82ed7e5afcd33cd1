"""How labelled boxes and detections lie to each other, and what is usual for a class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dubio.errors.boxes import passes
from dubio.errors.boxes.kernels import RIGHT_IOU
from dubio.errors.boxes.scene import Flags, Floats, Ints, Scene, summed

# So many boxes of the average class stand behind the statistics of a rare one.
_USUAL = 10.0


@dataclass(frozen=True)
class Relations:
    """What the passes measured, as columns by name.

    Attributes:
        support: of each labelled box (:data:`~dubio.errors.boxes.passes.SUPPORT`).
        partner: ``(N, 3)`` its best detection of its class, of any class, of another class; -1: none.
        twins: with the other labels.
        twin: ``(N,)`` the label of its class that overlaps most.
        met: of each detection with the labels.
        label: ``(M, 2)`` the label that overlaps it most, of any class and of its own.
    """

    support: dict[str, Floats]
    partner: Ints
    twins: dict[str, Floats]
    twin: Ints
    met: dict[str, Floats]
    label: Ints

    @classmethod
    def of(cls, scene: Scene) -> Relations:
        """Measure the labels and detections of a scene."""
        g, s = scene.given, scene.seen
        support, partner = np.zeros((len(g), len(passes.SUPPORT))), np.empty((len(g), 3), np.int64)
        passes.support(g.box, g.cls, g.start, s.box, s.cls, s.conf, s.head, s.start, support, partner)
        twins, twin = np.zeros((len(g), len(passes.TWINS))), np.empty(len(g), np.int64)
        passes.twins(g.box, g.cls, g.start, twins, twin)
        met, label = np.zeros((len(s), len(passes.MET))), np.empty((len(s), 2), np.int64)
        passes.met(s.box, s.cls, s.start, g.box, g.cls, g.start, met, label)
        return cls(
            _named(passes.SUPPORT, support), partner, _named(passes.TWINS, twins), twin,
            _named(passes.MET, met), label,
        )  # fmt: skip


def crowding(scene: Scene) -> dict[str, Floats]:
    """Columns of the detections with each other; they don't depend on the labels."""
    s = scene.seen
    out = np.zeros((len(s), len(passes.CROWD)))
    passes.crowd(s.box, s.cls, s.conf, s.head, s.start, out)
    return _named(passes.CROWD, out)


def _named(names: tuple[str, ...], table: Floats) -> dict[str, Floats]:
    return {name: table[:, k] for k, name in enumerate(names)}


def heads(scene: Scene) -> Flags:
    """``(M,)`` detections that stand for an object: the strongest of theirs, outside ignored regions."""
    s = scene.seen
    return np.asarray((s.head == np.arange(len(s))) & ~s.ignored)


def shape_of(box: Floats, image: Ints, scene: Scene) -> tuple[Floats, Floats]:
    """Logarithms of relative size (root of area over that of the image) and of width over height.

    Boxes without area count as one hundredth of a pixel wide.
    """
    side = np.maximum(box[:, 2:] - box[:, :2], 1e-2)
    whole = scene.size[image].prod(1)
    return 0.5 * np.log(side.prod(1) / whole), np.log(side[:, 0] / side[:, 1])


@dataclass(frozen=True)
class ClassStats:
    """What is usual for a class: arrays by class number, rare classes drawn to the average.

    Attributes:
        number: ``(C,)`` labelled boxes.
        size: ``(C, 2)`` mean and deviation of the relative size; ``aspect``, ``iou`` likewise.
        aspect: see there.
        iou: see there; of confirmed boxes.
        precision: ``(C,)`` share of the objects seen that are labelled, by confidence.
        recall: ``(C,)`` mean support of labelled boxes.
        confusion: ``(C, C + 1)`` labelled boxes by class and by the class that the model sees there (last:
            none), as numbers.
    """

    number: Floats
    size: Floats
    aspect: Floats
    iou: Floats
    precision: Floats
    recall: Floats
    confusion: Floats

    @classmethod
    def of(cls, scene: Scene, found: Relations) -> ClassStats:
        """Statistics of the labels as given."""
        g, s, c = scene.given, scene.seen, len(scene.classes)
        number = np.bincount(g.cls, minlength=c).astype(np.float64)
        size, aspect = shape_of(g.box, g.image, scene)
        same = found.support["iou_same"]
        good = same >= RIGHT_IOU
        head = heads(scene) & ~scene.gaps[s.cls]
        labelled = found.met["met_any"][head] >= RIGHT_IOU
        mass = summed(s.cls[head], s.conf[head], c)
        right = summed(s.cls[head], (s.conf[head] * labelled), c)
        total = (right.sum() + 0.5) / (mass.sum() + 1)
        support = summed(g.cls, found.support["support_same"], c)
        mean = (support.sum() + 0.5) / (number.sum() + 1)
        return cls(
            number,
            _moments(size, g.cls, c),
            _moments(aspect, g.cls, c),
            _moments(same[good], g.cls[good], c),
            (right + _USUAL * total) / (mass + _USUAL),
            (support + _USUAL * mean) / (number + _USUAL),
            _confusion(scene, found),
        )

    def confused(self, given: Ints, proposed: Ints) -> Floats:
        """Share of the labelled boxes of a class that the model takes for another; NaN where one is -1."""
        known = (given >= 0) & (proposed >= 0)
        out = np.full(len(given), np.nan)
        counts = self.confusion[given[known], proposed[known]]
        out[known] = counts / (self.confusion.sum(1)[given[known]] + _USUAL)
        return out


def _confusion(scene: Scene, found: Relations) -> Floats:
    g, c = scene.given, len(scene.classes)
    best = found.partner[:, 1]
    sees = (best >= 0) & (found.support["support_any"] > 0) & (found.support["iou_any"] >= RIGHT_IOU)
    there = np.full(len(g), c)
    there[sees] = scene.seen.cls[best[sees]]
    cells = np.bincount(g.cls * (c + 1) + there, minlength=c * (c + 1))
    return cells.reshape(c, c + 1).astype(np.float64)


def _moments(value: Floats, cls: Ints, c: int) -> Floats:
    """Mean and standard deviation by class, drawn to those of all."""
    if not len(value):
        return np.column_stack([np.zeros(c), np.ones(c)])
    mean, var = value.mean(), value.var() + 1e-4
    n = np.bincount(cls, minlength=c)
    own = (summed(cls, value, c) + _USUAL * mean) / (n + _USUAL)
    spread = summed(cls, (value - own[cls]) ** 2, c)
    return np.column_stack([own, np.sqrt((spread + _USUAL * var) / (n + _USUAL))])
