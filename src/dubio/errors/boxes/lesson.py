"""What the finder learns from: candidates of planted copies, marked by what was planted."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dubio.errors.boxes.candidates import Candidates, find_candidates
from dubio.errors.boxes.draws import image_keys, row_keys, uniform
from dubio.errors.boxes.feature_names import FEATURES
from dubio.errors.boxes.features import Background, feature_rows
from dubio.errors.boxes.moves import paired_iou
from dubio.errors.boxes.plan import CALLED, KINDS, NUMBER, PlantedBoxes
from dubio.errors.boxes.plant import plant_boxes
from dubio.errors.boxes.relations import Relations
from dubio.errors.boxes.scene import Flags, Floats, Ints, Scene
from dubio.errors.findings import BOX_KINDS, BoxKind

# What a finding may be called.
CALLS: tuple[BoxKind, ...] = BOX_KINDS
_CALL_OF = np.array([CALLS.index(CALLED[k]) for k in KINDS])
LESSON: dict[str, float] = {
    "drop": 3, "swap": 2, "location": 3, "duplicate": 1.5, "spurious": 2, "merge": 0.5, "split": 0.5,
}  # fmt: skip
# A detection shows the object of an error if it meets it with at least this; below the second it doesn't.
_HIT, _CLEAR = 0.5, 0.25
# Two labels that overlap so much are duplicates of each other, whichever was there first.
_TWIN = 0.6
# Many boxes dropped at once in an image count as so many errors together.
_BURST = 3.0


@dataclass(frozen=True)
class BoxLesson:
    """How errors are planted for the finder to learn from.

    Args:
        copies: planted copies.
        rate: errors per labelled box.
        kinds: kinds and their weights.
        burst: share of the images that lose most boxes, of one class or all.
        images: share of the images that are planted into, of many drawn by name.
        seed: seed.
        others: share of the candidates without errors that are kept; they are weighted up.
    """

    copies: int = 4
    rate: float = 0.08
    kinds: dict[str, float] = field(default_factory=lambda: dict(LESSON))
    burst: float = 0.04
    images: float = 1.0
    seed: int = 0
    others: float = 1.0


@dataclass(frozen=True)
class Lessons:
    """Rows to learn from, of all images, by image.

    Attributes:
        x: ``(n, F)`` float32 features.
        y: ``(n,)`` int8: 1 planted, 0 not, -1 in between.
        kind: ``(n,)`` int8 position in :data:`CALLS`, -1 where nothing was planted.
        weight: ``(n,)`` float32.
        group: ``(n,)`` int64 places.
        image: ``(n,)`` number of the image.
        usual: ``(n,)`` whether its image has single errors only: of many boxes dropped at once there are more
            planted than real ones, and they look unlike single errors.
        planted: ``(images,)`` errors planted, not counting those of bursts; ``met``: seen by some candidate.
        met: see there.
    """

    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.int8]
    kind: npt.NDArray[np.int8]
    weight: npt.NDArray[np.float32]
    group: Ints
    image: Ints
    usual: Flags
    planted: Ints
    met: Ints


def learn(scene: Scene, known: Background, bar: float, lesson: BoxLesson) -> Lessons:
    """Plant errors into copies of a scene's labels and mark the candidates there.

    Args:
        scene: labels and detections.
        known: statistics of the labels as given.
        bar: lowest score of objects that are candidates.
        lesson: what to plant.
    """
    if not lesson.copies:
        return _no_lessons(scene.n_images)
    chosen = uniform(image_keys(lesson.seed, scene.image_id, "lesson images"), 0) < lesson.images
    parts, base = [], 0
    planted_of, met_of = np.zeros(scene.n_images, np.int64), np.zeros(scene.n_images, np.int64)
    for copy in range(lesson.copies):
        planted = plant_boxes(
            scene, seed=lesson.seed, purpose=f"lesson {copy}", rate=lesson.rate, kinds=lesson.kinds,
            confusion=known.stats.confusion, burst=lesson.burst, only=chosen,
        )  # fmt: skip
        faulty = scene.with_given(planted.given)
        found = Relations.of(faulty)
        where = find_candidates(faulty, found, bar)
        y, kind, chance, met = mark(faulty, found, where, planted)
        y[(y == 0) & in_gap(faulty, where)] = -1
        image = _image_of(faulty, where)
        kept = _drawn(y, chance, image, chosen, lesson, scene, copy)
        rows = where.take(kept)
        x = feature_rows(faulty, found, rows, known).astype(np.float32)
        weight = np.where(y[kept] == 1, 1.0, 1 / lesson.others)
        many = np.bincount(planted.image[planted.burst], minlength=scene.n_images) > 0
        parts.append((x, y[kept], kind[kept], weight, rows.group + base, image[kept], ~many[image[kept]]))
        base += int(where.group.max(initial=-1)) + 1
        single = ~planted.burst
        planted_of += np.bincount(planted.image[single], minlength=scene.n_images)
        met_of += np.bincount(planted.image[single & met], minlength=scene.n_images)
    x, y, kind, weight, group, image, usual = (np.concatenate(c) for c in zip(*parts, strict=True))
    order = np.argsort(image, kind="stable")
    return Lessons(
        x[order], y[order].astype(np.int8), kind[order].astype(np.int8), weight[order].astype(np.float32),
        group[order], image[order], usual[order], planted_of, met_of,
    )  # fmt: skip


def in_gap(scene: Scene, where: Candidates) -> Flags:
    """Objects seen of a class that looks unlabelled throughout: they are no examples of good labels."""
    out = np.zeros(len(where.seen), bool)
    out[where.n_given :] = scene.gaps[scene.seen.cls[where.seen[where.n_given :]]]
    return out


def _no_lessons(images: int) -> Lessons:
    none, count = np.zeros(0, np.int64), np.zeros(images, np.int64)
    x = np.zeros((0, len(FEATURES)), np.float32)
    marks = none.astype(np.int8)
    return Lessons(x, marks, marks, none.astype(np.float32), none, none, none.astype(bool), count, count)


def mark(
    scene: Scene, found: Relations, where: Candidates, planted: PlantedBoxes
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8], Floats, npt.NDArray[np.bool_]]:
    """Which candidates are planted errors (1), which are not (0), which are in between (-1).

    Args:
        scene: the copy with the errors.
        found: its relations.
        where: its candidates.
        planted: what was planted.

    Returns:
        Marks, kinds (position in :data:`CALLS`, -1: none) and chances to be kept ``(n,)``, and which errors
        are met.
    """
    n, k = len(where.label), where.n_given
    y, kind, chance = np.zeros(n, np.int8), np.full(n, -1, np.int8), np.ones(n)
    met = np.zeros(len(planted.kind), bool)
    ours = where.label[:k]
    error = planted.error[ours]
    y[:k] = error >= 0
    met[error[error >= 0]] = True
    kind[:k][error >= 0] = _CALL_OF[planted.kind[error[error >= 0]]]
    # the box that a duplicate was made from
    twin = found.twin[ours]
    doubled = (error < 0) & (twin >= 0) & (found.twins["twin_same"][ours] >= _TWIN)
    other = planted.error[np.maximum(twin, 0)]
    doubled &= other >= 0
    doubled[doubled] = planted.kind[other[doubled]] == NUMBER["duplicate"]
    y[:k][doubled], kind[:k][doubled] = 1, CALLS.index("duplicate")
    _mark_seen(scene, where, planted, y, kind, chance, met)
    return y, kind, chance, met


def _mark_seen(
    scene: Scene,
    where: Candidates,
    planted: PlantedBoxes,
    y: npt.NDArray[np.int8],
    kind: npt.NDArray[np.int8],
    chance: Floats,
    met: npt.NDArray[np.bool_],
) -> None:
    """Mark detections that show the object of an error, as it should have been labelled."""
    k = where.n_given
    shows = ~np.isin(planted.kind, [NUMBER[name] for name in ("duplicate", "spurious", "swap")])
    number = np.flatnonzero(shows)
    second = number[~np.isnan(planted.other_box[number, 0])]
    box = np.concatenate([planted.true_box[number], planted.other_box[second]])
    number = np.concatenate([number, second])
    theirs = scene.seen.box[where.seen[k:]]
    pairs = _pairs(scene.seen.image[where.seen[k:]], planted.image[number], scene.n_images)
    overlap = paired_iou(theirs[pairs[0]], box[pairs[1]])
    near = overlap >= _CLEAR
    rows, errors, overlap = k + pairs[0][near], number[pairs[1][near]], overlap[near]
    y[rows] = np.where(y[rows] == 1, 1, -1)
    hit = overlap >= _HIT
    rows, errors = rows[hit], errors[hit]
    y[rows], kind[rows] = 1, _CALL_OF[planted.kind[errors]]
    met[errors] = True
    size = np.bincount(planted.image[planted.burst], minlength=scene.n_images)
    many = planted.burst[errors]
    chance[rows[many]] = np.minimum(_BURST / np.maximum(size[planted.image[errors[many]]], 1), 1.0)


def _pairs(left: Ints, right: Ints, n_images: int) -> tuple[Ints, Ints]:
    """All pairs of rows of the same image."""
    order = np.argsort(right, kind="stable")
    count = np.bincount(right, minlength=n_images)
    start = np.cumsum(count) - count
    reps = count[left]
    first = np.repeat(np.arange(len(left)), reps)
    within = np.arange(int(reps.sum())) - np.repeat(np.cumsum(reps) - reps, reps)
    return first, order[start[left[first]] + within]


def _image_of(scene: Scene, where: Candidates) -> Ints:
    k = where.n_given
    return np.concatenate([scene.given.image[where.label[:k]], scene.seen.image[where.seen[k:]]])


def _drawn(
    y: npt.NDArray[np.int8],
    chance: Floats,
    image: Ints,
    chosen: npt.NDArray[np.bool_],
    lesson: BoxLesson,
    scene: Scene,
    copy: int,
) -> Ints:
    """Rows that are kept: planted ones (of bursts a few), and a share of the others."""
    keys = image_keys(lesson.seed, scene.image_id, f"lesson rows {copy}")
    drawn = uniform(row_keys(keys[image], _number_within(image)), 0)
    return np.flatnonzero(chosen[image] & (drawn < np.where(y == 1, chance, lesson.others)))


def _number_within(image: Ints) -> Ints:
    """Number of each row within its image, in the order of rows."""
    order = np.argsort(image, kind="stable")
    ranked = image[order]
    first = np.searchsorted(ranked, ranked)
    out = np.empty(len(image), np.int64)
    out[order] = np.arange(len(image)) - first
    return out
