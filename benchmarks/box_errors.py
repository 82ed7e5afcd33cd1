"""Claim: label errors in boxes are found better than by the published scores, and in a fraction of the time.

Speed: 1000 synthetic images with 20 boxes each; CPU seconds of cleanlab's ``get_label_quality_scores`` and
``find_label_issues`` against our candidates, features and label-free scores, and against the whole audit with
the finder that learns from planted errors.

Quality: errors are planted into real labels with kinds and rates unlike those that the finder teaches itself
with; our list, our list without learning, ObjectLab (cleanlab's scores; with its bar of 0.95, and with one of
0.5) and FiftyOne's mistakenness rank boxes from the same detections, as they are and with all scores
multiplied by 0.9. ObjectLab's scores are computed by us; where cleanlab is installed, they are compared.
Errors that the labels had before count as false findings: figures are lower bounds.

Writes ``benchmarks/results/box_errors.json``.

    python benchmarks/box_errors.py --shared ../shared --detections coco=FILE --detections bccd=FILE
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.data.boxes import open_boxes, open_detections
from dubio.data.boxes.table import space_of
from dubio.errors.bench.box_planting import BoxPlantOptions, plant_box_errors
from dubio.errors.bench.box_scoring import score_boxes
from dubio.errors.boxes.audit import BoxAuditOptions, audit_boxes, collect_boxes
from dubio.errors.boxes.published import objectlab, published_findings
from dubio.errors.finder import find
from dubio.errors.findings import BOX_KINDS

# The finder teaches itself with drop 3, location 3, swap 2, spurious 2, duplicate 1.5, merge and split 0.5 at
# a rate of 0.08.
MIX = {"drop": 2, "swap": 2, "location": 2, "duplicate": 1, "spurious": 1}
# About enough errors to measure by.
ERRORS = 150
ALL = 10**6
Seen = Mapping[str, DetPrediction]


def synthetic(
    images: int, boxes: int, classes: int = 10, seed: int = 0, *, faulty: bool = True
) -> tuple[BoxDataset, dict]:
    """Labels with 9 % errors (or none), and plausible detections."""
    rng = np.random.default_rng(seed)
    labels, seen, samples = {}, {}, []
    for k in range(images):
        name = f"{k:06d}"
        box, cls = _objects(rng, boxes, classes)
        side = np.tile(box[:, 2:] - box[:, :2], 2)
        hit = rng.random(boxes) < 0.95
        box_seen = box[hit] + rng.normal(0, 0.05, (hit.sum(), 4)) * side[hit]
        false, false_cls = _objects(rng, 3, classes)
        box_seen = np.concatenate([box_seen, false])
        box_seen[:, 2:] = np.maximum(box_seen[:, 2:], box_seen[:, :2] + 1)
        said = np.where(rng.random(hit.sum()) < 0.95, cls[hit], rng.integers(0, classes, hit.sum()))
        scores = np.concatenate([rng.beta(8, 0.6, hit.sum()), rng.beta(1.5, 3, 3)])
        seen[name] = DetPrediction(box_seen, scores, np.append(said, false_cls), classes, image_id=name)
        fate = rng.random(boxes) if faulty else np.full(boxes, 0.5)
        given, given_cls = box.copy(), cls.copy()
        given_cls[fate < 0.03] = (given_cls[fate < 0.03] + 1) % classes
        moved = (fate >= 0.03) & (fate < 0.06)
        given[moved] += 0.3 * side[moved] * rng.choice([-1, 1], (moved.sum(), 1))
        kept = fate < 0.97
        labels[name] = BoxLabels(given[kept], given_cls[kept])
        samples.append(BoxSample(name, width=640, height=480))
    space = space_of("synthetic", [f"c{k}" for k in range(classes)])
    return BoxDataset("synthetic", space, tuple(samples), labels), seen


def _objects(rng: np.random.Generator, n: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    centre, side = rng.uniform([40, 40], [600, 440], (n, 2)), np.exp(rng.normal(3.6, 0.4, (n, 2)))
    box = np.concatenate([centre - side / 2, centre + side / 2], 1).clip(0, [640, 480, 640, 480])
    return box, rng.integers(0, classes, n)


def cpu() -> float:
    """CPU seconds of this process and its children so far."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(r.ru_utime + r.ru_stime for r in both)


