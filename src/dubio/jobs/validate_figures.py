"""Figures of a validation: what is found, how well it is placed, per class, and confidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxDataset, Floats
from dubio.core.seeds import rng_for
from dubio.jobs.box_pairs import BoxPairs
from dubio.jobs.validate_calibrators import LEAST_SCORE, Calibrators
from dubio.jobs.validate_pairs import FALSE, FOUND, MISSED, WRONG_CLASS
from dubio.jobs.validate_rows import ValidationRows
from dubio.regions.boxes.table import STATES
from dubio.reliability.boxes.average_precision import APResult
from dubio.reliability.boxes.class_figures import BINS, confidence_figures
from dubio.reliability.boxes.resample import BLOCK, image_weights
from dubio.reliability.confidence import reliability_curve

_POINTS = 60  # of a precision-recall curve
_CURVES = 8  # classes with a curve of their own
RAW, CALIBRATED = "as it is", "calibrated"


def counts_of(rows: ValidationRows) -> dict[str, int]:
    """Number of rows by state."""
    found = np.bincount(rows["state"], minlength=len(STATES))
    return {name: int(found[k]) for k, name in enumerate(STATES)}


def detection_figures(
    rows: ValidationRows, *, replicates: int = 1000, seed: int = 0
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Figures of all rows, with bootstrap intervals over images.

    ``precision`` and ``recall`` ask for the right class. ``missed``: share of the labelled boxes that no
    detection of any class stands for. ``misclassification``: share of the paired ones whose class is wrong.
    ``mean_iou`` and ``rmse`` (pixels) are of the paired ones; all four corners count, also those at the
    picture's border.

    Args:
        rows: the rows.
        replicates: of the bootstrap; 0: no intervals.
        seed: its seed.

    Returns:
        Figures, and their 90 % intervals. Figures are NaN where there is nothing to divide by.
    """
    per_image = _sums(rows, rows["image"], len(rows.names))
    found = _figures_of(per_image.sum(0)[None])
    figures = {name: float(v[0]) for name, v in found.items()}
    if replicates < 1 or len(rows.names) < 2:
        return figures, {}
    rng, n = rng_for(seed, "validation bootstrap"), len(per_image)
    drawn: list[Floats] = []
    for start in range(0, replicates, BLOCK):
        weight = image_weights(rng, n, min(BLOCK, replicates - start))
        drawn.append(np.column_stack(list(_figures_of(weight @ per_image).values())))
    ends = {k: ends_of(v) for k, v in zip(figures, np.concatenate(drawn).T, strict=True)}
    return figures, {k: v for k, v in ends.items() if v is not None}


