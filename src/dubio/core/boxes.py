"""Records of detection: labelled boxes, data sets of them, and what a detector says of an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.labelspace import LabelSpace

BoxScoreKind = Literal["softmax", "sigmoid", "logits"]
Floats = npt.NDArray[np.float64]
_KINDS = ("softmax", "sigmoid", "logits")
_SUM_SLACK = 1e-2  # half-precision softmax over 1000 classes sums to 1 only so well


def _no_boxes() -> Floats:
    return np.zeros((0, 4))


def _no_flags() -> npt.NDArray[np.bool_]:
    return np.zeros(0, bool)


@dataclass(frozen=True, eq=False)
class BoxLabels:
    """Labelled boxes of one image.

    A box is ``(x1, y1, x2, y2)`` in pixels of the image, continuous and half open: the first pixel of an
    image is covered by ``(0, 0, 1, 1)``. Boxes without area are allowed, and boxes may leave the image.

    Args:
        boxes: ``(N, 4)`` float64.
        classes: ``(N,)`` class indices of the label space.
        ids: ``(N,)`` names of the boxes in their file, as strings; ``None`` if they have none.
        crowd: ``(N,)`` whether a box covers a group of objects; left out: none does.
        difficult: ``(N,)`` whether evaluation should pass over a box (Pascal VOC); left out: none.
        occlusion: ``(N,)`` grade of occlusion, 0 = fully visible, in the steps of the format; NaN: unknown.
        truncation: ``(N,)`` share or flag (0 to 1) of what leaves the image; NaN: unknown.
        distance: ``(N,)`` metres from the camera; NaN: unknown.
        ignore: ``(M, 4)`` regions where nothing is labelled and no detection is wrong (KITTI's DontCare).
        area: ``(N,)`` square pixels of the objects themselves, by which COCO calls them small, medium or
            large (of an outlined object: less than its box); NaN, or left out: that of the box.

    Raises:
        InputError: a shape is wrong, a coordinate isn't finite, or a corner lies beyond the other.

    >>> one = BoxLabels(np.array([[2, 3, 10, 8]]), np.array([0]))
    >>> len(one), one.crowd.tolist(), one.areas.tolist()
    (1, [False], [40.0])
    """

    boxes: Floats = field(default_factory=_no_boxes)
    classes: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    ids: npt.NDArray[np.str_] | None = None
    crowd: npt.NDArray[np.bool_] = field(default_factory=_no_flags)
    difficult: npt.NDArray[np.bool_] = field(default_factory=_no_flags)
    occlusion: Floats | None = None
    truncation: Floats | None = None
    distance: Floats | None = None
    ignore: Floats = field(default_factory=_no_boxes)
    area: Floats | None = None

    def __post_init__(self) -> None:
        boxes = _checked_boxes(self.boxes, "boxes")
        n = len(boxes)
        _set(self, "boxes", boxes)
        _set(self, "ignore", _checked_boxes(self.ignore, "ignored regions"))
        _set(self, "classes", _checked_classes(self.classes, n))
        if self.ids is not None:
            _set(self, "ids", _column(np.asarray(self.ids, np.str_), n, "ids"))
        for name in ("crowd", "difficult"):
            flags = np.asarray(getattr(self, name), bool)
            _set(self, name, np.zeros(n, bool) if flags.size == 0 else _column(flags, n, name))
        for name in ("occlusion", "truncation", "distance", "area"):
            if getattr(self, name) is not None:
                _set(self, name, _column(np.asarray(getattr(self, name), np.float64), n, name))

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def areas(self) -> Floats:
        """``(N,)`` areas of the boxes in square pixels."""
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        return np.asarray(sides[:, 0] * sides[:, 1], np.float64)

    @property
    def object_areas(self) -> Floats:
        """``(N,)`` areas of the objects: :attr:`area` where it is told, else that of the box.

        >>> BoxLabels(np.array([[2, 3, 10, 8]]), np.array([0]), area=np.array([25.0])).object_areas.tolist()
        [25.0]
        """
        return self.areas if self.area is None else np.where(np.isnan(self.area), self.areas, self.area)

    def take(self, index: npt.NDArray[Any]) -> BoxLabels:
        """Boxes at these positions, or where a mask holds; ignored regions stay."""
        return BoxLabels(**{**_taken(self, index, ("ignore",)), "ignore": self.ignore})


@dataclass(frozen=True)
class BoxSample:
    """One image of a detection data set, by its files; no pixel is read.

    Args:
        image_id: unique within the data set; the file stem, or the path below the root.
        image: the picture, if there is one.
        width: pixels; ``None`` if the labels don't say (ask the picture).
        height: pixels; ``None`` likewise.
        split: ``"train"``, ``"val"`` … or ``None``.
        domain: tags such as weather or scene.
        source_id: what the file of labels calls the image (COCO's number), if not by its name.
        file_name: the picture's name as the file of labels says it.
    """

    image_id: str
    image: Path | None = None
    width: int | None = None
    height: int | None = None
    split: str | None = None
    domain: Mapping[str, str] = field(default_factory=dict)
    source_id: str | None = None
    file_name: str | None = None


@dataclass(frozen=True, eq=False)
class BoxDataset:
    """A sequence of images with labelled boxes.

    Args:
        name: name of the format or folder.
        space: the classes.
        samples: the images, sorted by ``image_id``; images without boxes are normal.
        labels: boxes by image id, one entry per sample.
        root: file or folder it was read from.
        notes: what the reader found and the user should know, in sentences.
        quarantined: every record that was left out, and why.

    Raises:
        InputError: an image id occurs twice, or an image has no entry in ``labels``.
    """

    name: str
    space: LabelSpace
    samples: tuple[BoxSample, ...]
    labels: Mapping[str, BoxLabels]
    root: Path | None = None
    notes: tuple[str, ...] = ()
    quarantined: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for sample in self.samples:
            if sample.image_id in seen:
                raise InputError(f"data set '{self.name}' has the image id '{sample.image_id}' twice")
            if sample.image_id not in self.labels:
                raise InputError(f"data set '{self.name}' has no entry of boxes for '{sample.image_id}'")
            seen.add(sample.image_id)

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[BoxSample]:
        return iter(self.samples)


@dataclass(frozen=True, eq=False)
class DetPrediction:
    """What a detector says of one image.

    Args:
        boxes: ``(N, 4)`` float64, ``(x1, y1, x2, y2)`` in pixels of the image.
        scores: ``(N,)`` confidence, 0 to 1.
        classes: ``(N,)`` class indices below ``n_classes``.
        n_classes: number ``C`` of classes of the label space.
        class_scores: ``(N, C)`` scores of all classes, in the label space's order; no background column:
            what a softmax gave the background is missing from the row's sum.
        kind: what ``class_scores`` are; required with them.
        box_aleatoric: ``(N, 4)`` variances of the coordinates from noise in the data, in square pixels.
        box_epistemic: ``(N, 4)`` variances of the coordinates from the model's ignorance.
        class_variance: ``(N, C)`` variances of the class scores.
        image_id: the image.
        expected_entropy: ``(N,)`` mean over samples of the model of the entropy of the class scores, nats.

    Raises:
        InputError: a shape is wrong, a number isn't finite or out of its range, ``kind`` is missing.

    >>> seen = DetPrediction(np.array([[0, 0, 4, 4]]), np.array([0.9]), np.array([1]), 3)
    >>> len(seen), seen.class_scores is None
    (1, True)
    """

    boxes: Floats
    scores: Floats
    classes: npt.NDArray[np.int64]
    n_classes: int
    class_scores: Floats | None = None
    kind: BoxScoreKind | None = None
    box_aleatoric: Floats | None = None
    box_epistemic: Floats | None = None
    class_variance: Floats | None = None
    image_id: str = ""
    expected_entropy: Floats | None = None

    def __post_init__(self) -> None:
        boxes = _checked_boxes(self.boxes, "boxes")
        n, c = len(boxes), self.n_classes
        _set(self, "boxes", boxes)
        _set(self, "classes", _checked_classes(self.classes, n))
        if n and int(self.classes.max()) >= c:
            raise InputError(f"a predicted class is {int(self.classes.max())} of {c} classes")
        _set(self, "scores", _ranged(_column(np.asarray(self.scores, np.float64), n, "scores"), "scores", 1))
        for name, columns in (("box_aleatoric", 4), ("box_epistemic", 4), ("class_variance", c)):
            if getattr(self, name) is not None:
                _set(self, name, _ranged(_matrix(getattr(self, name), n, columns, name), name, np.inf))
        if self.expected_entropy is not None:
            entropy = _column(np.asarray(self.expected_entropy, np.float64), n, "expected_entropy")
            _set(self, "expected_entropy", _ranged(entropy, "expected_entropy", np.inf))
        if self.class_scores is not None:
            _set(self, "class_scores", _matrix(self.class_scores, n, c, "class_scores"))
            _check_kind(self.class_scores, self.kind)

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, index: npt.NDArray[Any]) -> DetPrediction:
        """Detections at these positions, or where a mask holds."""
        return DetPrediction(**_taken(self, index, ("n_classes", "kind", "image_id")))


def _set(record: object, name: str, value: object) -> None:
    object.__setattr__(record, name, value)


def _taken(
    record: BoxLabels | DetPrediction, index: npt.NDArray[Any], whole: tuple[str, ...]
) -> dict[str, Any]:
    values = {f.name: getattr(record, f.name) for f in fields(record)}
    return {k: v if v is None or k in whole else v[index] for k, v in values.items()}


def _checked_boxes(boxes: npt.NDArray[Any], what: str) -> Floats:
    found = np.asarray(boxes, np.float64)
    if found.ndim != 2 or found.shape[1] != 4:
        raise InputError(f"{what} have the shape {found.shape}", remedy="give (N, 4): x1, y1, x2, y2")
    if not np.isfinite(found).all():
        raise InputError(f"{what} hold coordinates that aren't finite")
    if (found[:, 2:] < found[:, :2]).any():
        raise InputError(f"{what} have x2 < x1 or y2 < y1", remedy="give corners, not width and height")
    return found


def _checked_classes(classes: npt.NDArray[Any], n: int) -> npt.NDArray[np.int64]:
    found = np.asarray(classes)
    if found.dtype.kind not in "iu" and found.size:
        raise InputError(f"classes are {found.dtype}, not integers")
    found = _column(found.astype(np.int64), n, "classes")
    if found.size and int(found.min()) < 0:
        raise InputError(f"a class index is {int(found.min())}")
    return found


def _column(values: npt.NDArray[Any], n: int, what: str) -> npt.NDArray[Any]:
    if values.shape != (n,):
        raise InputError(f"{what} have the shape {values.shape} for {n} boxes")
    return values


def _matrix(values: npt.NDArray[Any], n: int, columns: int, what: str) -> Floats:
    found = np.asarray(values, np.float64)
    if found.shape != (n, columns):
        raise InputError(f"{what} have the shape {found.shape}, not {(n, columns)}")
    if not np.isfinite(found).all():
        raise InputError(f"{what} hold values that aren't finite")
    return found


def _ranged(values: Floats, what: str, top: float) -> Floats:
    # NaN fails both comparisons, so the range is asked for; single precision may end just above 1.
    if not ((values >= 0) & (values <= top + 1e-6)).all():
        span = "0 to 1" if top == 1 else "0 upwards"
        raise InputError(f"{what} hold values out of their range", remedy=f"they go from {span}")
    return values


def _check_kind(scores: Floats, kind: str | None) -> None:
    if kind not in _KINDS:
        raise InputError("class scores need a kind", remedy="softmax, sigmoid or logits")
    if kind != "logits":
        _ranged(scores, f"class scores of kind {kind}", 1)
    if kind == "softmax" and len(scores) and float(scores.sum(1).max()) > 1 + _SUM_SLACK:
        raise InputError("class scores of kind softmax sum to more than 1", remedy="are they sigmoid?")
