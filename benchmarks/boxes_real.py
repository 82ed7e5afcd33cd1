"""Real label errors in boxes: BCCD's first annotation against its final one, and the final one itself.

The detections are of images that the detector was not trained on (``dubio train detector --folds``, or a
held-out part). The first annotation is audited; what its makers changed later is the truth: boxes added are
missing objects, boxes removed are spurious, boxes moved to an IoU below 0.7 lie badly. Beside the audit: the
formulas of ObjectLab (cleanlab) and FiftyOne's mistakenness, as :mod:`dubio.errors.boxes.published` has them.

``python benchmarks/boxes_real.py --data ../shared/data --detections RUN`` writes
``benchmarks/results/boxes_real.json`` and, with ``--top FOLDER``, the run on the final labels.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import dubio
from dubio.core.boxes import BoxDataset, DetPrediction
from dubio.errors.bench.box_scoring import score_boxes
from dubio.errors.bench.box_truth import BoxError, BoxTruth
from dubio.errors.boxes.audit import BoxAuditOptions
from dubio.errors.boxes.audit import audit_boxes as find_in_boxes
from dubio.errors.boxes.published import published_findings
from dubio.errors.findings import BOX_KINDS, Box
from dubio.jobs.audit_boxes import audit_boxes
from dubio.jobs.calibrate_boxes import RAW, calibrate_boxes
from dubio.reliability.boxes.average_precision import average_precision

RESULT = Path(__file__).parent / "results" / "boxes_real.json"
_BAD_PLACE = 0.7
_LOOKED_AT = 50


def only(dataset: BoxDataset, names: set[str]) -> BoxDataset:
    """Some of the images."""
    return replace(dataset, samples=tuple(s for s in dataset if s.image_id in names))


def changed(first: BoxDataset, changes: Mapping[str, list[dict[str, Any]]]) -> BoxTruth:
    """What was changed later, as errors of the first annotation."""
    errors: list[BoxError] = []
    for sample in first:
        labels = first.labels[sample.image_id]
        for number, change in enumerate(changes.get(sample.image_id, []), start=1):
            kind = {"added": "drop", "removed": "spurious", "relocated": "location"}.get(change["type"])
            if kind is None or (kind == "location" and change["iou"] >= _BAD_PLACE):
                continue
            old, new = (_box(change.get(k)) for k in ("old", "new"))
            name = (change.get("new") or change.get("old"))[0]
            klass = first.space.index_of(name)
            errors.append(
                BoxError(
                    sample.image_id, number, kind, -1 if kind == "spurious" else klass,
                    -1 if kind == "drop" else klass, new, old, _place(labels.boxes, old),
                )
            )  # fmt: skip
    shapes = {s.image_id: (s.height or 0, s.width or 0) for s in first}
    return BoxTruth(first.space, shapes, tuple(errors))


def _box(row: list[Any] | None) -> Box | None:
    # corners count from 1 and hold the last pixel
    return None if row is None else (row[1] - 1.0, row[2] - 1.0, float(row[3]), float(row[4]))


def _place(boxes: Any, old: Box | None) -> int:
    if old is None or not len(boxes):
        return -1
    off = abs(boxes - list(old)).max(1)
    return int(off.argmin()) if off.min() < 1.5 else -1


def quality(dataset: BoxDataset, seen: Mapping[str, DetPrediction]) -> dict[str, Any]:
    """Average precision, and the figures of corners, confidence and classes before and after."""
    with tempfile.TemporaryDirectory() as folder:
        found = calibrate_boxes(dataset, seen, Path(folder) / "cal").summary
    parts = {}
    for name in ("confidence", "classes", "corners"):
        figures, chosen = found[name].get("figures", {}), found[name]["chosen"]
        parts[name] = {"chosen": chosen, "before": figures.get(RAW), "after": figures.get(chosen)}
        if name == "corners":
            published = ("ts_all", "iso_all", "iso_percoo", "iso_perclscoo", "rel_iso_perclscoo")
            parts[name]["published"] = {k: figures[k] for k in published if k in figures}
    return {"ap": average_precision(dataset, seen).to_dict(), **parts}


def rankings(first: BoxDataset, seen: Mapping[str, DetPrediction], truth: BoxTruth) -> dict[str, Any]:
    """Average precision of each ranking, as a whole and per kind."""
    found = find_in_boxes(first, seen, BoxAuditOptions(max_findings=5000))
    plain = find_in_boxes(first, seen, BoxAuditOptions(max_findings=5000, learn=False))
    lists = {"dubio": found.findings, "dubio, without learning": plain.findings}
    for name in ("objectlab", "fiftyone"):
        lists[name] = published_findings(first, seen, name)  # type: ignore[arg-type]
    rows: dict[str, Any] = {}
    for name, listed in lists.items():
        score = score_boxes(listed, truth, draws=300)
        rows[name] = {
            "ap": asdict(score.ap),
            "precision_at_errors": score.at_errors.precision.value if score.at_errors else None,
            "kinds": {k.kind: {"errors": k.errors, "ap": k.ap.value} for k in score.kinds},
        }
    expected = found.found.expected() if found.found.evidence is not None else None
    return {"errors": len(truth.errors), "expected": expected, "rankings": rows}


def cross_fitted(root: Path, detections: Path, changes: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The first annotation, in its one class, by detectors that know no other labels."""
    first = dubio.open_boxes(root / "Annotations_v1_cosmicad", "voc", root / "JPEGImages")
    seen = dubio.open_detections(first, detections).predictions
    first = only(first, set(seen))
    known = {
        name: [c for c in rows if (c.get("new") or c.get("old"))[0] in first.space.names]
        for name, rows in changes.items()
    }
    held_out = average_precision(first, seen)
    ap = {"ap": held_out.ap, "ap50": held_out.ap50}
    return {"images": len(first), **ap, **rankings(first, seen, changed(first, known))}


