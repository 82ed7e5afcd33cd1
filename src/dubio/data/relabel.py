"""From a model's own scores to a prediction in the label space: calibrator and class map, in this order."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.records import RawScores, ScoreCalibrator, SegPrediction
from dubio.data.classmap import map_channels
from dubio.data.images import fit_image
from dubio.data.logits import log_scores


def to_prediction(
    raw: RawScores,
    *,
    calibrator: ScoreCalibrator | None = None,
    image: npt.NDArray[np.uint8] | None = None,
    features: npt.NDArray[np.float32] | None = None,
    image_id: str = "",
) -> SegPrediction:
    """Calibrate and map what a model says.

    A calibrator of logits comes before the class map, so that it serves any label space; one of
    probabilities after it. Without either the scores are passed on as they are.

    Args:
        raw: the model's scores.
        calibrator: a fitted calibrator, or ``None``.
        image: ``(H, W, 3)`` uint8, for calibrators that look at it; of any size.
        features: ``(D,)`` features of the image, for calibrators that want them.
        image_id: the image.

    Raises:
        InputError: the calibrator was fitted for other channels.
    """
    return both_predictions(raw, calibrator=calibrator, image=image, features=features, image_id=image_id)[0]


def both_predictions(
    raw: RawScores,
    *,
    calibrator: ScoreCalibrator | None = None,
    image: npt.NDArray[np.uint8] | None = None,
    features: npt.NDArray[np.float32] | None = None,
    image_id: str = "",
) -> tuple[SegPrediction, SegPrediction]:
    """What a model says in the label space, and in its own channels (the same one without a class map).

    The second knows logits where the first, summed over channels, has probabilities only. See
    :func:`to_prediction`.
    """
    scores, kind, count = raw.scores, raw.kind, raw.n_classes
    if calibrator is not None and "image" in calibrator.needs and image is not None:
        image = fit_image(image, (int(scores.shape[1]), int(scores.shape[2])))
    if calibrator is not None and calibrator.stage == "logits":
        scores = calibrator.transform_map(log_scores(scores, kind), image=image, features=features)
        kind = "logits"
    own = SegPrediction(len(scores), scores=scores, kind=kind, image_id=image_id)
    if raw.pairs is not None:
        scores, kind = map_channels(scores, kind, raw.pairs, count), "probabilities"
    if calibrator is not None and calibrator.stage != "logits":
        scores = calibrator.transform_map(_probabilities(scores, kind), image=image, features=features)
        kind = "probabilities"
    mapped = SegPrediction(count, scores=scores, kind=kind, image_id=image_id)
    return mapped, own if raw.pairs is not None else mapped


def _probabilities(scores: npt.NDArray[Any], kind: str) -> npt.NDArray[np.float32]:
    values = np.asarray(scores, np.float32)
    if kind == "logits":
        values = np.exp(values - values.max(axis=0))
        values /= values.sum(axis=0)
    return values
