"""The audit of boxes: from a data set and detections to findings and scores of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa

from dubio.core.boxes import BoxDataset, DetPrediction
from dubio.core.errors import InputError
from dubio.errors.boxes.candidates import find_candidates, score_bar
from dubio.errors.boxes.choose import choose_boxes
from dubio.errors.boxes.features import Background, boxes_of, feature_rows
from dubio.errors.boxes.lesson import BoxLesson, Lessons, learn
from dubio.errors.boxes.read import read_scene
from dubio.errors.boxes.relations import Relations, crowding
from dubio.errors.boxes.scene import Floats
from dubio.errors.boxes.traits import BoxPlaces, BoxPlanting, BoxSet, BoxWork
from dubio.errors.boxes.whole import measure_whole
from dubio.errors.finder import Found, find
from dubio.errors.findings import Finding
from dubio.errors.image_scores import ImageScores, image_table, score_images
from dubio.errors.reviewed import Reviewed

# Planted errors that the finder wants to see; few boxes are copied more often, of many some images serve.
_ENOUGH, _MOST_COPIES = 5000, 40
# Candidates that are no errors: about so many per planted error; more take time.
_OTHERS = 6


@dataclass(frozen=True)
class BoxAuditOptions:
    """Options of an audit of boxes.

    Args:
        classes: class indices to search; ``None``: all.
        kinds: kinds of findings; ``None``: all.
        max_findings: length of the list.
        min_probability: leave out less probable findings.
        error_rate: share of boxes assumed wrong; ``None``: estimated.
        folds: parts for cross-fitting by image.
        copies: planted copies; ``None``: as many as give about 5000 planted errors.
        plant_rate: planted errors per labelled box.
        learn: learn from planted errors at all; otherwise candidates are ranked by disagreement.
        method: ``planted``: the finder that learns from errors it plants; ``meta``: the meta classifier of
            detections (see :mod:`dubio.errors.boxes.meta`), which finds missing objects only.
        seed: seed.
    """

    classes: tuple[int, ...] | None = None
    kinds: tuple[str, ...] | None = None
    max_findings: int = 500
    min_probability: float = 0.0
    error_rate: float | None = None
    folds: int = 5
    copies: int | None = None
    plant_rate: float = 0.08
    learn: bool = True
    method: Literal["planted", "meta"] = "planted"
    seed: int = 0


@dataclass(frozen=True)
class BoxAudit:
    """What an audit of boxes found.

    Attributes:
        works: results per image, by image id.
        found: all places with their probabilities.
        findings: the list, most probable first.
        scores: scores of the images, in the order of the works.
        images: their table, most suspect first (:mod:`dubio.errors.image_scores`).
    """

    works: list[BoxWork]
    found: Found
    findings: list[Finding]
    scores: ImageScores
    images: pa.Table


def audit_boxes(
    dataset: BoxDataset,
    predictions: Mapping[str, DetPrediction],
    options: BoxAuditOptions | None = None,
    *,
    workers: int | None = None,
    reviewed: Reviewed | None = None,
) -> BoxAudit:
    """Find the label errors of a detection data set.

    Candidates are the labelled boxes and the objects that the detector sees and no label meets. A classifier
    that learned from errors planted into copies of the other images' labels scores them (cross-fitted by
    image); its probabilities are shifted to the error rate of the labels as given
    (:mod:`dubio.errors.prior`). Nothing is written.

    Args:
        dataset: images with labelled boxes; none in an image is normal.
        predictions: detections by image id, low scores included. Images that are not there are left out; one
            where nothing was detected is there with no boxes.
        options: see :class:`BoxAuditOptions`.
        workers: models fitted at once; default: all processors. The result does not depend on it.
        reviewed: verdicts of earlier audits (``read_reviewed(folders, BOXES)``).

    Raises:
        InputError: no image with detections, or detections that don't fit the classes.

    >>> from dubio.core.boxes import BoxLabels, BoxSample
    >>> from dubio.data.boxes.table import space_of
    >>> data = BoxDataset("two", space_of("two", ["cat", "dog"]), (BoxSample("a", width=64, height=48),),
    ...                   {"a": BoxLabels(np.array([[2., 2, 20, 20]]), np.array([0]))})
    >>> seen = {"a": DetPrediction(np.array([[2., 2, 20, 21], [30, 8, 60, 40]]), np.array([.8, .7]),
    ...                            np.array([0, 1]), 2)}
    >>> [(f.kind, f.proposed) for f in audit_boxes(data, seen).findings][:1]
    [('missing', 'dog')]
    """
    options = options or BoxAuditOptions()
    works = collect_boxes(dataset, predictions, options)
    if options.method == "meta":
        from dubio.errors.boxes.meta import find_by_meta

        found = find_by_meta(dataset, predictions, works, folds=options.folds, seed=options.seed)
    else:
        found = find(
            works, folds=options.folds, seed=options.seed, error_rate=options.error_rate, workers=workers,
            reviewed=reviewed,
        )  # fmt: skip
    scores = score_images(works, found, folds=options.folds, seed=options.seed)
    findings = choose_boxes(
        works, found, dataset.space, classes=options.classes, kinds=options.kinds,
        max_findings=options.max_findings, min_probability=options.min_probability,
    )  # fmt: skip
    return BoxAudit(works, found, findings, scores, image_table(works, scores, findings))


def collect_boxes(
    dataset: BoxDataset,
    predictions: Mapping[str, DetPrediction],
    options: BoxAuditOptions | None = None,
) -> list[BoxWork]:
    """Candidates, rows to learn from and measures of all images, by image id.

    Args:
        dataset: images with labelled boxes.
        predictions: detections by image id.
        options: see :class:`BoxAuditOptions`.

    Raises:
        InputError: no image with detections, or detections that don't fit the classes.
    """
    options = options or BoxAuditOptions()
    judged = tuple(s for s in dataset if s.image_id in predictions)
    if not judged:
        raise InputError(
            "there are no detections of its images", path=dataset.root, remedy="are the image ids the same?"
        )
    scene = read_scene(replace(dataset, samples=judged), predictions)
    found = Relations.of(scene)
    known = Background.of(scene, found, crowding(scene))
    bar = score_bar(scene, found)
    where = find_candidates(scene, found, bar)
    x = feature_rows(scene, found, where, known).astype(np.float32)
    lessons = learn(scene, known, bar, lesson_for(len(scene.given), len(x), options))
    whole = measure_whole(scene, found, seed=options.seed, faults=options.learn)
    of = BoxSet(scene, found, known, where)
    box, image = boxes_of(scene, where)
    order = np.argsort(image, kind="stable")
    ends = np.searchsorted(image[order], np.arange(scene.n_images + 1))
    rows = np.searchsorted(lessons.image, np.arange(scene.n_images + 1))
    x, group, hull = x[order], where.group[order], hull_of(box[order])
    searched = np.bincount(scene.given.image[~scene.given.off], minlength=scene.n_images)
    works = []
    for i, name in enumerate(scene.image_id):
        part = slice(ends[i], ends[i + 1])
        places = BoxPlaces(x[part], group[part], hull[part], order[part])
        planting = _planting(lessons, slice(rows[i], rows[i + 1]), i)
        shape = (int(scene.size[i, 0]), int(scene.size[i, 1]))
        works.append(BoxWork(name, shape, places, planting, whole[i], int(searched[i]), of))
    return works


def lesson_for(n_boxes: int, n_candidates: int, options: BoxAuditOptions) -> BoxLesson:
    """What is planted into so many labelled boxes."""
    if not options.learn or n_boxes == 0:
        return BoxLesson(copies=0, seed=options.seed)
    in_one = options.plant_rate * n_boxes
    wanted = max(1, round(_ENOUGH / max(in_one, 1)))
    copies = options.copies if options.copies is not None else min(wanted, _MOST_COPIES)
    images = min(1.0, _ENOUGH / max(in_one * copies, 1))
    others = _OTHERS * in_one / max(n_candidates, 1)
    return BoxLesson(
        copies=copies, rate=options.plant_rate, images=images, seed=options.seed, others=min(others, 1.0)
    )


def _planting(lessons: Lessons, rows: slice, image: int) -> BoxPlanting:
    return BoxPlanting(
        lessons.x[rows], lessons.y[rows], lessons.weight[rows], lessons.group[rows], lessons.kind[rows],
        lessons.usual[rows], int(lessons.planted[image]), int(lessons.met[image]),
    )  # fmt: skip


def hull_of(box: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """Whole pixels that boxes touch, ``(n, 4)``; at least one each way."""
    low, high = np.floor(box[:, :2]), np.ceil(box[:, 2:])
    return np.concatenate([low, np.maximum(high, low + 1)], 1).astype(np.int32)