def timed(job: Callable[[], Any], repeats: int) -> float:
    """Median CPU seconds."""
    found = []
    for _ in range(repeats):
        start = cpu()
        job()
        found.append(cpu() - start)
    return statistics.median(found)


def counted() -> list[dict[str, Any]]:
    """How the expected number of errors fares where all errors are known."""
    rows = []
    clean, seen = synthetic(300, 12, 3, faulty=False)
    for what, kind, rate in (
        ("nothing", "drop", 0.0),
        ("5 % of the boxes missing", "drop", 0.05),
        ("25 % of the boxes missing", "drop", 0.25),
        ("6 % of the boxes in a bad place", "location", 0.06),
        ("5 % of the boxes of a wrong class", "swap", 0.05),
    ):
        options = BoxPlantOptions(rate=rate or 0.01, seed=1, kinds={kind: 1})
        faulty, truth = plant_box_errors(clean, options)
        data, errors = (faulty, len(truth.errors)) if rate else (clean, 0)
        audit = audit_boxes(data, seen, BoxAuditOptions(max_findings=ALL))
        score = score_boxes(audit.findings, truth, draws=0).at_errors
        precision = score.precision.value if errors and score is not None else None
        rows.append(
            {"what": what, "errors": errors, "expected": audit.found.expected(), "precision": precision}
        )
    return rows


def for_cleanlab(data: BoxDataset, seen: Seen) -> tuple[list, list]:
    labels, predictions = [], []
    for s in data:
        own, p = data.labels[s.image_id], seen[s.image_id]
        labels.append({"bboxes": own.boxes, "labels": own.classes})
        by_class = np.empty(p.n_classes, object)
        for c in range(p.n_classes):
            rows = p.classes == c
            by_class[c] = np.column_stack([p.boxes[rows], p.scores[rows]])
        predictions.append(by_class)
    return labels, predictions


def has_cleanlab() -> bool:
    try:
        import cleanlab.object_detection.rank  # noqa: F401
    except ImportError:
        print("cleanlab is not installed: its time isn't measured; install 'dubio[bench]'")
        return False
    return True


def speed(images: int, boxes: int, repeats: int) -> dict[str, Any]:
    data, seen = synthetic(images, boxes)
    free = BoxAuditOptions(learn=False)
    audit_boxes(*synthetic(30, 10))  # compiles
    jobs: dict[str, Callable[[], Any]] = {
        "ours: candidates, features, scores without learning": lambda: find(collect_boxes(data, seen, free)),
        "ours: ObjectLab's scores": lambda: objectlab(data, seen),
        "ours: candidates and features, with planted copies": lambda: collect_boxes(data, seen),
    }
    seconds = {name: timed(job, repeats) for name, job in jobs.items()}
    seconds["ours: the whole audit, with the finder's training"] = timed(lambda: audit_boxes(data, seen), 1)
    ratios = {}
    if has_cleanlab():
        from cleanlab.object_detection.filter import find_label_issues
        from cleanlab.object_detection.rank import get_label_quality_scores

        labels, predictions = for_cleanlab(data, seen)
        theirs = {
            "cleanlab: get_label_quality_scores": lambda: get_label_quality_scores(
                labels, predictions, verbose=False
            ),
            "cleanlab: find_label_issues": lambda: find_label_issues(labels, predictions),
        }
        quick = {name: timed(job, 1) for name, job in theirs.items()}
        equal = np.abs(
            get_label_quality_scores(labels, predictions, verbose=False)
            - [v.quality() for v in objectlab(data, seen).values()]
        ).max()
        scores, both = quick["cleanlab: get_label_quality_scores"], sum(quick.values())
        ratios = {name: {"to scores": scores / s, "to both calls": both / s} for name, s in seconds.items()}
        seconds |= quick
        ratios["largest difference of ObjectLab's scores"] = float(equal)
    return {"images": images, "boxes": boxes, "cpu_seconds": seconds, "times_faster": ratios}


def lists(data: BoxDataset, seen: Seen, seed: int) -> dict[str, tuple[list, float | None]]:
    """The rankings, ours with its expected number of errors."""
    ours = audit_boxes(data, seen, BoxAuditOptions(max_findings=ALL, seed=seed))
    free = audit_boxes(data, seen, BoxAuditOptions(max_findings=ALL, learn=False))
    return {
        "dubio": (ours.findings, ours.found.expected()[0]),
        "dubio, without learning": (free.findings, None),
        "ObjectLab (cleanlab)": (published_findings(data, seen), None),
        "ObjectLab, bar at 0.5": (published_findings(data, seen, sure=0.5), None),
        "FiftyOne mistakenness": (published_findings(data, seen, "fiftyone"), None),
    }