def final_labels(
    final: BoxDataset, seen: Mapping[str, DetPrediction], issues: dict[str, Any], top: Path | None
) -> dict[str, Any]:
    """The audit of the final labels: known faults, and where they stand in the lists."""
    with tempfile.TemporaryDirectory() as folder:
        run = audit_boxes(final, seen, top or Path(folder) / "run", BoxAuditOptions(max_findings=500))
        order = [] if run.images is None else run.images.column("image_id").to_pylist()
    bare = [row[0] for row in issues["suspicious_in_final"] if len(row) == 3 and "no RBC" in row[2]]
    bare = [n for n in bare if n in order]
    twice = [row for row in issues["suspicious_in_final"] if "duplicate" in str(row[-1]) and row[0] in order]
    ranks = sorted(order.index(n) + 1 for n in bare)
    met = [
        min(
            (f.finding for f in run.findings if f.image_id == row[0] and f.kind == "duplicate"),
            default=None,
        )
        for row in twice
    ]
    return {
        "images": len(order),
        "without_red_cells": {"known": len(bare), "ranks": ranks},
        "labelled_twice": {"known": len(twice), "ranks": met},
        "top": [[f.finding, f.image_id, f.kind, round(f.probability, 3)] for f in run.findings[:_LOOKED_AT]],
        "kinds": {k: sum(f.kind == k for f in run.findings[:_LOOKED_AT]) for k in BOX_KINDS},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--detections", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, help="JSON list of image ids; default: all with detections.")
    parser.add_argument(
        "--of-first", type=Path,
        help="Held-out detections of detectors that were trained on the first annotation itself.",
    )  # fmt: skip
    parser.add_argument("--top", type=Path, help="Run folder for the audit of the final labels.")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    root = options.data / "bccd"
    final = dubio.open_boxes(root / "Annotations_final_shenggan", "voc", root / "JPEGImages")
    first = dubio.open_boxes(root / "Annotations_v1_cosmicad", "voc", root / "JPEGImages", space=final.space)
    seen = dubio.open_detections(final, options.detections).predictions
    every = {s.image_id for s in final if len(seen[s.image_id])}
    names = every & set(json.loads(options.held_out.read_text())) if options.held_out else every
    whole, final, first = only(final, every), only(final, names), only(first, names)
    seen_all = {n: seen[n] for n in every}
    seen = {n: seen[n] for n in names}
    changes = json.loads((root / "changes_v1_to_final.json").read_text())
    issues = json.loads((root / "known_issues_final.json").read_text())
    packages = ("dubio", "numpy", "scikit-learn")
    result = {
        "what": "BCCD; detections of images that the detector was not trained on",
        "images": len(final),
        "quality": quality(final, seen),
        "first_annotation": rankings(first, seen, changed(first, changes)),
        # all images; those that the detector was trained on count, too: the entry says how many they are
        "final_annotation": {
            "trained_on": len(every - names),
            **final_labels(whole, seen_all, issues, options.top),
        },
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "versions": {n: metadata.version(n) for n in packages},
    }
    if options.of_first is not None:
        result["first_annotation_by_itself"] = cross_fitted(root, options.of_first, changes)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["first_annotation"], indent=1))


if __name__ == "__main__":
    main()
