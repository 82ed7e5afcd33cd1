"""COCO instances: one JSON file of images, categories and annotations.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxDataset, BoxSample
from dubio.core.files import write_text
from dubio.core.labelspace import LabelSpace
from dubio.data.boxes.coco_extras import GRADES, areas, attributes
from dubio.data.boxes.columns import Columns, Faults
from dubio.data.boxes.gather import flag
from dubio.data.boxes.lost import lost
from dubio.data.boxes.pictures import Pictures, name_ids
from dubio.data.boxes.table import assemble, columns_of

MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
_Record = Mapping[str, Any]


def read_coco(
    data: Mapping[str, Any],
    pictures: Pictures,
    faults: Faults,
    *,
    space: LabelSpace | None = None,
    name: str = "coco",
    aliases: Mapping[str, str] | None = None,
    foreign: Literal["fault", "ignore"] = "fault",
    notes: Sequence[str] = (),
) -> BoxDataset:
    """Read COCO instances.

    ``bbox`` is x, y, width, height in pixels. Category ids need no order and no density; they become the
    class ids of the label space. ``iscrowd`` is kept, and ``area`` where it is another than that of the box;
    outlines are not. ``occluded``, ``truncated`` and ``distance`` are read from an annotation's
    ``attributes`` if they are there (CVAT writes them so).

    Args:
        data: the parsed JSON.
        pictures: where to look for the pictures.
        faults: takes annotations that can't be used.
        space: label space; ``None``: the categories.
        name: name of the format.
        aliases: other names of classes of ``space``.
        foreign: what becomes of boxes whose class ``space`` lacks: put aside, or ignored regions.
        notes: what the caller has to say.

    Raises:
        InputError: no images or categories.
    """
    samples, number = _images(_records(data, "images"), pictures, faults)
    names, ids = categories_of(_records(data, "categories"), faults)
    said = list(notes)
    columns = _columns(_records(data, "annotations"), number, (names, ids), faults, said)
    return assemble(name, samples, columns, faults, space=space, aliases=aliases, foreign=foreign, notes=said)


def write_coco(dataset: BoxDataset, path: str | Path) -> list[str]:
    """Write COCO instances, one record a line; widths may differ from the boxes by the last binary digit.

    Returns:
        Sentences on what the format can't hold.

    Raises:
        InputError: the file can't be written.
    """
    image, columns = columns_of(dataset)
    numbers = image_numbers(dataset)
    said = lost(dataset, {"ids", "crowd", "difficult", "area", *GRADES}, "COCO")
    boxes = np.asarray(columns["boxes"], np.float64).reshape(-1, 4)
    corner_and_size = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).tolist()
    ids = _box_numbers(columns["ids"], len(boxes), said)
    class_ids, crowd = np.array(dataset.space.ids), np.asarray(columns["crowd"], int).tolist()
    category = class_ids[np.asarray(columns["classes"], int)].tolist()
    extra = _attributes(columns, len(boxes))
    area = [w * h for _, _, w, h in corner_and_size]
    if (told := columns["area"]) is not None:
        area = np.where(np.isnan(told), area, told).tolist()
    annotations = [
        {
            "id": ids[k],
            "image_id": numbers[image[k]],
            "category_id": category[k],
            "bbox": corner_and_size[k],
            "area": area[k],
            "iscrowd": crowd[k],
            **({"attributes": extra[k]} if extra[k] else {}),
        }
        for k in range(len(boxes))
    ]
    parts = {
        "images": [_image(s, n) for s, n in zip(dataset.samples, numbers, strict=True)],
        "categories": [{"id": c.id, "name": c.name} for c in dataset.space.classes],
        "annotations": annotations,
    }
    text = ",\n".join(f'"{key}": [\n{_lines(records)}\n]' for key, records in parts.items())
    write_text(path, "{\n" + text + "\n}\n")
    return said


def image_numbers(dataset: BoxDataset) -> list[int]:
    """Numbers of the images: those of the file if all have their own, else counted from 1."""
    said = [s.source_id for s in dataset]
    own = [int(v) for v in said if v is not None and v.isdecimal()]
    return own if len(set(own)) == len(said) else list(range(1, len(said) + 1))


def _lines(records: Sequence[_Record]) -> str:
    return ",\n".join(json.dumps(r, ensure_ascii=False, allow_nan=False) for r in records)


def _image(sample: BoxSample, number: int) -> dict[str, Any]:
    record: dict[str, Any] = {"id": number, "file_name": file_name(sample)}
    if sample.width is not None and sample.height is not None:
        record |= {"width": sample.width, "height": sample.height}
    return record


def file_name(sample: BoxSample) -> str:
    """Name of a picture for a file of labels: as it was given, else the picture's, else the id."""
    if sample.file_name is not None:
        return sample.file_name
    return sample.image_id + (sample.image.suffix if sample.image is not None else "")


def _box_numbers(ids: npt.NDArray[Any] | None, n: int, said: list[str]) -> list[int]:
    """Numbers of the boxes: their own where they have one, else counted on from the highest."""
    listed = [""] * n if ids is None else ids.tolist()
    numbers = [int(v) if str(v).isdecimal() else -1 for v in listed]
    # of boxes that share a number the first keeps it
    first = {v: k for k, v in reversed(list(enumerate(numbers))) if v >= 0}
    own = [first.get(v) == k for k, v in enumerate(numbers)]
    last, fresh = max(first, default=0), n - len(first)
    if ids is not None and fresh:
        said.append(
            f"COCO: names of boxes are whole numbers; {fresh} boxes without one of their own are numbered "
            f"from {last + 1}"
        )
    return [v if kept else (last := last + 1) for v, kept in zip(numbers, own, strict=True)]


