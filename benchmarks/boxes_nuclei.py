"""Real label errors in boxes: the nuclei of the Data Science Bowl, as published and as corrected later.

A detector that was trained on the images without known corrections looks at the others. What the corrected
masks change in the boxes is the truth: boxes without a counterpart (IoU below 0.5) are missing or spurious,
boxes that moved to an IoU below 0.9 lie badly. The rankings are those of :mod:`boxes_real`.

``python benchmarks/boxes_nuclei.py --data ../shared/data --detections RUN`` writes
``benchmarks/results/boxes_nuclei.json``.
"""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import numpy.typing as npt
from boxes_real import only, rankings
from PIL import Image

import dubio
from dubio.core.boxes import BoxDataset
from dubio.errors.bench.box_truth import BoxError, BoxTruth
from dubio.errors.findings import Box
from dubio.regions.boxes.iou import pairwise_iou
from dubio.reliability.boxes.average_precision import average_precision

RESULT = Path(__file__).parent / "results" / "boxes_nuclei.json"
_NO_PARTNER, _MOVED = 0.5, 0.9


def boxes_of(mask: npt.NDArray[np.uint16]) -> npt.NDArray[np.float64]:
    """Boxes around the instances of a map, ``(N, 4)``."""
    found = []
    for k in np.unique(mask[mask > 0]):
        rows, columns = np.nonzero(mask == k)
        found.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return np.array(found, np.float64).reshape(-1, 4)


def corrections(given: BoxDataset, folder: Path) -> BoxTruth:
    """What the corrected maps change in the boxes."""
    errors: list[BoxError] = []
    for sample in given:
        old = given.labels[sample.image_id].boxes
        with Image.open(folder / f"{sample.image_id}.png") as picture:
            new = boxes_of(np.asarray(picture))
        overlap = pairwise_iou(new, old)
        best_new = overlap.max(1) if len(old) else np.zeros(len(new))
        best_old = overlap.max(0) if len(new) else np.zeros(len(old))

        def add(kind: str, true: Box | None, given_box: Box | None, label: int, name: str) -> None:
            errors.append(
                BoxError(
                    name, len(errors) + 1, kind, -1 if true is None else 0, -1 if given_box is None else 0,
                    true, given_box, label,
                )
            )  # fmt: skip

        for k in np.flatnonzero(best_new < _NO_PARTNER).tolist():
            add("drop", _box(new[k]), None, -1, sample.image_id)
        for k in np.flatnonzero(best_old < _MOVED).tolist():
            true = None if best_old[k] < _NO_PARTNER else _box(new[int(overlap[:, k].argmax())])
            add("spurious" if true is None else "location", true, _box(old[k]), k, sample.image_id)
    shapes = {s.image_id: (s.height or 0, s.width or 0) for s in given}
    return BoxTruth(given.space, shapes, tuple(errors))


def _box(row: npt.NDArray[np.float64]) -> Box:
    return (float(row[0]), float(row[1]), float(row[2]), float(row[3]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--detections", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    root = options.data / "nuclei"
    whole = dubio.open_boxes(root / "boxes_original_coco.json", "coco", root / "images")
    corrected = {f.stem for f in (root / "labels_fixed").glob("*.png")}
    given = only(whole, corrected)
    given = replace(given, labels={s.image_id: given.labels[s.image_id] for s in given})
    seen = dubio.open_detections(given, options.detections).predictions
    found = rankings(given, seen, corrections(given, root / "labels_fixed"))
    result = {
        "what": "nuclei; original labels against corrected ones, in images that weren't trained on",
        "images": len(given),
        "boxes": sum(len(v) for v in given.labels.values()),
        "ap": {k: v for k, v in average_precision(given, seen).figures.items() if np.isfinite(v)},
        **found,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "versions": {n: metadata.version(n) for n in ("dubio", "numpy", "scikit-learn")},
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
