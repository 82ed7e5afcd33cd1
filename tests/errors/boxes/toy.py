"""Small data sets of boxes with detections of a plausible quality."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.data.boxes.table import space_of

HEIGHT, WIDTH = 240, 320


def toy(n=40, m=7, classes=("cat", "dog", "ape"), seed=0, scores=True, variances=False):
    """A data set and detections: most boxes are seen, some badly, and there are false detections."""
    labels, seen, samples = {}, {}, []
    for k in range(n):
        rng = np.random.default_rng([seed, k])
        name = f"im{k:03d}"
        boxes, cls = _objects(rng, m, len(classes))
        labels[name] = BoxLabels(boxes, cls)
        seen[name] = _seen(rng, name, boxes, cls, len(classes), scores, variances)
        samples.append(BoxSample(name, width=WIDTH, height=HEIGHT))
    return BoxDataset("toy", space_of("toy", list(classes)), tuple(samples), labels), seen


def _objects(rng, m, n_classes):
    centre = rng.uniform([30, 30], [WIDTH - 30, HEIGHT - 30], (m, 2))
    cls = rng.integers(0, n_classes, m)
    side = np.exp(rng.normal(3.2, 0.25, (m, 2))) * (1 + 0.25 * cls[:, None])
    boxes = np.concatenate([centre - side / 2, centre + side / 2], 1)
    return boxes.clip(0, [WIDTH, HEIGHT, WIDTH, HEIGHT]), cls


def _seen(rng, name, boxes, cls, c, scores, variances):
    hit = rng.random(len(boxes)) < 0.93
    side = boxes[:, 2:] - boxes[:, :2]
    moved = boxes[hit] + rng.normal(0, 0.04, (hit.sum(), 4)) * np.tile(side[hit], 2)
    false, false_cls = _objects(rng, 3, c)
    box = np.concatenate([moved, false])
    box[:, 2:] = np.maximum(box[:, 2:], box[:, :2] + 2)
    said = np.where(rng.random(hit.sum()) < 0.95, cls[hit], rng.integers(0, c, hit.sum()))
    conf = np.concatenate([rng.beta(6, 1.5, hit.sum()), rng.beta(1.5, 4, 3)])
    all_ = rng.uniform(0, 0.1, (len(box), c))
    found = np.concatenate([said, false_cls])
    all_[np.arange(len(box)), found] = conf
    return DetPrediction(
        box, conf, found, c,
        class_scores=all_ if scores else None, kind="sigmoid" if scores else None,
        box_aleatoric=(0.04 * np.tile(box[:, 2:] - box[:, :2], 2)) ** 2 if variances else None,
        image_id=name,
    )  # fmt: skip


def scaled(seen, change):
    """The same detections with other scores."""
    return {
        name: replace(
            p,
            scores=change(p.scores),
            class_scores=None if p.class_scores is None else change(p.class_scores),
        )
        for name, p in seen.items()
    }
