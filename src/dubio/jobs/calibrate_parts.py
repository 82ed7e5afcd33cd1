"""The parts of a detector's calibration, each fitted on some images and judged on the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.calibration.boxes.bundle import DetectionCalibration
from dubio.calibration.boxes.classes import calibrated_classes, object_scores
from dubio.calibration.boxes.conformal import SCOPES, ConformalIntervals
from dubio.calibration.boxes.crossfit import (
    CrossFitted,
    cross_fit,
    cross_fit_spread,
    stated,
)
from dubio.calibration.boxes.methods import (
    CLASSES,
    CONFIDENCES,
    PUBLISHED,
    SPREADS,
    WITHOUT_SIGMA,
    default_spread,
    maker,
)
from dubio.calibration.boxes.rows import SPREADS as KINDS_OF_SPREAD
from dubio.calibration.boxes.rows import BoxRows, Spread, matched_rows
from dubio.core.boxes import BoxDataset, DetPrediction, Floats
from dubio.core.errors import InputError
from dubio.jobs.box_pairs import BoxPairs
from dubio.reliability.boxes.class_figures import class_figures, confidence_figures
from dubio.reliability.boxes.intervals import LEVELS, interval_ece, urmse
from dubio.reliability.boxes.position import detection_calibration_error
from dubio.reliability.boxes.resample import level_figures, level_intervals
from dubio.reliability.confidence import reliability_curve

Flags = npt.NDArray[np.bool_]
RAW = "as it is"


@dataclass(frozen=True)
class BoxCalibrateOptions:
    """Options of calibrating a detector.

    Args:
        spread: method for corners; ``auto``: see :func:`~dubio.calibration.boxes.methods.default_spread`;
            ``none``: leave corners alone.
        classes: method for class scores, or ``none``.
        confidence: method for confidence, or ``none``.
        scope: of the conformal intervals: per ``coordinate``, whole ``box``, ``bonferroni``; ``none``.
        compare: also judge all other methods, the published ones among them.
        spread_of: which of the detector's variances is its sigma.
        iou: from this IoU on a detection is right.
        min_score: less confident detections are left out.
        folds: parts for cross-fitting by image.
        fold_group: domain tag whose images stay in one part, such as a scene; ``None``: each by itself.
        replicates: bootstrap over images; 0: no intervals.
        seed: seed.

    Raises:
        InputError: an unknown method.
    """

    spread: str = "auto"
    classes: str = "temperature"
    confidence: str = "logistic"
    scope: str = "coordinate"
    compare: bool = True
    spread_of: Spread = "total"
    iou: float = 0.5
    min_score: float = 0.05
    folds: int = 5
    fold_group: str | None = None
    replicates: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.spread not in ("auto", "none"):
            maker(SPREADS | PUBLISHED, self.spread, "corners")
        if self.classes != "none":
            maker(CLASSES, self.classes, "classes")
        if self.confidence != "none":
            maker(CONFIDENCES, self.confidence, "confidence")
        if self.scope not in (*SCOPES, "none"):
            raise InputError(f"there is no scope '{self.scope}'", remedy=f"one of {', '.join(SCOPES)}, none")
        if self.spread_of not in KINDS_OF_SPREAD:
            known = ", ".join(KINDS_OF_SPREAD)
            raise InputError(f"there is no spread '{self.spread_of}'", remedy=f"one of {known}")


def confidence_part(
    found: DetectionCalibration, dataset: BoxDataset, predictions: Any, pairs: BoxPairs, part: Any,
    options: BoxCalibrateOptions,
) -> dict[str, Any]:  # fmt: skip
    """Fit the confidence and judge all methods of it."""
    del dataset, predictions
    rows, right, mine = pairs.rows, pairs.right, part[pairs.rows.image]
    names = list(CONFIDENCES) if options.compare else [options.confidence]
    figures = {RAW: _stated(rows.scores, rows, right)}
    values: dict[str, Floats] = {RAW: rows.scores}
    for name in names if options.confidence != "none" else ():
        make = maker(CONFIDENCES, name, "confidence")
        values[name] = cross_fit(
            len(rows), mine,
            lambda m, make=make: make().fit(rows.take(m), right[m]),  # type: ignore[misc]
            lambda fitted, m: fitted.confidence(rows.take(m)),
        )  # fmt: skip
        figures[name] = _stated(values[name], rows, right)
    if options.confidence != "none":
        found.confidence = maker(CONFIDENCES, options.confidence, "confidence")().fit(rows, right)
    shown = [RAW, options.confidence] if options.confidence != "none" else [RAW]
    return {
        "chosen": options.confidence,
        "figures": figures,
        "curves": {name: _curve(values[name], right) for name in shown},
    }


def _stated(confidence: Floats, rows: BoxRows, right: Flags) -> dict[str, float]:
    p = np.clip(confidence, 0, 1)
    place = detection_calibration_error(p, right, rows.boxes, rows.frame)
    return confidence_figures(p, right) | {"d_ece": place}


def _curve(confidence: Floats, right: Flags) -> dict[str, list[float | None]]:
    bins = reliability_curve(np.clip(confidence, 0, 1), right, 10)
    columns = {"confidence": bins.confidence, "accuracy": bins.accuracy, "count": bins.count}
    return {k: [None if np.isnan(x) else float(x) for x in v] for k, v in columns.items()}


def classes_part(
    found: DetectionCalibration, dataset: BoxDataset, predictions: Mapping[str, DetPrediction],
    pairs: BoxPairs, part: Any, options: BoxCalibrateOptions,
) -> dict[str, Any]:  # fmt: skip
    """Fit the class probabilities and judge all methods of them."""
    seen, labels, image = pairs.with_classes(dataset, predictions)
    assert seen.class_scores is not None and seen.kind is not None  # noqa: PT018 - one fact
    scores, kind, mine = seen.class_scores, seen.kind, part[image]
    names = list(CLASSES) if options.compare else [options.classes]
    raw = object_scores(scores, kind)
    raw = raw / raw.sum(1, keepdims=True)
    figures, values = {RAW: class_figures(raw, labels)}, {RAW: raw}
    for name in names if options.classes != "none" else ():
        make = maker(CLASSES, name, "classes")
        values[name] = cross_fit(
            len(labels), mine,
            lambda m, make=make: make().fit(scores[m], kind, labels[m]),  # type: ignore[misc]
            lambda fitted, m: calibrated_classes(fitted, seen.take(m))[0],
        )  # fmt: skip
        figures[name] = class_figures(values[name], labels)
    if options.classes != "none":
        found.classes = maker(CLASSES, options.classes, "classes")().fit(scores, kind, labels)
    shown = [RAW, options.classes] if options.classes != "none" else [RAW]
    return {
        "chosen": options.classes,
        "figures": figures,
        "curves": {n: _curve(values[n].max(1), values[n].argmax(1) == labels) for n in shown},
    }


def corners_part(
    found: DetectionCalibration, dataset: BoxDataset, predictions: Mapping[str, DetPrediction],
    pairs: BoxPairs, part: Any, options: BoxCalibrateOptions,
) -> dict[str, Any]:  # fmt: skip
    """Fit sigma and law of the corners with their intervals, and judge all methods."""
    rows = matched_rows(dataset, predictions, pairs.matches, spread=options.spread_of)
    chosen = default_spread(rows) if options.spread == "auto" else options.spread
    table = SPREADS | PUBLISHED
    usable = [n for n in table if rows.sigma is not None or n in WITHOUT_SIGMA]
    names = [n for n in usable if options.compare or n == chosen]
    done: dict[str, CrossFitted] = {} if rows.sigma is None else {RAW: stated(rows)}
    for name in names if chosen != "none" else ():
        done[name] = cross_fit_spread(rows, part, table[name])
    if chosen != "none":
        if chosen not in done:
            maker({n: table[n] for n in usable}, chosen, "corners without stated variances")
        found.spread = table[chosen]().fit(rows)
        if options.scope != "none":
            intervals = ConformalIntervals(options.scope)  # type: ignore[arg-type]  # checked before
            found.intervals = intervals.fit(rows, done[chosen].sigma)
    shown = [n for n in (RAW, chosen) if n in done]
    return {
        "chosen": chosen,
        "matched": len(rows),
        "figures": {name: _figures(rows, fit) for name, fit in done.items()},
        "intervals": {
            name: level_intervals(
                done[name].level, _values(done[name]), rows.image,
                replicates=options.replicates, seed=options.seed,
            )
            for name in shown
        },
        "curves": {name: _reached(done[name]) for name in shown},
        "residuals": {name: _against_sigma(rows, done[name]) for name in shown},
    }  # fmt: skip


def _values(fit: CrossFitted) -> dict[str, Floats]:
    return {"nll": fit.nll, "crps": fit.crps}


def _figures(rows: BoxRows, fit: CrossFitted) -> dict[str, float]:
    found = level_figures(fit.level, _values(fit))
    return found | {
        # as published: a normal law, whatever the method's own
        "published_ece": interval_ece(rows.truth, fit.sigma),
        "sharpness": float(np.sqrt((fit.sigma**2).mean())),
        "urmse": urmse(rows.truth, fit.sigma),
    }


def _reached(fit: CrossFitted) -> dict[str, list[float]]:
    ordered = np.sort(fit.level.ravel())
    reached = np.searchsorted(ordered, LEVELS, side="right") / max(len(ordered), 1)
    return {"level": LEVELS.tolist(), "reached": reached.tolist()}


def _against_sigma(rows: BoxRows, fit: CrossFitted, bins: int = 12) -> dict[str, list[float]]:
    """Mean sigma and root mean square residual in bins of equal population along sigma."""
    order = np.argsort(fit.sigma.ravel(), kind="stable")
    r, s = rows.truth.ravel(), fit.sigma.ravel()
    parts = [p for p in np.array_split(order, bins) if len(p)]
    return {
        "sigma": [float(s[p].mean()) for p in parts],
        "residual": [float(np.quantile(np.abs(r[p]), 0.6827)) for p in parts],
    }
