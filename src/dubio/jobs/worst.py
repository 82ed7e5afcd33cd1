"""Pictures of the images on which a model does worst."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dubio.core.errors import InputError
from dubio.core.files import digest
from dubio.core.records import SegPrediction
from dubio.data.domains import Domain, Item, read_item
from dubio.jobs.candidates import Candidate
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
        name = digest([variant.name, domain.name, domain.key(), sample.image_id])
        path = folder / f"{name}.jpg"
        try:
            item = read_item(domain, sample, with_image=sample.image is not None)
            _, prediction, _ = next(iter(predictions_of(source, item, [variant])))
        except InputError:
            continue
        titles = _draw(path, item, prediction, variant, domain)
        rows.append(
            {"image_id": sample.image_id}
            | {f: row[f] for f in _FIGURES}
            | {"picture": {"src": f"pictures/{name}.jpg", "tiles": len(titles), "titles": titles}}
        )
    return rows


def _draw(path: Path, item: Item, prediction: SegPrediction, variant: Variant, domain: Domain) -> list[str]:
    scores = pixel_scores(prediction)
    return draw_examined(
        path, item.image, item.label, scores.pred, scores.doubt, domain.dataset.space, temperature=None
    )
