"""Columns of the region table of boxes, image by image."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxLabels, DetPrediction
from dubio.regions.boxes.iou import box_areas, pairwise_iou
from dubio.regions.boxes.matching import Match
from dubio.uncertainty.boxes.classes import class_entropy, mutual_information

Columns = dict[str, npt.NDArray[Any]]
CORNERS = ("x0", "y0", "x1", "y1")
KNOWN = ("occlusion", "truncation", "distance")
_NEAR = 0.1


def prediction_rows(
    seen: DetPrediction,
    size: tuple[int, int] = (0, 0),
    labels: BoxLabels | None = None,
    match: Match | None = None,
) -> Columns:
    """Columns of an image's detections (see :mod:`dubio.regions.boxes.table`).

    Args:
        seen: the detections.
        size: height and width of the picture; 0: unknown.
        labels: labelled boxes, for the label columns.
        match: which of them the detections stand for.
    """
    n = len(seen)
    columns = _shared(seen.boxes, seen.classes, size) | _near(seen.boxes, seen.classes, seen.scores)
    columns |= _class_columns(seen)
    columns["source"], columns["score"] = np.zeros(n, np.int8), seen.scores
    sides = np.maximum(seen.boxes[:, 2:] - seen.boxes[:, :2], 1e-9)
    total = np.zeros((n, 4))
    for kind, variance in (("al", seen.box_aleatoric), ("ep", seen.box_epistemic)):
        if variance is not None:
            columns |= {f"{kind}_{c}": np.sqrt(variance[:, i]) for i, c in enumerate(CORNERS)}
            total += variance
    known = seen.box_aleatoric is not None or seen.box_epistemic is not None
    if known:
        columns["sigma"] = np.sqrt((total / np.concatenate([sides, sides], 1) ** 2).mean(1))
    if seen.class_scores is not None:
        columns["cprob"] = seen.class_scores
    if match is None or labels is None:
        return columns
    paired = match.label >= 0
    partner = np.maximum(match.label, 0)
    wrong = paired & (labels.classes[partner] != seen.classes) if len(labels) else paired
    state = np.where(paired, np.where(wrong, 1, 0), 3)
    columns |= {
        "match": match.label + 1,
        "iou": np.nan_to_num(match.iou),
        "best_iou": match.best_iou,
        "state": np.where(match.ignored, 4, state),
    }
    for name in KNOWN:
        values = getattr(labels, name)
        if values is not None and len(labels):
            columns[name] = np.where(paired, values[partner], np.nan)
    return columns


def label_rows(
    labels: BoxLabels,
    size: tuple[int, int] = (0, 0),
    seen: DetPrediction | None = None,
    match: Match | None = None,
) -> Columns:
    """Columns of an image's labelled boxes (see :mod:`dubio.regions.boxes.table`)."""
    n = len(labels)
    columns = _shared(labels.boxes, labels.classes, size) | _near(labels.boxes, labels.classes, None)
    columns["source"] = np.ones(n, np.int8)
    columns |= {name: getattr(labels, name) for name in KNOWN if getattr(labels, name) is not None}
    if match is None:
        return columns
    paired = match.prediction >= 0
    best = np.zeros(n)
    if seen is not None and len(seen):
        best = pairwise_iou(labels.boxes, seen.boxes).max(1)
        wrong = paired & (seen.classes[np.maximum(match.prediction, 0)] != labels.classes)
    else:
        wrong = np.zeros(n, bool)
    state = np.where(paired, np.where(wrong, 1, 0), 2)
    return columns | {
        "match": match.prediction + 1,
        "iou": np.nan_to_num(match.label_iou),
        "best_iou": best,
        "state": np.where(match.label_ignored, 4, state),
    }


def _shared(boxes: npt.NDArray[np.float64], classes: npt.NDArray[Any], size: tuple[int, int]) -> Columns:
    area = box_areas(boxes)
    sides = boxes[:, 2:] - boxes[:, :2]
    columns: Columns = {name: boxes[:, i] for i, name in enumerate(CORNERS)}
    with np.errstate(divide="ignore", invalid="ignore"):
        columns |= {
            "region": np.arange(1, len(boxes) + 1),
            "class": classes,
            "size": area,
            "log_size": np.where(area > 0, np.log(area), np.nan),
            "aspect": np.where(area > 0, np.log(sides[:, 0] / sides[:, 1]), np.nan),
        }
    if min(size) > 0:
        frame = np.array([size[1], size[0]], np.float64)
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2 / frame
        gap = np.minimum(boxes[:, :2], frame - boxes[:, 2:])
        columns |= {"center_x": centre[:, 0], "center_y": centre[:, 1]}
        columns["border"] = (gap / np.maximum(sides, 1e-9)).min(1)
    return columns


def _near(boxes: npt.NDArray[np.float64], classes: npt.NDArray[Any], scores: Any) -> Columns:
    overlap = pairwise_iou(boxes, boxes)
    np.fill_diagonal(overlap, 0)
    close = overlap > _NEAR
    first = overlap.argmax(1)
    best = overlap.max(1)
    columns: Columns = {
        "near": close.sum(1),
        "near_same": (close & (classes[:, None] == classes[None, :])).sum(1),
        "near_iou": best,
    }
    if scores is not None:
        columns["near_score"] = np.where(best > 0, scores[first], np.nan)
    return columns


def _class_columns(seen: DetPrediction) -> Columns:
    scores, kind = seen.class_scores, seen.kind
    if scores is None or kind is None or kind == "logits" or not len(seen):
        return {}
    ordered = np.sort(scores, axis=1)
    second = ordered[:, -2] if scores.shape[1] > 1 else np.zeros(len(seen))
    columns: Columns = {
        "max_prob": ordered[:, -1],
        "margin": 1 - (ordered[:, -1] - second),
        "entropy": class_entropy(scores, kind),
    }
    if seen.expected_entropy is not None:
        columns["expected_entropy"] = seen.expected_entropy
        columns["mutual_information"] = mutual_information(seen)
    if seen.class_variance is not None:
        columns["class_std"] = np.sqrt(seen.class_variance[np.arange(len(seen)), seen.classes])
    return columns
