"""A data set and its detections, put into columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.core.errors import InputError
from dubio.data.boxes.pictures import size_of
from dubio.errors.boxes import kernels
from dubio.errors.boxes.confidence import Confidence
from dubio.errors.boxes.scene import Flags, Floats, Given, Ints, Scene, Seen, starts_of
from dubio.errors.odds import expit

# A class looks unlabelled if the model is this sure of so many objects of it where nothing is labelled, and
# labels of it are fewer than this share of them.
_SURE, _MANY, _NEXT_TO_NONE = 0.5, 10, 0.1
# A box that lies this much in an ignored region or a crowd says nothing, and nothing is said of it.
IGNORED = 0.5


def read_scene(dataset: BoxDataset, predictions: Mapping[str, DetPrediction]) -> Scene:
    """Put a data set and its detections into columns.

    Crowds become ignored regions. Images without labels or without detections are normal.

    Args:
        dataset: images and labels.
        predictions: detections by image id; images that are not there have none.

    Raises:
        InputError: no image, a class beyond the label space, or detections with and without the scores of
            all classes.
    """
    samples = sorted(dataset.samples, key=lambda s: s.image_id)
    if not samples:
        raise InputError("has no images to audit", path=dataset.root)
    names = dataset.space.names
    order = np.array(sorted(range(len(names)), key=lambda k: names[k]), np.int64)
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    labels = [dataset.labels[s.image_id] for s in samples]
    found = [predictions.get(s.image_id) for s in samples]
    size = np.array([_size(*parts) for parts in zip(samples, labels, found, strict=True)], np.float64)
    given, ignore, ignore_start = _given(labels, number)
    given = given.changed(off=kernels.covered(given.box, given.start, ignore, ignore_start) >= IGNORED)
    c = _columns(found, number, order)
    box, start, raw, cls, scores = c["box"], c["start"], c["raw"], c["cls"], c["scores"]
    ignored = kernels.covered(box, start, ignore, ignore_start) >= IGNORED
    right = kernels.true_positives(box, cls, start, given.box, given.cls, given.start)
    gaps = find_gaps(c, given, ~ignored, right, len(names))
    told = ~ignored & ~gaps[cls]
    confidence = Confidence.fit(raw[told], right[told])
    conf = confidence(raw)
    head = kernels.objects(box, start)
    by_class, rival = None, kernels.rivals(head, cls, conf, start)
    if scores is not None and scores.shape[1] > 1 and len(box):
        rows = np.arange(len(box))
        by_class = Confidence.fit(scores[rows, cls][told], right[told])
        others = scores.copy()
        others[rows, cls] = -np.inf
        rival = by_class(others.max(1))
    seen = Seen(
        box, raw, conf, cls, c["image"], start, c["place"], ignored, head, rival, scores, c["variance"]
    )
    ids = tuple(s.image_id for s in samples)
    return Scene(ids, size, given, seen, order, confidence, by_class, tuple(labels), gaps)


def find_gaps(c: dict[str, Any], given: Given, told: Flags, right: Flags, n_classes: int) -> Flags:
    """Classes that look unlabelled throughout, ``(C,)``.

    The model is sure of many objects of the class, next to none is labelled, and nothing else is labelled in
    their place. Such objects teach nothing: among the labels as given they would pass for usual.

    Args:
        c: columns of the detections.
        given: labelled boxes.
        told: detections that are not ignored.
        right: detections that meet a label of their class.
        n_classes: number of classes.
    """
    conf = Confidence.fit(c["raw"][told], right[told])(c["raw"])
    nobody = np.zeros(len(given), np.int64)
    met = kernels.true_positives(
        c["box"], np.zeros(len(conf), np.int64), c["start"], given.box, nobody, given.start
    )
    free = told & (conf >= _SURE) & ~met
    alone = np.bincount(c["cls"][free], minlength=n_classes)
    labelled = np.bincount(given.cls[~given.off], minlength=n_classes)
    return np.asarray((alone >= _MANY) & (labelled < _NEXT_TO_NONE * alone))


def gap_sentences(scene: Scene, names: Sequence[str]) -> list[str]:
    """What is to be said of classes that look unlabelled throughout.

    Args:
        scene: labels and detections.
        names: class names of the label space.
    """
    s, g = scene.seen, scene.given
    found = []
    for k in np.flatnonzero(scene.gaps).tolist():
        seen = int(((s.cls == k) & (s.conf >= _SURE) & (s.head == np.arange(len(s)))).sum())
        labelled = int((g.cls == k).sum())
        found.append(
            f"'{names[int(scene.classes[k])]}' looks unlabelled throughout: the model is sure of {seen} "
            f"objects, {labelled or 'none'} of the boxes {'are' if labelled != 1 else 'is'} of this class"
        )
    return found


def _size(sample: BoxSample, labels: BoxLabels, seen: DetPrediction | None) -> tuple[float, float]:
    """Height and width; where nobody says them, what the boxes take up."""
    try:
        return size_of(sample)
    except InputError:  # nothing else is asked of the picture here
        boxes = labels.boxes if seen is None else np.concatenate([labels.boxes, seen.boxes])
        far = boxes[:, 2:].max(0, initial=1.0)
        return float(far[1]), float(far[0])


def _given(labels: Sequence[BoxLabels], number: Ints) -> tuple[Given, Floats, Ints]:
    """Labelled boxes without crowds; ignored regions with them, and where each image's start."""
    count = [len(v) for v in labels]
    image = np.repeat(np.arange(len(labels)), count)
    box = np.concatenate([v.boxes for v in labels])
    raw = np.concatenate([v.classes for v in labels])
    if len(raw) and int(raw.max()) >= len(number):
        raise InputError(f"a label has the class index {int(raw.max())} of {len(number)} classes")
    cls, crowd = number[raw], np.concatenate([v.crowd for v in labels])
    known = {k: np.concatenate([_or_nan(v, k) for v in labels]) for k in ("occlusion", "truncation")}
    order = np.lexsort((box[:, 3], box[:, 2], box[:, 1], box[:, 0], cls, image))
    order = order[~crowd[order]]
    given = Given(
        box=box[order],
        cls=cls[order],
        image=image[order],
        start=starts_of(np.bincount(image[order], minlength=len(labels))),
        label=np.concatenate([np.arange(n) for n in count])[order],
        off=np.zeros(len(order), bool),
        difficult=np.concatenate([v.difficult for v in labels])[order],
        occlusion=known["occlusion"][order],
        truncation=known["truncation"][order],
    )
    regions = [np.concatenate([v.ignore, v.boxes[v.crowd]]) for v in labels]
    return given, np.concatenate(regions), starts_of([len(r) for r in regions])


