"""From a prediction (and a label) to pixel maps, components and the region table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dubio.core.errors import InputError
from dubio.core.labelspace import IndexMap, LabelSpace
from dubio.core.records import SegPrediction
from dubio.regions import scan
from dubio.regions.rows import region_rows

# Rows per band when scores must be converted first: a few MB, small beside the image.
_BAND = 32
VoidRule = Literal["exclude", "boundary", "segment"]


@dataclass
class PixelMaps:
    """Per-pixel results, all of shape ``(H, W)``.

    Attributes:
        pred: predicted class index, ``C`` where there is none (void, or a class of no counterpart).
        entropy: entropy of the class probabilities over the logarithm of their number, 0 … 1.
        margin: one minus the difference of the two largest probabilities, 0 … 1 (1 = a tie).
        variation: variation ratio, one minus the largest probability.
        energy: minus log-sum-exp of the logits; ``None`` for probabilities.
    """

    pred: IndexMap
    entropy: npt.NDArray[np.float32] | None = None
    margin: npt.NDArray[np.float32] | None = None
    variation: npt.NDArray[np.float32] | None = None
    energy: npt.NDArray[np.float32] | None = None

    @property
    def max_prob(self) -> npt.NDArray[np.float32] | None:
        """Largest class probability."""
        return None if self.variation is None else np.float32(1) - self.variation


@dataclass
class Segmentation:
    """A class map with its components.

    Attributes:
        seg: ``(H, W)`` uint16 class indices, ``C`` where there is none.
        ids: ``(H, W)`` int32 numbers of 8-connected components, 1 … n by first pixel; 0: none.
        n: number of components.
        prob_sums: ``(n + 1, K)`` float64 sums of class probabilities; empty without scores.
    """

    seg: npt.NDArray[np.uint16]
    ids: npt.NDArray[np.int32]
    n: int
    prob_sums: npt.NDArray[np.float64]


@dataclass
class Extraction:
    """All that was found in one image.

    Attributes:
        table: the region table (see :mod:`dubio.regions.schema`).
        maps: the pixel maps.
        prediction: components of the prediction.
        label: components of the label, if there is one.
    """

    table: pa.Table
    maps: PixelMaps
    prediction: Segmentation
    label: Segmentation | None


def components(seg: npt.NDArray[Any], n_classes: int) -> tuple[npt.NDArray[np.int32], int]:
    """8-connected components of equal class.

    Args:
        seg: ``(H, W)`` class indices; ``n_classes`` and above belongs to no component.
        n_classes: number of classes.

    Returns:
        ``(H, W)`` int32 component numbers (1 … n by first pixel in row-major order, 0 = none), n.

    >>> components(np.array([[0, 1], [1, 2]], np.uint8), 2)[0].tolist()
    [[1, 2], [2, 0]]
    """
    seg = np.ascontiguousarray(seg, np.uint16)
    ids = np.empty(seg.shape, np.int32)
    parent = np.empty(_provisional_bound(seg.shape), np.int32)
    return ids, int(scan.components_of(seg, n_classes, ids, parent))


def extract(
    prediction: SegPrediction,
    label: IndexMap | None = None,
    *,
    space: LabelSpace,
    image_id: str | None = None,
    void: VoidRule = "exclude",
) -> Extraction:
    """Compute pixel maps, components and the region table of one image.

    Args:
        prediction: scores ``(K, H, W)`` of any float type, or a label map.
        label: ``(H, W)`` class indices, ``C`` = void; ``None`` without labels.
        space: label space of both.
        image_id: name in the table; default: the prediction's.
        void: what pixels do that the label calls void. ``exclude``: they belong to no predicted
            component and are no neighbours, so they make no boundary. ``boundary``: they belong to
            none but count as neighbours of another class (MetaSeg). ``segment``: they are
            segmented as any other pixel (the released code of Rottmann and Reese).

    Returns:
        An :class:`Extraction`. Everything is computed by one thread; call it from several for
        several images.

    Raises:
        InputError: label and prediction differ in size, or in their number of classes.
    """
    if label is not None and label.shape != prediction.shape:
        raise InputError(
            f"prediction is {prediction.shape[1]}x{prediction.shape[0]}, "
            f"label {label.shape[1]}x{label.shape[0]} pixels",
            path=image_id or prediction.image_id or None,
            remedy="give predictions of the label's size",
        )
    if len(space) != prediction.n_classes:
        raise InputError(f"prediction has {prediction.n_classes} classes, '{space.name}' has {len(space)}")
    c = len(space)
    given = None if label is None else _segment_label(label, c, _channels(prediction))
    if prediction.scores is None:
        pred, maps = _from_label_map(prediction, given, c, void)
    else:
        pred, maps = _from_scores(prediction, given, c, void)
    name = image_id if image_id is not None else prediction.image_id
    table = region_rows(pred, given, maps, space=space, image_id=name, void=void)
    pixel = PixelMaps(pred.seg.astype(space.dtype), *(maps[z] for z in range(maps.shape[0])))
    return Extraction(table, pixel, pred, given)


def _channels(prediction: SegPrediction) -> int:
    return 0 if prediction.scores is None else int(prediction.scores.shape[0])


def _provisional_bound(shape: tuple[int, ...]) -> int:
    # A fresh label needs a run that touches none of its class above: at most one per run.
    return shape[0] * shape[1] + 2 if shape[1] < 4 else shape[0] * (shape[1] + 1) + 2


def _segment_label(label: IndexMap, n_classes: int, k: int) -> Segmentation:
    seg = np.ascontiguousarray(np.minimum(label, n_classes), np.uint16)
    ids, n = components(seg, n_classes)
    return Segmentation(seg, ids, n, np.zeros((n + 1, k) if k else (0, 0), np.float64))


def _from_label_map(
    prediction: SegPrediction, given: Segmentation | None, c: int, void: VoidRule
) -> tuple[Segmentation, npt.NDArray[np.float32]]:
    seg = np.minimum(np.asarray(prediction.label_map), c).astype(np.uint16)
    if given is not None and void != "segment":
        seg[given.seg >= c] = c
    ids, n = components(seg, c)
    return Segmentation(seg, ids, n, np.zeros((0, 0), np.float64)), np.zeros((0, *seg.shape), np.float32)


def _from_scores(
    prediction: SegPrediction, given: Segmentation | None, c: int, void: VoidRule
) -> tuple[Segmentation, npt.NDArray[np.float32]]:
    scores = prediction.scores
    if scores is None:
        raise InputError("a prediction without scores has no pixel maps")
    k, h, w = scores.shape
    logits = prediction.kind == "logits"
    seg, ids = np.empty((h, w), np.uint16), np.empty((h, w), np.int32)
    maps = np.empty((4 if logits else 3, h, w), np.float32)
    parent = np.empty(_provisional_bound((h, w)), np.int32)
    sums = np.zeros((1024, k), np.float64)
    none16, none32 = np.zeros((0, 0), np.uint16), np.zeros((0, 0), np.int32)
    label_seg, label_ids = (none16, none32) if given is None else (given.seg, given.ids)
    label_sums = np.zeros((1, k), np.float64) if given is None else given.prob_sums
    unit = np.float32(1 / np.log(k)) if k > 1 else np.float32(0)
    ready = scores.dtype == np.float32 and scores.flags.c_contiguous and scores.flags.aligned
    plain = np.asarray(scores)  # a memory map's type would make the compiler start again
    n = 0
    for y0 in range(0, h, _BAND):
        rows = min(_BAND, h - y0)
        if len(sums) < n + rows * w + 2:
            grown = np.zeros((max(2 * len(sums), n + rows * w + 2), k), np.float64)
            grown[: n + 1] = sums[: n + 1]
            sums = grown
        band = plain if ready else np.ascontiguousarray(plain[:, y0 : y0 + rows], np.float32)
        n = scan.scan_band(
            band, y0 if ready else 0, rows, y0, logits, unit, c, void != "segment",
            label_seg, label_ids, seg, ids, maps, parent, sums, label_sums, n,
        )  # fmt: skip
    n_final = int(scan.settle(parent, n, ids, sums))
    return Segmentation(seg, ids, n_final, sums[: n_final + 1]), maps
