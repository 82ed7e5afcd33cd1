"""Known label errors of boxes, in memory or as a truth folder.

A truth folder of boxes (format 1) holds

=================== ====================================================================
``labels`` …        the labels with errors, in the format asked for: a file, or a folder (YOLO, VOC, KITTI)
``errors.parquet``  one row per error: ``image_id``, ``number`` (from 1 in its image), ``kind`` as
                    planted, ``called`` (what a finding should say), ``given`` and ``planted`` (class
                    indices before and now), ``label`` (position among the faulty labels of the image, -1:
                    it was dropped), ``true_box`` (as it should be, null: there should be none),
                    ``given_box`` (as it is, null: dropped), ``other_box`` (second of two made one)
``truth.json``      label space, layout, options, counts, and all images with height and width
=================== ====================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dubio.core.errors import InputError
from dubio.core.files import plain_reason, read_json, write_json, writing
from dubio.core.labelspace import LabelSpace
from dubio.errors.boxes.plan import CALLED
from dubio.errors.findings import Box

FORMAT = 1
ERRORS, TRUTH = "errors.parquet", "truth.json"


@dataclass(frozen=True)
class BoxError:
    """One known error.

    Attributes:
        image_id: the image.
        number: its number in the image, from 1.
        kind: ``drop``, ``swap``, ``location`` … as planted; any word for errors known otherwise.
        given: class index before; -1: there was no box.
        planted: class index now; -1: there is no box.
        true_box: the box as it should be; ``None``: there should be none.
        given_box: the box as it is; ``None``: it was dropped.
        label: position of the faulty box among the image's labels; -1: there is none.
        other_box: the second of two boxes that were made one.
    """

    image_id: str
    number: int
    kind: str
    given: int
    planted: int
    true_box: Box | None
    given_box: Box | None
    label: int = -1
    other_box: Box | None = None

    @property
    def called(self) -> str:
        """What a finding of it should say: ``missing``, ``wrong_class`` and so on."""
        return CALLED.get(self.kind, self.kind)

    @property
    def concerned(self) -> int:
        """The class whose labels are wrong: that of the missing box, otherwise what the label says."""
        return self.given if self.given_box is None else self.planted


@dataclass(frozen=True)
class BoxTruth:
    """Known errors of a set of images.

    Attributes:
        space: label space.
        shapes: image id -> height and width (0: unknown); all images, also those without errors.
        errors: the errors, by image and number.
        folder: the truth folder; ``None`` in memory.
        labels: path of the faulty labels in it.
        layout: their format.
    """

    space: LabelSpace
    shapes: Mapping[str, tuple[int, int]]
    errors: tuple[BoxError, ...]
    folder: Path | None = None
    labels: Path | None = None
    layout: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def image_ids(self) -> tuple[str, ...]:
        """All images."""
        return tuple(self.shapes)

    @cached_property
    def by_image(self) -> Mapping[str, tuple[int, ...]]:
        """Positions of the errors of each image that has some."""
        found: dict[str, list[int]] = {}
        for k, error in enumerate(self.errors):
            found.setdefault(error.image_id, []).append(k)
        return {name: tuple(part) for name, part in found.items()}

    def counts(self) -> dict[str, Any]:
        """Numbers of images and errors, also by kind and by the class concerned."""
        names = Counter(self.space.name_of(e.concerned) for e in self.errors)
        return {
            "images": len(self.shapes),
            "images_with_errors": len(self.by_image),
            "errors": len(self.errors),
            "by_kind": dict(sorted(Counter(e.kind for e in self.errors).items())),
            "by_class": {name: names[name] for name in self.space.names if name in names},
        }


def write_box_truth(truth: BoxTruth, origin: Mapping[str, Any]) -> None:
    """Write the tables of a truth folder; ``truth.json`` comes last.

    Args:
        truth: the errors, with the folder in which the labels lie already.
        origin: what ``truth.json`` also tells: options, version.

    Raises:
        InputError: a truth without a folder, or it can't be written.
    """
    if truth.folder is None or truth.labels is None:
        raise InputError("a truth in memory can't be written")
    table = pa.Table.from_pylist([_row(e) for e in truth.errors], schema=_schema())
    with writing(truth.folder / ERRORS) as part:
        pq.write_table(table, part, compression="zstd")
    write_json(
        truth.folder / TRUTH,
        {
            "format": FORMAT,
            "task": "detection",
            "space": truth.space.to_dict(),
            "labels": str(truth.labels.relative_to(truth.folder)),
            "layout": truth.layout,
            **origin,
            "counts": truth.counts(),
            "images": {name: list(shape) for name, shape in truth.shapes.items()},
        },
    )


def read_box_truth(folder: str | Path) -> BoxTruth:
    """Open a truth folder of boxes.

    Raises:
        InputError: no truth folder of boxes, an unfinished one, or one of another format.
    """
    root = Path(folder)
    if not (root / TRUTH).is_file():
        raise InputError(f"is no truth folder (it has no {TRUTH})", path=root)
    data = read_json(root / TRUTH)
    try:
        if data.get("task") != "detection":
            raise InputError("is no truth of boxes", path=root / TRUTH)
        if data["format"] != FORMAT:
            raise InputError(f"has format {data['format']}, not {FORMAT}", path=root / TRUTH)
        space = LabelSpace.from_dict(data["space"])
        shapes = {str(name): (int(h), int(w)) for name, (h, w) in data["images"].items()}
        errors = tuple(_error(row) for row in pq.read_table(root / ERRORS).to_pylist())
        strange = [e.image_id for e in errors if e.image_id not in shapes]
        if strange:
            raise InputError(f"names the unknown image '{strange[0]}'", path=root / ERRORS)
        return BoxTruth(space, shapes, errors, root, root / data["labels"], str(data["layout"]))
    except (KeyError, TypeError, ValueError, AttributeError, OSError, pa.ArrowException) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"is malformed ({plain_reason(error)})", path=root) from error


def _schema() -> pa.Schema:
    box = pa.list_(pa.float64())
    return pa.schema(
        [
            ("image_id", pa.string()), ("number", pa.int32()), ("kind", pa.string()),
            ("called", pa.string()), ("given", pa.int32()), ("planted", pa.int32()), ("label", pa.int32()),
            ("true_box", box), ("given_box", box), ("other_box", box),
        ],
        metadata={b"dubio.format": str(FORMAT).encode()},
    )  # fmt: skip


def _row(error: BoxError) -> dict[str, Any]:
    names = ("image_id", "number", "kind", "called", "given", "planted", "label")
    boxes = ("true_box", "given_box", "other_box")
    row = {name: getattr(error, name) for name in names}
    return row | {n: None if getattr(error, n) is None else list(getattr(error, n)) for n in boxes}


def _error(row: Mapping[str, Any]) -> BoxError:
    def box(name: str) -> Box | None:
        if row[name] is None:
            return None
        x0, y0, x1, y1 = (float(v) for v in row[name])
        return x0, y0, x1, y1

    return BoxError(
        str(row["image_id"]), int(row["number"]), str(row["kind"]), int(row["given"]), int(row["planted"]),
        box("true_box"), box("given_box"), int(row["label"]), box("other_box"),
    )  # fmt: skip
