"""Writing detections: COCO results with all that a detection carries, YOLO text with confidences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dubio.core.boxes import BoxDataset, DetPrediction
from dubio.core.files import write_text
from dubio.data.boxes.coco import image_numbers
from dubio.data.boxes.files import place_in
from dubio.data.boxes.pictures import size_of
from dubio.data.boxes.results import EXTRAS, KIND
from dubio.data.boxes.yolo import to_parts


def write_coco_results(
    dataset: BoxDataset, predictions: Mapping[str, DetPrediction], path: str | Path
) -> None:
    """Write COCO results, one detection a line, in the order of the data set's images.

    Class scores and variances stand under the keys that
    :func:`~dubio.data.boxes.results.open_detections` reads; other readers pass over them.

    Args:
        dataset: the images and classes; its COCO numbers are used, else the images are numbered from 1.
        predictions: detections by image id; images that it lacks have none.
        path: the file.

    Raises:
        InputError: the file can't be written.
    """
    lines = []
    for sample, number in zip(dataset.samples, image_numbers(dataset), strict=True):
        if sample.image_id in predictions:
            for record in _records(predictions[sample.image_id], dataset.space.ids):
                lines.append(json.dumps({"image_id": number, **record}, allow_nan=False))
    write_text(path, "[\n" + ",\n".join(lines) + "\n]\n")


def write_yolo_results(
    dataset: BoxDataset, predictions: Mapping[str, DetPrediction], folder: str | Path
) -> list[str]:
    """Write ``<image id>.txt`` with class, centre, size and confidence per line.

    Returns:
        Sentences on what the format can't hold.

    Raises:
        InputError: the size of an image is unknown, or a file can't be written.
    """
    gone: set[str] = set()
    for sample in dataset:
        seen = predictions.get(sample.image_id)
        if seen is None:
            continue
        gone |= {name for name in EXTRAS if getattr(seen, name) is not None}
        parts = to_parts(seen.boxes, size_of(sample)) if len(seen) else np.zeros((0, 4))
        rows = zip(seen.classes.tolist(), parts.tolist(), seen.scores.tolist(), strict=True)
        text = "".join(f"{c} {' '.join(map(repr, p))} {s!r}\n" for c, p, s in rows)
        write_text(place_in(folder, sample.image_id, ".txt"), text)
    return [f"YOLO can't hold {', '.join(sorted(gone))}: left out"] if gone else []


def _records(seen: DetPrediction, class_ids: tuple[int, ...]) -> list[dict[str, Any]]:
    place = np.hstack([seen.boxes[:, :2], seen.boxes[:, 2:] - seen.boxes[:, :2]]).tolist()
    categories = np.array(class_ids)[seen.classes].tolist()
    extras = {name: getattr(seen, name).tolist() for name in EXTRAS if getattr(seen, name) is not None}
    kind = {} if seen.class_scores is None else {KIND: seen.kind}
    return [
        {
            "category_id": categories[k],
            "bbox": place[k],
            "score": float(seen.scores[k]),
            **{name: values[k] for name, values in extras.items()},
            **kind,
        }
        for k in range(len(seen))
    ]