def ends_of(draws: Floats, share: float = 0.9) -> tuple[float, float] | None:
    """Percentiles that hold this share of the draws that are defined; ``None``: none is."""
    known = draws[np.isfinite(draws)]
    if not len(known):
        return None
    low, high = np.quantile(known, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def class_rows(
    rows: ValidationRows, dataset: BoxDataset, precision: APResult, voc: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """A row per class with labelled boxes or detections: counts, figures, average precision.

    A wrong class is a box of the given class that isn't found, and a detection of the predicted class that
    is none.
    """
    n = len(dataset.space)
    given, predicted, state = rows["given_class"], rows["predicted_class"], rows["state"]
    own = np.where(given >= 0, given, predicted)
    sums = _sums(rows, own, n)
    figures = _figures_of(sums)
    # what was taken for this class though it is another
    taken_for = np.bincount(predicted[state == WRONG_CLASS], minlength=n)
    found = []
    for k, name in enumerate(dataset.space.names):
        hits, wrong, missed, false = sums[k, :4].astype(int).tolist()
        if not sums[k, :4].sum() and not taken_for[k]:
            continue
        seen = hits + false + int(taken_for[k])
        found.append(
            {
                "name": name,
                "color": [int(v) for v in dataset.space.palette[k]],
                "labels": hits + wrong + missed,
                "found": hits,
                "wrong_class": wrong,
                "missed": missed,
                "false": false,
                "taken_for": int(taken_for[k]),
                "precision": hits / seen if seen else float("nan"),
                "recall": float(figures["recall"][k]),
                "mean_iou": float(figures["mean_iou"][k]),
                "rmse": float(figures["rmse"][k]),
                "ap": precision.per_class.get(name, float("nan")),
                "ap50": precision.per_class_50.get(name, float("nan")),
                **({} if voc is None else {"voc": voc[name]}),
            }
        )
    return found


def _sums(rows: ValidationRows, group: npt.NDArray[np.int64], n: int) -> Floats:
    """``(n, 8)`` sums per group: four states, pairs, their IoU, coordinates, their squared residuals."""
    state, paired = rows["state"], rows.paired
    square = np.where(paired, (rows.residual**2).sum(1), 0.0)
    overlap = np.where(paired, rows["iou"], 0.0)
    columns = [
        *((state == k).astype(np.float64) for k in (FOUND, WRONG_CLASS, MISSED, FALSE)),
        paired.astype(np.float64), overlap, 4.0 * paired, square,
    ]  # fmt: skip
    kept = group >= 0
    return np.column_stack([np.bincount(group[kept], c[kept], n) for c in columns])


def _figures_of(sums: Floats) -> dict[str, Floats]:
    hits, wrong, missed, false, paired, overlap, coordinates, square = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = hits / (hits + wrong + false)
        recall = hits / (hits + wrong + missed)
        return {
            "precision": precision,
            "recall": recall,
            "f1": 2 * hits / (2 * hits + 2 * wrong + false + missed),
            "missed": missed / (hits + wrong + missed),
            "misclassification": wrong / paired,
            "mean_iou": overlap / paired,
            "rmse": np.sqrt(square / coordinates),
        }


def best_score(pairs: BoxPairs, labelled: int) -> float:
    """The least score that a user would choose: where F1 is greatest; 0 if nothing is right.

    Args:
        pairs: of all detections; the surer ones chose first, so that a bar only cuts their tail off.
        labelled: number of labelled boxes that count.
    """
    if not pairs.right.any():
        return 0.0
    order = np.argsort(-pairs.rows.scores, kind="stable")
    scores, hits = pairs.rows.scores[order], np.cumsum(pairs.right[order])
    f1 = 2 * hits / (np.arange(1, len(scores) + 1) + labelled)
    # of equal scores all are kept or none
    last = np.append(scores[1:] < scores[:-1], True)
    return float(scores[np.where(last, f1, -1.0).argmax()])


def labelled_boxes(dataset: BoxDataset) -> npt.NDArray[np.int64]:
    """Number of labelled boxes that count, by class."""
    found = np.zeros(len(dataset.space), np.int64)
    for sample in dataset:
        labels = dataset.labels[sample.image_id]
        counted = labels.classes[~(labels.crowd | labels.difficult)]
        found += np.bincount(counted, minlength=len(found))
    return found


def precision_recall(dataset: BoxDataset, pairs: BoxPairs) -> list[dict[str, Any]]:
    """Precision against recall over all scores: all classes together, and those with most labelled boxes."""
    labelled = labelled_boxes(dataset)
    classes = [int(k) for k in np.argsort(-labelled, kind="stable")[:_CURVES] if labelled[k]]
    whole = np.ones(len(pairs), bool)
    found = [{"name": "all classes", **_curve(pairs, whole, int(labelled.sum()))}]
    if len(dataset.space) > 1:
        for k in classes:
            mine = pairs.rows.classes == k
            found.append({"name": dataset.space.names[k], **_curve(pairs, mine, int(labelled[k]))})
    return found


def _curve(pairs: BoxPairs, mine: npt.NDArray[np.bool_], labelled: int) -> dict[str, list[float]]:
    scores, right = pairs.rows.scores[mine], pairs.right[mine]
    if not len(scores) or not labelled:
        return {"recall": [], "precision": [], "score": []}
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    recall, precision = hits / labelled, hits / np.arange(1, len(hits) + 1)
    at = np.unique(np.searchsorted(recall, np.linspace(0, recall[-1], _POINTS)).clip(0, len(recall) - 1))
    return {
        "recall": recall[at].tolist(),
        "precision": precision[at].tolist(),
        "score": scores[order][at].tolist(),
    }


def confidence_part(pairs: BoxPairs, calibrators: Calibrators | None) -> dict[str, Any]:
    """Whether confidence is true, before and after calibration; detections from a score of .05 on."""
    kept = pairs.rows.scores >= LEAST_SCORE
    rows, right = pairs.rows.take(kept), pairs.right[kept]
    values = {RAW: rows.scores}
    if calibrators is not None and all(c.confidence is not None for c in calibrators.parts):
        fold = np.array([calibrators.fold(name) for name in rows.names], np.int64)[rows.image]
        found = np.full(len(rows), np.nan)
        for k, calibration in enumerate(calibrators.parts):
            here = fold == k if calibrators.folds else np.ones(len(rows), bool)
            if here.any() and calibration.confidence is not None:
                found[here] = calibration.confidence.confidence(rows.take(here))
        values[CALIBRATED] = np.clip(found, 0, 1)
    return {
        "figures": {name: confidence_figures(v, right) for name, v in values.items()},
        "curves": {name: _reliability(v, right) for name, v in values.items() if len(v)},
    }


def _reliability(confidence: Floats, right: npt.NDArray[np.bool_]) -> dict[str, list[float | None]]:
    bins = reliability_curve(np.clip(confidence, 0, 1), right, BINS)
    columns = {"confidence": bins.confidence, "accuracy": bins.accuracy, "count": bins.count}
    return {k: [None if np.isnan(x) else float(x) for x in v] for k, v in columns.items()}
