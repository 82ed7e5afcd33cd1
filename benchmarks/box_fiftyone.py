"""FiftyOne's own mistakenness beside ours, box by box, on real labels and detections.

FiftyOne needs a running MongoDB for its data sets; its matching and its mistakenness work on samples in
memory, which is what runs here. Images with crowd regions or regions to ignore are left out. Where two boxes
overlap a detection equally, rounding decides which one it belongs to, so that a few values may differ.

``python benchmarks/box_fiftyone.py --boxes LABELS --images FOLDER --detections RUN`` in an environment with
``fiftyone`` writes ``benchmarks/results/box_fiftyone.json``, or adds to it.
"""

from __future__ import annotations

import argparse
import json
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fiftyone as fo
import numpy as np
from fiftyone.brain.internal.core.mistakenness import DetectionMistakenness, DetectionMistakennessConfig
from fiftyone.utils.eval.coco import COCOEvaluationConfig, _coco_evaluation_single_iou

import dubio
from dubio.core.boxes import BoxLabels, DetPrediction
from dubio.core.labelspace import LabelSpace
from dubio.errors.boxes.published import MATCHED, mistakenness

RESULT = Path(__file__).parent / "results" / "box_fiftyone.json"
_KEY = "eval"


def theirs(
    labels: BoxLabels, seen: DetPrediction, space: LabelSpace, size: tuple[int, int]
) -> dict[str, list[float]]:
    """FiftyOne's measures of one image, in the order of boxes and of detections."""
    scale = np.array([size[1], size[0], size[1], size[0]], np.float64)

    def detections(boxes: Any, classes: Any, scores: Any = None) -> fo.Detections:
        rows = []
        for k, box in enumerate(boxes):
            x0, y0, x1, y1 = (box / scale).tolist()
            score = {} if scores is None else {"confidence": float(scores[k])}
            name = space.name_of(int(classes[k]))
            rows.append(fo.Detection(label=name, bounding_box=[x0, y0, x1 - x0, y1 - y0], **score))
        return fo.Detections(detections=rows)

    sample = fo.Sample(filepath="picture.png")
    sample["given"] = detections(labels.boxes, labels.classes)
    sample["seen"] = detections(seen.boxes, seen.classes, seen.scores)
    how = COCOEvaluationConfig("seen", "given", iou=MATCHED, classwise=False)
    _coco_evaluation_single_iou(sample["given"], sample["seen"], _KEY, how)
    config = DetectionMistakennessConfig(
        "seen", "given", "mistakenness", "missing", "spurious", False, False, _KEY
    )
    method = DetectionMistakenness(config)
    method.pred_field, method.label_field, method.label_type = "seen", "given", fo.Detections
    method.process_image(sample, _KEY)

    def read(field: str, name: str, otherwise: float) -> list[float]:
        found = (o[name] if o.has_field(name) else otherwise for o in sample[field].detections)
        return [float(otherwise if v is None else v) for v in found]

    return {
        "label": read("given", "mistakenness", np.nan),
        "location": read("given", "mistakenness_loc", np.nan),
        "spurious": read("given", "spurious", 0.0),
        "missing": read("seen", "missing", 0.0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--name", required=True)
    parser.add_argument("--boxes", type=Path, required=True)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--detections", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    dataset = dubio.open_boxes(options.boxes, images=options.images)
    seen = dubio.open_detections(dataset, options.detections).predictions
    total = SimpleNamespace(images=0, boxes=0, detections=0, off=0.0, other=0)
    for sample in dataset:
        labels, found = dataset.labels[sample.image_id], seen.get(sample.image_id)
        if found is None or labels.crowd.any() or len(labels.ignore) or not sample.height:
            continue
        size = (sample.height, sample.width or 0)
        mine = mistakenness(labels, found)
        other = theirs(labels, found, dataset.space, size)
        for name, values in other.items():
            a, b = np.asarray(getattr(mine, name), np.float64), np.asarray(values)
            same = np.isnan(a) == np.isnan(b)
            off = np.abs(np.where(np.isnan(a) | np.isnan(b), 0, a - b))
            total.other += int((~same | (off > 1e-9)).sum())
            total.off = max(total.off, float(off[same].max(initial=0.0)))
        total.images += 1
        total.boxes += len(labels)
        total.detections += len(found)
    result = json.loads(options.out.read_text()) if options.out.exists() else {}
    result[options.name] = {
        "images": total.images,
        "boxes": total.boxes,
        "detections": total.detections,
        "largest_difference": total.off,
        "boxes_that_differ": total.other,
        "versions": {n: metadata.version(n) for n in ("fiftyone", "fiftyone-brain")},
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result[options.name], indent=1))


if __name__ == "__main__":
    main()
