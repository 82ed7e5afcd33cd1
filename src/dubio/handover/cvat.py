"""CVAT: "CVAT for images 1.1", and the labels of the task to make for it.

How a reviewer works with it: make a task with the images, paste ``labels.json`` into *Raw* of the label
constructor, upload ``annotations.xml`` as "CVAT 1.1". Each finding is a shape labelled with the class that
the model proposes; its attribute ``verdict`` is set to accepted or rejected, its outline and class may be
changed, and errors that were overlooked may be drawn. The export "CVAT for images 1.1" is read back by
``dubio import``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Tree

import numpy as np

from dubio.core.files import write_json, writing
from dubio.core.labelspace import LabelSpace
from dubio.handover.coco import attributes
from dubio.handover.items import OPEN, Item
from dubio.handover.polygons import has_holes, outlines
from dubio.handover.rle import to_cvat
from dubio.handover.shots import Shot

NAME, LABELS = "annotations.xml", "labels.json"
VERDICTS = (OPEN, "accepted", "rejected")
# Free text: the number input of CVAT wants whole steps, which probabilities haven't.
_TEXTS = ("kind", "given", "proposed", "probability", "reason")
_LARGEST = 10_000_000
# What XML 1.0 can't hold.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_cvat(
    out: Path, found: Sequence[Shot], space: LabelSpace, name: str, *, shapes: str = "mask"
) -> list[str]:
    """Write ``annotations.xml`` and ``labels.json``.

    Args:
        out: folder.
        found: images with findings.
        space: label space; all its classes become labels.
        name: name of the task.
        shapes: ``mask``: lossless; ``polygon``: outlines along the edges of pixels, one per part, and masks
            for regions with holes; ``box``: boxes.

    Returns:
        Names of the files.
    """
    labels = label_list(space)
    root = Tree.Element("annotations")
    _child(root, "version", "1.1")
    root.append(_meta(name, len(found), labels))
    for number, shot in enumerate(found):
        image = Tree.SubElement(
            root,
            "image",
            id=str(number),
            name=clean(shot.name),
            width=str(shot.width),
            height=str(shot.height),
        )
        for item in shot.items:
            image.extend(_shapes(shot, item, space, shapes))
    Tree.indent(root)
    with writing(out / NAME) as part:
        Tree.ElementTree(root).write(part, encoding="utf-8", xml_declaration=True)
    write_json(out / LABELS, labels)
    return [NAME, LABELS]


def label_list(space: LabelSpace) -> list[dict[str, Any]]:
    """Labels with their attributes, as CVAT's raw label constructor takes them."""
    verdict = {
        "name": "verdict", "mutable": False, "input_type": "select", "default_value": OPEN,
        "values": list(VERDICTS),
    }  # fmt: skip
    finding = {
        "name": "finding", "mutable": False, "input_type": "number", "default_value": "0",
        "values": ["0", str(_LARGEST), "1"],
    }  # fmt: skip
    texts = [
        {"name": text, "mutable": False, "input_type": "text", "default_value": "", "values": [""]}
        for text in _TEXTS
    ]
    return [
        {
            "name": clean(c.name),
            "color": "#{:02x}{:02x}{:02x}".format(*c.color),
            "type": "any",
            "attributes": [verdict, finding, *texts],
        }
        for c in space.classes
    ]


def clean(text: str) -> str:
    """Text without the signs that XML can't hold.

    >>> clean("a" + chr(0) + "b")
    'ab'
    """
    return _FORBIDDEN.sub("", text)


def _meta(name: str, size: int, labels: Iterable[dict[str, Any]]) -> Tree.Element:
    meta = Tree.Element("meta")
    task = Tree.SubElement(meta, "task")
    for tag, text in (("name", name), ("size", str(size)), ("mode", "annotation"), ("overlap", "0")):
        _child(task, tag, clean(text))
    listed = Tree.SubElement(task, "labels")
    for label in labels:
        element = Tree.SubElement(listed, "label")
        for tag in ("name", "color", "type"):
            _child(element, tag, label[tag])
        parts = Tree.SubElement(element, "attributes")
        for attribute in label["attributes"]:
            part = Tree.SubElement(parts, "attribute")
            _child(part, "name", attribute["name"])
            _child(part, "mutable", str(attribute["mutable"]))
            _child(part, "input_type", attribute["input_type"])
            _child(part, "default_value", attribute["default_value"])
            _child(part, "values", "\n".join(attribute["values"]))
    return meta


def _shapes(shot: Shot, item: Item, space: LabelSpace, shapes: str) -> list[Tree.Element]:
    common = {"label": clean(space.name_of(item.class_index(space))), "source": "auto", "occluded": "0"}
    made = []
    mask = np.zeros((0, 0), bool) if shapes == "box" else shot.mask(item)
    if shapes == "box":
        names = ("xtl", "ytl", "xbr", "ybr")
        corners = {k: f"{v:.2f}" for k, v in zip(names, shot.box(item), strict=True)}
        made.append(Tree.Element("box", common, **corners, z_order="0"))
    elif shapes == "polygon" and not has_holes(mask):
        for ring in outlines(mask):
            points = ";".join(f"{x:.2f},{y:.2f}" for x, y in ring.tolist())
            made.append(Tree.Element("polygon", common, points=points, z_order="0"))
    else:
        packed = {key: str(value) for key, value in to_cvat(mask).items()}
        made.append(Tree.Element("mask", common, **packed, z_order="0"))
    said = attributes(item)
    for element in made:
        for key in ("verdict", "finding", *_TEXTS):
            _child(element, "attribute", clean(str(said[key]))).set("name", key)
    return made


def _child(parent: Tree.Element, tag: str, text: str) -> Tree.Element:
    child = Tree.SubElement(parent, tag)
    child.text = text
    return child
