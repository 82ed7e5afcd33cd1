"""Calibrations for validation: one from a file, or one per part of the images, fitted on all other parts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.calibration.boxes.bundle import DetectionCalibration
from dubio.calibration.boxes.crossfit import image_parts, tags_of
from dubio.calibration.boxes.methods import CLASSES, CONFIDENCES, SPREADS, default_spread
from dubio.calibration.boxes.rows import BoxRows, matched_rows
from dubio.core.boxes import BoxDataset, DetPrediction
from dubio.core.errors import InputError
from dubio.engine.map import Progress, silent
from dubio.jobs.box_pairs import BoxPairs, fingerprint_of
from dubio.jobs.calibration_fit import check_classes

Ints = npt.NDArray[np.int64]
# Fewer boxes or images than these teach a calibration nothing that holds elsewhere.
LEAST_MATCHED, LEAST_IMAGES = 40, 10
# Less confident detections are many and teach little; as 'dubio calibrate --boxes' has it.
LEAST_SCORE = 0.05


@dataclass(frozen=True)
class Calibrators:
    """Calibrations by image.

    Attributes:
        parts: the calibrations.
        folds: which of them an image gets; empty: all get the first.
        words: what they are, as a sentence.
        in_sample: whether they were fitted on the very images that are judged.
    """

    parts: tuple[DetectionCalibration, ...]
    folds: Mapping[str, int] = field(default_factory=dict)
    words: str = ""
    in_sample: bool = False

    def fold(self, image_id: str) -> int:
        """Number of the calibration of an image."""
        return self.folds.get(image_id, 0)

    def of(self, image_id: str) -> DetectionCalibration:
        """Calibration of an image."""
        return self.parts[self.fold(image_id)]


def from_file(calibration: DetectionCalibration, dataset: BoxDataset) -> Calibrators:
    """One calibration for all images.

    Raises:
        InputError: it knows other classes.
    """
    check_classes(calibration, dataset.space)
    about = calibration.about
    same = about.get("image_ids") == fingerprint_of(dataset)
    words = f"calibrated by a file that was fitted on {about.get('images', 'unknown')} images"
    if same:
        words += ", these very ones: calibrated figures are of images that it has seen"
    return Calibrators((calibration,), words=words, in_sample=same)


def cross_fitted(
    dataset: BoxDataset,
    predictions: Mapping[str, DetPrediction],
    pairs: BoxPairs,
    *,
    folds: int = 5,
    seed: int = 0,
    group: str | None = None,
    progress: Progress = silent,
) -> Calibrators:
    """One calibration per part of the images, fitted on the images of all other parts.

    Args:
        dataset: labelled boxes.
        predictions: detections by image id.
        pairs: of all detections (:func:`~dubio.jobs.box_pairs.pair_boxes`).
        folds: number of parts.
        seed: of the parts.
        group: domain tag whose images stay in one part, such as a scene.
        progress: wraps iterables to show progress.

    Raises:
        InputError: there is too little to learn from, or no image has the tag.
    """
    names = [s.image_id for s in dataset]
    corners = matched_rows(dataset, predictions, pairs.matches)
    corners = corners.take(corners.scores >= LEAST_SCORE)
    images = len(np.unique(corners.image))
    if len(corners) < LEAST_MATCHED or images < LEAST_IMAGES:
        raise InputError(
            f"{len(corners)} matched boxes in {images} images are too few to calibrate on",
            remedy=f"it takes {LEAST_MATCHED} in {LEAST_IMAGES}, or a file of 'dubio calibrate --boxes'",
        )
    part = image_parts(names, min(folds, images), seed, groups=tags_of(dataset, group))
    classes: Any = None
    with suppress(InputError):  # no class scores: there is nothing to calibrate
        classes = pairs.with_classes(dataset, predictions)
    count = int(part.max()) + 1
    steps = progress(range(count), count, "calibrating each part by the others")
    fitted = tuple(_fit(dataset, pairs, corners, classes, part, k) for k in steps)
    words = f"cross-fitted: each of {count} parts of the images by a fit on the others"
    if group is not None:
        words += f", images of one '{group}' in one part"
    return Calibrators(fitted, dict(zip(names, part.tolist(), strict=True)), words)


def _fit(
    dataset: BoxDataset, pairs: BoxPairs, corners: BoxRows, classes: Any, part: Ints, k: int
) -> DetectionCalibration:
    """A calibration on all images but those of part ``k``; what has nothing to learn from is left out."""
    found = DetectionCalibration(dataset.space.names, min_score=LEAST_SCORE)
    rest = corners.take(part[corners.image] != k)
    if len(rest):
        found.spread = SPREADS[default_spread(rest)]().fit(rest)
    mine = (part[pairs.rows.image] != k) & (pairs.rows.scores >= LEAST_SCORE)
    if pairs.right[mine].any() and not pairs.right[mine].all():
        found.confidence = CONFIDENCES["logistic"]().fit(pairs.rows.take(mine), pairs.right[mine])
    if classes is not None:
        seen, labels, image = classes
        kept = part[image] != k
        if kept.any():
            found.classes = CLASSES["temperature"]().fit(seen.class_scores[kept], seen.kind, labels[kept])
    return found
