"""BDD100K detection labels: JSON of frames, in the first and in the Scalabel form.

Yu et al., "BDD100K: A Diverse Driving Dataset for Heterogeneous Multitask Learning", CVPR 2020.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample
from dubio.core.errors import InputError
from dubio.core.files import write_text
from dubio.core.labelspace import LabelSpace
from dubio.data.boxes.coco import MALFORMED, file_name
from dubio.data.boxes.columns import Faults
from dubio.data.boxes.files import corners_of, positive
from dubio.data.boxes.gather import Gather, flag
from dubio.data.boxes.lost import lost
from dubio.data.boxes.pictures import Pictures, name_ids
from dubio.data.boxes.table import assemble, space_of, with_unique_ids

NAMES = (
    "pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
    "traffic light", "traffic sign",
)  # fmt: skip
# The first release calls three classes otherwise.
ALIASES = {"person": "pedestrian", "motor": "motorcycle", "bike": "bicycle"}
# Labelled, but neither trained nor judged in the challenge of 2020.
_IGNORED = ("other person", "other vehicle", "trailer", "ignored")
_UNKNOWN = "undefined"
_KEYS = ("x1", "y1", "x2", "y2")
_WIDTH, _HEIGHT = 1280, 720  # of all its videos


def bdd_space() -> LabelSpace:
    """The ten classes of BDD100K detection under the ids 1 to 10."""
    return space_of("bdd100k", NAMES, range(1, len(NAMES) + 1))


def read_bdd(
    frames: list[Any], pictures: Pictures, faults: Faults, *, space: LabelSpace | None = None
) -> BoxDataset:
    """Read BDD100K detection labels.

    ``occluded`` and ``truncated`` are JSON booleans and become 1 or 0. Weather, scene and time of day are
    domain tags. Boxes of the classes that the challenge leaves out become ignored regions. Labels without
    a box (lanes, drivable areas) are counted. Images are 1280 × 720 unless a frame says otherwise.

    Args:
        frames: parsed frames of either form; frames of one image file hold ``frames`` themselves.
        pictures: where to look for the pictures.
        faults: takes frames and labels that can't be used.
        space: label space; ``None``: BDD100K's ten classes, or the names that occur if there are others.

    Raises:
        InputError: no frame can be read.
    """
    gather = Gather()
    boxless = 0
    named = [f for f in frames if isinstance(f, dict) and isinstance(f.get("name"), str)]
    if len(named) < len(frames):
        faults.add(f"{len(frames) - len(named)} frames", "have no name")
    ids = name_ids([f["name"] for f in named])
    samples, numbers = with_unique_ids(
        [_sample(f, k, pictures) for f, k in zip(named, ids, strict=True)], faults
    )
    for frame, number in zip(named, numbers, strict=True):
        if number < 0:
            continue
        gather.image(samples[number])
        for k, label in enumerate(_labels(frame), start=1):
            try:
                boxless += _object(label, gather)
            except (InputError, *MALFORMED) as error:
                faults.add(f"{frame['name']}, label {k}", error)
    columns = gather.columns()
    if space is None and {ALIASES.get(n, n) for n in columns.names} <= set(NAMES):
        space = bdd_space()
    notes = [f"{boxless} labels without a box (lanes, areas) are passed over"] if boxless else []
    return assemble("bdd100k", samples, columns, faults, space=space, aliases=ALIASES, notes=notes)


def write_bdd(dataset: BoxDataset, path: str | Path) -> list[str]:
    """Write the Scalabel form, one frame a line.

    Returns:
        Sentences on what the format can't hold.

    Raises:
        InputError: the file can't be written.
    """
    said = lost(dataset, {"ids", "crowd", "occlusion", "truncation", "ignore", "domain"}, "BDD100K")
    frames = [json.dumps(_frame(s, dataset), ensure_ascii=False, allow_nan=False) for s in dataset]
    write_text(path, "[\n" + ",\n".join(frames) + "\n]\n")
    return said


def _sample(frame: Mapping[str, Any], image_id: str, pictures: Pictures) -> BoxSample:
    said, size = (frame[k] if isinstance(frame.get(k), dict) else {} for k in ("attributes", "size"))
    name = str(frame["name"])
    return BoxSample(
        image_id,
        pictures.find(name),
        positive(size.get("width")) or _WIDTH,
        positive(size.get("height")) or _HEIGHT,
        domain={k: v for k, v in said.items() if isinstance(v, str) and v != _UNKNOWN},
        file_name=name,
    )


def _labels(frame: Mapping[str, Any]) -> list[Any]:
    found = frame.get("labels")
    if found is None and isinstance(frame.get("frames"), list) and frame["frames"]:
        found = frame["frames"][0].get("objects")
    return found if isinstance(found, list) else []


def _object(label: Mapping[str, Any], gather: Gather) -> int:
    """Add a label; returns 1 if it has no box."""
    box = label.get("box2d")
    if box is None:
        return 1
    name, said = str(label["category"]), label.get("attributes") or {}
    place = corners_of(box, _KEYS)
    if name in _IGNORED:
        gather.ignore(place)
        return 0
    gather.box(
        place,
        name,
        box_id=str(label.get("id", "")),
        # JSON booleans: compared with the text "true", as published code did, all would be 0.
        occlusion=flag(said.get("occluded")),
        truncation=flag(said.get("truncated")),
        crowd=flag(said.get("crowd")) == 1,
    )
    return 0


def _frame(sample: BoxSample, dataset: BoxDataset) -> dict[str, Any]:
    labels = dataset.labels[sample.image_id]
    listed = [_label(labels, k, dataset.space) for k in range(len(labels))]
    ignored = [
        {"category": "ignored", "box2d": dict(zip(_KEYS, box, strict=True))} for box in labels.ignore.tolist()
    ]
    frame: dict[str, Any] = {"name": file_name(sample), "attributes": dict(sample.domain)}
    if sample.width is not None and sample.height is not None:
        frame["size"] = {"width": sample.width, "height": sample.height}
    return {**frame, "labels": listed + ignored}


def _label(labels: BoxLabels, k: int, space: LabelSpace) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for key, values in (("occluded", labels.occlusion), ("truncated", labels.truncation)):
        if values is not None and not np.isnan(values[k]):
            said[key] = bool(values[k] > 0)
    if labels.crowd[k]:
        said["crowd"] = True
    return {
        **({} if labels.ids is None else {"id": str(labels.ids[k])}),
        "category": space.name_of(int(labels.classes[k])),
        "attributes": said,
        "box2d": dict(zip(_KEYS, labels.boxes[k].tolist(), strict=True)),
    }
