"""Labelled and predicted boxes of a whole data set as flat columns.

Everything about boxes is computed in one pass over these columns, not image by image. Boxes and classes are
put into an order of their own (classes by name, boxes by corner, detections by score), so that no result
depends on the order of a file. Coordinates stay in pixels; what is learned from is relative to the image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxLabels
from dubio.errors.boxes import kernels
from dubio.errors.boxes.confidence import Confidence

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Given:
    """Labelled boxes of all images, by image.

    Attributes:
        box: ``(N, 4)`` float64 pixels.
        cls: ``(N,)`` class numbers in the order of names.
        image: ``(N,)`` number of the image.
        start: ``(images + 1,)`` where each image's boxes start.
        label: ``(N,)`` position in the image's labels as given; -1 for a planted box.
        off: ``(N,)`` boxes in ignored regions: no candidates.
        difficult: ``(N,)`` boxes that a model may miss.
        occlusion: ``(N,)`` NaN where unknown; ``truncation`` likewise.
        truncation: see there.
    """

    box: Floats
    cls: Ints
    image: Ints
    start: Ints
    label: Ints
    off: Flags
    difficult: Flags
    occlusion: Floats
    truncation: Floats

    def __len__(self) -> int:
        return len(self.box)

    def take(self, rows: Ints) -> Given:
        """Boxes at these positions, sorted by image; a box may be taken twice."""
        rows = rows[np.argsort(self.image[rows], kind="stable")]
        count = np.bincount(self.image[rows], minlength=len(self.start) - 1)
        return Given(
            self.box[rows], self.cls[rows], self.image[rows], starts_of(count), self.label[rows],
            self.off[rows], self.difficult[rows], self.occlusion[rows], self.truncation[rows],
        )  # fmt: skip

    def changed(self, **columns: Any) -> Given:
        """The same with other columns."""
        return replace(self, **columns)


@dataclass(frozen=True)
class Seen:
    """Detections of all images, by image and falling score.

    Attributes:
        box: ``(M, 4)`` float64 pixels.
        raw: ``(M,)`` score as the detector says it; only shown, never learned from.
        conf: ``(M,)`` share of right detections at this score (:mod:`dubio.errors.boxes.confidence`).
        cls: ``(M,)`` class numbers in the order of names.
        image: ``(M,)`` number of the image.
        start: ``(images + 1,)``.
        place: ``(M,)`` position in the image's detections as given.
        ignored: ``(M,)`` in an ignored region.
        head: ``(M,)`` the strongest detection of the same object, whatever its class; itself for most.
        rival: ``(M,)`` confidence of the best other class on the same object, 0 if none is known.
        scores: ``(M, C)`` float32 scores of all classes, in the order of names, or ``None``.
        variance: ``(M, 4)`` float64 variances of the coordinates, or ``None``.
    """

    box: Floats
    raw: Floats
    conf: Floats
    cls: Ints
    image: Ints
    start: Ints
    place: Ints
    ignored: Flags
    head: Ints
    rival: Floats
    scores: npt.NDArray[np.float32] | None
    variance: Floats | None

    def __len__(self) -> int:
        return len(self.box)


@dataclass(frozen=True)
class Scene:
    """A data set with its detections.

    Attributes:
        image_id: names of the images.
        size: ``(images, 2)`` height and width, pixels.
        given: the labelled boxes.
        seen: the detections.
        classes: ``(C,)`` index in the label space of each class number.
        confidence: how scores were calibrated.
        class_confidence: the same for scores of all classes, or ``None``.
        labels: the labels as given, by image.
        gaps: ``(C,)`` classes that look unlabelled throughout.
    """

    image_id: tuple[str, ...]
    size: Floats
    given: Given
    seen: Seen
    classes: Ints
    confidence: Confidence
    class_confidence: Confidence | None
    labels: tuple[BoxLabels, ...]
    gaps: Flags

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.image_id)

    def with_given(self, given: Given) -> Scene:
        """The same images with other labels."""
        return replace(self, given=given)

    def class_probability(self, rows: Ints, cls: Ints) -> Floats:
        """Confidence that each detection's place shows a class, ``(n,)``.

        Of the scores of all classes where there are some; else the detection's own confidence or that of
        the best detection of the class on the same object; NaN where a row is -1.
        """
        out = np.full(len(rows), np.nan)
        known = np.flatnonzero(rows >= 0)
        j, c = rows[known], cls[known]
        if self.seen.scores is not None and self.class_confidence is not None:
            out[known] = self.class_confidence(self.seen.scores[j, c].astype(np.float64))
        elif len(known):
            out[known] = kernels.class_on_object(
                j, c, self.seen.head, self.seen.cls, self.seen.conf, self.seen.start, self.seen.image
            )
        return out

    def shown(self, row: int, cls: int) -> float:
        """The detector's own score of a class at a detection, for people; NaN if it says none."""
        if row < 0 or cls < 0:
            return float("nan")
        s = self.seen
        if int(s.cls[row]) == cls:
            return float(s.raw[row])
        if s.scores is not None:
            return float(s.scores[row, cls])
        image = s.image[row]
        rows = np.arange(s.start[image], s.start[image + 1])
        same = rows[(s.head[rows] == s.head[row]) & (s.cls[rows] == cls)]
        return float(s.raw[same].max()) if len(same) else float("nan")


def starts_of(count: npt.ArrayLike) -> Ints:
    """Where each image's rows start, from their numbers."""
    return np.concatenate([[0], np.cumsum(count)]).astype(np.int64)


def summed(rows: Ints, weights: npt.NDArray[Any], n: int) -> Floats:
    """Sum of the weights by number of the row, ``(n,)`` float64, also where there are no rows."""
    return np.bincount(rows, weights=weights, minlength=n).astype(np.float64)
