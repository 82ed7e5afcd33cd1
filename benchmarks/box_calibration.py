"""Claim: our calibration of corners has at most half the calibration error of the best published one.

Detections of real networks on real images, held out by image: five parts, each judged by what was fitted on
the other four, with ten seeds (ten ways to part the images). In the same run: the published temperatures and
isotonic curves, with the temperature at its optimum and after the published hundred steps of gradient
descent, and ours. The calibration error is that of each method's own law, and by the published formula
(a normal law) beside it. Confidence and classes are measured likewise.

``python benchmarks/box_calibration.py --data ../shared/data`` (NanoDet, YOLOX and FastestDet on the COCO
subset); ``--add NAME BOXES DETECTIONS`` adds a detector of your own. Writes
``benchmarks/results/box_calibration.json``.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import dubio
from dubio.calibration.boxes.classes import calibrated_classes, object_scores
from dubio.calibration.boxes.crossfit import cross_fit, cross_fit_spread, image_parts, stated
from dubio.calibration.boxes.methods import (
    CLASSES,
    CONFIDENCES,
    PUBLISHED,
    SPREADS,
    WITHOUT_SIGMA,
    default_spread,
)
from dubio.calibration.boxes.rows import BoxRows, matched_rows
from dubio.calibration.boxes.spread import ScaleSpread, stated_sigma
from dubio.core.boxes import BoxDataset, DetPrediction
from dubio.jobs.box_pairs import pair_boxes
from dubio.reliability.boxes.class_figures import class_figures, confidence_figures
from dubio.reliability.boxes.intervals import interval_ece
from dubio.reliability.boxes.resample import level_figures

RESULT = Path(__file__).parent / "results" / "box_calibration.json"
NETWORKS = {
    "nanodet": "nanodet_m_320_coco80",
    "yolox": "yolox_nano_coco80",
    "fastestdet": "fastestdet_coco80",
}
RAW = "as it is"
# the published optimiser: plain gradient descent on sigma over T
_STEPS, _RATE = 100, 0.1


class HundredSteps(ScaleSpread):
    """The published temperature: a hundred steps of rate 0.1 from 1, on the mean absolute difference."""

    def fit(self, rows: BoxRows) -> HundredSteps:
        sigma, residual, t = stated_sigma(rows), np.abs(rows.truth), 1.0
        for _ in range(_STEPS):
            slope = np.mean(np.sign(residual - sigma / abs(t)) * sigma / t**2)
            t -= _RATE * float(slope) * np.sign(t)
        self.factors = np.array([1 / abs(t)])
        return self


def detect(data: Path, name: str, score: float) -> tuple[BoxDataset, Mapping[str, DetPrediction]]:
    """Detections of one of the networks on the COCO subset."""
    from dubio.data.images import read_image
    from dubio.models.det.load import load_detector
    from dubio.uncertainty.boxes.suppress import Suppression

    subset = data / "coco_val_subset"
    dataset = dubio.open_boxes(subset / "object_detection" / "config.yaml", images=subset / "images")
    kept = Suppression(score=score, limit=100, iou=0.6)
    model = load_detector(data / "models" / f"{NETWORKS[name]}.onnx", name, suppression=kept)
    found = {}
    for sample in dataset:
        assert sample.image is not None
        found[sample.image_id] = model.detect([read_image(sample.image)], [sample.image_id])[0]
    return dataset, found


def corners(
    dataset: BoxDataset, predictions: Mapping[str, DetPrediction], iou: float, min_score: float, seeds: int
) -> dict[str, Any]:
    pairs = pair_boxes(dataset, predictions, iou=iou, min_score=min_score)
    rows = matched_rows(dataset, predictions, pairs.matches)
    makers = {f"published: {k}": m for k, m in PUBLISHED.items()}
    makers["published: ts_all, 100 steps"] = lambda: HundredSteps("mae")
    # the loss of the published split model; what it saves minimises the other one
    makers["published: ts_all, squared loss"] = lambda: ScaleSpread("rmse", pooling=0)
    makers |= SPREADS
    if rows.sigma is None:
        makers = {k: makers[k] for k in WITHOUT_SIGMA}
    runs: dict[str, list[dict[str, float]]] = {}
    for seed in range(seeds):
        part = image_parts([s.image_id for s in dataset], 5, seed)
        fits = {k: cross_fit_spread(rows, part, m) for k, m in makers.items()}
        if rows.sigma is not None:
            fits[RAW] = stated(rows)
        for name, fit in fits.items():
            figures = level_figures(fit.level, {"nll": fit.nll, "crps": fit.crps})
            figures["published_ece"] = interval_ece(rows.truth, fit.sigma)
            runs.setdefault(name, []).append(figures)
    return {
        "matched": len(rows),
        "default": default_spread(rows),
        "figures": {k: summary(v) for k, v in runs.items()},
    }


def summary(runs: list[dict[str, float]]) -> dict[str, list[float]]:
    """Mean, smallest and largest value over the seeds."""
    columns = {name: [r[name] for r in runs] for name in runs[0]}
    return {k: [float(np.mean(v)), float(np.min(v)), float(np.max(v))] for k, v in columns.items()}


def scores(
    dataset: BoxDataset, predictions: Mapping[str, DetPrediction], seeds: int
) -> dict[str, dict[str, Any]]:
    """Confidence and classes."""
    pairs = pair_boxes(dataset, predictions, min_score=0.05)
    rows, right = pairs.rows, pairs.right
    seen, labels, image = pairs.with_classes(dataset, predictions)
    assert seen.class_scores is not None
    assert seen.kind is not None
    raw = object_scores(seen.class_scores, seen.kind)
    confidence = {RAW: [confidence_figures(rows.scores, right)]}
    classes = {RAW: [class_figures(raw / raw.sum(1, keepdims=True), labels)]}
    for seed in range(seeds):
        part = image_parts([s.image_id for s in dataset], 5, seed)
        for name, make in CONFIDENCES.items():
            p = cross_fit(
                len(rows), part[rows.image],
                lambda m, make=make: make().fit(rows.take(m), right[m]),
                lambda fitted, m: fitted.confidence(rows.take(m)),
            )  # fmt: skip
            confidence.setdefault(name, []).append(confidence_figures(p, right))
        for name, make in CLASSES.items():
            q = cross_fit(
                len(labels), part[image],
                lambda m, make=make: make().fit(seen.class_scores[m], seen.kind, labels[m]),
                lambda fitted, m: calibrated_classes(fitted, seen.take(m))[0],
            )  # fmt: skip
            classes.setdefault(name, []).append(class_figures(q, labels))
    return {
        "confidence": {k: summary(v) for k, v in confidence.items()},
        "classes": {k: summary(v) for k, v in classes.items()},
    }


def verdict(found: dict[str, Any]) -> dict[str, Any]:
    """The default against the best published method, each at its best figure."""
    figures = found["figures"]
    published = {k: v for k, v in figures.items() if k.startswith("published")}
    if not published:
        return {}
    own = figures[found["default"]]
    best = {f: min(published, key=lambda k, f=f: published[k][f][0]) for f in ("ece", "nll")}
    return {
        "best_published": best,
        "ece_share": own["ece"][0] / published[best["ece"]]["ece"][0],
        "nll_difference": own["nll"][0] - published[best["nll"]]["nll"][0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument(
        "--add", nargs=3, action="append", default=[], metavar=("NAME", "BOXES", "DETECTIONS")
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    sources: dict[str, Any] = {}
    for name in NETWORKS:
        if (options.data / "models").is_dir():
            sources[f"{name}, COCO subset"] = detect(options.data, name, 0.001)
    for name, boxes, detections in options.add:
        dataset = dubio.open_boxes(boxes)
        sources[name] = (dataset, dubio.open_detections(dataset, detections).predictions)
    results: dict[str, Any] = {}
    for name, (dataset, predictions) in sources.items():
        found: dict[str, Any] = {"images": len(dataset)}
        for label, iou, least in (("usual", 0.5, 0.05), ("loose", 0.1, 0.01)):
            part = corners(dataset, predictions, iou, least, options.seeds)
            found[label] = {"iou": iou, "min_score": least, **part, "verdict": verdict(part)}
            print(name, label, json.dumps(found[label]["verdict"]))
        found |= scores(dataset, predictions, min(options.seeds, 3))
        results[name] = found
    packages = ("dubio", "numpy", "scipy", "scikit-learn", "onnxruntime")
    whole = {
        "what": "corners, confidence and classes; five-fold by image, figures of unseen images",
        "seeds": options.seeds,
        "results": results,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "versions": {n: metadata.version(n) for n in packages},
    }
    options.out.write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
