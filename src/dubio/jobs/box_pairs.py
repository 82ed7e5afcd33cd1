"""Detections of a data set, paired with its labelled boxes: what calibration and validation start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.calibration.boxes.rows import BoxRows, rows_of
from dubio.core.boxes import BoxDataset, DetPrediction
from dubio.core.errors import InputError
from dubio.core.files import digest
from dubio.regions.boxes.matching import Match, MatchMethod, match_boxes

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class BoxPairs:
    """All detections that count, and which of them are right.

    Attributes:
        rows: the detections, ignored ones left out.
        right: ``(N,)`` whether a detection stands for a labelled box of its class.
        matches: pairs by image id, class by class.
        blind: pairs by image id whatever the classes.
        min_score: detections below are not paired.
    """

    rows: BoxRows
    right: npt.NDArray[np.bool_]
    matches: Mapping[str, Match]
    blind: Mapping[str, Match]
    min_score: float = 0.0

    def __len__(self) -> int:
        return len(self.rows)

    def with_classes(
        self, dataset: BoxDataset, predictions: Mapping[str, DetPrediction]
    ) -> tuple[DetPrediction, Ints, Ints]:
        """Detections that stand for a labelled box of any class, its class, and the number of the image.

        Raises:
            InputError: they have no scores of all classes.
        """
        kept: list[DetPrediction] = []
        labels: list[Ints] = []
        image: list[Ints] = []
        for number, sample in enumerate(dataset):
            match = self.blind.get(sample.image_id)
            if match is None or not match.true_positive.any():
                continue
            own = np.flatnonzero(match.true_positive)
            kept.append(predictions[sample.image_id].take(own))
            labels.append(dataset.labels[sample.image_id].classes[match.label[own]])
            image.append(np.full(len(own), number, np.int64))
        if not kept:
            raise InputError("no detection meets a labelled box")
        if any(p.class_scores is None for p in kept):
            raise InputError("the detections have no scores of all classes")
        return _joined(kept), np.concatenate(labels), np.concatenate(image)


def _joined(parts: list[DetPrediction]) -> DetPrediction:
    def column(name: str) -> Any:
        values = [getattr(p, name) for p in parts]
        return None if any(v is None for v in values) else np.concatenate(values)

    names = ("boxes", "scores", "classes", "class_scores", "class_variance", "expected_entropy")
    return replace(
        parts[0], **{n: column(n) for n in names}, box_aleatoric=None, box_epistemic=None, image_id=""
    )


def fingerprint_of(dataset: BoxDataset) -> str:
    """Hash of the image ids: whether two sets are of the same images."""
    return digest([dataset.name, *sorted(s.image_id for s in dataset)])


def pair_boxes(
    dataset: BoxDataset,
    predictions: Mapping[str, DetPrediction],
    *,
    iou: float = 0.5,
    min_score: float = 0.0,
    method: MatchMethod = "greedy",
) -> BoxPairs:
    """Pair the detections of all images with the labelled boxes.

    Args:
        dataset: labelled boxes.
        predictions: detections by image id; images that are not there have none.
        iou: least IoU of a pair.
        min_score: less confident detections are left out.
        method: see :func:`~dubio.regions.boxes.matching.match_boxes`.
    """
    matches: dict[str, Match] = {}
    blind: dict[str, Match] = {}
    parts: list[BoxRows] = []
    right: list[npt.NDArray[np.bool_]] = []
    for number, sample in enumerate(dataset):
        seen = predictions.get(sample.image_id)
        if seen is None:
            continue
        labels = dataset.labels[sample.image_id]
        for store, aware in ((matches, True), (blind, False)):
            store[sample.image_id] = match_boxes(
                seen, labels, iou=iou, class_aware=aware, method=method, min_score=min_score
            )
        match = matches[sample.image_id]
        kept = np.flatnonzero(~match.ignored & (seen.scores >= min_score))
        size = None if not (sample.height and sample.width) else (sample.height, sample.width)
        rows = rows_of(seen.take(kept), size)
        parts.append(replace(rows, image=np.full(len(kept), number, np.int64), sigma=None))
        right.append(match.true_positive[kept])
    names = tuple(s.image_id for s in dataset)
    n_classes = len(dataset.space)
    if not parts:
        empty = np.zeros(0, np.int64)
        none = BoxRows(
            np.zeros((0, 4)), None, empty, np.zeros(0), np.zeros((0, 2)), n_classes, None, empty, names
        )
        return BoxPairs(none, np.zeros(0, bool), matches, blind, min_score)
    joined = {
        n: np.concatenate([getattr(p, n) for p in parts])
        for n in ("boxes", "classes", "scores", "frame", "image")
    }
    rows = BoxRows(**joined, sigma=None, n_classes=n_classes, names=names)
    return BoxPairs(rows, np.concatenate(right), matches, blind, min_score)
