"""Label Studio: its JSON export of rectangle labels, in percent of the image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample
from dubio.core.errors import InputError
from dubio.core.files import write_text
from dubio.core.labelspace import LabelSpace
from dubio.data.boxes.coco import MALFORMED, file_name
from dubio.data.boxes.columns import Faults
from dubio.data.boxes.files import positive
from dubio.data.boxes.gather import Gather
from dubio.data.boxes.lost import lost
from dubio.data.boxes.pictures import Pictures, name_ids, size_of
from dubio.data.boxes.table import assemble, with_unique_ids

_KIND = "rectanglelabels"
_LOCAL_FILES = "/data/local-files/?d="
_PERCENT = 100


def read_label_studio(
    tasks: list[Any], pictures: Pictures, faults: Faults, *, space: LabelSpace | None = None
) -> BoxDataset:
    """Read the export "JSON" of Label Studio.

    Of a task with several submitted annotations the latest counts, and this is noted. Turned rectangles are
    put aside: they aren't upright. Regions of other kinds are counted. The image is found by ``image_id`` of
    the task's data, else by the path of its address.

    Args:
        tasks: the parsed JSON.
        pictures: where to look for the pictures.
        faults: takes tasks and regions that can't be used.
        space: label space; ``None``: the labels that occur, sorted.

    Raises:
        InputError: no task can be read, or it is a JSON-MIN export.
    """
    sound = [t for t in tasks if isinstance(t, dict) and isinstance(t.get("data"), dict)]
    if not sound:
        raise InputError("holds no tasks with data", path=faults.path, remedy="export as JSON, not JSON-MIN")
    if len(sound) < len(tasks):
        faults.add(f"{len(tasks) - len(sound)} tasks", "have no data")
    names = [_name(task["data"]) for task in sound]
    samples, numbers = with_unique_ids(
        [
            _sample(task, name, image_id, pictures)
            for task, name, image_id in zip(sound, names, name_ids(names), strict=True)
        ],
        faults,
    )
    gather = Gather()
    several = others = 0
    for task, number in zip(sound, numbers, strict=True):
        if number < 0:
            continue
        gather.image(samples[number])
        given = _annotations(task)
        several += len(given) > 1
        for k, result in enumerate(_results(given), start=1):
            try:
                if result["type"] != _KIND:
                    others += 1
                    continue
                _region(result, gather)
            except (InputError, *MALFORMED) as error:
                faults.add(f"{samples[number].image_id}, region {k}", error)
    notes = [f"{several} tasks have several annotations: the latest counts"] if several else []
    notes += [f"{others} regions that are no rectangles are passed over"] if others else []
    return assemble("label-studio", gather.samples, gather.columns(), faults, space=space, notes=notes)


def write_label_studio(
    dataset: BoxDataset, path: str | Path, *, image_url_prefix: str = _LOCAL_FILES
) -> list[str]:
    """Write tasks with annotations, one a line.

    Args:
        dataset: the data set.
        path: the file.
        image_url_prefix: goes in front of the path of an image below the folder of the images.

    Returns:
        Sentences on what the format can't hold.

    Raises:
        InputError: the size of an image is unknown, or the file can't be written.
    """
    said = lost(dataset, {"ids"}, "Label Studio")
    tasks = [json.dumps(_task(s, dataset, image_url_prefix), ensure_ascii=False) for s in dataset]
    write_text(path, "[\n" + ",\n".join(tasks) + "\n]\n")
    return said


def _name(data: Mapping[str, Any]) -> str:
    url = data.get("image") or next((v for v in data.values() if isinstance(v, str)), "")
    return unquote(str(url).split("?d=", 1)[-1].split("://", 1)[-1].split("?", 1)[0])


def _annotations(task: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = task.get("annotations")
    listed = found if isinstance(found, list) else []
    return [a for a in listed if isinstance(a, dict) and not a.get("was_cancelled")]


def _results(given: list[Mapping[str, Any]]) -> list[Any]:
    if not given:
        return []
    last = max(given, key=lambda a: str(a.get("updated_at") or a.get("created_at") or ""))
    found = last.get("result")
    return found if isinstance(found, list) else []


def _sample(task: Mapping[str, Any], name: str, image_id: str, pictures: Pictures) -> BoxSample:
    sizes = [r for r in _results(_annotations(task)) if isinstance(r, dict)]
    said: Mapping[str, Any] = sizes[0] if sizes else task["data"]
    width = positive(said.get("original_width", said.get("width")))
    height = positive(said.get("original_height", said.get("height")))
    own = str(task["data"].get("image_id") or image_id)
    return BoxSample(own, pictures.find(name), width, height, file_name=name)


def _region(result: Mapping[str, Any], gather: Gather) -> None:
    value = result["value"]
    if float(value.get("rotation") or 0) % 180:
        raise InputError(f"is turned by {value['rotation']} degrees: only upright boxes can be read")
    if result.get("image_rotation"):
        raise InputError("lies in a turned image, which can't be read")
    names = value[_KIND]
    if len(names) != 1:
        raise InputError(f"has {len(names)} labels, not one")
    width, height = positive(result.get("original_width")), positive(result.get("original_height"))
    if width is None or height is None:
        raise InputError("lacks original_width and original_height")
    place = np.array([value["x"], value["y"], value["width"], value["height"]], np.float64)
    x, y, w, h = (place * [width, height, width, height] / _PERCENT).tolist()
    gather.box((x, y, x + w, y + h), str(names[0]), box_id=str(result.get("id", "")))


def _task(sample: BoxSample, dataset: BoxDataset, prefix: str) -> dict[str, Any]:
    height, width = size_of(sample)
    labels = dataset.labels[sample.image_id]
    common = {"original_width": width, "original_height": height, "image_rotation": 0, "type": _KIND}
    results = [
        {
            "id": f"b{k}" if labels.ids is None else str(labels.ids[k]),
            "from_name": "class",
            "to_name": "image",
            **common,
            "value": _value(labels, k, (width, height), dataset.space),
        }
        for k in range(len(labels))
    ]
    data = {
        "image": prefix + quote(file_name(sample)),
        "image_id": sample.image_id,
        "width": width,
        "height": height,
    }
    return {"data": data, "annotations": [{"result": results}]}


def _value(labels: BoxLabels, k: int, size: tuple[int, int], space: LabelSpace) -> dict[str, Any]:
    x1, y1, x2, y2 = labels.boxes[k].tolist()
    percent = np.array([x1, y1, x2 - x1, y2 - y1]) * _PERCENT / [*size, *size]
    place = dict(zip(("x", "y", "width", "height"), percent.tolist(), strict=True))
    return {**place, "rotation": 0, _KIND: [space.name_of(int(labels.classes[k]))]}
