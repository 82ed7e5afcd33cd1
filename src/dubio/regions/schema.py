"""The region table: its columns, their meaning, and the bridge to feature matrices.

One row per region (format 1). Integers and floats are plain columns; per-class values are
fixed-size lists in the order of the label space's classes.

=================  ==========================================================================
``image_id``       image
``source``         ``prediction`` (component of the predicted classes) or ``label``
``region``         number within image and source, 1 … n, by first pixel in row-major order
``class``          class index
``x0 y0 x1 y1``    box in pixels, right and bottom exclusive
``size``           pixels; ``size_in`` without, ``size_bd`` on the boundary
``size_rel``       ``size / max(size_bd, 1)``; ``size_rel_in`` likewise from ``size_in``
``center_x _y``    mean column and row, pixels from 0
``Z``              mean over the region of Z in entropy, margin, variation (all 0 … 1), energy
``Z_in Z_bd``      mean over the inner pixels (0 without any) and over the boundary
``Z_rel Z_rel_in`` ``Z * size_rel`` and ``Z_in * size_rel_in``
``Z_var``          population variance, likewise ``Z_var_in Z_var_bd Z_var_rel Z_var_rel_in``
``max_prob``       mean of the largest class probability
``score``          mean probability of the region's own class
``cprob``          mean probability of each channel (C, or C + 1 with classes of no counterpart)
``ndist``          share of each class among neighbour pairs that leave the region (void left out)
``void_contact``   share of those pairs, void counted, that lead into void
``void_share``     share of the region's pixels that the label calls void
``overlap``        share of the region's pixels by class of the label (of the prediction for
                   label regions); the last entry is void or no class
``iou``            intersection over union with all label components of the class that it meets
``iou_adj``        adjusted IoU of Rottmann and Reese (2023): what other predicted components
                   of the class cover is taken out of the union
``iou0``           true if no pixel agrees with the label
=================  ==========================================================================

Without scores the probability columns are null, without a label the label columns.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dubio.core.labelspace import LabelSpace

FORMAT = 1
MAPS = ("entropy", "margin", "variation", "energy")
_STATS = ("", "_in", "_bd", "_rel", "_rel_in", "_var", "_var_in", "_var_bd", "_var_rel", "_var_rel_in")
SIZES = ("size", "size_in", "size_bd", "size_rel", "size_rel_in")
PLACE = ("center_x", "center_y")
LABEL_COLUMNS = ("void_share", "overlap", "iou", "iou_adj", "iou0")


def map_columns(name: str) -> list[str]:
    """Columns that a pixel map contributes.

    >>> map_columns("entropy")[:3]
    ['entropy', 'entropy_in', 'entropy_bd']
    """
    return [name + suffix for suffix in _STATS]


def schema(space: LabelSpace, n_channels: int | None = None) -> pa.Schema:
    """Arrow schema of the region table of a label space; the space travels in the metadata."""
    c = len(space)
    integers = ["region", "class", "x0", "y0", "x1", "y1"]
    fields = [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("source", pa.dictionary(pa.int8(), pa.string()), nullable=False),
        *[pa.field(name, pa.int32(), nullable=False) for name in integers],
        *[pa.field(name, pa.int64(), nullable=False) for name in SIZES[:3]],
        *[pa.field(name, pa.float64()) for name in (*SIZES[3:], *PLACE)],
        *[pa.field(name, pa.float64()) for z in MAPS for name in map_columns(z)],
        pa.field("max_prob", pa.float64()),
        pa.field("score", pa.float64()),
        pa.field("cprob", pa.list_(pa.float32(), n_channels or c)),
        pa.field("ndist", pa.list_(pa.float32(), c)),
        pa.field("void_contact", pa.float64()),
        pa.field("void_share", pa.float64()),
        pa.field("overlap", pa.list_(pa.float32(), c + 1)),
        pa.field("iou", pa.float64()),
        pa.field("iou_adj", pa.float64()),
        pa.field("iou0", pa.bool_()),
    ]
    note = {b"dubio.format": str(FORMAT).encode(), b"dubio.space": json.dumps(space.to_dict()).encode()}
    return pa.schema(fields, metadata=note)


def space_of(table: pa.Table) -> LabelSpace:
    """The label space that a region table was made with."""
    return LabelSpace.from_dict(json.loads(table.schema.metadata[b"dubio.space"]))


def column(table: pa.Table, name: str) -> npt.NDArray[Any]:
    """A column as an array; nulls are NaN; list columns have shape ``(rows, length)``."""
    values = table.column(name).combine_chunks()
    if pa.types.is_fixed_size_list(values.type):
        width = values.type.list_size
        if values.null_count:
            return np.full((len(values), width), np.nan, np.float32)
        flat = values.flatten().to_numpy(zero_copy_only=False)
        return np.asarray(flat).reshape(len(values), width)
    return np.asarray(values.to_numpy(zero_copy_only=False))


def feature_names(*, n_channels: int, n_classes: int, energy: bool = False) -> list[str]:
    """Features of the published meta classifier, in our names, without label columns.

    Sizes, place, all statistics of entropy, margin and variation, ``ndist`` and ``cprob``:
    ``37 + 2 C`` values (75 for the 19 Cityscapes classes).
    """
    maps = MAPS if energy else MAPS[:3]
    return [
        *SIZES,
        *PLACE,
        *[name for z in maps for name in map_columns(z)],
        *[f"ndist{j}" for j in range(n_classes)],
        *[f"cprob{j}" for j in range(n_channels)],
    ]


def feature_matrix(table: pa.Table, *, energy: bool = False) -> tuple[npt.NDArray[np.float64], list[str]]:
    """Feature matrix ``(rows, F)`` float64 of a region table, and the names of its columns."""
    ndist, cprob = column(table, "ndist"), column(table, "cprob")
    names = feature_names(n_channels=cprob.shape[1], n_classes=ndist.shape[1], energy=energy)
    plain = [column(table, name) for name in names if not name.startswith(("ndist", "cprob"))]
    return np.column_stack([*plain, ndist, cprob]).astype(np.float64), names
