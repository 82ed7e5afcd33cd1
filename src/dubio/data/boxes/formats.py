"""Opening and writing labelled boxes: the format is found out from the files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dubio.core.boxes import BoxDataset
from dubio.core.errors import InputError, printable
from dubio.core.labelspace import LabelSpace
from dubio.data.boxes.bdd import read_bdd, write_bdd
from dubio.data.boxes.coco import read_coco, write_coco
from dubio.data.boxes.coda import read_coda
from dubio.data.boxes.columns import Faults
from dubio.data.boxes.csv_file import read_csv, write_csv
from dubio.data.boxes.cvat import read_cvat, write_cvat
from dubio.data.boxes.files import read_data
from dubio.data.boxes.folders import Found, Survey, kind_of_json, survey, xml_root
from dubio.data.boxes.kitti import read_kitti, write_kitti
from dubio.data.boxes.label_studio import read_label_studio, write_label_studio
from dubio.data.boxes.pictures import Pictures, pictures_beside
from dubio.data.boxes.voc import read_voc, write_voc
from dubio.data.boxes.yolo import label_files, read_yolo, write_yolo
from dubio.data.boxes.yolo_names import yaml_names, yaml_root
from dubio.data.spaces import load_space

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
    root = xml_root(path)
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
    kind = layout or kind_of_json(data)
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


def _frames(data: Any) -> list[Any]:
    """Frames of the Scalabel form, or the one image of a file of the first form."""
    found = data.get("frames") if isinstance(data, dict) else None
    if isinstance(found, list) and any(isinstance(f, dict) and "objects" in f for f in found):
        return [data]
    return found if isinstance(found, list) else [data]


def _open_folder(
    path: Path, layout: str | None, images: str | Path | None, space: LabelSpace | None, faults: Faults
) -> BoxDataset:
    found = survey(path, layout)
    dataset = _open_found(path, found, layout, images, space, faults)
    if not found.strays:
        return dataset
    note = f"{len(found.strays)} files of no known format of boxes are left aside (first: {found.strays[0]})"
    return replace(dataset, notes=(*dataset.notes, note))


def _open_found(
    path: Path,
    found: Survey,
    layout: str | None,
    images: str | Path | None,
    space: LabelSpace | None,
    faults: Faults,
) -> BoxDataset:
    if found.kind == "yolo":
        return read_yolo(path, _yolo_pictures(path, images), faults, space=space)
    if found.kind == "kitti":
        inner = {k.replace("label_2/", ""): p for k, p in label_files(path).items()}
        return read_kitti(inner, pictures_beside(path, images), faults, space=space)
    if found.kind == "voc":
        inner = {_below(f.path.relative_to(path), ("Annotations", "labels")): f.path for f in found.files}
        return read_voc(inner, pictures_beside(path, images), faults, space=space)
    if found.kind == "bdd100k":
        return _open_bdd_files(found.files, pictures_beside(path, images), space, faults)
    if len(found.files) == 1:
        only = found.files[0]
        if only.data is not None:
            return _open_json(only.data, only.kind, pictures_beside(only.path, images), space, faults)
        return _open(only.path, only.kind if only.kind in LAYOUTS else layout, images, space, faults)
    if found.files:
        listed = ", ".join(f.path.relative_to(path).as_posix() for f in found.files[:3])
        raise InputError(f"holds several files of labels ({listed} …)", path=path, remedy="name one of them")
    raise InputError("holds no labels in a known format of boxes", path=path, remedy="name the file")


def _open_bdd_files(
    files: Sequence[Found], pictures: Pictures, space: LabelSpace | None, faults: Faults
) -> BoxDataset:
    """BDD100K's form of one file per image."""
    frames: list[Any] = []
    for file in files:
        try:
            data = read_data(file.path)
        except InputError as error:
            faults.add(file.path.name, error.fault)
            continue
        if file.kind is None and kind_of_json(data) is None:
            faults.add(file.path.name, "is JSON of no known format of boxes")
            continue
        frames += _frames(data)
    return read_bdd(frames, pictures, faults, space=space)


def _yolo_pictures(root: Path, images: str | Path | None) -> Pictures:
    # Label and picture folders may alternate below the root, so all of it is searched.
    return Pictures(images if images is not None else root)


def _below(relative: Path, folders: tuple[str, ...]) -> str:
    return printable("/".join(p for p in relative.with_suffix("").parts if p not in folders))
