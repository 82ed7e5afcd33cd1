"""Verdicts from COCO JSON, CSV tables and FiftyOne's JSON."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.handover.fiftyone import FIELD, SAMPLES, unpack_array
from dubio.handover.polygons import fill
from dubio.handover.returned import Answer, Returned, decision_of, json_of, number_of, read_data
from dubio.handover.rle import check_size, from_coco

_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError, IndexError, MemoryError)
_BOX = ("x0", "y0", "x1", "y1")
# FiftyOne gives boxes without the picture's size: one without a mask is drawn on a grid of this many cells.
_GRID = 2048


def read_coco(path: Path) -> Answer:
    """Read COCO JSON: the verdict is ``attributes.verdict``.

    Raises:
        InputError: no such file, or an annotation is malformed.
    """
    data = json_of(path)
    answer = Answer()
    try:
        images = {i["id"]: (str(i["file_name"]), (int(i["height"]), int(i["width"]))) for i in data["images"]}
        names = {c["id"]: str(c["name"]) for c in data.get("categories", [])}
        annotations = list(data["annotations"])
    except _MALFORMED as error:
        raise InputError(f"is no COCO file ({error!r})", path=path) from error
    answer.images = [name for name, _ in images.values()]
    for number, one in enumerate(annotations, start=1):
        where = f"annotation {number}"
        try:
            name, shape = images[one["image_id"]]
            said = one.get("attributes") or {}
            mask = _coco_mask(one.get("segmentation"), shape)
            finding = number_of(said.get("finding"))
            decision = decision_of(said.get("verdict"), where, path)
            label = names.get(one.get("category_id"))
        except InputError as error:
            raise error if error.path else InputError(f"{where}: {error.fault}", path=path) from error
        except _MALFORMED as error:
            raise InputError(f"{where} is malformed ({error!r})", path=path) from error
        if finding is None and mask is None:
            continue
        answer.rows.append(Returned(name, finding, decision, label, mask, row=where))
    return answer


def _coco_mask(segmentation: Any, shape: tuple[int, int]) -> npt.NDArray[np.bool_] | None:
    if not segmentation:
        return None
    if isinstance(segmentation, dict):
        mask = from_coco(segmentation)
        if mask.shape != shape:
            raise InputError(f"its mask has the size {mask.shape}, its image {shape}")
    else:
        mask = fill([np.array(part, float).reshape(-1, 2) for part in segmentation], shape)
    return mask if mask.any() else None


def read_table(path: Path) -> Answer:
    """Read a CSV table with the columns ``finding``, ``verdict`` and, to be sure, ``image_id`` and the box.

    The verdict is accepted or rejected, yes or no, 1 or 0; an empty cell is none. Separators may be commas,
    semicolons or tabs, as spreadsheet programs write them.

    Raises:
        InputError: no such file, a column is missing or a verdict is unknown.
    """
    try:
        text = read_data(path).decode("utf-8-sig")
        first = text.split("\n", 1)[0]
        separator = max(",;\t", key=first.count)
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"is no readable CSV table ({error})", path=path) from error
    answer = Answer()
    for number, row in enumerate(rows, start=2):
        missing = [name for name in ("finding", "image_id", "verdict") if row.get(name) is None]
        if missing:
            raise InputError(f"row {number} has no column '{missing[0]}'", path=path)
        where = f"row {number}"
        finding = number_of(row["finding"])
        if finding is None:
            raise InputError(f"{where} has the finding '{row['finding']}', no number", path=path)
        decision = decision_of(row["verdict"], where, path)
        answer.rows.append(
            Returned(row["image_id"], finding, decision, box=_box(row), reviewer=row.get("reviewer") or "",
                     row=where)
        )  # fmt: skip
    if not rows:
        raise InputError("has no rows", path=path)
    return answer


def _box(row: dict[str, Any]) -> tuple[int, int, int, int] | None:
    try:
        x0, y0, x1, y1 = (int(row[name]) for name in _BOX)
    except (KeyError, TypeError, ValueError):
        return None
    return x0, y0, x1, y1


def read_fiftyone(path: Path) -> Answer:
    """Read ``samples.json``, or the folder that holds it: verdicts are the tags of the detections.

    Of both tags, the one that was not exported counts.

    Raises:
        InputError: no such file, a detection is malformed or has both tags.
    """
    data = json_of(path, SAMPLES)
    answer = Answer()
    try:
        for sample in data["samples"]:
            name = str(sample.get("image_id") or sample["filepath"])
            answer.images.append(name)
            for one in (sample.get(FIELD) or {}).get("detections") or []:
                answer.rows.append(_detection(one, name, path))
    except _MALFORMED as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"is no FiftyOne data set ({error!r})", path=path) from error
    return answer


def _detection(one: dict[str, Any], name: str, path: Path) -> Returned:
    tags = {str(tag).casefold() for tag in one.get("tags") or []} & {"accepted", "rejected"}
    where = f"a detection of {name}"
    if len(tags) > 1:  # a tag was added to the one that went out
        tags -= {str(one.get("verdict"))}
    if len(tags) > 1:
        raise InputError(f"{where} is tagged accepted and rejected", path=path)
    decision = decision_of(next(iter(tags), None), where, path)
    finding = number_of(one.get("finding"))
    if finding is None and decision is None:
        decision = "accepted"  # drawn or added by the reviewer
    return Returned(name, finding, decision, one.get("label"), _placed(one, finding), row=where)


def _placed(one: dict[str, Any], finding: int | None) -> npt.NDArray[np.bool_] | None:
    """Region of a detection, in a picture of the size that its mask implies."""
    if finding is not None and not one.get("mask"):
        return None  # the box alone says less than the finding
    x, y, w, h = (float(v) for v in one["bounding_box"])
    if not (0 <= x < 1 and 0 <= y < 1 and 0 < w <= 1 and 0 < h <= 1):
        raise InputError("a box lies outside of its image")
    inside = np.ones((max(round(h * _GRID), 1), max(round(w * _GRID), 1)), bool)
    if one.get("mask"):
        inside = unpack_array(one["mask"]).astype(bool)
        if inside.ndim != 2 or not inside.size:
            raise InputError(f"a mask has the shape {inside.shape}")
    height, width = round(inside.shape[0] / h), round(inside.shape[1] / w)
    check_size(height, width)
    picture = np.zeros((height, width), bool)
    top, left = min(round(y * height), height - 1), min(round(x * width), width - 1)
    part = picture[top : top + inside.shape[0], left : left + inside.shape[1]]
    part[...] = inside[: part.shape[0], : part.shape[1]]
    return picture if picture.any() else None
