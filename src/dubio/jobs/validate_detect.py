"""A detector run for validation: resumable detections, its run time, and pictures spoilt on purpose."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.core.errors import InputError
from dubio.core.run import Run
from dubio.data.boxes.results import open_detections
from dubio.data.corrupt.boxes import BoxCorruption
from dubio.data.images import read_image
from dubio.engine.map import Progress, chunked, map_ordered
from dubio.jobs.predict_boxes import PredictBoxesJob
from dubio.models.det.source import DetectionSource
from dubio.regions.boxes.iou import pairwise_iou

_TIMED = 50  # images: enough for a median
FOLDER = "detections"


@dataclass(frozen=True)
class Detecting:
    """A detector with how it is run.

    Args:
        source: the detector, in the classes of the data set.
        batch_size: images per run of the network.
        workers: threads that read.
        strict: stop at the first image that can't be used.
    """

    source: DetectionSource
    batch_size: int = 4
    workers: int | None = None
    strict: bool = False


def detect(
    detecting: Detecting, dataset: BoxDataset, folder: Path, progress: Progress
) -> tuple[BoxDataset, Mapping[str, DetPrediction], dict[str, str]]:
    """Detections of all images, kept as a run of ``dubio predict`` within the folder.

    Returns:
        The data set without images that can't be used; the detections; the faults by image id.

    Raises:
        InputError: no image can be used.
    """
    run = Run(folder / FOLDER, "predict --detector", {"boxes": dataset.root, "set": dataset.name})
    job = PredictBoxesJob(
        detecting.source, dataset, run, labelled=False, batch_size=detecting.batch_size,
        workers=detecting.workers, strict=detecting.strict,
    )  # fmt: skip
    for _ in progress(job.work(), len(job.samples), "detecting"):
        pass
    bad = {o.sample.image_id: o.fault for o in job.finish().bad}
    used = {s.image_id for s in job.samples} - set(bad)
    seen = replace(dataset, samples=tuple(s for s in dataset if s.image_id in used))
    return seen, open_detections(seen, run.path).predictions, bad


def run_time(detecting: Detecting, dataset: BoxDataset, images: int = _TIMED) -> dict[str, Any]:
    """Milliseconds per image, from pixels to detections, one image at a time; reading is not counted.

    The first image warms up and doesn't count.

    Returns:
        ``images``, ``mean_ms``, ``std_ms``, ``median_ms``; NaN for fewer than two images.
    """
    step = max(1, len(dataset) // images)
    spent = []
    for sample in dataset.samples[::step][: images + 1]:
        if sample.image is None:
            continue
        image = read_image(sample.image)
        start = time.perf_counter()
        detecting.source.predict([image], [sample.image_id])
        spent.append(1e3 * (time.perf_counter() - start))
    kept = np.array(spent[1:])
    if not len(kept):
        return {"images": 0} | dict.fromkeys(("mean_ms", "std_ms", "median_ms"), float("nan"))
    return {
        "images": len(kept),
        "mean_ms": float(kept.mean()),
        "std_ms": float(kept.std()),
        "median_ms": float(np.median(kept)),
    }


def detect_corrupted(
    detecting: Detecting,
    dataset: BoxDataset,
    clean: Mapping[str, DetPrediction],
    corruption: BoxCorruption,
    *,
    min_score: float,
    seed: int,
    progress: Progress,
) -> tuple[BoxDataset, dict[str, DetPrediction], float]:
    """Detections on spoilt pictures, with the labels moved along.

    Args:
        detecting: the detector.
        dataset: images with their labels; all pictures can be read.
        clean: detections on the pictures as they are.
        corruption: what is done to the pictures.
        min_score: detections from this score on are compared with those on the pictures as they are.
        seed: of the corruption.
        progress: shows progress.

    Returns:
        The moved data set; its detections; the agreement: mean over the clean detections, moved along, of the
        greatest IoU with a detection of the same class on the spoilt picture. NaN without any.
    """

    def read(samples: Sequence[BoxSample]) -> list[Any]:
        found = []
        for s in samples:
            if s.image is None:
                raise InputError(f"the image '{s.image_id}' has no picture", remedy="name the images")
            found.append((s, *corruption.apply(read_image(s.image), seed=seed, image_id=s.image_id)))
        return found

    samples: list[BoxSample] = []
    labels: dict[str, BoxLabels] = {}
    predictions: dict[str, DetPrediction] = {}
    met: list[np.ndarray[Any, np.dtype[np.float64]]] = []
    groups = chunked(dataset.samples, detecting.batch_size)
    read_groups = map_ordered(read, groups, workers=detecting.workers)
    for group in progress(read_groups, len(groups), f"detecting under {corruption.title}"):
        images, ids = [image for _, image, _ in group], [s.image_id for s, _, _ in group]
        for (sample, _, move), found in zip(group, detecting.source.predict(images, ids), strict=True):
            name = sample.image_id
            samples.append(replace(sample, height=move.after[0], width=move.after[1]))
            labels[name] = move.labels(dataset.labels[name])
            predictions[name] = found
            before = clean[name].take(clean[name].scores >= min_score)
            met.append(_best_iou(move.prediction(before), found.take(found.scores >= min_score)))
    agreement = np.concatenate(met) if met else np.zeros(0)
    moved = replace(dataset, samples=tuple(samples), labels=labels)
    return moved, predictions, float(agreement.mean()) if len(agreement) else float("nan")


def _best_iou(before: DetPrediction, after: DetPrediction) -> np.ndarray[Any, np.dtype[np.float64]]:
    overlap = pairwise_iou(before.boxes, after.boxes)
    overlap = np.where(before.classes[:, None] == after.classes[None, :], overlap, 0.0)
    return overlap.max(1) if overlap.shape[1] else np.zeros(len(before))
