"""Labelled boxes with the detections that stand for them, and what each detection says of its own doubt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.core.errors import InputError
from dubio.data.boxes.pictures import size_of
from dubio.engine.map import Progress, silent
from dubio.jobs.validate_calibrators import Calibrators
from dubio.jobs.validate_pairs import WRONG_CLASS, PairingOptions, Pairs, pair_image
from dubio.regions.boxes.iou import box_areas, paired_iou
from dubio.reliability.boxes.intervals import relative_sigma
from dubio.uncertainty.boxes.classes import class_entropy, mutual_information

Columns = dict[str, npt.NDArray[Any]]
Flags = npt.NDArray[np.bool_]
CORNERS = ("x0", "y0", "x1", "y1")
KINDS = {"al": "aleatoric", "ep": "epistemic", "sigma": "total"}
KNOWN = ("occlusion", "truncation", "distance")
# share of the corners that lies within the calibrated intervals of the table
LEVEL = 0.9
_WIDE = ("given", "box", "low", "high", *KINDS, *(f"cal_{k}" for k in KINDS))
_UNCALIBRATED = tuple(f"cal_{k}" for k in KINDS)  # where the calibration leaves corners alone
_WHOLE = ("image", "state", "label", "detection", "given_class", "predicted_class", "fold")


@dataclass
class ValidationRows:
    """One row per labelled box and one per detection that stands for none; images in their order.

    Attributes:
        columns: by name. ``image`` (its number), ``state`` (a place in
            :data:`~dubio.regions.boxes.table.STATES`), ``label`` and ``detection`` (numbers within the
            image), ``given_class``, ``predicted_class``, ``fold`` (which calibration), -1: none;
            ``(R, 4)``: ``given`` and ``box`` (corners, pixels), ``al``, ``ep``, ``sigma`` (standard
            deviations, pixels), the same calibrated with ``cal_``, ``low`` and ``high`` (calibrated
            intervals); all else ``(R,)``. NaN: unknown. A column that nothing is known for is missing.
        names: image ids.
        sizes: height and width by number of the image, where they are known.
    """

    columns: Columns
    names: tuple[str, ...]
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.columns["image"])

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self.columns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    @property
    def paired(self) -> Flags:
        """Rows of a labelled box that counts with a detection of any class."""
        return np.asarray(self["state"] <= WRONG_CLASS)

    @property
    def residual(self) -> npt.NDArray[np.float64]:
        """``(R, 4)`` true less predicted corners, pixels; NaN for rows that aren't :attr:`paired`."""
        off = self["given"] - self["box"]
        return np.asarray(np.where(self.paired[:, None], off, np.nan))


def validation_rows(
    dataset: BoxDataset,
    predictions: Mapping[str, DetPrediction],
    options: PairingOptions,
    calibrators: Calibrators | None = None,
    *,
    level: float = LEVEL,
    progress: Progress = silent,
) -> ValidationRows:
    """Pair all images and gather what is known of each box.

    Args:
        dataset: labelled boxes.
        predictions: detections by image id; images that are not there have none.
        options: how boxes are paired.
        calibrators: give the calibrated columns.
        level: share of corners that lies within the calibrated intervals.
        progress: wraps iterables to show progress.
    """
    parts: list[Columns] = []
    sizes: dict[int, tuple[int, int]] = {}
    for number, sample in enumerate(progress(dataset, len(dataset), "pairing boxes")):
        labels, seen = dataset.labels[sample.image_id], predictions.get(sample.image_id)
        if seen is None:
            seen = _nothing(len(dataset.space), sample.image_id)
        pairs = pair_image(seen, labels, options)
        size = _size(sample)
        if size is not None:
            sizes[number] = size
        if not len(pairs.state):
            continue
        rows = _label_columns(labels, pairs)
        rows["image"] = np.full(len(pairs.state), number, np.int64)
        used, place = np.unique(pairs.detection[pairs.detection >= 0], return_inverse=True)
        found = _detection_columns(seen.take(used), sample.image_id, size, calibrators, level)
        at = np.full(len(pairs.state), -1)
        at[pairs.detection >= 0] = place
        rows |= {name: _spread(values, at) for name, values in found.items()}
        if calibrators is not None:
            rows["fold"] = np.where(at >= 0, calibrators.fold(sample.image_id), -1)
        rows["iou"] = np.where(
            (pairs.label >= 0) & (at >= 0), paired_iou(rows["given"], rows["box"]), np.nan
        )  # NaN corners give an IoU of 0
        parts.append(rows)
    return ValidationRows(_joined(parts), tuple(s.image_id for s in dataset), sizes)


