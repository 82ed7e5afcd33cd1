"""What the spread of corners is calibrated on: detections with the boxes that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxDataset, DetPrediction, Floats
from dubio.core.errors import InputError
from dubio.regions.boxes.matching import Match

Ints = npt.NDArray[np.int64]
Grouping = Literal["all", "coordinate", "class", "class-coordinate"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)
Spread = Literal["total", "aleatoric", "epistemic"]
SPREADS: tuple[Spread, ...] = get_args(Spread)


@dataclass(frozen=True, eq=False)
class BoxRows:
    """Detections, all images in one.

    Attributes:
        boxes: ``(N, 4)`` predicted corners, pixels.
        sigma: ``(N, 4)`` stated standard deviations, pixels; ``None``: the detector states none.
        classes: ``(N,)`` predicted classes.
        scores: ``(N,)`` confidence.
        frame: ``(N, 2)`` width and height of the picture; NaN: unknown.
        n_classes: number of classes.
        residual: ``(N, 4)`` true less predicted corners, pixels; ``None`` where nothing is labelled.
        image: ``(N,)`` number of the image in ``names``.
        names: image ids.
    """

    boxes: Floats
    sigma: Floats | None
    classes: Ints
    scores: Floats
    frame: Floats
    n_classes: int
    residual: Floats | None = None
    image: Ints = None  # type: ignore[assignment]  # set below
    names: tuple[str, ...] = ("",)

    def __post_init__(self) -> None:
        if self.image is None:
            object.__setattr__(self, "image", np.zeros(len(self.boxes), np.int64))

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def sides(self) -> Floats:
        """``(N, 4)`` side of the box along each coordinate (w, h, w, h), at least one pixel."""
        wide = np.maximum(self.boxes[:, 2:] - self.boxes[:, :2], 1.0)
        return np.concatenate([wide, wide], 1)

    @property
    def truth(self) -> Floats:
        """``(N, 4)`` residuals.

        Raises:
            InputError: nothing is labelled.
        """
        if self.residual is None:
            raise InputError("these detections have no labels to be calibrated on")
        return self.residual

    def take(self, index: npt.NDArray[Any]) -> BoxRows:
        """Rows at these positions, or where a mask holds."""
        whole = ("n_classes", "names")
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v[index] for k, v in values.items() if k not in whole and v is not None})

    def groups(self, grouping: Grouping) -> tuple[Ints, int]:
        """Group of every coordinate, ``(N, 4)``, and how many there may be."""
        n = len(self)
        coordinate = np.broadcast_to(np.arange(4), (n, 4))
        by_class = np.broadcast_to(self.classes[:, None], (n, 4))
        if grouping == "all":
            return np.zeros((n, 4), np.int64), 1
        if grouping == "coordinate":
            return coordinate.astype(np.int64), 4
        if grouping == "class":
            return by_class.astype(np.int64), self.n_classes
        return (by_class * 4 + coordinate).astype(np.int64), 4 * self.n_classes


def rows_of(
    prediction: DetPrediction, size: tuple[int, int] | None = None, *, spread: Spread = "total"
) -> BoxRows:
    """Rows of an image's detections, without labels.

    Args:
        prediction: the detections.
        size: height and width of the picture.
        spread: which of the stated variances is sigma; ``total``: their sum (law of total variance).
    """
    frame = np.full((len(prediction), 2), np.nan)
    if size is not None:
        frame[:] = size[1], size[0]
    variance = _variance(prediction, spread)
    return BoxRows(
        prediction.boxes,
        None if variance is None else np.sqrt(variance),
        prediction.classes,
        prediction.scores,
        frame,
        prediction.n_classes,
        names=(prediction.image_id,),
    )


def _variance(prediction: DetPrediction, spread: Spread) -> Floats | None:
    if spread not in SPREADS:
        raise InputError(f"there is no spread '{spread}'", remedy=f"one of {', '.join(SPREADS)}")
    parts = {"aleatoric": prediction.box_aleatoric, "epistemic": prediction.box_epistemic}
    if spread != "total":
        return parts[spread]
    known = [v for v in parts.values() if v is not None]
    return np.asarray(sum(known), np.float64) if known else None


def matched_rows(
    dataset: BoxDataset,
    predictions: Mapping[str, DetPrediction],
    matches: Mapping[str, Match],
    *,
    spread: Spread = "total",
) -> BoxRows:
    """Rows of all detections that stand for a labelled box, with their residuals.

    Args:
        dataset: labelled boxes.
        predictions: detections by image id.
        matches: pairs by image id (:func:`~dubio.regions.boxes.matching.match_boxes`).
        spread: which of the stated variances is sigma.

    Raises:
        InputError: some images' detections state variances and others' don't.
    """
    parts: list[BoxRows] = []
    for number, sample in enumerate(dataset):
        seen, match = predictions.get(sample.image_id), matches.get(sample.image_id)
        if seen is None or match is None or not match.true_positive.any():
            continue
        size = None if not (sample.height and sample.width) else (sample.height, sample.width)
        kept = np.flatnonzero(match.true_positive)
        rows = rows_of(seen.take(kept), size, spread=spread)
        truth = dataset.labels[sample.image_id].boxes[match.label[kept]]
        image = np.full(len(kept), number, np.int64)
        parts.append(replace(rows, residual=truth - rows.boxes, image=image))
    names = tuple(s.image_id for s in dataset)
    if not parts:
        none = np.zeros((0, 4))
        empty = np.zeros(0, np.int64)
        return BoxRows(
            none, None, empty, np.zeros(0), np.zeros((0, 2)), len(dataset.space), none, empty, names
        )
    stated = {p.sigma is None for p in parts}
    if len(stated) > 1:
        raise InputError("some detections state variances of their corners, others don't")
    joined: dict[str, Any] = {
        f.name: np.concatenate([getattr(p, f.name) for p in parts])
        for f in fields(BoxRows)
        if f.name not in ("n_classes", "names") and getattr(parts[0], f.name) is not None
    }
    joined.setdefault("sigma", None)
    return BoxRows(**joined, n_classes=len(dataset.space), names=names)
