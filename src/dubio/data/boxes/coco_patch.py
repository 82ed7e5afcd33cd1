"""Corrections put into a COCO file as it is: whatever isn't corrected stays, dubio's unknowns included."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dubio.core.boxes import BoxDataset, BoxLabels
from dubio.core.errors import InputError
from dubio.core.files import write_text
from dubio.core.labelspace import LabelSpace
from dubio.data.boxes.coco import categories_of, read_coco
from dubio.data.boxes.coda import ALIASES, is_coda, read_coda
from dubio.data.boxes.columns import Faults
from dubio.data.boxes.files import read_data
from dubio.data.boxes.pictures import Pictures
from dubio.data.boxes.table import class_index

_Record = dict[str, Any]


@dataclass(frozen=True)
class CocoFile:
    """A COCO file with the way back from its boxes to its records.

    Args:
        path: the file.
        data: its contents.
        dataset: its boxes; their ``ids`` are the places of their records in ``annotations``, from 0.
    """

    path: Path
    data: Mapping[str, Any]
    dataset: BoxDataset


def open_coco(path: str | Path, space: LabelSpace) -> CocoFile:
    """Open a COCO or CODA file to patch it.

    Args:
        path: the file.
        space: the classes that its boxes were read with.

    Raises:
        InputError: no such file, or none of this form.
    """
    path = Path(path)
    data = read_data(path)
    if not isinstance(data, dict) or not isinstance(data.get("images"), list):
        raise InputError("is no COCO file", path=path)
    records = data.get("annotations")
    traced = [_traced(r, k) for k, r in enumerate(records)] if isinstance(records, list) else []
    read = read_coda if is_coda(data) else read_coco
    dataset = read({**data, "annotations": traced}, Pictures(None), Faults(path), space=space)
    return CocoFile(path, data, dataset)


def _traced(record: Any, place: int) -> Any:
    """A record whose name is its place; what the reader would put aside is put aside here, too."""
    if not isinstance(record, dict) or not isinstance(record.get("id"), Hashable):
        return None
    return {**record, "id": place}


def write_patched(source: CocoFile, after: BoxDataset, path: str | Path) -> list[str]:
    """Write a COCO file anew in which only some boxes differ.

    Records of boxes that didn't change, and everything else in the file, keep their values and order. A
    changed box keeps its record: ``category_id`` or ``bbox`` are new, and with the box its ``area``; its
    ``segmentation`` belongs to the old box and goes. New boxes come last and are numbered after the highest
    number in the file. Records that no box was read from stay.

    Args:
        source: the file, opened with :func:`open_coco`.
        after: its data set, corrected: boxes keep their ``ids``, those of new ones are no whole numbers.
        path: where to write.

    Returns:
        Sentences on what got lost or was added.

    Raises:
        InputError: the file can't be written.
    """
    patch = _Patch(source, after.space)
    for name, was in source.dataset.labels.items():
        now = after.labels[name]
        if now is not was:
            patch.image(name, was, now)
    write_text(path, _text(patch.whole()))
    return patch.said()


class _Patch:
    """What changes in a file, gathered image by image."""

    def __init__(self, source: CocoFile, space: LabelSpace) -> None:
        data = source.data
        self.source, self.space = source, space
        self.changed: dict[int, _Record] = {}
        self.gone: set[int] = set()
        self.new: list[_Record] = []
        self.added_categories: list[_Record] = []
        self.outlines = 0
        self.records: list[Any] = data.get("annotations") or []
        sound = [r for r in data["images"] if isinstance(r, dict)]
        keys = {str(r.get("id")): r.get("id") for r in reversed(sound)}
        self.image_key = {s.image_id: keys[str(s.source_id)] for s in source.dataset}
        self.last = _highest(self.records)
        names, numbers = categories_of(data.get("categories") or [], Faults(source.path))
        places = class_index(names, space, ALIASES if is_coda(data) else {}).tolist()
        # the first of several categories that are one class
        self.category: dict[int, int] = dict(zip(reversed(places), reversed(numbers), strict=True))
        self.last_category = max(numbers, default=0)

    def image(self, name: str, was: BoxLabels, now: BoxLabels) -> None:
        """Take over what changed in one image."""
        before = {key: k for k, key in enumerate(_ids(was))}
        kept = set()
        for k, key in enumerate(_ids(now)):
            if key not in before:
                self._add(name, now, k)
                continue
            kept.add(key)
            old = before[key]
            moved = not np.array_equal(was.boxes[old], now.boxes[k])
            renamed = bool(was.classes[old] != now.classes[k])
            if moved or renamed:
                self._change(int(key), now, k, moved, renamed)
        self.gone |= {int(key) for key in before.keys() - kept}

    def _change(self, place: int, labels: BoxLabels, k: int, moved: bool, renamed: bool) -> None:
        record = dict(self.records[place])
        if moved:
            bbox = _bbox(labels, k)
            record["bbox"] = bbox
            self.outlines += bool(record.pop("segmentation", None))
            if "area" in record:
                record["area"] = bbox[2] * bbox[3]
        if renamed:
            record["category_id"] = self._category_of(int(labels.classes[k]))
        self.changed[place] = record

    def _add(self, name: str, labels: BoxLabels, k: int) -> None:
        bbox = _bbox(labels, k)
        self.new.append(
            {
                "id": self.last + 1 + len(self.new),
                "image_id": self.image_key[name],
                "category_id": self._category_of(int(labels.classes[k])),
                "bbox": bbox,
                "area": bbox[2] * bbox[3],
                "iscrowd": 0,
            }
        )

    def _category_of(self, index: int) -> int:
        if index not in self.category:
            self.last_category += 1
            self.category[index] = self.last_category
            self.added_categories.append({"id": self.last_category, "name": self.space.name_of(index)})
        return self.category[index]

    def whole(self) -> _Record:
        """The contents of the new file."""
        kept = [self.changed.get(k, r) for k, r in enumerate(self.records) if k not in self.gone]
        whole = {**self.source.data, "annotations": kept + self.new}
        if self.added_categories:
            whole["categories"] = [*(self.source.data.get("categories") or []), *self.added_categories]
        return whole

    def said(self) -> list[str]:
        """Sentences on what got lost or was added."""
        said = []
        if self.outlines:
            said.append(
                f"{self.outlines} moved boxes lose their outline (segmentation), which belongs to the old box"
            )
        if self.new and any(isinstance(r, dict) and r.get("segmentation") for r in self.records):
            said.append(f"{len(self.new)} added boxes have no outline (segmentation)")
        names = ", ".join(str(c["name"]) for c in self.added_categories)
        return [*said, f"the file had no category for {names}: added"] if names else said


def _ids(labels: BoxLabels) -> list[str]:
    return [""] * len(labels) if labels.ids is None else labels.ids.tolist()


def _bbox(labels: BoxLabels, k: int) -> list[float]:
    x1, y1, x2, y2 = labels.boxes[k].tolist()
    return [x1, y1, x2 - x1, y2 - y1]


def _highest(records: list[Any]) -> int:
    own = [r.get("id") for r in records if isinstance(r, dict)]
    # numbers as text count: no reader of the file may take two names for one
    numbers = [str(v) for v in own if isinstance(v, int | str) and not isinstance(v, bool)]
    return max((int(v) for v in numbers if v.isdecimal()), default=0)


def _text(data: Mapping[str, Any]) -> str:
    """JSON with one record a line."""
    parts = []
    for key, value in data.items():
        if isinstance(value, list) and value:
            text = "[\n" + ",\n".join(json.dumps(v, ensure_ascii=False) for v in value) + "\n]"
        else:
            text = json.dumps(value, ensure_ascii=False)
        parts.append(f"{json.dumps(key, ensure_ascii=False)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"
