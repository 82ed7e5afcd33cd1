"""From the kernels' sums to rows of the region table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dubio.core.labelspace import LabelSpace
from dubio.regions import stats
from dubio.regions.overlaps import iou_columns
from dubio.regions.schema import MAPS, map_columns, schema

if TYPE_CHECKING:
    from dubio.regions.extract import Segmentation

Floats = npt.NDArray[np.float64]


class Sums:
    """The kernels' output for one segmentation of an image; index 0 is unused."""

    def __init__(
        self,
        part: Segmentation,
        n_classes: int,
        void_cuts: bool,
        other: npt.NDArray[np.uint16] | None,
        maps: npt.NDArray[np.float32],
    ) -> None:
        n, z = part.n + 1, maps.shape[0]
        self.classes = np.zeros(n, np.int64)
        self.geometry = np.zeros((n, 6), np.int64)
        self.centre = np.zeros((n, 2), np.float64)
        self.shift = np.zeros((n, z), np.float64)
        self.maps = np.zeros((n, z, 4), np.float64)
        self.neighbours = np.zeros((n, n_classes + 1), np.int64)
        self.overlap = np.zeros((n, n_classes + 1), np.int64)
        stats.accumulate(
            part.seg, part.ids, n_classes, void_cuts,
            np.zeros((0, 0), np.uint16) if other is None else other,
            maps, self.classes, self.geometry, self.centre, self.shift, self.maps, self.neighbours,
            self.overlap,
        )  # fmt: skip

    @property
    def size(self) -> npt.NDArray[np.int64]:
        """Pixels of each component."""
        return self.geometry[:, stats.SIZE]

    @property
    def agree(self) -> npt.NDArray[np.int64]:
        """Pixels on which the other segmentation has the component's class."""
        return self.overlap[np.arange(len(self.classes)), self.classes]


def region_rows(
    pred: Segmentation,
    label: Segmentation | None,
    maps: npt.NDArray[np.float32],
    *,
    space: LabelSpace,
    image_id: str,
    void: str,
) -> pa.Table:
    """Region table of one image: components of the prediction, then those of the label."""
    c = len(space)
    cuts = void != "exclude"
    kept = schema(space, pred.prob_sums.shape[1] or None)
    ours = Sums(pred, c, cuts, None if label is None else label.seg, maps)
    if label is None:
        return _table(pred, ours, None, maps, kept, image_id, "prediction")
    theirs = Sums(label, c, cuts, pred.seg, maps)
    both = []
    for part, own, other, rest, name in (
        (pred, ours, label, theirs, "prediction"),
        (label, theirs, pred, ours, "label"),
    ):
        iou = iou_columns(
            part.seg, part.ids, other.seg, other.ids, c, own.size, own.agree, rest.size, rest.agree
        )
        both.append(_table(part, own, iou, maps, kept, image_id, name))
    return pa.concat_tables(both)


def _table(
    part: Segmentation,
    sums: Sums,
    iou: tuple[Floats, Floats] | None,
    maps: npt.NDArray[np.float32],
    kept: pa.Schema,
    image_id: str,
    source: str,
) -> pa.Table:
    n = part.n
    columns: dict[str, Any] = {
        "image_id": pa.array([image_id] * n, pa.string()),
        "source": pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int8)), [source]),
        "region": np.arange(1, n + 1, dtype=np.int32),
        "class": sums.classes[1:].astype(np.int32),
        **_geometry(sums),
        **_map_statistics(sums, maps.shape[0]),
        **_class_shares(part, sums),
    }
    if iou is not None:
        size = np.maximum(sums.size, 1)
        columns["void_share"] = (sums.overlap[:, -1] / size)[1:] if source == "prediction" else None
        columns["overlap"] = _lists((sums.overlap / size[:, None])[1:])
        columns["iou"], columns["iou_adj"] = iou[0][1:], iou[1][1:]
        columns["iou0"] = (sums.agree == 0)[1:]
    arrays = [
        pa.nulls(n, field.type)
        if columns.get(field.name) is None
        else pa.array(columns[field.name], field.type)
        if isinstance(columns[field.name], np.ndarray)
        else columns[field.name]
        for field in kept
    ]
    return pa.Table.from_arrays(arrays, schema=kept)


def _geometry(sums: Sums) -> dict[str, npt.NDArray[Any]]:
    g = sums.geometry[1:]
    size, boundary = g[:, stats.SIZE], g[:, stats.SIZE_BD]
    inner = size - boundary
    divisor = np.maximum(boundary, 1)
    named = dict(zip(("x0", "y0", "x1", "y1"), g[:, stats.X0 :].T.astype(np.int32), strict=True))
    return {
        **named,
        "size": size,
        "size_in": inner,
        "size_bd": boundary,
        "size_rel": size / divisor,
        "size_rel_in": inner / divisor,
        "center_x": sums.centre[1:, 0] / size,
        "center_y": sums.centre[1:, 1] / size,
    }


def _map_statistics(sums: Sums, n_maps: int) -> dict[str, Floats]:
    size = sums.size[1:].astype(np.float64)
    boundary = sums.geometry[1:, stats.SIZE_BD].astype(np.float64)
    inner = size - boundary
    rel, rel_in = size / np.maximum(boundary, 1), inner / np.maximum(boundary, 1)
    found: dict[str, Floats] = {}
    for z in range(n_maps):
        m, shift = sums.maps[1:, z], sums.shift[1:, z]
        mean, var = _moments(m[:, stats.ALL], m[:, stats.SQ_ALL], size, shift)
        mean_bd, var_bd = _moments(m[:, stats.BD], m[:, stats.SQ_BD], boundary, shift)
        mean_in, var_in = _moments(
            m[:, stats.ALL] - m[:, stats.BD], m[:, stats.SQ_ALL] - m[:, stats.SQ_BD], inner, shift
        )
        values = (mean, mean_in, mean_bd, mean * rel, mean_in * rel_in)
        spreads = (var, var_in, var_bd, var * rel, var_in * rel_in)
        found.update(zip(map_columns(MAPS[z]), (*values, *spreads), strict=True))
    if n_maps:
        found["max_prob"] = 1 - found["variation"]
    return found


def _moments(total: Floats, squares: Floats, count: Floats, shift: Floats) -> tuple[Floats, Floats]:
    """Mean and population variance from sums of shifted values; 0 where nothing was counted."""
    some = count > 0
    n = np.maximum(count, 1)
    mean = total / n
    variance = np.maximum(squares / n - mean * mean, 0)
    return np.where(some, mean + shift, 0.0), np.where(some, variance, 0.0)


def _class_shares(part: Segmentation, sums: Sums) -> dict[str, Any]:
    known = sums.neighbours[1:, :-1]
    outside = known.sum(1, keepdims=True)
    void = sums.neighbours[1:, -1]
    found: dict[str, Any] = {
        "ndist": _lists(known / np.maximum(outside, 1)),
        "void_contact": void / np.maximum(outside[:, 0] + void, 1),
    }
    if part.prob_sums.shape[1]:
        cprob = part.prob_sums[1:] / np.maximum(sums.size[1:, None], 1)
        found["cprob"] = _lists(cprob)
        found["score"] = cprob[np.arange(part.n), sums.classes[1:]]
    return found


def _lists(values: npt.NDArray[Any]) -> pa.FixedSizeListArray:
    flat = pa.array(values.astype(np.float32).ravel(), pa.float32())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