def scaled(seen: Seen, factor: float) -> dict[str, DetPrediction]:
    found = {}
    for name in seen:
        p = seen[name]
        every = p.class_scores
        if every is not None and p.kind != "logits":
            every = every * factor
        found[name] = replace(p, scores=p.scores * factor, class_scores=every)
    return found


def quality(data: BoxDataset, seen: Seen, seeds: list[int]) -> dict[str, Any]:
    boxes = sum(len(data.labels[s.image_id]) for s in data)
    rate = min(0.12, ERRORS / max(boxes, 1))
    table: dict[str, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    errors: list[int] = []
    for seed in seeds:
        faulty, truth = plant_box_errors(data, BoxPlantOptions(rate=rate, seed=1000 + seed, kinds=MIX))
        errors.append(len(truth.errors))
        for factor in (1.0, 0.9):
            for name, (listed, expected) in lists(faulty, scaled(seen, factor), seed).items():
                row = table[name if factor == 1 else f"{name}, scores x {factor}"]
                found = score_boxes(listed, truth, draws=0)
                row["all kinds"].append(found.ap.value)
                row["precision at the number of errors"].append(found.at_errors.precision.value)
                by_kind = {k.kind: k.ap.value for k in found.kinds}
                for kind in BOX_KINDS:
                    row[kind].append(by_kind.get(kind, float("nan")))
                if expected is not None:
                    row["expected errors"].append(expected)
    means = {n: {k: round(float(np.nanmean(v)), 4) for k, v in row.items()} for n, row in table.items()}
    return {
        "images": len(data), "boxes": boxes, "rate": rate, "errors": errors, "mean": means,
        "runs": {n: {k: [round(float(x), 4) for x in v] for k, v in row.items()} for n, row in table.items()},
    }  # fmt: skip


def open_set(name: str, shared: Path) -> BoxDataset:
    root = shared / "data"
    if name == "coco":
        coco = root / "coco_val_subset"
        return open_boxes(coco / "object_detection" / "config.yaml", images=coco / "images" / "val2017")
    if name == "bccd":
        bccd = root / "bccd"
        return open_boxes(bccd / "Annotations_final_shenggan", layout="voc", images=bccd / "JPEGImages")
    return open_boxes(root / "nuclei" / "boxes_original_coco.json", images=root / "nuclei" / "images")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--detections", action="append", default=[], metavar="coco|bccd|nuclei=FILE")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME=FILE",
        help="JSON list of the images to use, such as those that the detector was not trained on",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--boxes", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--skip-speed", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "box_errors.json")
    options = parser.parse_args()
    result: dict[str, Any] = json.loads(options.out.read_text()) if options.out.is_file() else {}
    with threadpool_limits(1):
        if not options.skip_speed:
            result["speed"] = speed(options.images, options.boxes, options.repeats)
            print(json.dumps(result["speed"], indent=1), flush=True)
        result["counted"] = counted()
        print(json.dumps(result["counted"], indent=1), flush=True)
        for text in options.detections:
            name, _, file = text.partition("=")
            data = open_set(name, options.shared)
            seen = open_detections(data, file).predictions
            for part, _, listed in (only.partition("=") for only in options.only):
                if part == name:
                    kept = set(json.loads(Path(listed).read_text()))
                    data = replace(data, samples=tuple(s for s in data if s.image_id in kept))
            start = time.perf_counter()
            found = quality(data, seen, options.seeds)
            result.setdefault("quality", {})[name] = found
            print(
                name, f"{time.perf_counter() - start:.0f} s", json.dumps(found["mean"], indent=1), flush=True
            )
    result["what"] = f"errors planted into real boxes ({MIX}); average precision, mean of the seeds"
    result["machine"] = (
        f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    )
    names = ("dubio", "numpy", "scipy", "numba", "scikit-learn", "cleanlab")
    result["versions"] = {n: _version(n) for n in names if _version(n)}
    options.out.write_text(json.dumps(result, indent=1) + "\n")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


if __name__ == "__main__":
    main()