def _label_columns(labels: BoxLabels, pairs: Pairs) -> Columns:
    own = pairs.label
    rows: Columns = {
        "state": pairs.state,
        "label": own,
        "detection": pairs.detection,
        "given": _spread(labels.boxes, own),
        "given_class": _spread(labels.classes, own),
        "size": _spread(box_areas(labels.boxes), own),
    }
    for name in KNOWN:
        values = getattr(labels, name)
        if values is not None:
            rows[name] = _spread(values, own)
    return rows


def _detection_columns(
    seen: DetPrediction,
    image_id: str,
    size: tuple[int, int] | None,
    calibrators: Calibrators | None,
    level: float,
) -> Columns:
    rows = {"box": seen.boxes, "predicted_class": seen.classes, **_doubts(seen, "")}
    if calibrators is None:
        return rows
    calibration = calibrators.of(image_id)
    rows |= _doubts(calibration.apply(seen, size), "cal_")
    if calibration.spread is None:
        return {k: v for k, v in rows.items() if k.removesuffix("_rel") not in _UNCALIBRATED}
    if len(seen):
        rows["low"], rows["high"] = calibration.interval(seen, level, size)
    return rows


def _doubts(seen: DetPrediction, prefix: str) -> Columns:
    """Score and every uncertainty of detections, each by its own box."""
    rows: Columns = {"score": seen.scores}
    parts = {"al": seen.box_aleatoric, "ep": seen.box_epistemic}
    known = [v for v in parts.values() if v is not None]
    spreads = {k: np.sqrt(v) for k, v in parts.items() if v is not None}
    if known:
        spreads["sigma"] = np.sqrt(np.sum(known, axis=0))
    for name, sigma in spreads.items():
        rows[name], rows[f"{name}_rel"] = sigma, relative_sigma(sigma, seen.boxes).mean(1)
    if seen.class_scores is not None and seen.kind in ("softmax", "sigmoid"):
        rows["entropy"] = class_entropy(seen.class_scores, seen.kind)
        if seen.expected_entropy is not None:
            rows["expected_entropy"] = seen.expected_entropy
            rows["mutual_information"] = mutual_information(seen)
    if seen.class_variance is not None:
        rows["class_std"] = np.sqrt(seen.class_variance[np.arange(len(seen)), seen.classes])
    return {prefix + name: values for name, values in rows.items()}


def _spread(values: npt.NDArray[Any], at: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Values at these places; -1 or NaN where the place is -1."""
    whole = values.dtype.kind in "iu"
    out = np.full((len(at), *values.shape[1:]), -1 if whole else np.nan, np.int64 if whole else np.float64)
    out[at >= 0] = values[at[at >= 0]]
    return out


def _joined(parts: list[Columns]) -> Columns:
    names = dict.fromkeys(name for part in parts for name in part)
    needed = ("image", "state", "label", "detection", "given_class", "predicted_class", "given", "box", "iou")
    for name in (*needed, "score", "size"):
        names.setdefault(name, None)
    return {name: _column(name, parts) for name in names}


def _column(name: str, parts: Iterable[Columns]) -> npt.NDArray[Any]:
    whole = name in _WHOLE
    shape: tuple[int, ...] = (4,) if name in _WIDE else ()
    # corners stay exact; a spread needs no more digits than this
    kind = np.int64 if whole else np.float64 if name in ("given", "box", "iou", "size") else np.float32
    found = [
        part[name].astype(kind)
        if name in part
        else np.full((len(part["image"]), *shape), -1 if whole else np.nan, kind)
        for part in parts
    ]
    return np.concatenate(found) if found else np.zeros((0, *shape), kind)


def _nothing(n_classes: int, image_id: str) -> DetPrediction:
    none = np.zeros(0)
    return DetPrediction(np.zeros((0, 4)), none, none.astype(np.int64), n_classes, image_id=image_id)


def _size(sample: BoxSample) -> tuple[int, int] | None:
    if sample.height and sample.width:
        return sample.height, sample.width
    with suppress(InputError):  # no picture, or none that can be read: the size stays unknown
        return size_of(sample)
    return None
