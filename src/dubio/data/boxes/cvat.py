"""CVAT: "CVAT for images 1.1", one XML file of images and boxes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as Tree

import numpy as np

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample
from dubio.core.errors import InputError
from dubio.core.files import writing
from dubio.core.labelspace import LabelSpace
from dubio.data.boxes.coco import file_name
from dubio.data.boxes.columns import Faults
from dubio.data.boxes.files import corners_of, positive, xml_text
from dubio.data.boxes.gather import Gather, flag
from dubio.data.boxes.lost import lost
from dubio.data.boxes.pictures import Pictures, name_ids, size_of
from dubio.data.boxes.table import assemble, with_unique_ids

_KEYS = ("xtl", "ytl", "xbr", "ybr")
_OTHERS = ("polygon", "polyline", "points", "mask", "cuboid", "ellipse", "skeleton")
_FLAGS = ("truncated", "difficult", "crowd")


def read_cvat(
    root: Tree.Element, pictures: Pictures, faults: Faults, *, space: LabelSpace | None = None
) -> BoxDataset:
    """Read boxes of "CVAT for images 1.1".

    ``occluded`` becomes occlusion 0 or 1; the attributes ``truncated``, ``difficult`` and ``crowd`` are
    read if a box has them. Turned boxes are put aside: they aren't upright. Shapes of other kinds are
    counted. Classes stand in the order of the task's labels.

    Args:
        root: the parsed file.
        pictures: where to look for the pictures.
        faults: takes boxes that can't be used.
        space: label space; ``None``: the task's labels.

    Raises:
        InputError: a video's tracks, or no images.
    """
    if root.find("track") is not None:
        raise InputError(
            "holds tracks of a video", path=faults.path, remedy="export the task as 'CVAT for images 1.1'"
        )
    images = [i for i in root.iter("image") if i.get("name")]
    ids = name_ids([str(i.get("name")) for i in images])
    samples, numbers = with_unique_ids(
        [_sample(i, k, pictures) for i, k in zip(images, ids, strict=True)], faults
    )
    gather = Gather()
    for image, number in zip(images, numbers, strict=True):
        if number < 0:
            continue
        gather.image(samples[number])
        for k, box in enumerate(image.iter("box"), start=1):
            try:
                _box(box, gather)
            except (InputError, ValueError) as error:
                faults.add(f"{image.get('name')}, box {k}", error)
    others = sum(1 for tag in _OTHERS for _ in root.iter(tag))
    notes = [f"{others} shapes that are no boxes are passed over"] if others else []
    listed = [label.findtext("name") or "" for label in root.iter("label")]
    names = list(dict.fromkeys(name for name in listed if name))
    return assemble("cvat", gather.samples, gather.columns(names), faults, space=space, notes=notes)


def write_cvat(dataset: BoxDataset, path: str | Path) -> list[str]:
    """Write "CVAT for images 1.1".

    Returns:
        Sentences on what the format can't hold.

    Raises:
        InputError: the size of an image is unknown, or the file can't be written.
    """
    said = lost(dataset, {"occlusion", "truncation", "difficult", "crowd", "split"}, "CVAT")
    root = Tree.Element("annotations")
    _child(root, "version", "1.1")
    labels = Tree.SubElement(Tree.SubElement(Tree.SubElement(root, "meta"), "task"), "labels")
    for c in dataset.space.classes:
        label = Tree.SubElement(labels, "label")
        _child(label, "name", c.name)
        _child(label, "color", "#{:02x}{:02x}{:02x}".format(*c.color))
        attributes = Tree.SubElement(label, "attributes")
        for name in _FLAGS:
            attribute = Tree.SubElement(attributes, "attribute")
            parts = (("name", name), ("mutable", "False"), ("input_type", "checkbox"))
            for tag, text in (*parts, ("default_value", "false"), ("values", "false")):
                _child(attribute, tag, text)
    for k, sample in enumerate(dataset):
        height, width = size_of(sample)
        name = xml_text(file_name(sample))
        image = Tree.SubElement(root, "image", id=str(k), name=name, width=str(width), height=str(height))
        if sample.split is not None:
            image.set("subset", xml_text(sample.split))
        image.extend(_boxes(dataset.labels[sample.image_id], dataset.space))
    Tree.indent(root)
    with writing(path) as part:
        Tree.ElementTree(root).write(part, encoding="utf-8", xml_declaration=True)
    return said


def _sample(image: Tree.Element, image_id: str, pictures: Pictures) -> BoxSample:
    name = str(image.get("name"))
    width, height = positive(image.get("width")), positive(image.get("height"))
    return BoxSample(
        image_id, pictures.find(name), width, height, split=image.get("subset") or None, file_name=name
    )


def _box(box: Tree.Element, gather: Gather) -> None:
    if float(box.get("rotation") or 0) % 180:
        raise InputError(f"is turned by {box.get('rotation')} degrees: only upright boxes can be read")
    said = {a.get("name"): a.text for a in box.iter("attribute")}
    if not box.get("label"):
        raise InputError("has no label")
    gather.box(
        corners_of(box.attrib, _KEYS),
        str(box.get("label")),
        occlusion=flag(box.get("occluded")),
        truncation=flag(said.get("truncated")),
        difficult=flag(said.get("difficult")) == 1,
        crowd=flag(said.get("crowd")) == 1,
    )


def _boxes(labels: BoxLabels, space: LabelSpace) -> Iterable[Tree.Element]:
    for k, place in enumerate(labels.boxes.tolist()):
        box = Tree.Element("box", label=xml_text(space.name_of(int(labels.classes[k]))), z_order="0")
        for key, value in zip(_KEYS, place, strict=True):
            box.set(key, repr(value))
        hidden = math.nan if labels.occlusion is None else float(labels.occlusion[k])
        if not math.isnan(hidden):
            box.set("occluded", str(int(hidden > 0)))
        cut = labels.truncation
        if cut is not None and not np.isnan(cut[k]):
            _child(box, "attribute", str(bool(cut[k] > 0)).lower()).set("name", "truncated")
        for name, flags in (("difficult", labels.difficult), ("crowd", labels.crowd)):
            if flags[k]:
                _child(box, "attribute", "true").set("name", name)
        yield box


def _child(parent: Tree.Element, tag: str, text: str) -> Tree.Element:
    child = Tree.SubElement(parent, tag)
    child.text = xml_text(text)
    return child
