"""The half of the demonstration that is about boxes: the same scenes, with errors in their boxes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from dubio.core.boxes import BoxDataset, BoxSample, DetPrediction
from dubio.data.boxes import open_boxes
from dubio.data.boxes.parquet import write_parquet
from dubio.data.images import read_image
from dubio.engine.map import Progress, map_ordered, silent
from dubio.errors.bench.box_planting import BoxPlantOptions, plant_box_dataset
from dubio.errors.bench.box_scoring import score_boxes
from dubio.errors.bench.box_truth import BoxTruth
from dubio.errors.bench.result import Score
from dubio.errors.boxes.audit import BoxAuditOptions
from dubio.errors.boxes.audit import audit_boxes as find_in_boxes
from dubio.errors.boxes.plant import BoxErrorKind
from dubio.jobs.audit_boxes import BoxAuditResult, audit_boxes

NETWORK = "detector.onnx"
# Unlike what the finder teaches itself with: another mix.
_KINDS: dict[BoxErrorKind, float] = {"drop": 4, "swap": 2, "location": 2, "spurious": 1, "duplicate": 1}
_RATE = 0.06
# the uncertain detections are what shows missing labels
_LEAST_SCORE, _OVERLAP = 0.02, 0.6


@dataclass
class BoxDemo:
    """The audit of the demonstration's boxes with its score, and that of a ranking that learns nothing."""

    audit: BoxAuditResult
    truth: BoxTruth
    score: Score
    baselines: dict[str, Score]


def demo_boxes(
    data: Path,
    out: Path,
    *,
    seed: int,
    workers: int | None = None,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda _: None,
) -> BoxDemo:
    """Plant errors into the boxes of scenes, and find them with the detector that comes with dubio.

    Args:
        data: scenes with ``images`` and ``boxes.json``; gets ``boxes_with_errors`` and ``boxes.parquet``.
        out: run folder of the audit.
        seed: seed of the errors.
        workers: scenes at once.
        progress: wraps iterables to show progress.
        say: called with sentences for the user.
    """
    clean = open_boxes(data / "boxes.json", "coco", data / "images")
    place = data / "boxes_with_errors"
    shutil.rmtree(place, ignore_errors=True)  # of an earlier demonstration in this folder
    truth = plant_box_dataset(clean, place, BoxPlantOptions(rate=_RATE, kinds=_KINDS, seed=seed))
    assert truth.labels is not None
    say(f"planted {len(truth.errors)} errors into {sum(len(v) for v in clean.labels.values())} boxes")
    given = open_boxes(truth.labels, "coco", data / "images")
    predictions = dict(_detections(given, workers, progress))
    write_parquet(predictions, given.space, data / "boxes.parquet")
    options = BoxAuditOptions(seed=seed)
    found = audit_boxes(given, predictions, out, options, workers=workers, progress=progress, say=say)
    plain = find_in_boxes(given, predictions, BoxAuditOptions(seed=seed, learn=False), workers=workers)
    return BoxDemo(
        found, truth, score_boxes(found.findings, truth, draws=0),
        {"disagreement by ranks": score_boxes(plain.findings, truth, draws=0)},
    )  # fmt: skip


def _detections(
    dataset: BoxDataset, workers: int | None, progress: Progress
) -> Iterator[tuple[str, DetPrediction]]:
    from dubio.models.det.load import load_detector
    from dubio.models.det.source import DetectionSource
    from dubio.uncertainty.boxes.suppress import Suppression

    network = Path(str(resources.files("dubio") / "demo" / NETWORK))
    kept = Suppression(score=_LEAST_SCORE, iou=_OVERLAP)
    source = DetectionSource(load_detector(network, suppression=kept), dataset.space)

    def look(sample: BoxSample) -> tuple[str, DetPrediction]:
        assert sample.image is not None
        return sample.image_id, source.predict([read_image(sample.image)], [sample.image_id])[0]

    return iter(progress(map_ordered(look, dataset, workers=workers), len(dataset), "detecting"))
