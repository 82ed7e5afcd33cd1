"""YOLO text labels: class, centre and size per line, in parts of the image.

Redmon et al., "You Only Look Once", CVPR 2016; folders and ``data.yaml`` as Ultralytics documents them.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from dubio.core.boxes import BoxDataset, BoxSample, Floats
from dubio.core.errors import InputError, printable
from dubio.core.files import write_text
from dubio.core.labelspace import LabelSpace
from dubio.data.boxes.columns import Faults
from dubio.data.boxes.files import place_in, text_lines
from dubio.data.boxes.gather import Gather
from dubio.data.boxes.lost import lost
from dubio.data.boxes.pictures import Pictures, size_of
from dubio.data.boxes.table import assemble, space_of
from dubio.data.boxes.yolo_names import class_names
from dubio.data.tree import Tree

_SPLIT = re.compile(r"(train|val|valid|test)\d*")
_NO_LABELS = ("classes.txt", "train.txt", "val.txt", "test.txt", "requirements.txt")
_BOX, _RESULT = 5, 6  # columns
_MOST_CLASSES = 100_000  # without names, the highest number says how many there are


def read_yolo(
    root: Path,
    pictures: Pictures,
    faults: Faults,
    *,
    space: LabelSpace | None = None,
    named: dict[int, str] | None = None,
) -> BoxDataset:
    """Read YOLO labels.

    Names of the classes come from ``data.yaml``, ``classes.txt`` or ``obj.names``; without them the classes
    bear their numbers. Numbers may have gaps; they become the class ids. Labels are in parts of the image,
    so each labelled image needs its picture (only the header is read). A line with an outline becomes the
    box around it. Pictures without a file of labels are images without boxes.

    Args:
        root: folder with ``labels`` (and perhaps ``images``), or of text files.
        pictures: where to look for the pictures.
        faults: takes files and lines that can't be used.
        space: label space, class numbers being its indices; ``None``: as above.
        named: names of the classes by number, if they are known already.

    Raises:
        InputError: no labels, or labels and none of the pictures.
    """
    names = dict(enumerate(space.names)) if space is not None else named or class_names(root)
    files = label_files(root)
    if not files:
        raise InputError("holds no YOLO labels", path=root, remedy="name the folder of text files")
    gather = Gather()
    outlines, used, highest = 0, set[Path](), -1
    for key, path in sorted(files.items()):
        parts = path.relative_to(root).with_suffix("").parts
        picture = pictures.find("/".join("images" if p == "labels" else p for p in parts))
        picture = picture or pictures.find(key)
        sample = BoxSample(key, picture, split=_split(path.relative_to(root)))
        used |= set() if picture is None else {picture}
        try:
            lines = text_lines(path)
            height, width = size_of(sample) if lines else (0, 0)
        except InputError as error:
            faults.add(path.name, error)
            continue
        gather.image(replace(sample, width=width, height=height) if lines else sample)
        for number, line in enumerate(lines, start=1):
            try:
                label, box, is_outline = _line(line)
                # Without names the numbers are the names.
                name = str(label) if names is None else _name(label, names)
            except (InputError, ValueError) as error:
                faults.add(f"{path.name}, line {number}", error)
                continue
            outlines, highest = outlines + is_outline, max(highest, label)
            x1, y1, x2, y2 = (box * [width, height, width, height]).tolist()
            gather.box((x1, y1, x2, y2), name)
    if not used and not gather.samples:
        raise InputError(
            f"has {len(files)} files of labels, and the picture of none of them is there",
            path=root,
            remedy="YOLO's boxes are parts of the picture: name the folder of the pictures (--images)",
        )
    bare = _unlabelled(pictures, used, {s.image_id for s in gather.samples})
    for sample in bare:
        gather.image(sample)
    notes = [f"{len(bare)} pictures have no file of labels"] if bare else []
    notes += [f"{outlines} outlines became the boxes around them"] if outlines else []
    if names is None:
        names = {k: str(k) for k in range(highest + 1)}
        notes.append("no names of classes are there (data.yaml, classes.txt): they bear their numbers")
    if space is None and names:
        space = space_of("yolo", list(names.values()), list(names))
    columns = gather.columns(list(names.values()))
    return assemble("yolo", gather.samples, columns, faults, space=space, notes=notes)


def write_yolo(dataset: BoxDataset, folder: str | Path) -> list[str]:
    """Write ``labels/<image id>.txt`` and ``data.yaml``; pictures aren't copied.

    Returns:
        Sentences on what the format can't hold.

    Raises:
        InputError: the size of an image is unknown, or a file can't be written.
    """
    said = lost(dataset, (), "YOLO")
    if list(dataset.space.ids) != list(range(len(dataset.space))):
        said.append("YOLO numbers classes from 0: their ids are left out")
    for sample in dataset:
        labels = dataset.labels[sample.image_id]
        lines = []
        if len(labels):
            parts = to_parts(labels.boxes, size_of(sample))
            lines = [
                f"{c} {' '.join(map(repr, p))}\n"
                for c, p in zip(labels.classes.tolist(), parts.tolist(), strict=True)
            ]
        write_text(place_in(Path(folder) / "labels", sample.image_id, ".txt"), "".join(lines))
    names = "".join(
        f"  {k}: {json.dumps(n, ensure_ascii=False)}\n" for k, n in enumerate(dataset.space.names)
    )
    write_text(Path(folder) / "data.yaml", f"path: .\ntrain: images\nval: images\nnames:\n{names}")
    return said


def to_parts(boxes: Floats, size: tuple[int, int]) -> Floats:
    """Centre and size of boxes ``(N, 4)`` in parts of an image of this height and width."""
    height, width = size
    centre, extent = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    return np.asarray(np.hstack([centre, extent]) / [width, height, width, height], np.float64)


def from_parts(parts: Floats) -> Floats:
    """Corners of boxes from centres and sizes ``(…, 4)``, in the same unit."""
    half = parts[..., 2:4] / 2
    return np.concatenate([parts[..., :2] - half, parts[..., :2] + half], axis=-1)


def label_files(root: Path) -> dict[str, Path]:
    """Text files of labels by image id: their path without the part ``labels`` and the suffix."""
    found: dict[str, Path] = {}
    everything = [p for p in Tree(root).walk() if p.endswith(".txt") and Path(p).name not in _NO_LABELS]
    below = [p for p in everything if "labels" in Path(p).parts[:-1]]
    for relative in below or everything:
        parts = [p for p in Path(relative).with_suffix("").parts if p != "labels"]
        found[printable("/".join(parts))] = root / relative
    return found


def _line(line: str) -> tuple[int, Floats, bool]:
    values = np.array(line.split(), np.float64)
    if len(values) == _RESULT:
        raise InputError("has 6 columns: is this a file of detections?")
    if len(values) < _BOX or len(values) % 2 == 0:
        raise InputError(f"has {len(values)} columns, not {_BOX}")
    if not np.isfinite(values).all():
        raise InputError("holds numbers that aren't finite")
    label = int(values[0])
    if label != values[0] or not 0 <= label < _MOST_CLASSES:
        raise InputError(f"{values[0]} is no number of a class")
    if len(values) == _BOX:
        return label, from_parts(values[1:]), False
    points = values[1:].reshape(-1, 2)
    return label, np.concatenate([points.min(0), points.max(0)]), True


def _name(label: int, names: dict[int, str]) -> str:
    if label not in names:
        raise InputError(f"class {label} is unknown: there are {len(names)}")
    return names[label]


def _split(relative: Path) -> str | None:
    found = next((m[1] for p in relative.parts[:-1] if (m := _SPLIT.fullmatch(p))), None)
    return "val" if found == "valid" else found


def _unlabelled(pictures: Pictures, used: set[Path], taken: set[str]) -> list[BoxSample]:
    samples = []
    for name in pictures.names():
        path = pictures.find(name)
        key = printable("/".join(p for p in Path(name).with_suffix("").parts if p != "images"))
        if path is not None and path not in used and key not in taken:
            taken.add(key)
            samples.append(BoxSample(key, path, split=_split(Path(name))))
    return samples
