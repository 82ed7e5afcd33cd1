"""The region table of boxes: the same idea as the table of segments, one row per box.

Rows of format 1; a column that nothing is known for is null.

=======================  ====================================================================
``image_id``             image
``source``               ``prediction`` or ``label``
``region``               number within image and source, 1 … n, in the order of the record
``class``                class index
``x0 y0 x1 y1``          corners, pixels, float64
``size``                 area in square pixels; ``log_size`` its logarithm
``aspect``               logarithm of width over height
``center_x center_y``    middle, as a share of the picture's width and height where it is known
``border``               distance of the nearest side from the picture's border, in box sides
``score``                confidence
``max_prob``             greatest class probability; ``margin``: one minus the lead on the second
``entropy``              of the class scores, nats; ``expected_entropy``, ``mutual_information`` if known
``class_std``            standard deviation of the score of the box's class
``al_* ep_*``            standard deviations of the corners, pixels: aleatoric, epistemic
``sigma``                root mean square of the total standard deviations, relative to the sides
``near``                 other boxes of the same source that overlap (IoU > .1); ``near_same``: of the class
``near_iou``             greatest IoU with another one; ``near_score``: its score
``cprob``                class scores (C values)
``match``                number of the box of the other source that it is paired with, 0: none
``iou``                  IoU of the pair; 0 without one
``best_iou``             greatest IoU with any box of the other source
``state``                ``found``, ``wrong_class``, ``missed``, ``false`` or ``ignored``
``occlusion truncation distance``  of the labelled box (of the paired one for predictions)
=======================  ====================================================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dubio.core.boxes import BoxDataset, DetPrediction
from dubio.core.labelspace import LabelSpace
from dubio.regions.boxes.matching import Match
from dubio.regions.boxes.rows import CORNERS, KNOWN, Columns, label_rows, prediction_rows

FORMAT = 1
STATES = ("found", "wrong_class", "missed", "false", "ignored")
_GEOMETRY = (*CORNERS, "size", "log_size", "aspect", "center_x", "center_y", "border")
_CLASSES = ("max_prob", "margin", "entropy", "expected_entropy", "mutual_information", "class_std")
_SPREAD = tuple(f"{kind}_{c}" for kind in ("al", "ep") for c in CORNERS)
_NUMBERS = (*_GEOMETRY, "score", *_CLASSES, *_SPREAD, "sigma", "near_iou", "near_score", "iou", "best_iou")
# what meta classification learns from; pixels themselves say nothing on another picture
FEATURES = (
    "score", *_CLASSES, "log_size", "aspect", "center_x", "center_y", "border",
    "al_rel_x", "al_rel_y", "ep_rel_x", "ep_rel_y", "sigma", "near", "near_same", "near_iou", "near_score",
)  # fmt: skip


def box_table(
    dataset: BoxDataset,
    predictions: Mapping[str, DetPrediction],
    matches: Mapping[str, Match] | None = None,
    sizes: Mapping[str, tuple[int, int]] | None = None,
) -> pa.Table:
    """Region table of a data set's boxes: detections first, then labelled boxes, image by image.

    Args:
        dataset: labelled boxes, and the sizes of pictures where their file says them.
        predictions: detections by image id; images that are not there have none.
        matches: pairs by image id (:func:`~dubio.regions.boxes.matching.match_boxes`); ``None``: the label
            columns are null.
        sizes: height and width by image id where ``dataset`` doesn't say them.

    Returns:
        See the module.
    """
    parts: list[Columns] = []
    names: list[str] = []
    for sample in dataset:
        labels = dataset.labels[sample.image_id]
        size = (sizes or {}).get(sample.image_id, (sample.height or 0, sample.width or 0))
        match = None if matches is None else matches.get(sample.image_id)
        seen = predictions.get(sample.image_id)
        if seen is not None and len(seen):
            parts.append(prediction_rows(seen, size, labels, match))
            names.append(sample.image_id)
        if len(labels):
            parts.append(label_rows(labels, size, seen, match))
            names.append(sample.image_id)
    return _table(parts, names, dataset.space)


def schema(space: LabelSpace) -> pa.Schema:
    """Arrow schema of the table; the label space travels in the metadata."""
    counts = ("near", "near_same", "match")
    fields = [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("source", pa.dictionary(pa.int8(), pa.string()), nullable=False),
        pa.field("region", pa.int32(), nullable=False),
        pa.field("class", pa.int32(), nullable=False),
        *[pa.field(name, pa.float64()) for name in _NUMBERS],
        *[pa.field(name, pa.int32()) for name in counts],
        *[pa.field(name, pa.float64()) for name in KNOWN],
        pa.field("state", pa.dictionary(pa.int8(), pa.string())),
        pa.field("cprob", pa.list_(pa.float32(), len(space))),
    ]
    note = {b"dubio.boxes": str(FORMAT).encode(), b"dubio.space": json.dumps(space.to_dict()).encode()}
    return pa.schema(fields, metadata=note)


def _table(parts: list[Columns], names: list[str], space: LabelSpace) -> pa.Table:
    wanted = schema(space)
    lengths = [len(p["region"]) for p in parts]
    if not parts:
        return wanted.empty_table()
    columns: dict[str, pa.Array] = {
        "image_id": pa.array(np.repeat(np.array(names, np.str_), lengths).tolist(), pa.string())
    }
    for field in wanted:
        if field.name == "image_id":
            continue
        columns[field.name] = _column(field, parts, lengths)
    return pa.Table.from_arrays([columns[f.name] for f in wanted], schema=wanted)


def _column(field: pa.Field, parts: list[Columns], lengths: list[int]) -> pa.Array:
    known = np.repeat([field.name in p for p in parts], lengths)
    if pa.types.is_fixed_size_list(field.type):
        width = field.type.list_size
        empty = np.zeros((1, width), np.float32)
        rows = [
            p.get(field.name, np.broadcast_to(empty, (n, width))) for p, n in zip(parts, lengths, strict=True)
        ]
        flat = pa.array(np.concatenate(rows).astype(np.float32).ravel())
        return pa.FixedSizeListArray.from_arrays(flat, width, mask=pa.array(~known))
    values = np.concatenate([p.get(field.name, np.zeros(n)) for p, n in zip(parts, lengths, strict=True)])
    if pa.types.is_dictionary(field.type):
        words = STATES if field.name == "state" else ("prediction", "label")
        codes = pa.array(values.astype(np.int8), mask=~known)
        return pa.DictionaryArray.from_arrays(codes, pa.array(words))
    mask = ~known
    if pa.types.is_floating(field.type):
        mask |= np.isnan(values.astype(np.float64))
    return pa.array(values, mask=mask).cast(field.type)


def box_features(table: pa.Table) -> tuple[npt.NDArray[np.float64], list[str]]:
    """Features of the detections in a table, for meta classification and regression.

    Args:
        table: rows with the source ``prediction`` are used.

    Returns:
        ``(rows, F)`` float64 and the names: :data:`FEATURES`, then the class scores if they are known.
        Columns that are null throughout are left out, single unknown values are their column's mean.
    """
    import pyarrow.compute as pc

    seen = table.filter(pc.equal(table.column("source").cast(pa.string()), "prediction"))
    raw = {
        name: seen.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
        for name in seen.column_names
        if name not in ("image_id", "source", "state", "cprob")
    }
    wide, high = raw["x1"] - raw["x0"], raw["y1"] - raw["y0"]
    for kind in ("al", "ep"):
        raw[f"{kind}_rel_x"] = (raw[f"{kind}_x0"] + raw[f"{kind}_x1"]) / np.maximum(2 * wide, 1e-9)
        raw[f"{kind}_rel_y"] = (raw[f"{kind}_y0"] + raw[f"{kind}_y1"]) / np.maximum(2 * high, 1e-9)
    names = [name for name in FEATURES if not np.isnan(raw[name]).all()]
    found = [np.where(np.isnan(raw[n]), np.nanmean(raw[n]), raw[n]) for n in names]
    scores = seen.column("cprob").combine_chunks()
    if len(seen) and not scores.null_count:
        probabilities = scores.flatten().to_numpy(zero_copy_only=False).reshape(len(seen), -1)
        found += list(probabilities.T.astype(np.float64))
        names += [f"cprob{k}" for k in range(probabilities.shape[1])]
    return np.column_stack(found) if found else np.zeros((len(seen), 0)), names
