"""``validation.parquet``: one row per labelled box, and one per detection that stands for none.

Rows of format 1; a value that is not known is null.

==========================  =================================================================================
``image_id``                image
``state``                   ``found``, ``wrong_class``, ``missed``, ``false`` or ``ignored`` (crowds,
                            difficult boxes, and detections in ignored regions)
``label``                   number of the labelled box within its image, from 0; null: a false detection
``detection``               number of the detection within its image, from 0; null: none
``given``, ``predicted``    class names; ``given_class``, ``predicted_class``: their numbers
``given_x0 … given_y1``     labelled corners, pixels; ``size``: area of the labelled box, square pixels
``occlusion truncation distance``  of the labelled box, as its format says them
``score``                   confidence
``x0 y0 x1 y1``             predicted corners, pixels
``iou``                     IoU of the two boxes
``al_x0 …``                 standard deviations of the corners, pixels: ``al_`` aleatoric, ``ep_`` epistemic,
                            ``sigma_`` total
``al_rel ep_rel sigma_rel`` their means over the four corners, relative to the sides of their own box
``entropy``                 of the class scores, nats; ``expected_entropy``, ``mutual_information``
``class_std``               standard deviation of the score of the predicted class
``cal_…``                   the same calibrated; ``cal_score`` is the probability of being right
``low_x0 … high_y1``        calibrated intervals of the corners (the level stands in the metadata)
``fold``                    which calibration the image got
==========================  =================================================================================

The metadata hold ``dubio.validation`` (the format), ``dubio.space`` (the label space as JSON) and
``dubio.level``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from dubio.core.files import writing
from dubio.core.labelspace import LabelSpace
from dubio.jobs.validate_rows import CORNERS, KINDS, KNOWN, LEVEL, ValidationRows
from dubio.regions.boxes.table import STATES

FORMAT = 1
FILE_NAME = "validation.parquet"
_GROUP = 131_072  # rows that are converted at once
_CLASSES = ("entropy", "expected_entropy", "mutual_information", "class_std")
_DOUBTS = (*KINDS, *(f"{k}_rel" for k in KINDS), *_CLASSES)
_CORNERED = {"given", "box", "low", "high", *KINDS, *(f"cal_{k}" for k in KINDS)}
_NUMBERS = (
    "size",
    *KNOWN,
    "score",
    "box",
    "iou",
    *_DOUBTS,
    "cal_score",
    *(f"cal_{d}" for d in _DOUBTS),
    "low",
    "high",
)


def schema(space: LabelSpace, level: float = LEVEL) -> pa.Schema:
    """Arrow schema of the table (see the module)."""
    names = pa.dictionary(pa.int32(), pa.string())
    fields = [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("state", pa.dictionary(pa.int8(), pa.string()), nullable=False),
        *[pa.field(name, pa.int32()) for name in ("label", "detection")],
        *[pa.field(name, names) for name in ("given", "predicted")],
        *[pa.field(name, pa.int32()) for name in ("given_class", "predicted_class")],
        *[pa.field(f"given_{c}", pa.float64()) for c in CORNERS],
        *[pa.field(name, pa.float64()) for number in _NUMBERS for name in _names(number)],
        pa.field("fold", pa.int32()),
    ]
    note = {
        b"dubio.validation": str(FORMAT).encode(),
        b"dubio.space": json.dumps(space.to_dict()).encode(),
        b"dubio.level": f"{level:g}".encode(),
    }
    return pa.schema(fields, metadata=note)


def write_table(rows: ValidationRows, path: Path, space: LabelSpace, level: float = LEVEL) -> None:
    """Write the table.

    Raises:
        InputError: it can't be written.
    """
    wanted = schema(space, level)
    with writing(path) as part, pq.ParquetWriter(part, wanted, write_page_checksum=True) as file:
        for start in range(0, max(len(rows), 1), _GROUP):
            file.write_table(_group(rows, slice(start, start + _GROUP), space, wanted))


def _group(rows: ValidationRows, part: slice, space: LabelSpace, wanted: pa.Schema) -> pa.Table:
    images = pa.array(rows.names, pa.string()).take(pa.array(rows["image"][part]))
    states = pa.DictionaryArray.from_arrays(pa.array(rows["state"][part].astype(np.int8)), pa.array(STATES))
    columns: dict[str, Any] = {"image_id": images, "state": states}
    for name in ("label", "detection", "given_class", "predicted_class", "fold"):
        columns[name] = _whole(rows, name, part)
    for name in ("given", "predicted"):
        columns[name] = pa.DictionaryArray.from_arrays(columns[f"{name}_class"], pa.array(space.names))
    for k, corner in enumerate(CORNERS):
        columns[f"given_{corner}"] = _float(rows["given"][part][:, k])
    for number in _NUMBERS:
        if number in rows:
            names, values = _names(number), rows[number][part]
            columns |= {name: _float(values.reshape(-1, len(names))[:, k]) for k, name in enumerate(names)}
    empty = {f.name: pa.nulls(len(images), f.type) for f in wanted if f.name not in columns}
    return pa.table({**columns, **empty}).select(wanted.names).cast(wanted)


def _names(number: str) -> list[str]:
    if number == "box":
        return list(CORNERS)
    return [f"{number}_{c}" for c in CORNERS] if number in _CORNERED else [number]


def _whole(rows: ValidationRows, name: str, part: slice) -> pa.Array:
    if name not in rows:
        return pa.nulls(len(rows["image"][part]), pa.int32())
    values = rows[name][part]
    return pa.array(values.astype(np.int32), mask=values < 0)


def _float(values: npt.NDArray[Any]) -> pa.Array:
    numbers = values.astype(np.float64)
    return pa.array(numbers, mask=np.isnan(numbers))
