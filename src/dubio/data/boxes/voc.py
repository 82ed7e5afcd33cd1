"""Pascal VOC: one XML file per image.

Everingham et al., "The Pascal Visual Object Classes (VOC) Challenge", IJCV 2010.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as Tree

import numpy as np

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample
from dubio.core.errors import InputError
from dubio.core.files import writing
from dubio.core.labelspace import LabelSpace
from dubio.data.boxes.coco import file_name
from dubio.data.boxes.columns import Columns, Faults
from dubio.data.boxes.files import corners, place_in, positive, text_lines, xml_text
from dubio.data.boxes.gather import Gather, flag
from dubio.data.boxes.lost import lost
from dubio.data.boxes.pictures import Pictures
from dubio.data.boxes.table import assemble
from dubio.data.safe_xml import parse_xml

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_STANDARD = "PASCAL VOC"
_SPLITS = ("train", "val", "test", "trainval")


def read_voc(
    files: Mapping[str, Path], pictures: Pictures, faults: Faults, *, space: LabelSpace | None = None
) -> BoxDataset:
    """Read Pascal VOC annotations.

    VOC counts pixels from 1 and includes the last one, so (1, 1, 1, 1) is the first pixel: 1 is taken off
    xmin and ymin. Many tools write the same XML counting from 0; that is assumed, and noted, where more
    boxes start at 0 than at 1 in files that don't call themselves PASCAL VOC.

    Args:
        files: XML files by image id.
        pictures: where to look for the pictures.
        faults: takes files and objects that can't be used.
        space: label space; ``None``: the names that occur, sorted.

    Raises:
        InputError: no file can be read.
    """
    gather = Gather()
    splits = _splits(faults.path)
    standard = False
    for image_id, path in files.items():
        try:
            root = parse_xml(path.read_bytes(), path.name)
            if root.tag != "annotation":
                raise InputError("is no annotation of Pascal VOC", path=path.name)
        except (InputError, OSError) as error:
            faults.add(path.name, error)
            continue
        standard = standard or (root.findtext("source/annotation") or "").startswith(_STANDARD)
        gather.image(_sample(root, image_id, pictures, splits))
        for number, item in enumerate(root.iter("object"), start=1):
            try:
                _object(item, gather)
            except (InputError, ValueError) as error:
                faults.add(f"{path.name}, object {number}", error)
    columns = gather.columns()
    note = _shift(columns, standard)
    return assemble("voc", gather.samples, columns, faults, space=space, notes=[note])


def write_voc(dataset: BoxDataset, folder: str | Path) -> list[str]:
    """Write one XML file per image into ``folder``, counting pixels from 1 as the standard says.

    Returns:
        Sentences on what the format can't hold.

    Raises:
        InputError: a file can't be written.
    """
    said = lost(dataset, {"difficult", "occlusion", "truncation"}, "Pascal VOC")
    for sample in dataset:
        root = _annotation(sample, dataset.labels[sample.image_id], dataset.space)
        Tree.indent(root)
        with writing(place_in(folder, sample.image_id, ".xml")) as part:
            Tree.ElementTree(root).write(part, encoding="utf-8")
    return said


def _sample(root: Tree.Element, image_id: str, pictures: Pictures, splits: Mapping[str, str]) -> BoxSample:
    name = root.findtext("filename") or ""
    width, height = (positive(root.findtext(f"size/{key}")) for key in ("width", "height"))
    found = pictures.find(image_id) or (pictures.find(name) if name else None)
    known = width is not None and height is not None
    return BoxSample(
        image_id,
        found,
        width if known else None,
        height if known else None,
        split=splits.get(Path(image_id).name),
        file_name=name or None,
    )


def _object(item: Tree.Element, gather: Gather) -> None:
    name = (item.findtext("name") or "").strip()
    if not name:
        raise InputError("has no name")
    box = item.find("bndbox")
    if box is None:
        raise InputError("has no bndbox")
    gather.box(
        corners([box.findtext(key) for key in _CORNERS]),
        name,
        difficult=flag(item.findtext("difficult")) == 1,
        occlusion=flag(item.findtext("occluded")),
        truncation=flag(item.findtext("truncated")),
    )


def _shift(columns: Columns, standard: bool) -> str:
    """Turn 1-based inclusive corners into continuous ones, unless the files count from 0."""
    starts = columns.boxes[:, :2]
    zeros, ones = int((starts == 0).sum()), int((starts == 1).sum())
    if zeros > ones and not standard:
        return "pixels are counted from 0 (more boxes start at 0 than at 1): corners are taken as they are"
    starts -= 1
    return "pixels are counted from 1, the last one included: 1 is taken off xmin and ymin"


def _splits(folder: Path) -> dict[str, str]:
    """Split by image stem, from the lists in ``ImageSets/Main``; a list of two splits comes last."""
    found: dict[str, str] = {}
    for split in _SPLITS:
        for above in (folder, folder.parent):
            path = above / "ImageSets" / "Main" / f"{split}.txt"
            if path.is_file():
                for line in text_lines(path):
                    found.setdefault(line.split()[0], split)
    return found


def _annotation(sample: BoxSample, labels: BoxLabels, space: LabelSpace) -> Tree.Element:
    root = Tree.Element("annotation")
    _child(root, "filename", file_name(sample))
    _child(Tree.SubElement(root, "source"), "annotation", _STANDARD)
    if sample.width is not None and sample.height is not None:
        size = Tree.SubElement(root, "size")
        for tag, value in (("width", sample.width), ("height", sample.height), ("depth", 3)):
            _child(size, tag, str(value))
    grades = [labels.truncation, labels.occlusion]
    for k, box in enumerate(labels.boxes + np.array([1.0, 1.0, 0.0, 0.0])):
        item = Tree.SubElement(root, "object")
        _child(item, "name", space.name_of(int(labels.classes[k])))
        for tag, values in zip(("truncated", "occluded"), grades, strict=True):
            if values is not None and not np.isnan(values[k]):
                _child(item, tag, str(int(values[k] > 0)))
        _child(item, "difficult", str(int(labels.difficult[k])))
        place = Tree.SubElement(item, "bndbox")
        for tag, value in zip(_CORNERS, box.tolist(), strict=True):
            _child(place, tag, repr(int(value) if value.is_integer() else value))
    return root


def _child(parent: Tree.Element, tag: str, text: str) -> None:
    Tree.SubElement(parent, tag).text = xml_text(text)