def _or_nan(labels: BoxLabels, name: str) -> Floats:
    values = getattr(labels, name)
    return np.full(len(labels), np.nan) if values is None else np.asarray(values, np.float64)


def _columns(found: Sequence[DetPrediction | None], number: Ints, order: Ints) -> dict[str, Any]:
    there = [p for p in found if p is not None and len(p)]
    if not there:
        none = np.zeros(0)
        return {
            "box": np.zeros((0, 4)), "raw": none, "cls": none.astype(np.int64), "scores": None,
            "image": none.astype(np.int64), "place": none.astype(np.int64), "variance": None,
            "start": np.zeros(len(found) + 1, np.int64),
        }  # fmt: skip
    count = [0 if p is None else len(p) for p in found]
    image = np.repeat(np.arange(len(found)), count)
    box, raw = np.concatenate([p.boxes for p in there]), np.concatenate([p.scores for p in there])
    classes = np.concatenate([p.classes for p in there])
    if int(classes.max()) >= len(number):
        raise InputError(
            f"a detection has the class index {int(classes.max())} of {len(number)} classes",
            remedy="map the detector's classes to those of the labels",
        )
    cls, place = number[classes], np.concatenate([np.arange(n) for n in count])
    rows = np.lexsort((box[:, 3], box[:, 2], box[:, 1], box[:, 0], cls, -raw, image))
    scores, variance = _all_scores(there), _variances(there)
    return {
        "box": box[rows], "raw": raw[rows], "cls": cls[rows], "image": image[rows], "place": place[rows],
        "start": starts_of(count),
        "scores": None if scores is None else np.ascontiguousarray(scores[rows][:, order]),
        "variance": None if variance is None else variance[rows],
    }  # fmt: skip


def _all_scores(there: Sequence[DetPrediction]) -> npt.NDArray[np.float32] | None:
    known = [p.class_scores is not None for p in there]
    if not any(known):
        return None
    if not all(known):
        missing = there[known.index(False)].image_id
        raise InputError(
            f"detections of image '{missing}' lack the scores of all classes, others have them",
            remedy="give them for all images or for none",
        )
    return np.concatenate([_squashed(p) for p in there])


def _squashed(seen: DetPrediction) -> npt.NDArray[np.float32]:
    """Class scores in 0 … 1: of logits the sigmoid, which keeps their order."""
    scores = np.asarray(seen.class_scores, np.float64)
    return (expit(scores) if seen.kind == "logits" else scores).astype(np.float32)


def _variances(there: Sequence[DetPrediction]) -> Floats | None:
    """Total variances of the coordinates; NaN for images whose detections have none."""
    if all(p.box_aleatoric is None and p.box_epistemic is None for p in there):
        return None
    parts = []
    for p in there:
        kinds = [v for v in (p.box_aleatoric, p.box_epistemic) if v is not None]
        parts.append(np.sum(kinds, axis=0) if kinds else np.full((len(p), 4), np.nan))
    return np.concatenate(parts)
