"""Which files of a folder hold labelled boxes, and in what format; the others are left aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dubio.core.errors import InputError
from dubio.core.files import plain_reason
from dubio.data.boxes.coda import is_coda
from dubio.data.boxes.csv_file import is_box_table
from dubio.data.boxes.files import read_data, text_lines
from dubio.data.boxes.yolo import label_files
from dubio.data.safe_xml import parse_xml
from dubio.data.tree import Tree

OF_IMAGES = ("voc", "yolo", "kitti")  # formats of one file per image
_SUFFIXES = (".json", ".xml", ".csv")
_MARK = "dubio-export.json"  # beside what 'dubio export' wrote
_DETECTIONS = "boxes.parquet"  # a run of 'dubio predict'; the images that it lists beside have no labels
_TAGS = {"annotation": "voc", "annotations": "cvat"}
_LOOKED_AT = 50  # files of one suffix that may be strange before the first known one
_ENOUGH = 2  # more files of which the user must name one needn't be found
_KITTI_COLUMNS = 15
_YOLO_COLUMNS = 5


@dataclass(frozen=True)
class Found:
    """A file of labels.

    Args:
        path: the file.
        kind: its format; ``None``: not known, it may be damaged.
        data: contents of a JSON file, if it was read.
    """

    path: Path
    kind: str | None
    data: Any = None


@dataclass(frozen=True)
class Survey:
    """What a folder holds.

    Args:
        kind: a format of one file per image, or ``bdd100k`` in many files; ``None``: single files.
        files: JSON, XML or CSV files of this kind, or single files of labels.
        strays: those of no known format, where others are known.
    """

    kind: str | None
    files: tuple[Found, ...]
    strays: tuple[str, ...] = ()


def kind_of_json(data: Any) -> str | None:
    """Format of parsed JSON, by its shape; ``None``: no known one.

    >>> kind_of_json({"images": []}), kind_of_json([{"data": {}}]), kind_of_json([1])
    ('coco', 'label-studio', None)
    """
    if isinstance(data, dict):
        if isinstance(data.get("images"), list):
            return "coda" if is_coda(data) else "coco"
        return "bdd100k" if isinstance(data.get("frames"), list) else None
    first = data[0] if isinstance(data, list) and data else None
    if not isinstance(first, dict):
        return None
    if isinstance(first.get("data"), dict):
        return "label-studio"
    return "bdd100k" if "name" in first and {"labels", "attributes", "frames"} & first.keys() else None


def survey(path: Path, layout: str | None = None) -> Survey:
    """Find the labels in a folder.

    JSON, XML and CSV files of no known format don't count where others are known; neither does the file
    with which ``dubio export`` marks its folders. Boxes in such files come before text files.

    Args:
        path: the folder.
        layout: name of the format; ``None``: found out.

    Raises:
        InputError: it holds detections.
    """
    if (path / _DETECTIONS).is_file():
        raise InputError("holds detections, not labels", path=path, remedy="name it as --detections")
    files = [f for f in Tree(path).walk() if Path(f).name != _MARK]
    of = {s: [f for f in files if f.lower().endswith(s)] for s in _SUFFIXES}
    if layout in OF_IMAGES:
        return _of_images(path, layout, of)
    if layout == "bdd100k" and len(of[".json"]) > 1:
        return Survey(layout, tuple(Found(path / f, layout) for f in of[".json"]))
    everything = [f for s in _SUFFIXES for f in of[s]]
    texts = None if layout else _kind_of_texts(path, strict=bool(everything))
    if len(everything) == 1 and texts is None:
        return Survey(None, (Found(path / everything[0], layout),))  # its own fault says most
    known = [f for s in _SUFFIXES for f in _known(path, of[s], s) if layout in (None, f.kind)]
    kind = known[0].kind if known else texts
    if kind is not None and (kind in OF_IMAGES or [f.kind for f in known] == ["bdd100k"] * _ENOUGH):
        return _of_images(path, kind, of)
    taken = {f.path for f in known}
    strays = tuple(f for f in everything if path / f not in taken)
    return (
        Survey(None, tuple(known), strays)
        if known
        else Survey(None, tuple(Found(path / f, None) for f in strays))
    )


def _of_images(path: Path, kind: str, of: Mapping[str, list[str]]) -> Survey:
    """Survey of a format of one file per image."""
    own = {"voc": ".xml", "bdd100k": ".json"}.get(kind, "")
    files = tuple(Found(path / f, None) for f in of.get(own, ()))
    return Survey(kind, files, tuple(f for s in _SUFFIXES for f in of[s] if s != own))


def _known(path: Path, names: list[str], suffix: str) -> list[Found]:
    """Files of one suffix whose format is known; of those of one file per image, one is enough."""
    found: list[Found] = []
    for k, name in enumerate(names):
        one = _looked_at(path / name, suffix)
        if one.kind is not None:
            found.append(one)
            if one.kind in OF_IMAGES:
                return [one]
        if len(found) == _ENOUGH or (not found and k >= _LOOKED_AT):
            break
    return found


def _looked_at(path: Path, suffix: str) -> Found:
    if suffix == ".csv":
        return Found(path, "csv" if is_box_table(path) else None)
    try:
        if suffix == ".xml":
            return Found(path, _TAGS.get(xml_root(path).tag))
        data = read_data(path)
    except InputError:
        return Found(path, None)  # named when it is read
    return Found(path, kind_of_json(data), data)


def _kind_of_texts(path: Path, *, strict: bool) -> str | None:
    """Format of the text files; with ``strict`` they must look like labels, else any are YOLO's."""
    files = label_files(path)
    lines = (_first_line(p) for p in list(files.values())[:_LOOKED_AT])
    cells = next((line for line in lines if line), "").split()
    if len(cells) >= _KITTI_COLUMNS and not cells[0].replace(".", "").isdecimal():
        return "kitti"
    inside = any("labels" in p.relative_to(path).parts[:-1] for p in files.values())
    if strict and not inside and not _is_yolo(cells):
        return None
    return "yolo" if files else None


def _is_yolo(cells: list[str]) -> bool:
    try:
        return len(cells) >= _YOLO_COLUMNS and all(float(c) is not None for c in cells)
    except ValueError:
        return False


def xml_root(path: Path) -> Any:
    """Root element of an XML file.

    Raises:
        InputError: it can't be read.
    """
    try:
        return parse_xml(path.read_bytes(), path)
    except OSError as error:
        raise InputError(
            f"can't be read ({plain_reason(error)})", path=path, remedy="is it a file?"
        ) from error


def _first_line(path: Path) -> str:
    try:
        return next(iter(text_lines(path)), "")
    except InputError:
        return ""  # named when it is read
