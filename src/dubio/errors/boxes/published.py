"""Published scores of boxes, for comparison: ObjectLab (Tkachenko et al., 2023) and FiftyOne's mistakenness.

Both judge each box by fixed bars of the detector's score (0.95 and 0.5), which is why the audit doesn't use
them: with scores that stay below 0.95 they see nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dubio.core.boxes import BoxDataset, BoxLabels, DetPrediction
from dubio.core.errors import InputError
from dubio.errors.boxes.scene import Floats, Ints
from dubio.errors.findings import Box, BoxKind, Finding
from dubio.regions.boxes.iou import pairwise_iou
from dubio.regions.boxes.matching import match_boxes

# ObjectLab: weight of overlap beside nearness, decay of nearness per pixel, the bars of the score, overlap
# from which two labels of different class are one object, temperature of the pooling.
ALPHA, DECAY, HIGH, LOW, CONFLICT, TEMPERATURE = 0.9, 0.1, 0.95, 0.5, 0.95, 0.1
# FiftyOne: IoU of matching, and score from which an unmatched detection is a missing object.
MATCHED, SURE = 0.5, 0.95
_TINY = 1e-100


@dataclass(frozen=True)
class ObjectLab:
    """Scores of one image, 0 … 1, low = suspect.

    Attributes:
        overlooked: ``(N,)`` per detection; NaN where it isn't judged.
        badloc: ``(M,)`` per labelled box; 1 where nothing speaks against it.
        swap: ``(M,)`` likewise.
    """

    overlooked: Floats
    badloc: Floats
    swap: Floats

    def quality(self) -> float:
        """Score of the image: the geometric mean of the pooled three."""
        pooled = [_pooled(v) for v in (self.overlooked, self.badloc, self.swap)]
        return float(np.exp(np.mean(np.log(np.array(pooled) + _TINY))))


def objectlab(
    dataset: BoxDataset, predictions: Mapping[str, DetPrediction], *, high: float = HIGH, low: float = LOW
) -> dict[str, ObjectLab]:
    """ObjectLab's scores of all images, by image id.

    Args:
        dataset: images with labelled boxes.
        predictions: detections by image id.
        high: score from which a detection can speak for a missing box or another class.
        low: score from which one can speak against a box's place.
    """
    seen = {s.image_id: predictions.get(s.image_id) for s in dataset}
    near = {name: _similarity(dataset.labels[name], p) for name, p in seen.items() if p is not None}
    least = min((float(v[v > 0].min(initial=1.0)) for _, v in near.values()), default=1.0)
    none = np.zeros(0)
    found = {}
    for name, p in seen.items():
        labels = dataset.labels[name]
        if p is None:
            found[name] = ObjectLab(none, np.ones(len(labels)), np.ones(len(labels)))
            continue
        overlap, alike = near[name]
        found[name] = ObjectLab(
            _overlooked(labels, p, overlap, alike, least, high),
            _badloc(labels, p, overlap, alike, low),
            _swap(labels, p, alike, least, high),
        )
    return found


def _similarity(labels: BoxLabels, seen: DetPrediction) -> tuple[Floats, Floats]:
    """IoU ``(M, N)``, and its mean with the nearness of the centres."""
    overlap = pairwise_iou(labels.boxes, seen.boxes)
    here, there = ((b[:, :2] + b[:, 2:]) / 2 for b in (labels.boxes, seen.boxes))
    distance = np.linalg.norm(here[:, None] - there[None], axis=2)
    return overlap, ALPHA * overlap + (1 - ALPHA) * np.exp(-DECAY * distance)


def _overlooked(
    labels: BoxLabels, seen: DetPrediction, overlap: Floats, alike: Floats, least: float, high: float
) -> Floats:
    same = labels.classes[:, None] == seen.classes[None]
    nearest = np.where(same, alike, -1.0).max(0, initial=-1.0)
    score = np.where(nearest >= 0, nearest, least * (1 - seen.scores))
    judged = (seen.scores >= high) & ~(overlap > 0).any(0)
    return np.where(judged, score, np.nan)


def _badloc(labels: BoxLabels, seen: DetPrediction, overlap: Floats, alike: Floats, low: float) -> Floats:
    speaks = (labels.classes[:, None] == seen.classes[None]) & (seen.scores > low)[None] & (overlap > 0)
    best = np.where(speaks, alike, -1.0).max(1, initial=-1.0)
    return np.where(best >= 0, best, 1.0)


def _swap(labels: BoxLabels, seen: DetPrediction, alike: Floats, least: float, high: float) -> Floats:
    speaks = (labels.classes[:, None] != seen.classes[None]) & (seen.scores > high)[None]
    best = np.where(speaks, alike, -1.0).max(1, initial=-1.0)
    score = np.where(best >= 0, np.maximum(least, 1 - best), 1.0)
    differs = labels.classes[:, None] != labels.classes[None]
    conflict = (differs & (pairwise_iou(labels.boxes, labels.boxes) >= CONFLICT)).any(1)
    return np.where(conflict, least, score)


def _pooled(scores: Floats) -> float:
    known = scores[~np.isnan(scores)]
    if not len(known):
        return 1.0
    weight = np.exp(-(known - known.min()) / TEMPERATURE)
    return float((weight * known).sum() / weight.sum())


@dataclass(frozen=True)
class Mistakenness:
    """FiftyOne's measures of one image.

    Attributes:
        label: ``(M,)`` mistakenness of the class of each labelled box, NaN where no detection meets it.
        location: ``(M,)`` mistakenness of its place.
        spurious: ``(M,)`` 1 where no detection meets it, else 0.
        missing: ``(N,)`` 1 for a detection that meets no box and scores above 0.95, else 0.
    """

    label: Floats
    location: Floats
    spurious: Floats
    missing: Floats


def mistakenness(labels: BoxLabels, seen: DetPrediction, *, sure: float = SURE) -> Mistakenness:
    """FiftyOne's mistakenness, from confidences.

    Args:
        labels: labelled boxes.
        seen: detections of the image.
        sure: score above which an unmatched detection is a missing object.

    >>> one = BoxLabels(np.array([[0, 0, 10, 10]]), np.array([0]))
    >>> seen = DetPrediction(np.array([[0, 0, 10, 8]]), np.array([0.6]), np.array([1]), 2)
    >>> found = mistakenness(one, seen)
    >>> found.label.round(2).tolist(), found.location.round(2).tolist()
    ([0.8], [0.44])
    """
    match = match_boxes(seen, labels, iou=MATCHED, class_aware=False)
    met = match.prediction >= 0
    conf, same = np.full(len(labels), np.nan), np.zeros(len(labels), bool)
    conf[met] = seen.scores[match.prediction[met]]
    same[met] = seen.classes[match.prediction[met]] == labels.classes[met]
    far = (1 - match.label_iou) / (1 - MATCHED)
    return Mistakenness(
        (np.where(same, -1.0, 1.0) * conf + 1) / 2,
        (conf * (2 * far - 1) + 1) / 2,
        (~met & ~match.label_ignored).astype(np.float64),
        ((match.label < 0) & ~match.ignored & (seen.scores > sure)).astype(np.float64),
    )


def published_findings(
    dataset: BoxDataset,
    predictions: Mapping[str, DetPrediction],
    method: Literal["objectlab", "fiftyone"] = "objectlab",
    *,
    sure: float = HIGH,
) -> list[Finding]:
    """The published scores as a list of findings, most suspect first, to be scored beside the audit's.

    Args:
        dataset: images with labelled boxes.
        predictions: detections by image id.
        method: whose scores.
        sure: their bar of the detector's score, 0.95 as published.

    Raises:
        InputError: an unknown method.
    """
    if method not in ("objectlab", "fiftyone"):
        raise InputError(f"there are no scores of '{method}'", remedy="choose objectlab or fiftyone")
    listed: list[tuple[float, str, BoxKind, int]] = []
    scores = objectlab(dataset, predictions, high=sure) if method == "objectlab" else {}
    for sample in dataset:
        name = sample.image_id
        seen = predictions.get(name)
        if seen is None:
            continue
        if method == "objectlab":
            o = scores[name]
            parts = _suspicions(missing=1 - o.overlooked, location=1 - o.badloc, wrong_class=1 - o.swap)
        else:
            m = mistakenness(dataset.labels[name], seen, sure=sure)
            parts = _suspicions(
                missing=m.missing * seen.scores, location=m.location, wrong_class=m.label, spurious=m.spurious
            )
        listed += [(p, name, kind, k) for p, kind, k in parts]
    listed.sort(key=lambda row: (-row[0], *row[1:]))
    return [_finding(n, row, dataset, predictions) for n, row in enumerate(listed, start=1)]


def _suspicions(**kinds: Floats) -> Iterator[tuple[float, BoxKind, int]]:
    names: tuple[BoxKind, ...] = ("missing", "spurious", "wrong_class", "location")
    for name in names:
        values = np.nan_to_num(kinds.get(name, np.zeros(0)))
        rows: Ints = np.flatnonzero(values > 0)
        yield from ((min(float(values[k]), 1.0), name, int(k)) for k in rows)


def _finding(
    number: int,
    row: tuple[float, str, BoxKind, int],
    dataset: BoxDataset,
    predictions: Mapping[str, DetPrediction],
) -> Finding:
    p, name, kind, k = row
    missing = kind == "missing"
    source: BoxLabels | DetPrediction = predictions[name] if missing else dataset.labels[name]
    x0, y0, x1, y1 = (float(v) for v in source.boxes[k])
    box: Box = (x0, y0, x1, y1)
    index = int(source.classes[k])
    word = dataset.space.name_of(index)
    return Finding(
        finding=number, image_id=name, kind=kind, given="" if missing else word,
        proposed=word if missing else "", given_index=-1 if missing else index,
        proposed_index=index if missing else -1, probability=p, score=p, x0=int(np.floor(x0)),
        y0=int(np.floor(y0)), x1=int(np.ceil(x1)), y1=int(np.ceil(y1)), size=round((x1 - x0) * (y1 - y0)),
        runs=np.zeros(0, np.int32), height=0, width=0, p_given=float("nan"), p_proposed=float("nan"),
        reason="", given_box=None if missing else box, proposed_box=box if missing else None,
        label=-1 if missing else k,
    )  # fmt: skip
