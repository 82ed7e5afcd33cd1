"""Whether a calibration fits a detector: asked before any picture is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dubio.calibration.boxes.bundle import DetectionCalibration
from dubio.core.boxes import DetPrediction, Floats
from dubio.core.errors import InputError
from dubio.core.labelspace import LabelSpace
from dubio.models.det.source import DetectionSource


def check_calibration(calibration: DetectionCalibration, source: DetectionSource) -> None:
    """Make sure that a calibration fits what a detector gives, by a detection like its own.

    Args:
        calibration: of ``dubio calibrate --boxes``.
        source: the detector; it looks at one black picture.

    Raises:
        InputError: it is of other classes, or needs what the detector doesn't state.
    """
    check_classes(calibration, source.space)
    (seen,) = source.predict([np.zeros((64, 64, 3), np.uint8)], ["blank"])
    try:
        calibration.apply(_example(seen), (64, 64))
    except InputError as error:
        raise InputError(
            f"the calibration doesn't fit this detector: {error.fault}",
            remedy=error.remedy or "calibrate on detections of this detector",
        ) from error


def check_classes(calibration: DetectionCalibration, space: LabelSpace) -> None:
    """Make sure that a calibration knows the classes of a label space, in their order.

    Classes that nobody has named are taken by their numbers.

    Args:
        calibration: of ``dubio calibrate --boxes``.
        space: the classes of the detections.

    Raises:
        InputError: it is of other classes.
    """
    calibration.check(len(space))
    known, names = calibration.names, space.names
    if space.name == "unnamed" or [n.casefold() for n in known] == [n.casefold() for n in names]:
        return
    raise InputError(
        f"the calibration is of other classes ({_few(known)}) than the detections ({_few(names)})",
        remedy="calibrate on detections of the same classes, or name the label space that they were of",
    )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _example(seen: DetPrediction) -> DetPrediction:
    """One detection that states what these do."""
    c = seen.n_classes

    def like(values: object, row: Floats) -> Floats | None:
        return None if values is None else row

    return replace(
        seen,
        boxes=np.array([[8.0, 8, 32, 32]]),
        scores=np.array([0.5]),
        classes=np.zeros(1, np.int64),
        class_scores=like(seen.class_scores, np.full((1, c), 0.5 / c)),
        box_aleatoric=like(seen.box_aleatoric, np.ones((1, 4))),
        box_epistemic=like(seen.box_epistemic, np.ones((1, 4))),
        class_variance=like(seen.class_variance, np.full((1, c), 1e-4)),
        expected_entropy=like(seen.expected_entropy, np.zeros(1)),
    )
