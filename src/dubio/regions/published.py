"""The columns of the published tools, computed from ours, for comparison with their tables.

MetaSeg (Rottmann et al., 2018) and Automatic-Label-Error-Detection (Rottmann and Reese, 2023)
name the maps E (entropy), D (margin) and V (variation), the sizes S, and call the mean row ``mean_x``.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from dubio.core.labelspace import IndexMap, LabelSpace
from dubio.core.records import SegPrediction
from dubio.regions.extract import Extraction, VoidRule, extract
from dubio.regions.overlaps import reference_iou
from dubio.regions.schema import column, map_columns

_LETTER = {"entropy": "E", "margin": "D", "variation": "V"}
_SIZE = {"S": "size", "S_in": "size_in", "S_bd": "size_bd", "S_rel": "size_rel", "S_rel_in": "size_rel_in"}


def published_table(
    prediction: SegPrediction,
    label: IndexMap,
    *,
    space: LabelSpace,
    tool: Literal["ale", "metaseg"] = "ale",
) -> tuple[dict[str, npt.NDArray[np.float64]], npt.NDArray[np.int32]]:
    """Table and component map as the published tool computes them.

    Void is treated as there: ``ale`` segments it like anything else, ``metaseg`` doesn't, but counts it
    as a neighbour. ``iou`` is the released code's (see :mod:`dubio.regions.overlaps`). Where that code
    divides by zero (a component that fills the image) the ratios are taken with a divisor of 1.

    Returns:
        Columns by their published names, one value per component; and the ``(H, W)`` int32 map that
        holds ``+id`` on inner and ``-id`` on boundary pixels.
    """
    rule: VoidRule = "segment" if tool == "ale" else "boundary"
    found = extract(prediction, label, space=space, void=rule)
    ours = found.table.slice(0, found.prediction.n)
    table = {new: column(ours, old).astype(np.float64) for new, old in _SIZE.items()}
    for name, letter in _LETTER.items():
        for old in map_columns(name):
            table[letter + old.removeprefix(name)] = column(ours, old)
    table["mean_x"], table["mean_y"] = column(ours, "center_y"), column(ours, "center_x")
    for prefix in ("cprob", "ndist"):
        for j, values in enumerate(column(ours, prefix).T):
            table[f"{prefix}{j}"] = values.astype(np.float64)
    table["class"] = column(ours, "class").astype(np.float64)
    size, agree = _sizes(found)
    table["iou"] = reference_iou(
        found.prediction.seg, found.prediction.ids, _label_seg(found), len(space), size, agree
    )[1:]
    table["iou0"] = (agree == 0)[1:].astype(np.float64)
    return table, signed_components(found, void_cuts=True)


def _label_seg(found: Extraction) -> npt.NDArray[np.uint16]:
    if found.label is None:
        raise ValueError("the published tables need a label")
    return found.label.seg


def _sizes(found: Extraction) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    part = found.prediction
    size = np.bincount(part.ids.ravel(), minlength=part.n + 1)
    same = part.seg == _label_seg(found)
    return size, np.bincount(part.ids[same], minlength=part.n + 1)


def signed_components(found: Extraction, *, void_cuts: bool = False) -> npt.NDArray[np.int32]:
    """Component map of the prediction with boundary pixels negative, ``(H, W)`` int32."""
    from dubio.regions.stats import mark_contacts

    part = found.prediction
    n_classes = int(part.seg.max()) + 1 if not void_cuts else 0
    h, w = part.ids.shape
    touch, flags = np.zeros(w, np.bool_), np.zeros(w, np.bool_)
    signed = part.ids.copy()
    for y in range(h):
        mark_contacts(part.seg, y, n_classes, void_cuts, touch, flags)
        signed[y, flags] *= -1
    return signed
