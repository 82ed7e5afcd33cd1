"""Planted errors: known faults in copies of labelled boxes, in all images at once.

The finder learns from them and the benchmark scores with them. What was changed, how and where is returned.
An image's errors depend on the seed, its name and its boxes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dubio.core.errors import InputError
from dubio.errors.boxes import kernels, moves
from dubio.errors.boxes.draws import Keys, choose, image_keys, row_keys, uniform
from dubio.errors.boxes.passes import greatest_iou
from dubio.errors.boxes.plan import KINDS, BoxErrorKind, Plan, PlantedBoxes, assembled
from dubio.errors.boxes.scene import Flags, Floats, Ints, Scene

__all__ = ["KINDS", "BoxErrorKind", "PlantedBoxes", "check_kinds", "plant_boxes"]
# A moved box keeps this IoU with its object: below it is another place, above nobody would see it.
_MOVED = (0.2, 0.85)
# A spurious box overlaps no label by more than this.
_FREE = 0.2
_TRIES = 3
# Of the objects labelled twice, the share that gets two names.
_OTHERWISE = 0.1
# Numbers of invented boxes, apart from those of labelled ones.
_APART = 1_000_000


def check_kinds(kinds: Mapping[str, float]) -> dict[str, float]:
    """Weights of the kinds, adding up to 1.

    Raises:
        InputError: an unknown kind, or no positive weight.
    """
    unknown = [k for k in kinds if k not in KINDS]
    if unknown:
        raise InputError(f"unknown kind of error '{unknown[0]}'", remedy=f"choose from {', '.join(KINDS)}")
    total = float(sum(kinds.values()))
    if total <= 0 or min(kinds.values()) < 0:
        raise InputError("weights of the kinds of errors must be positive")
    return {k: kinds.get(k, 0.0) / total for k in KINDS}


def plant_boxes(
    scene: Scene,
    *,
    seed: int,
    purpose: str,
    rate: float,
    kinds: Mapping[str, float],
    confusion: Floats | None = None,
    burst: float = 0.0,
    only: Flags | None = None,
) -> PlantedBoxes:
    """Plant errors into a copy of a scene's labels.

    Args:
        scene: labels; detections are looked at only to place some of the spurious boxes.
        seed: seed.
        purpose: other purposes give other errors.
        rate: expected errors per labelled box.
        kinds: kind -> weight.
        confusion: ``(C, C + 1)`` numbers of boxes by class and by what the model takes them for; half of
            the swapped classes are drawn by it. ``None``: all alike.
        burst: share of images that lose most boxes, of one class or of all.
        only: ``(images,)`` images to plant into; ``None``: all.

    Raises:
        InputError: an unknown kind, no positive weight, or a rate outside 0 … 1.
    """
    weight = check_kinds(kinds)
    if not 0 <= rate <= 1:
        raise InputError(f"error rate {rate} is not between 0 and 1")
    g = scene.given
    keys = image_keys(seed, scene.image_id, purpose)
    mine = row_keys(keys[g.image], np.arange(len(g)) - g.start[g.image])
    here = np.ones(scene.n_images, bool) if only is None else only
    side = g.box[:, 2:] - g.box[:, :2]
    fit = ~g.off & (side > 0).all(1) & here[g.image]
    plan = Plan(g, np.ones(len(g), bool), g.box.copy(), g.cls.copy(), np.full(len(g), -1))
    lost = _bursts(plan, keys, mine, burst, fit)
    own = {k: v for k, v in weight.items() if k != "spurious" and (k != "swap" or len(scene.classes) > 1)}
    total = sum(own.values())
    hit = fit & ~lost & (uniform(mine, 0) < rate * total)
    work = _Work(scene, plan, confusion, hit | lost)
    which = choose(mine, 1, list(own.values())) if total > 0 else np.zeros(len(g), np.int64)
    for k, name in enumerate(own):
        rows = np.flatnonzero(hit & (which == k))
        if len(rows):
            _PLANT[name](work, rows, mine[rows])
    _spurious(work, keys, rate * weight["spurious"], here)
    return assembled(plan, scene.n_images)


@dataclass(frozen=True)
class _Work:
    """What planting one kind needs."""

    scene: Scene
    plan: Plan
    confusion: Floats | None
    taken: Flags

    @property
    def n_classes(self) -> int:
        return len(self.scene.classes)


def _bursts(plan: Plan, keys: Keys, mine: Keys, share: float, fit: Flags) -> Flags:
    """Images where somebody forgot a class, or stopped halfway."""
    g = plan.given
    stricken = uniform(keys, 20) < share
    lost = fit & stricken[g.image] & (uniform(mine, 21) < (0.5 + 0.5 * uniform(keys, 22))[g.image])
    # of a class: that of one of the image's boxes
    count = np.diff(g.start)
    first = np.minimum(g.start[:-1] + (uniform(keys, 23) * count).astype(np.int64), max(len(g) - 1, 0))
    if len(g):
        lost &= (uniform(keys, 24) < 0.4)[g.image] | (g.cls == g.cls[first][g.image])
    rows = np.flatnonzero(lost)
    if len(rows):
        _drop(plan, rows, burst=True)
    return np.asarray(lost)


def _drop(plan: Plan, rows: Ints, burst: bool) -> None:
    plan.befall("drop", rows, burst=burst)
    plan.keep[rows] = False


def _plant_drop(work: _Work, rows: Ints, keys: Keys) -> None:
    _drop(work.plan, rows, burst=False)


def _plant_swap(work: _Work, rows: Ints, keys: Keys) -> None:
    plan = work.plan
    plan.error[rows] = plan.befall("swap", rows)
    plan.cls[rows] = moves.other_class(plan.given.cls[rows], work.n_classes, keys, work.confusion)


def _plant_location(work: _Work, rows: Ints, keys: Keys) -> None:
    plan, g = work.plan, work.plan.given
    moved = moves.moved(g.box[rows], keys, work.scene.size[g.image[rows]])
    overlap = moves.paired_iou(moved, g.box[rows])
    good = (overlap >= _MOVED[0]) & (overlap <= _MOVED[1])
    plan.error[rows[good]] = plan.befall("location", rows[good])
    plan.box[rows[good]] = moved[good]


def _plant_duplicate(work: _Work, rows: Ints, keys: Keys) -> None:
    plan, g = work.plan, work.plan.given
    box, cls = moves.jittered(g.box[rows], keys, work.scene.size[g.image[rows]]), g.cls[rows].copy()
    if work.n_classes > 1:  # now and then somebody labels an object twice, as different things
        twice = uniform(keys, 12) < _OTHERWISE
        cls[twice] = moves.other_class(cls[twice], work.n_classes, keys[twice], work.confusion)
    plan.append(box, cls, g.image[rows], plan.add("duplicate", g.image[rows], box, cls), rows)


def _plant_merge(work: _Work, rows: Ints, keys: Keys) -> None:
    plan, g = work.plan, work.plan.given
    partner = kernels.neighbour(g.box, g.cls, g.start, rows, work.taken | ~plan.keep | g.off)
    rows, partner = rows[partner >= 0], partner[partner >= 0]
    _, first = np.unique(partner, return_index=True)  # a box can't be merged with two
    rows, partner = rows[first], partner[first]
    plan.error[rows] = plan.befall("merge", rows, g.box[partner])
    low = np.minimum(g.box[rows, :2], g.box[partner, :2])
    plan.box[rows] = np.concatenate([low, np.maximum(g.box[rows, 2:], g.box[partner, 2:])], 1)
    plan.keep[partner] = False


def _plant_split(work: _Work, rows: Ints, keys: Keys) -> None:
    plan, g = work.plan, work.plan.given
    one, two = moves.halves(g.box[rows], keys)
    numbers = plan.befall("split", rows)
    plan.error[rows], plan.box[rows] = numbers, one
    plan.append(two, g.cls[rows], g.image[rows], numbers, rows)


_PLANT: dict[str, Callable[[_Work, Ints, Keys], None]] = {
    "drop": _plant_drop, "swap": _plant_swap, "location": _plant_location, "duplicate": _plant_duplicate,
    "merge": _plant_merge, "split": _plant_split,
}  # fmt: skip


def _spurious(work: _Work, keys: Keys, rate: float, here: Flags) -> None:
    """Boxes where no label is: of the size and class of another box, some on what the model doubts."""
    scene, plan, g = work.scene, work.plan, work.plan.given
    if not len(g) or rate <= 0:
        return
    usual = max(round(len(g) / scene.n_images), 1)
    slots = np.where(here, np.maximum(np.diff(g.start), usual), 0)
    image = np.repeat(np.arange(scene.n_images), slots)
    number = np.arange(len(image)) - np.repeat(np.cumsum(slots) - slots, slots)
    mine = row_keys(keys[image], number + _APART)
    rows = np.flatnonzero(uniform(mine, 0) < rate)
    image, mine = image[rows], mine[rows]
    box, cls = np.full((len(rows), 4), np.nan), np.zeros(len(rows), np.int64)
    for t in range(_TRIES):
        rest = np.flatnonzero(np.isnan(box[:, 0]))
        new, of = moves.invented(scene, image[rest], mine[rest], 30 + 10 * t)
        free = greatest_iou(new, image[rest], g.box, g.start) <= _FREE
        free &= (new[:, 2:] > new[:, :2]).all(1)
        box[rest[free]], cls[rest[free]] = new[free], of[free]
    good = ~np.isnan(box[:, 0])
    box, cls, image = box[good], cls[good], image[good]
    plan.append(box, cls, image, plan.add("spurious", image, box, cls), np.full(len(box), -1))
