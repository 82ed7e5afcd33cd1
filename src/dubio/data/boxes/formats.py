"""Opening and writing labelled boxes: the format is found out from the files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Tree

from dubio.core.boxes import BoxDataset
from dubio.core.errors import InputError, printable
from dubio.core.files import plain_reason
from dubio.core.labelspace import LabelSpace
from dubio.data.boxes.bdd import read_bdd, write_bdd
from dubio.data.boxes.coco import read_coco, write_coco
from dubio.data.boxes.coda import is_coda, read_coda
from dubio.data.boxes.columns import Faults
from dubio.data.boxes.csv_file import read_csv, write_csv
from dubio.data.boxes.cvat import read_cvat, write_cvat
from dubio.data.boxes.files import read_data, text_lines
from dubio.data.boxes.kitti import read_kitti, write_kitti
from dubio.data.boxes.label_studio import read_label_studio, write_label_studio
from dubio.data.boxes.pictures import Pictures, pictures_beside
from dubio.data.boxes.voc import read_voc, write_voc
from dubio.data.boxes.yolo import label_files, read_yolo, write_yolo
from dubio.data.boxes.yolo_names import yaml_names, yaml_root
from dubio.data.safe_xml import parse_xml
from dubio.data.spaces import load_space
from dubio.data.tree import Tree as Folder

_WRITERS: dict[str, Callable[[BoxDataset, Path], list[str]]] = {
    "coco": write_coco,
    "voc": write_voc,
    "yolo": write_yolo,
    "kitti": write_kitti,
    "bdd100k": write_bdd,
    "cvat": write_cvat,
    "label-studio": write_label_studio,
    "csv": write_csv,
}
LAYOUTS = (*_WRITERS, "coda")
_KITTI_COLUMNS = 15
_SUFFIXES = (".json", ".xml", ".csv")


def open_boxes(
    path: str | Path,
    layout: str | None = None,
    images: str | Path | None = None,
    *,
    space: LabelSpace | str | Path | None = None,
    strict: bool = False,
) -> BoxDataset:
    """Open labelled boxes: COCO, VOC, YOLO, KITTI, BDD100K, CODA, CVAT, Label Studio or CSV.

    Records that can't be used are left out, listed in ``quarantined`` and counted in ``notes``. Boxes
    without area and boxes that leave their image are kept and counted. Pixels are never read; headers of
    pictures are, where the labels need the size (YOLO).

    Args:
        path: a file of labels, or a folder of them.
        layout: name of the format; ``None``: found out from the files.
        images: folder of the pictures; ``None``: one that stands beside the labels, if there is one.
        space: label space, by name, file or record; ``None``: what the labels say.
        strict: raise at the first record that can't be used.

    Returns:
        The data set, images sorted by id; ``notes`` say what was found.

    Raises:
        InputError: no such file, an unknown format, nothing that can be read, or a fault if ``strict``.
    """
    path = Path(path)
    if not path.exists():
        fault = "is a link to nothing" if path.is_symlink() else "doesn't exist"
        raise InputError(fault, path=path, remedy="name a file of labelled boxes, or a folder of them")
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"there is no layout of boxes '{layout}'", remedy=f"known: {', '.join(LAYOUTS)}")
    wanted = load_space(space) if isinstance(space, str | Path) else space
    found = _open(path, layout, images, wanted, Faults(path, strict))
    how = "as asked" if layout else "by its contents"
    return replace(found, notes=(f"layout '{found.name}' ({how}) of {path}", *found.notes))


def write_boxes(dataset: BoxDataset, path: str | Path, layout: str) -> list[str]:
    """Write a data set of boxes.

    Args:
        dataset: the data set.
        path: a file for COCO, BDD100K, CVAT, Label Studio and CSV; a folder for VOC, YOLO and KITTI.
        layout: name of the format.

    Returns:
        Sentences on what the format can't hold.

    Raises:
        InputError: no such format, or it can't be written.
    """
    if layout not in _WRITERS:
        known = f"known: {', '.join(_WRITERS)}"
        raise InputError(f"boxes can't be written as '{layout}'", remedy=known)
    return _WRITERS[layout](dataset, Path(path))


def _open(
    path: Path, layout: str | None, images: str | Path | None, space: LabelSpace | None, faults: Faults
) -> BoxDataset:
    if path.is_dir():
        return _open_folder(path, layout, images, space, faults)
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        root = yaml_root(path)
        return read_yolo(root, _yolo_pictures(root, images), faults, space=space, named=yaml_names(path))
    pictures = pictures_beside(path, images)
    if suffix == ".csv" or layout == "csv":
        return read_csv(path, pictures, faults, space=space)
    if suffix == ".xml":
        return _open_xml(path, layout, pictures, space, faults)
    if suffix == ".json":
        return _open_json(read_data(path), layout, pictures, space, faults)
    if suffix == ".txt":
        raise InputError("is one file of many", path=path, remedy="name its folder")
    raise InputError("is in no known format of boxes", path=path, remedy=f"known: {', '.join(LAYOUTS)}")


def _open_xml(
    path: Path, layout: str | None, pictures: Pictures, space: LabelSpace | None, faults: Faults
) -> BoxDataset:
    root = _root(path)
    if layout == "voc" or (layout is None and root.tag == "annotation"):
        return read_voc({printable(path.stem): path}, pictures, faults, space=space)
    if root.tag == "annotations":
        return read_cvat(root, pictures, faults, space=space)
    raise InputError(
        f"holds <{root.tag}>: neither Pascal VOC nor CVAT", path=path, remedy="name a file of boxes"
    )


def _open_json(
    data: Any, layout: str | None, pictures: Pictures, space: LabelSpace | None, faults: Faults
) -> BoxDataset:
    kind = layout or _kind_of(data)
    if kind in ("coco", "coda") and isinstance(data, dict):
        read = read_coda if kind == "coda" else read_coco
        return read(data, pictures, faults, space=space)
    if kind == "bdd100k":
        frames = data if isinstance(data, list) else _frames(data)
        return read_bdd(frames, pictures, faults, space=space)
    if kind == "label-studio":
        return read_label_studio(data if isinstance(data, list) else [data], pictures, faults, space=space)
    raise InputError(
        "is JSON of no known format of boxes",
        path=faults.path,
        remedy="known: COCO, CODA, BDD100K, Label Studio; detections want --detections or open_detections",
    )


def _kind_of(data: Any) -> str | None:
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


def _frames(data: Any) -> list[Any]:
    """Frames of the Scalabel form, or the one image of a file of the first form."""
    found = data.get("frames") if isinstance(data, dict) else None
    if isinstance(found, list) and any(isinstance(f, dict) and "objects" in f for f in found):
        return [data]
    return found if isinstance(found, list) else [data]


def _open_folder(
    path: Path, layout: str | None, images: str | Path | None, space: LabelSpace | None, faults: Faults
) -> BoxDataset:
    files = list(Folder(path).walk())
    kind = layout or _folder_kind(path, files)
    if kind == "yolo":
        return read_yolo(path, _yolo_pictures(path, images), faults, space=space)
    if kind == "kitti":
        named = label_files(path)
        inner = {k.replace("label_2/", ""): p for k, p in named.items()}
        return read_kitti(inner, pictures_beside(path, images), faults, space=space)
    of = {s: [f for f in files if f.lower().endswith(s)] for s in _SUFFIXES}
    if kind == "voc":
        inner = {_below(f, ("Annotations",)): path / f for f in of[".xml"]}
        return read_voc(inner, pictures_beside(path, images), faults, space=space)
    if kind == "bdd100k" and len(of[".json"]) > 1:
        return _open_bdd_files([path / f for f in of[".json"]], pictures_beside(path, images), space, faults)
    single = [f for s in _SUFFIXES for f in of[s]]
    if len(single) == 1:
        return _open(path / single[0], kind, images, space, faults)
    if single:
        listed = ", ".join(single[:3])
        raise InputError(f"holds several files of labels ({listed} …)", path=path, remedy="name one of them")
    raise InputError("holds no labels in a known format of boxes", path=path, remedy="name the file")


def _open_bdd_files(
    files: list[Path], pictures: Pictures, space: LabelSpace | None, faults: Faults
) -> BoxDataset:
    """BDD100K's form of one file per image."""
    frames: list[Any] = []
    for file in files:
        try:
            frames += _frames(read_data(file))
        except InputError as error:
            faults.add(file.name, error.fault)
    return read_bdd(frames, pictures, faults, space=space)


