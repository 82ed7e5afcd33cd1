"""Average precision: the COCO evaluation by faster-coco-eval, and Pascal VOC's."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxDataset, DetPrediction
from dubio.core.errors import InputError
from dubio.regions.boxes.iou import pairwise_iou

Floats = npt.NDArray[np.float64]
COCO_THRESHOLDS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
ALL_THRESHOLDS = tuple(round(0.05 * k, 2) for k in range(1, 20))
_NAMES = (
    "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large",
    "ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large",
)  # fmt: skip
_LIMITS = (1, 10, 100)
# pixels: COCO's bounds of small, medium and large
_AREAS = ((0.0, 1e10), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10))


@dataclass(frozen=True)
class APResult:
    """Average precision and recall; NaN where there is no object to find.

    Attributes:
        figures: COCO's twelve: ``ap ap50 ap75 ap_small ap_medium ap_large ar1 ar10 ar100 ar_small
            ar_medium ar_large``.
        per_class: average precision (IoU .50 to .95) by class name, classes with objects only.
        per_class_50: the same at IoU .50.
        per_iou: average precision over all classes by IoU threshold, .05 to .95.
    """

    figures: dict[str, float]
    per_class: dict[str, float]
    per_class_50: dict[str, float]
    per_iou: dict[float, float]

    @property
    def ap(self) -> float:
        """Average precision over IoU .50 to .95."""
        return self.figures["ap"]

    @property
    def ap50(self) -> float:
        """Average precision at IoU .50."""
        return self.figures["ap50"]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            **self.figures,
            "per_class": self.per_class,
            "per_class_50": self.per_class_50,
            "per_iou": {f"{t:.2f}": v for t, v in self.per_iou.items()},
        }


def average_precision(dataset: BoxDataset, predictions: Mapping[str, DetPrediction]) -> APResult:
    """COCO's average precision and recall of detections.

    Crowds are passed over as in COCO. Difficult boxes (Pascal VOC) and ignored regions (KITTI's DontCare)
    are treated as crowds: a detection that lies half in them is neither right nor wrong. Small, medium and
    large objects are told apart by :attr:`~dubio.core.boxes.BoxLabels.object_areas` as in COCO: by the area
    of their outlines where the annotations state it, else by that of their boxes.

    Args:
        dataset: labelled boxes; images without boxes count.
        predictions: by image id; an image that isn't there has no detections.

    Raises:
        InputError: a prediction has another number of classes than the data set.
    """
    truth, found = _ground_truth(dataset), _detections(dataset, predictions)
    if not truth["annotations"]:
        nothing = dict.fromkeys(_NAMES, float("nan"))
        return APResult(nothing, {}, {}, dict.fromkeys(ALL_THRESHOLDS, float("nan")))
    # all thresholds of both families in one pass
    run = _evaluate(truth, found, tuple(sorted({*ALL_THRESHOLDS, *COCO_THRESHOLDS})))
    precision, recall = run["precision"], run["recall"]  # (T, R, K, A, M), (T, K, A, M)
    coco = [ALL_THRESHOLDS.index(t) for t in COCO_THRESHOLDS]
    at50, at75 = ALL_THRESHOLDS.index(0.5), ALL_THRESHOLDS.index(0.75)
    top = precision[:, :, :, 0, -1]
    values = [
        _mean(top[coco]), _mean(top[at50]), _mean(top[at75]),
        *(_mean(precision[coco][:, :, :, a, -1]) for a in (1, 2, 3)),
        *(_mean(recall[coco][:, :, 0, m]) for m in range(3)),
        *(_mean(recall[coco][:, :, a, -1]) for a in (1, 2, 3)),
    ]  # fmt: skip
    names = dataset.space.names
    with_objects = [k for k in range(len(names)) if (precision[:, :, k, 0, -1] > -1).any()]
    return APResult(
        dict(zip(_NAMES, values, strict=True)),
        {names[k]: _mean(top[coco][:, :, k]) for k in with_objects},
        {names[k]: _mean(top[at50][:, k]) for k in with_objects},
        {t: _mean(top[i]) for i, t in enumerate(ALL_THRESHOLDS)},
    )


def _ground_truth(dataset: BoxDataset) -> dict[str, Any]:
    notes: list[dict[str, Any]] = []
    classes = range(len(dataset.space))

    def add(image: int, box: Floats, category: int, crowd: bool, area: float) -> None:
        x1, y1, x2, y2 = box.tolist()
        sides = [x1, y1, x2 - x1, y2 - y1]
        notes.append(
            {
                "id": len(notes) + 1, "image_id": image, "category_id": category + 1, "bbox": sides,
                "area": area, "iscrowd": int(crowd),
            }
        )  # fmt: skip

    for k, sample in enumerate(dataset, start=1):
        labels = dataset.labels[sample.image_id]
        passed_over, areas = labels.crowd | labels.difficult, labels.object_areas
        for i in range(len(labels)):
            add(k, labels.boxes[i], int(labels.classes[i]), bool(passed_over[i]), float(areas[i]))
        for region in labels.ignore:
            for category in classes:
                add(k, region, category, True, float((region[2] - region[0]) * (region[3] - region[1])))
    return {
        "images": [{"id": k + 1} for k in range(len(dataset))],
        "categories": [{"id": k + 1, "name": name} for k, name in enumerate(dataset.space.names)],
        "annotations": notes,
    }


def _detections(dataset: BoxDataset, predictions: Mapping[str, DetPrediction]) -> list[dict[str, Any]]:
    found = []
    for k, sample in enumerate(dataset, start=1):
        if sample.image_id not in predictions:
            continue
        seen = predictions[sample.image_id]
        if seen.n_classes != len(dataset.space):
            raise InputError(
                f"the detections of '{sample.image_id}' have {seen.n_classes} classes, "
                f"the data set has {len(dataset.space)}"
            )
        sides = np.concatenate([seen.boxes[:, :2], seen.boxes[:, 2:] - seen.boxes[:, :2]], 1)
        for box, score, category in zip(
            sides.tolist(), seen.scores.tolist(), seen.classes.tolist(), strict=True
        ):
            found.append({"image_id": k, "category_id": category + 1, "bbox": box, "score": score})
    return found


def _evaluate(
    truth: dict[str, Any], found: list[dict[str, Any]], thresholds: Sequence[float]
) -> dict[str, npt.NDArray[np.float64]]:
    from faster_coco_eval import COCO, COCOeval_faster

    # the library reports on its own steps
    logging.getLogger("faster_coco_eval").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):
        gold = COCO(truth)
        seen = gold.loadRes(found) if found else COCO({**truth, "annotations": []})
        run = COCOeval_faster(gold, seen, "bbox", print_function=lambda *_: None)
        run.params.iouThrs = np.array(thresholds)
        run.params.maxDets = list(_LIMITS)
        run.params.areaRng = [list(pair) for pair in _AREAS]
        run.evaluate()
        run.accumulate()
    return {name: np.asarray(run.eval[name], np.float64) for name in ("precision", "recall")}


def _mean(values: npt.NDArray[Any]) -> float:
    known = values[values > -1]
    return float(known.mean()) if known.size else float("nan")


def voc_average_precision(
    dataset: BoxDataset,
    predictions: Mapping[str, DetPrediction],
    *,
    iou: float = 0.5,
    eleven_points: bool = False,
) -> dict[str, float]:
    """Average precision per class as Pascal VOC defines it.

    Every detection, the most confident first, is held against the labelled box of its class that it
    overlaps most; a second detection of the same box is wrong. Difficult boxes and crowds are passed over.

    Args:
        dataset: labelled boxes.
        predictions: by image id.
        iou: least IoU.
        eleven_points: mean of the precision at recall 0, .1 … 1 (VOC 2007), not the area under it.

    Returns:
        By class name; NaN without objects.

    Source: Everingham et al., The Pascal Visual Object Classes (VOC) Challenge, IJCV 2010.
    """
    return {
        name: _voc_class(dataset, predictions, k, iou, eleven_points)
        for k, name in enumerate(dataset.space.names)
    }


def _voc_class(
    dataset: BoxDataset, predictions: Mapping[str, DetPrediction], k: int, iou: float, eleven: bool
) -> float:
    scores: list[Floats] = []
    hits: list[npt.NDArray[np.int8]] = []
    objects = 0
    for sample in dataset:
        labels = dataset.labels[sample.image_id]
        labels = labels.take(labels.classes == k)
        passed_over = labels.crowd | labels.difficult
        objects += int((~passed_over).sum())
        seen = predictions.get(sample.image_id)
        if seen is None:
            continue
        seen = seen.take(seen.classes == k)
        seen = seen.take(np.argsort(-seen.scores, kind="stable"))
        overlap = pairwise_iou(seen.boxes, labels.boxes)
        hit = np.zeros(len(seen), np.int8)
        used: set[int] = set()
        for i in range(len(seen)):
            j = int(overlap[i].argmax()) if len(labels) else -1
            if j < 0 or overlap[i, j] < iou:
                continue
            hit[i] = -1 if passed_over[j] else int(j not in used)
            used.add(j)
        scores.append(seen.scores)
        hits.append(hit)
    if not objects:
        return float("nan")
    if not scores:
        return 0.0
    score, right = np.concatenate(scores), np.concatenate(hits)
    kept = right >= 0
    ordered = right[kept][np.argsort(-score[kept], kind="stable")].astype(np.float64)
    true = np.cumsum(ordered)
    recall, precision = true / objects, true / np.arange(1, len(true) + 1)
    if eleven:
        # a recall of exactly 0.6 fails by one rounding, here as in every other implementation
        return float(np.mean([precision[recall >= r].max(initial=0) for r in np.linspace(0, 1, 11)]))
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((best * np.diff(recall, prepend=0)).sum())
