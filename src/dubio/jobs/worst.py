"""Pictures of the images on which a model does worst."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.calibration.classwise import ClasswiseTemperature
from dubio.calibration.local import LocalTemperature
from dubio.core.errors import InputError
from dubio.core.files import digest, fingerprint
from dubio.core.records import PredictionSource, SegPrediction
from dubio.data.domains import Domain, Item, read_item
from dubio.data.images import fit_image
from dubio.data.logits import log_scores
from dubio.jobs.candidates import Candidate, raw_scores
from dubio.jobs.examine import Variant, predictions_of
from dubio.reliability.table import DomainStates
from dubio.report.reliability_pictures import draw_examined
from dubio.uncertainty.pixel import pixel_scores

_FIGURES = ("accuracy", "mean_iou", "ece", "mean_confidence")


def draw_worst(
    candidate: Candidate,
    domain: Domain,
    variant: Variant,
    found: DomainStates,
    folder: Path,
    *,
    count: int,
) -> list[dict[str, Any]]:
    """The images with the largest calibration error, drawn: image, label, prediction, errors and doubt.

    Args:
        candidate: the model.
        domain: the domain.
        variant: the model as it is, or calibrated.
        found: figures of the images.
        folder: where pictures go; one that is there already is kept.
        count: how many.

    Returns:
        Rows with ``image_id``, figures and ``picture``.
    """
    known = [r for r in found.rows if r["pixels"]]
    worst = sorted(known, key=lambda r: (-r["ece"], r["image_id"]))[:count]
    samples = {s.image_id: s for s in domain.dataset}
    if not worst:
        return []
    source = candidate.source(domain)
    rows = []
    for row in worst:
        sample = samples[row["image_id"]]
        depends = [variant.name, domain.name, domain.key(), sample.image_id, source.key()]
        calibrator = None if variant.calibrator is None else variant.calibrator.key()
        name = digest([*depends, calibrator, fingerprint([sample.image, sample.label])])
        path = folder / f"{name}.jpg"
        try:
            item = read_item(domain, sample, with_image=sample.image is not None)
            _, prediction, _ = next(iter(predictions_of(source, item, [variant])))
            temperature = _temperature(source, item, variant)
        except InputError:
            continue
        titles = _draw(path, item, prediction, domain, temperature)
        rows.append(
            {"image_id": sample.image_id}
            | {f: row[f] for f in _FIGURES}
            | {"picture": {"src": f"pictures/{name}.jpg", "tiles": len(titles), "titles": titles}}
        )
    return rows


def _temperature(source: PredictionSource, item: Item, variant: Variant) -> npt.NDArray[np.float32] | None:
    """Temperature of each pixel, of calibrators that have one and that differs from pixel to pixel."""
    calibrator = variant.calibrator or getattr(source, "calibrator", None)
    if not isinstance(calibrator, LocalTemperature | ClasswiseTemperature):
        return None
    raw = raw_scores(source, item)
    if raw is None:
        return None
    size = (int(raw.scores.shape[1]), int(raw.scores.shape[2]))
    image = None if item.image is None else fit_image(item.image, size)
    return calibrator.temperature_map(log_scores(raw.scores, raw.kind), image=image)


def _draw(
    path: Path,
    item: Item,
    prediction: SegPrediction,
    domain: Domain,
    temperature: npt.NDArray[np.float32] | None,
) -> list[str]:
    scores, space = pixel_scores(prediction), domain.dataset.space
    return draw_examined(
        path, item.image, item.label, scores.pred, scores.doubt, space, temperature=temperature
    )
