"""Writing detections: COCO results with all that a detection carries, YOLO text with confidences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dubio.core.boxes import BoxDataset, DetPrediction
from dubio.core.files import write_text, writing
from dubio.data.boxes.coco import image_numbers
from dubio.data.boxes.files import place_in
from dubio.data.boxes.pictures import size_of
from dubio.data.boxes.results import ENTROPY, EXTRAS, KIND
from dubio.data.boxes.yolo import to_parts


def write_coco_results(
    dataset: BoxDataset, predictions: Mapping[str, DetPrediction], path: str | Path, *, extras: bool = True
) -> None:
    """Write COCO results, one detection a line, in the order of the data set's images.

    Class scores and variances stand under the keys that
    :func:`~dubio.data.boxes.results.open_detections` reads; other readers pass over them.

    Args:
        dataset: the images and classes; images go by the numbers of :func:`result_numbers`.
        predictions: detections by image id; images that it lacks have none.
        path: the file.
        extras: write class scores and variances; they make the file many times larger.

    Raises:
        InputError: the file can't be written.
    """
    named = zip(dataset.samples, result_numbers(dataset), strict=True)
    there = ((n, predictions[s.image_id]) for s, n in named if s.image_id in predictions)
    with writing(path) as part, part.open("w", encoding="utf-8") as file:
        file.write("[")
        first = True
        for number, seen in there:
            for line in result_lines(seen, number, dataset.space.ids, extras=extras):
                file.write(("\n" if first else ",\n") + line)
                first = False
        file.write("\n]\n")


def result_lines(
    seen: DetPrediction, number: int, class_ids: tuple[int, ...], *, extras: bool = True
) -> list[str]:
    """Detections of one image as lines of COCO results, without the commas between them.

    Args:
        seen: the detections.
        number: the image's number.
        class_ids: category ids by class index.
        extras: class scores and variances, too.
    """
    records = _records(seen, class_ids, extras)
    return [json.dumps({"image_id": number, **record}, allow_nan=False) for record in records]


def result_numbers(dataset: BoxDataset) -> list[int]:
    """Numbers of the images in COCO results.

    Those of the data set's own file; else the numbers that the stems are, as in COCO, if all are; else
    counted from 1.

    >>> from dubio.core.boxes import BoxLabels, BoxSample
    >>> from dubio.data.boxes.table import space_of
    >>> samples = (BoxSample("000139"), BoxSample("000285"))
    >>> data = BoxDataset("a", space_of("a", ["cat"]), samples, {s.image_id: BoxLabels() for s in samples})
    >>> result_numbers(data)
    [139, 285]
    """
    if any(s.source_id is None for s in dataset):
        stems = [PurePosixPath(s.image_id).name for s in dataset]
        if all(s.isdecimal() and s.isascii() for s in stems) and len({int(s) for s in stems}) == len(stems):
            return [int(s) for s in stems]
    return image_numbers(dataset)


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
        gone |= {name for name in (*EXTRAS, ENTROPY) if getattr(seen, name) is not None}
        parts = to_parts(seen.boxes, size_of(sample)) if len(seen) else np.zeros((0, 4))
        rows = zip(seen.classes.tolist(), parts.tolist(), seen.scores.tolist(), strict=True)
        text = "".join(f"{c} {' '.join(map(repr, p))} {s!r}\n" for c, p, s in rows)
        write_text(place_in(folder, sample.image_id, ".txt"), text)
    return [f"YOLO can't hold {', '.join(sorted(gone))}: left out"] if gone else []


def _records(seen: DetPrediction, class_ids: tuple[int, ...], extras: bool) -> list[dict[str, Any]]:
    place = np.hstack([seen.boxes[:, :2], seen.boxes[:, 2:] - seen.boxes[:, :2]]).tolist()
    categories = np.array(class_ids)[seen.classes].tolist()
    there = [name for name in (*EXTRAS, ENTROPY) if extras and getattr(seen, name) is not None]
    values = {name: getattr(seen, name).tolist() for name in there}
    kind = {KIND: seen.kind} if "class_scores" in values else {}
    return [
        {
            "category_id": categories[k],
            "bbox": place[k],
            "score": float(seen.scores[k]),
            **{name: column[k] for name, column in values.items()},
            **kind,
        }
        for k in range(len(seen))
    ]
