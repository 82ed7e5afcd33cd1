"""A miniature for the commands on boxes: labels with known errors, pictures, and what a detector sees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result
from PIL import Image

import dubio
from dubio.cli.main import main
from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.core.labelspace import LabelClass, LabelSpace
from dubio.data.boxes.parquet import write_parquet

SPACE = LabelSpace(
    "pets",
    (
        LabelClass(1, "cat", (200, 60, 40)),
        LabelClass(2, "dog", (40, 90, 200)),
        LabelClass(3, "hen", (9, 9, 9)),
    ),
)
N, H, W = 24, 120, 160
# Quick, but enough to learn from: about a hundred planted errors.
QUICK = ("--folds", "2", "--copies", "12")


@dataclass(frozen=True)
class Pets:
    """A miniature: labels with known errors in each format, pictures, detections."""

    root: Path
    clean: BoxDataset
    dataset: BoxDataset
    seen: dict[str, DetPrediction]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def write_pets(root: Path) -> Pets:
    """Write the miniature into a folder."""
    truth, dataset, seen = make()
    rng = np.random.default_rng(0)
    (root / "photos").mkdir()
    for sample in dataset:
        pixels = rng.integers(0, 255, (H, W, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "photos" / f"{sample.image_id}.png")
    for layout, name in (("coco", "coco.json"), ("voc", "voc"), ("yolo", "yolo")):
        (root / layout).mkdir()
        dubio.write_boxes(dataset, root / layout / name, layout)
    write_parquet(seen, SPACE, root / "seen.parquet")
    return Pets(root, truth, dataset, seen)


def make(n: int = N) -> tuple[BoxDataset, BoxDataset, dict[str, DetPrediction]]:
    """The truth, labels with one error of each kind in the first five images, and what a detector sees.

    The last image holds nothing; the detector is off by about a pixel and says all classes.
    """
    rng = np.random.default_rng(5)
    samples, clean, labels, seen = [], {}, {}, {}
    for k in range(n):
        name = f"p{k:02d}"
        samples.append(BoxSample(name, width=W, height=H, file_name=f"{name}.png"))
        corner = np.array([[8, 8], [60, 10], [104, 60], [20, 70]]) + rng.uniform(-4, 4, (4, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(24, 44, (4, 2))], 1).round(1)
        classes = rng.integers(0, 3, 4)
        if k == n - 1:
            boxes, classes = boxes[:0], classes[:0]
        clean[name] = BoxLabels(boxes, classes)
        labels[name] = _spoilt(boxes, classes, k)
        seen[name] = _seen(rng, name, boxes, classes)
    truth = BoxDataset("pets", SPACE, tuple(samples), clean)
    return truth, replace(truth, labels=labels), seen


def _spoilt(boxes: np.ndarray, classes: np.ndarray, k: int) -> BoxLabels:
    boxes, classes = boxes.copy(), classes.copy()
    if k == 0:  # missing
        return BoxLabels(boxes[:3], classes[:3])
    if k == 1:  # wrong class
        classes[1] = (classes[1] + 1) % 3
    if k == 2:  # location
        boxes[2] += [9, 8, 9, 8]
    if k == 3:  # spurious
        boxes, classes = np.append(boxes, [[70, 80, 90, 110]], 0), np.append(classes, 1)
    if k == 4:  # duplicate
        boxes, classes = np.append(boxes, boxes[:1] + 1, 0), np.append(classes, classes[0])
    return BoxLabels(boxes, classes)


def _seen(rng: np.random.Generator, name: str, boxes: np.ndarray, classes: np.ndarray) -> DetPrediction:
    noise = np.array([[2.0, 90, 20, 118], [130, 4, 156, 30]]) + rng.uniform(-2, 2, (2, 4))
    every = np.concatenate([boxes + rng.normal(0, 0.6, boxes.shape), noise])
    named = np.concatenate([classes, rng.integers(0, 3, 2)])
    scores = np.concatenate([rng.uniform(0.7, 0.95, len(boxes)), rng.uniform(0.05, 0.15, 2)])
    all_scores = np.full((len(every), 3), 0.02)
    all_scores[np.arange(len(every)), named] = scores
    variance = np.full(every.shape, 0.5)
    return DetPrediction(
        every,
        scores,
        named,
        3,
        class_scores=all_scores,
        kind="sigmoid",
        box_aleatoric=variance,
        image_id=name,
    )