def _attributes(columns: Mapping[str, npt.NDArray[Any] | None], n: int) -> list[dict[str, Any]]:
    extra: list[dict[str, Any]] = [{} for _ in range(n)]
    for key, word in GRADES.items():
        values = columns[key]
        if values is not None:
            for k in np.flatnonzero(~np.isnan(values)).tolist():
                extra[k][word] = float(values[k])
    for k in np.flatnonzero(np.asarray(columns["difficult"], bool)).tolist():
        extra[k]["difficult"] = True
    return extra


def _records(data: Mapping[str, Any], key: str) -> list[Any]:
    found = data.get(key)
    return found if isinstance(found, list) else []


def _images(records: list[Any], pictures: Pictures, faults: Faults) -> tuple[list[BoxSample], dict[Any, int]]:
    def keyed(record: _Record) -> tuple[Any, str, int | None, int | None]:
        name = record.get("file_name") or str(record["id"])
        hash(record["id"])
        return record["id"], str(name), _size(record.get("width")), _size(record.get("height"))

    found = _each(records, keyed, "image", faults)
    samples: list[BoxSample] = []
    number: dict[Any, int] = {}
    ids = name_ids([name for _, name, _, _ in found])
    met: set[str] = set()
    for (key, name, width, height), image_id in zip(found, ids, strict=True):
        if key in number or image_id in met:
            faults.add(f"image {key!r} ('{name}')", "its id or its file is listed a second time")
            continue
        number[key] = len(samples)
        met.add(image_id)
        samples.append(
            BoxSample(image_id, pictures.find(name), width, height, source_id=str(key), file_name=name)
        )
    return samples, number


def _size(value: Any) -> int | None:
    return None if value is None or int(value) < 1 else int(value)


def categories_of(records: list[Any], faults: Faults) -> tuple[list[str], list[int]]:
    """Names and ids of categories that can be used; those of one name bear their ids in it."""
    found = _each(records, lambda r: (int(r["id"]), str(r["name"])), "category", faults)
    pairs: dict[int, str] = {}
    for number, name in found:
        if number in pairs:
            faults.add(f"category {number} ('{name}')", "its id is listed a second time")
            continue
        pairs[number] = name
    # Categories of one name under several parents are told apart by their ids.
    counts = Counter(name.casefold() for name in pairs.values())
    names = [n if counts[n.casefold()] == 1 else f"{n} ({k})" for k, n in pairs.items()]
    return names, list(pairs)


def _each(records: list[Any], read: Callable[[Any], Any], what: str, faults: Faults) -> list[Any]:
    """Read each record; those that can't be read are put aside."""
    found = []
    for k, record in enumerate(records, start=1):
        try:
            found.append(read(record))
        except MALFORMED as error:
            faults.add(f"{what} record {k}", malformed(error))
    return found


def malformed(error: Exception) -> str:
    """Say what is wrong with a record, given one of ``MALFORMED``.

    >>> malformed(KeyError("score"))
    "is malformed: it has no 'score'"
    """
    lacks = f"it has no {error}" if isinstance(error, KeyError) else "a value is missing or of another type"
    return f"is malformed: {lacks}"


def _columns(
    records: list[Any],
    number: Mapping[Any, int],
    categories: tuple[list[str], list[int]],
    faults: Faults,
    notes: list[str],
) -> Columns:
    names, ids = categories
    place = {c: k for k, c in enumerate(ids)}
    try:
        parts = _parts(records, number, place)
    except MALFORMED:
        # Some record is bad: find which, and read the others at once.
        sound = _each(records, lambda r: (r, _parts([r], number, place))[0], "annotation", faults)
        parts = _parts(sound, number, place)
        records = sound
    image, boxes, classes = parts
    area = areas(records, boxes)
    boxes[:, 2:] += boxes[:, :2]
    own = [r.get("id") for r in records]
    named = np.array([f"{v}" for v in own], np.str_) if own and None not in own else None
    if named is not None and len(set(own)) < len(own):
        notes.append(f"{len(own) - len(set(own))} annotations bear an id that another has too")
    extra = attributes(records)
    return Columns(
        image=image,
        boxes=boxes,
        classes=classes,
        names=names,
        class_ids=ids,
        ids=named,
        crowd=np.array([flag(r.get("iscrowd", 0)) == 1 for r in records], bool),
        area=area,
        **extra,
    )


def _parts(
    records: list[Any], number: Mapping[Any, int], place: Mapping[Any, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    n = len(records)
    image = np.fromiter((number.get(r["image_id"], -1) for r in records), np.int64, n)
    classes = np.fromiter((place.get(r["category_id"], -1) for r in records), np.int64, n)
    boxes = np.array([r["bbox"] for r in records], np.float64)
    if n == 0:
        return image, np.zeros((0, 4)), classes
    if boxes.shape != (n, 4):
        raise ValueError("bbox has not four numbers")
    hash(tuple(r.get("id") for r in records))
    return image, boxes, classes
