"""What the audit is compared with: rankings of regions by other tools and by simple scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy import ndimage

from dubio import SegPrediction
from dubio.core.records import Dataset, PredictionSource
from dubio.data.masks import read_mask
from dubio.errors.findings import Finding
from dubio.errors.opinions import Area
from dubio.regions.extract import components, extract

Pair = tuple[str, np.ndarray, np.ndarray, np.ndarray]


def read_pairs(dataset: Dataset, source: PredictionSource) -> Iterator[Pair]:
    """Image id, label, class probabilities (C, H, W) float32 and predicted class of every image."""
    for sample in (s for s in dataset if s.label is not None):
        label = read_mask(sample.label, dataset.space, dataset.encoding)
        prediction = source.read(sample, label.shape)
        if prediction is None:
            continue
        maps = extract(prediction, space=dataset.space).maps
        yield sample.image_id, label, probabilities(prediction), maps.pred


def probabilities(prediction: SegPrediction) -> np.ndarray:
    scores = np.asarray(prediction.scores[: prediction.n_classes], np.float32)
    if prediction.kind == "probabilities":
        return scores
    e = np.exp(scores - scores.max(0))
    return e / e.sum(0)


def regions(
    image_id: str,
    where: np.ndarray,
    label: np.ndarray,
    pred: np.ndarray,
    n_classes: int,
    scores: dict[str, np.ndarray],
    min_size: int,
) -> Iterator[tuple[Finding, dict[str, float]]]:
    """Components of equal predicted class among marked pixels, each with its mean of every score map."""
    ids, n = components(np.where(where, pred, n_classes).astype(pred.dtype), n_classes)
    size = np.bincount(ids.ravel(), minlength=n + 1)
    means = {k: np.bincount(ids.ravel(), v.ravel(), n + 1) / np.maximum(size, 1) for k, v in scores.items()}
    for k, box in enumerate(ndimage.find_objects(ids, n), start=1):
        if size[k] < min_size:
            continue
        mask = ids == k
        given = int(np.bincount(label[mask], minlength=n_classes + 1)[:n_classes].argmax())
        proposed = int(pred[mask][0])
        area = Area.of(mask)
        finding = Finding(
            finding=0, image_id=image_id, kind="missing", given=str(given), proposed=str(proposed),
            given_index=given, proposed_index=proposed, probability=0.0, score=0.0,
            x0=box[1].start, y0=box[0].start, x1=box[1].stop, y1=box[0].stop, size=int(size[k]),
            runs=np.array(area.runs, np.int32), height=area.height, width=area.width, p_given=0.0,
            p_proposed=0.0, reason="",
        )  # fmt: skip
        yield finding, {name: float(v[k]) for name, v in means.items()} | {"size": float(size[k])}


def ranked(rows: list[tuple[Finding, dict[str, float]]], name: str) -> list[Finding]:
    """The regions by one of their scores, brought to 0 … 1."""
    from dataclasses import replace

    values = np.array([score[name] for _, score in rows])
    top = values.max(initial=1.0)
    return [replace(f, probability=float(v / top)) for (f, _), v in zip(rows, values, strict=True)]


def entropy_map(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(np.maximum(p, 1e-12))).sum(0) / np.log(len(p))


def entropy_regions(pairs: Callable[[], Iterator[Pair]], n_classes: int, min_size: int) -> dict:
    """Regions where prediction and label differ, by mean entropy, by certainty, by doubt in the label."""
    rows = []
    for name, label, p, pred in pairs():
        known = (label < n_classes) & (pred < n_classes)
        own = np.take_along_axis(p, np.minimum(label, n_classes - 1)[None].astype(int), 0)[0]
        entropy = entropy_map(p)
        maps = {"entropy": entropy, "certainty": 1 - entropy, "1 - p(label)": 1 - own}
        rows += regions(name, known & (pred != label), label, pred, n_classes, maps, min_size)
    return {name: ranked(rows, name) for name in ("entropy", "certainty", "1 - p(label)", "size")}


def cleanlab_regions(pairs: Callable[[], Iterator[Pair]], n_classes: int, min_size: int) -> dict:
    """Cleanlab's pixel issues, joined to regions; by mean label quality, and by size.

    cleanlab knows no void: there the label is set to the prediction, which is never an issue. It wants all
    images of one size in memory.
    """
    from cleanlab.segmentation.filter import find_label_issues

    kept = list(pairs())
    labels = np.stack([np.where(lab < n_classes, lab, np.minimum(q, n_classes - 1)) for _, lab, _, q in kept])
    p = np.stack([q for _, _, q, _ in kept])
    issues = find_label_issues(labels.astype(int), p, n_jobs=1, verbose=False)
    rows = []
    for (name, label, q, pred), mask in zip(kept, issues, strict=True):
        own = np.take_along_axis(q, np.minimum(label, n_classes - 1)[None].astype(int), 0)[0]
        where = mask & (label < n_classes) & (pred < n_classes)
        rows += regions(name, where, label, pred, n_classes, {"1 - quality": 1 - own}, min_size)
    return {name: ranked(rows, name) for name in ("1 - quality", "size")}


def softmin(p: np.ndarray, temperature: float = 0.1) -> float:
    """Cleanlab's image score from the label's probability per pixel: low = suspect."""
    weight = np.exp((1 - p) / temperature)
    return float((p * weight).sum() / weight.sum())
