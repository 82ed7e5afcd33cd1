"""A detector on spoilt pictures: figures per corruption beside those of the pictures as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import dubio
from dubio.core.boxes import BoxDataset, DetPrediction
from dubio.core.errors import InputError
from dubio.core.files import fingerprint, read_json, write_json
from dubio.core.run import Run
from dubio.data.corrupt.boxes import BoxCorruption
from dubio.engine.map import Progress
from dubio.jobs.validate_calibrators import Calibrators
from dubio.jobs.validate_detect import Detecting, detect_corrupted
from dubio.jobs.validate_figures import detection_figures
from dubio.jobs.validate_pairs import PairingOptions
from dubio.jobs.validate_rows import ValidationRows, validation_rows
from dubio.jobs.validate_uncertainty import corner_part
from dubio.reliability.boxes.average_precision import average_precision
from dubio.reliability.table import plain


@dataclass(frozen=True)
class Clean:
    """The pictures as they are.

    Attributes:
        dataset: images with labels.
        predictions: detections by image id.
        rows: of their validation.
        pairing: how boxes were paired; so are those of spoilt pictures.
    """

    dataset: BoxDataset
    predictions: Mapping[str, DetPrediction]
    rows: ValidationRows
    pairing: PairingOptions


def corrupted_rows(
    detecting: Detecting,
    clean: Clean,
    corruptions: Sequence[BoxCorruption],
    run: Run,
    calibrators: Calibrators | None,
    *,
    seed: int,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Figures of the pictures as they are, then one row per corruption; finished ones are found again.

    A calibration that was fitted on the pictures as they are is applied as it is: does it still hold?

    Returns:
        ``name``, ``labels`` left, ``ap``, ``ap50``, ``precision``, ``recall``, ``mean_iou``, ``rmse``;
        ``sharpness`` (stated sigma, pixels), ``ece`` and ``ece_calibrated`` of the corners;
        ``agreement`` (see :func:`~dubio.jobs.validate_detect.detect_corrupted`).
    """
    first = _row("as it is", clean.dataset, clean.predictions, clean.rows, calibrators)
    found = [{**first, "agreement": None, "moves": False}]
    for corruption in corruptions:
        depends = {
            "source": detecting.source.key(),
            "dubio": dubio.__version__,
            "corruption": corruption.title,
            "seed": seed,
            "pairing": asdict(clean.pairing),
            "calibration": None if calibrators is None else [c.describe() for c in calibrators.parts],
            "labels": fingerprint([clean.dataset.root]),
            "images": fingerprint(s.image for s in clean.dataset),
        }
        kept = run.part("corrupted", depends) / "figures.json"
        row = _kept(kept)
        if row is None:
            moved, predictions, agreement = detect_corrupted(
                detecting, clean.dataset, clean.predictions, corruption,
                min_score=clean.pairing.min_score, seed=seed, progress=progress,
            )  # fmt: skip
            rows = validation_rows(moved, predictions, clean.pairing, calibrators)
            row = _row(corruption.title, moved, predictions, rows, calibrators)
            row |= {"agreement": agreement, "moves": corruption.geometric}
            write_json(kept, plain(row))
        found.append(row)
    return found


def _row(
    name: str, dataset: BoxDataset, predictions: Mapping[str, DetPrediction], rows: ValidationRows,
    calibrators: Calibrators | None,
) -> dict[str, Any]:  # fmt: skip
    precision = average_precision(dataset, predictions)
    figures, _ = detection_figures(rows, replicates=0)
    total = corner_part(rows, calibrators, replicates=0).get("figures", {}).get("total", {})
    raw, calibrated = total.get("as it is", {}), total.get("calibrated", {})
    return {
        "name": name,
        "labels": int((rows["label"] >= 0).sum()),
        "ap": precision.ap,
        "ap50": precision.ap50,
        **{key: figures[key] for key in ("precision", "recall", "mean_iou", "rmse")},
        "sharpness": raw.get("sharpness"),
        "ece": raw.get("ece"),
        "ece_calibrated": calibrated.get("ece"),
    }


def _kept(path: Any) -> dict[str, Any] | None:
    """The row that an earlier run finished; what can't be read is done again."""
    if not path.is_file():
        return None
    try:
        found = read_json(path)
    except InputError:
        return None
    return found if isinstance(found, dict) and "ap" in found else None