def _folder_kind(path: Path, files: list[str]) -> str | None:
    """What the files of a folder look like; ``None`` where one file decides."""
    of = {s: [f for f in files if f.lower().endswith(s)] for s in (*_SUFFIXES, ".txt")}
    roots = (_tag(path / f) for f in of[".xml"][:5])
    if next((tag for tag in roots if tag), "") == "annotation":
        return "voc"
    if len(of[".json"]) > 1 and _kind_of(_quiet(path / of[".json"][0])) == "bdd100k":
        return "bdd100k"
    if of[".xml"] or of[".json"] or of[".csv"]:
        return None
    lines = (_first_line(p) for p in list(label_files(path).values())[:50])
    first = next((line for line in lines if line), "")
    if len(first.split()) >= _KITTI_COLUMNS and not first.split()[0].replace(".", "").isdecimal():
        return "kitti"
    return "yolo" if of[".txt"] else None


def _yolo_pictures(root: Path, images: str | Path | None) -> Pictures:
    # Label and picture folders may alternate below the root, so all of it is searched.
    return Pictures(images if images is not None else root)


def _below(relative: str, folders: tuple[str, ...]) -> str:
    return printable("/".join(p for p in Path(relative).with_suffix("").parts if p not in folders))


def _root(path: Path) -> Tree.Element:
    try:
        return parse_xml(path.read_bytes(), path)
    except OSError as error:
        raise InputError(
            f"can't be read ({plain_reason(error)})", path=path, remedy="is it a file?"
        ) from error


def _tag(path: Path) -> str:
    try:
        return _root(path).tag
    except InputError:
        return ""  # named when it is read


def _quiet(path: Path) -> Any:
    try:
        return read_data(path)
    except InputError:
        return None  # named when it is read


def _first_line(path: Path) -> str:
    try:
        return next(iter(text_lines(path)), "")
    except InputError:
        return ""  # named when it is read
