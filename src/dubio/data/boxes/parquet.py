"""Detections in a Parquet file: one row per detection, with all that a detector says of it.

Columns (format 1):

===================  ==================================================================================
``image_id``         image
``class``            class index in the label space
``name``             class name
``score``            confidence, 0 to 1
``x0 y0 x1 y1``      box, pixels of the image, right and bottom exclusive
``al_x0 …  al_y1``   aleatoric variances of the coordinates, square pixels; null: not predicted
``ep_x0 …  ep_y1``   epistemic variances likewise
``class_scores``     scores of all classes (a list of C float32); null: only the best is known
``class_variance``   variances of the class scores; null: not known
``expected_entropy`` mean over samples of the model of the entropy of the class scores, nats
===================  ==================================================================================

The metadata hold ``dubio.format``, ``dubio.space`` (the label space as JSON) and, if there are class scores,
``dubio.class_scores``: softmax, sigmoid or logits. An image without detections has no row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from dubio.core.boxes import BoxScoreKind, DetPrediction
from dubio.core.errors import InputError
from dubio.core.files import plain_reason, writing
from dubio.core.labelspace import LabelSpace
from dubio.data.damage import check_file

FORMAT = 1
FILE_NAME = "boxes.parquet"
_CORNERS = ("x0", "y0", "x1", "y1")
_VARIANCES = {"box_aleatoric": "al_", "box_epistemic": "ep_"}
_LISTS = ("class_scores", "class_variance")
_FORMAT_KEY, _SPACE_KEY, _KIND_KEY = b"dubio.format", b"dubio.space", b"dubio.class_scores"
_ROWS = 65536
_NAME = "name a boxes.parquet of 'dubio predict --detector'"


def box_schema(space: LabelSpace, kind: str | None = None) -> pa.Schema:
    """Arrow schema of detections in a label space.

    Args:
        space: the classes.
        kind: what the class scores are; ``None``: there are none.
    """
    c = len(space)
    variances = [prefix + corner for prefix in _VARIANCES.values() for corner in _CORNERS]
    columns = [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("class", pa.int32(), nullable=False),
        pa.field("name", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        *[pa.field(name, pa.float64(), nullable=False) for name in ("score", *_CORNERS)],
        *[pa.field(name, pa.float64()) for name in variances],
        *[pa.field(name, pa.list_(pa.float32(), c)) for name in _LISTS],
        pa.field("expected_entropy", pa.float64()),
    ]
    note = {_FORMAT_KEY: str(FORMAT).encode(), _SPACE_KEY: json.dumps(space.to_dict()).encode()}
    return pa.schema(columns, metadata=note if kind is None else {**note, _KIND_KEY: kind.encode()})


def box_table(prediction: DetPrediction, space: LabelSpace) -> pa.Table:
    """Detections of one image as a table of :func:`box_schema`.

    Raises:
        InputError: the prediction has another number of classes.
    """
    n, c = len(prediction), len(space)
    if prediction.n_classes != c:
        raise InputError(f"a detection has {prediction.n_classes} classes, '{space.name}' has {c}")
    names = pa.DictionaryArray.from_arrays(
        pa.array(prediction.classes, pa.int32()), pa.array(space.names, pa.string())
    )
    columns: dict[str, Any] = {
        "image_id": pa.array([prediction.image_id] * n, pa.string()),
        "class": pa.array(prediction.classes, pa.int32()),
        "name": names,
        "score": prediction.scores,
        **{name: prediction.boxes[:, k] for k, name in enumerate(_CORNERS)},
    }
    for name, prefix in _VARIANCES.items():
        values = getattr(prediction, name)
        for k, corner in enumerate(_CORNERS):
            columns[prefix + corner] = pa.nulls(n, pa.float64()) if values is None else values[:, k]
    for name in _LISTS:
        values = getattr(prediction, name)
        if values is None:
            columns[name] = pa.nulls(n, pa.list_(pa.float32(), c))
        else:
            flat = pa.array(np.asarray(values, np.float32).reshape(-1))
            columns[name] = pa.FixedSizeListArray.from_arrays(flat, c)
    entropy = prediction.expected_entropy
    columns["expected_entropy"] = pa.nulls(n, pa.float64()) if entropy is None else entropy
    kind = None if prediction.class_scores is None else prediction.kind
    return pa.table(columns, schema=box_schema(space, kind))


class BoxWriter:
    """Writes tables of detections one after the other into an open file; rows are gathered into large groups.

    Args:
        path: the file, as given by :func:`dubio.core.files.writing`.
        space: the classes.

    Attributes:
        rows: detections so far.
    """

    def __init__(self, path: Path, space: LabelSpace) -> None:
        self.rows = 0
        self._path, self._space = path, space
        self._waiting: list[pa.Table] = []
        self._writer: Any = None
        self._kind: bytes | None = None

    def add(self, table: pa.Table) -> None:
        """Append a table of :func:`box_table`.

        Raises:
            InputError: its class scores are of another kind than those before.
        """
        kind = (table.schema.metadata or {}).get(_KIND_KEY)
        if self._kind is not None and kind not in (None, self._kind):
            raise InputError("class scores of several kinds can't stand in one file")
        self._kind = self._kind or kind
        self.rows += table.num_rows
        if table.num_rows:
            self._waiting.append(table)
        if sum(t.num_rows for t in self._waiting) >= _ROWS:
            self._flush()

    def _flush(self) -> None:
        schema = box_schema(self._space, None if self._kind is None else self._kind.decode())
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, schema, write_page_checksum=True, compression="zstd")
        if self._waiting:
            tables = [t.replace_schema_metadata(schema.metadata) for t in self._waiting]
            self._writer.write_table(pa.concat_tables(tables))
            self._waiting = []

    def close(self) -> None:
        """Write what is left, and the end of the file."""
        self._flush()
        self._writer.close()


def write_parquet(predictions: Mapping[str, DetPrediction], space: LabelSpace, path: str | Path) -> None:
    """Write detections by image id as Parquet.

    Args:
        predictions: by image id, all with class scores of one kind, or without.
        space: the classes.
        path: the file.

    Raises:
        InputError: a prediction doesn't fit the label space, or the file can't be written.
    """
    from dataclasses import replace

    with writing(path) as part:
        writer = BoxWriter(part, space)
        for image_id, seen in predictions.items():
            writer.add(box_table(replace(seen, image_id=image_id), space))
        writer.close()


def read_parquet(
    path: Path, images: Mapping[str, int], space: LabelSpace, notes: list[str]
) -> tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[Any]], BoxScoreKind | None]:
    """Read detections as columns.

    Args:
        path: the file.
        images: place in the data set by image id.
        space: the data set's classes; those of the file are brought into their order by name.
        notes: takes what the user should know.

    Returns:
        Per detection the place of its image (-1: the data set lacks it), the columns of
        :class:`~dubio.core.boxes.DetPrediction`, and the kind of the class scores.

    Raises:
        InputError: the file isn't dubio's, is damaged, or has other classes.
    """
    table = _table(path)
    data = table.schema.metadata
    order = _class_order(_space_of(data, path), space, path)
    ids = table.column("image_id").combine_chunks().dictionary_encode()
    # the last place is that of rows without an image id, or of a class out of range: -1
    places = np.array([*(images.get(v, -1) for v in ids.dictionary.to_pylist()), -1], np.int64)
    image = places[ids.indices.fill_null(len(places) - 1).to_numpy()] if len(ids) else np.zeros(0, np.int64)
    # position of each of the file's classes
    rank = np.append(np.argsort(order), -1)
    classes = table.column("class").fill_null(-1).to_numpy()
    classes = np.where((classes < 0) | (classes >= len(order)), len(order), classes)
    columns: dict[str, npt.NDArray[Any]] = {
        "boxes": _stack(table, _CORNERS),
        "scores": table.column("score").to_numpy(),
        "classes": rank[classes].astype(np.int64),
    }
    for name, prefix in _VARIANCES.items():
        if _complete(table, prefix + "x0", notes):
            columns[name] = _stack(table, [prefix + corner for corner in _CORNERS])
    for name in _LISTS:
        if _complete(table, name, notes):
            flat = table.column(name).combine_chunks().flatten().to_numpy()
            columns[name] = flat.reshape(table.num_rows, -1)[:, order]
    if _complete(table, "expected_entropy", notes):
        columns["expected_entropy"] = table.column("expected_entropy").to_numpy()
    kind: Any = data[_KIND_KEY].decode() if "class_scores" in columns and _KIND_KEY in data else None
    return image, columns, kind


def _table(path: Path) -> pa.Table:
    check_file(path)
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except PermissionError as error:
        raise InputError(f"can't be read ({plain_reason(error)})", path=path, remedy=_NAME) from error
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            "isn't readable Parquet (it is truncated, damaged or of another kind)",
            path=path,
            remedy="is the file whole?",
        ) from error
    data = table.schema.metadata or {}
    if _SPACE_KEY not in data or data.get(_FORMAT_KEY) != str(FORMAT).encode():
        raise InputError(f"is no table of detections of dubio's format {FORMAT}", path=path, remedy=_NAME)
    return _typed(table, _space_of(data, path), path)


def _typed(table: pa.Table, own: LabelSpace, path: Path) -> pa.Table:
    """The documented columns in the documented types: other programs write tables, too."""
    columns = {}
    for field in box_schema(own):
        if field.name == "name":  # for people
            continue
        if field.name not in table.schema.names:
            raise InputError(f"has no column '{field.name}'", path=path, remedy=_NAME)
        try:
            columns[field.name] = table.column(field.name).cast(field.type)
        except pa.ArrowException as error:
            raise InputError(
                f"its column '{field.name}' is of another type than that of detections",
                path=path,
                remedy=_NAME,
            ) from error
    return pa.table(columns).replace_schema_metadata(table.schema.metadata)


def _space_of(data: Mapping[bytes, bytes], path: Path) -> LabelSpace:
    try:
        return LabelSpace.from_dict(json.loads(data[_SPACE_KEY]))
    except ValueError as error:  # ours among them
        raise InputError("holds a damaged label space", path=path, remedy="write the table again") from error


def _class_order(own: LabelSpace, space: LabelSpace, path: Path) -> npt.NDArray[np.int64]:
    """For each class of the data set its index in the file."""
    there = {name.casefold(): k for k, name in enumerate(own.names)}
    found = [there.get(name.casefold(), -1) for name in space.names]
    if len(own) != len(space) or -1 in found:
        known = {name.casefold() for name in space.names}
        more = [name for name in own.names if name.casefold() not in known]
        lacking = [name for name, k in zip(space.names, found, strict=True) if k < 0]
        alone = (("they", more), ("the labels", lacking))
        words = [f"{who} alone have {', '.join(n[:3])}{' …' * (len(n) > 3)}" for who, n in alone if n]
        raise InputError(
            f"holds detections of the {len(own)} classes of '{own.name}', not of the {len(space)} of "
            f"'{space.name}' ({'; '.join(words)})",
            path=path,
            remedy="predict with the annotations of this data set, or with a class map",
        )
    return np.array(found, np.int64)


def _stack(table: pa.Table, names: Any) -> npt.NDArray[np.float64]:
    found = [table.column(name).to_numpy() for name in names]
    return np.stack(found, axis=1).reshape(-1, len(found))


def _complete(table: pa.Table, name: str, notes: list[str]) -> bool:
    column = table.column(name)
    gaps = column.null_count
    if 0 < gaps < len(column):
        notes.append(f"{gaps} detections have no {name}: those of the others are left out")
    return len(column) > 0 and gaps == 0
