"""KITTI object labels: one text file per image, fifteen columns per object.

Geiger et al., "Are we ready for autonomous driving? The KITTI vision benchmark suite", CVPR 2012.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample
from dubio.core.errors import InputError
from dubio.core.files import write_text
from dubio.core.labelspace import LabelSpace
from dubio.data.boxes.columns import Faults
from dubio.data.boxes.files import corners, place_in, text_lines
from dubio.data.boxes.gather import Gather
from dubio.data.boxes.lost import lost
from dubio.data.boxes.pictures import Pictures
from dubio.data.boxes.table import assemble, space_of

NAMES = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc")
_IGNORED = "DontCare"
_COLUMNS = 15
_NO_PLACE = -999.0  # KITTI writes -1000 for an unknown place
_HIDDEN = 3  # its grade of occlusion for "unknown"


def kitti_space() -> LabelSpace:
    """KITTI's classes under the ids 1 to 8.

    >>> kitti_space().names[:3]
    ('Car', 'Van', 'Truck')
    """
    return space_of("kitti", NAMES, range(1, len(NAMES) + 1))


def read_kitti(
    files: Mapping[str, Path], pictures: Pictures, faults: Faults, *, space: LabelSpace | None = None
) -> BoxDataset:
    """Read KITTI labels.

    DontCare becomes ignored regions, where no detection counts as wrong. Occlusion keeps KITTI's grades 0
    to 2 (3 = unknown is NaN), truncation is 0 to 1, the distance is that of the object's place in 3D from
    the camera, in metres. If the development kit's lists ``train_mapping.txt`` and ``train_rand.txt`` lie
    beside the labels, each image bears its drive as the domain tag ``drive``: frames of one drive are
    neighbours of a video and belong in one split.

    Args:
        files: text files by image id.
        pictures: where to look for the pictures.
        faults: takes files and lines that can't be used.
        space: label space; ``None``: KITTI's classes, or the names that occur if there are others.

    Raises:
        InputError: no file can be read.
    """
    gather = Gather()
    drives = _drives(faults.path)
    for image_id, path in files.items():
        try:
            lines = text_lines(path)
        except InputError as error:
            faults.add(path.name, error.fault)
            continue
        drive = drives.get(Path(image_id).name)
        tags = {} if drive is None else {"drive": drive}
        gather.image(BoxSample(image_id, pictures.find(image_id), domain=tags))
        for number, line in enumerate(lines, start=1):
            try:
                _object(line.split(), gather)
            except (InputError, ValueError) as error:
                faults.add(f"{path.name}, line {number}", error)
    columns = gather.columns()
    if space is None and set(columns.names) <= set(NAMES):
        space = kitti_space()
    notes = [] if drives else ["drives are unknown: neighbouring frames of a video may part into two splits"]
    return assemble("kitti", gather.samples, columns, faults, space=space, notes=notes)


def write_kitti(dataset: BoxDataset, folder: str | Path) -> list[str]:
    """Write one text file per image into ``folder``; what is unknown in 3D is written as KITTI does.

    Returns:
        Sentences on what the format can't hold.

    Raises:
        InputError: a file can't be written.
    """
    said = lost(dataset, {"occlusion", "truncation", "ignore"}, "KITTI")
    spaced = [name for name in dataset.space.names if re.search(r"\s", name)]
    if spaced:
        said.append(f"KITTI can't hold blanks in names of classes ('{spaced[0]}'): they become _")
    for sample in dataset:
        lines = _lines(dataset.labels[sample.image_id], dataset.space)
        write_text(place_in(folder, sample.image_id, ".txt"), "".join(f"{line}\n" for line in lines))
    return said


def _object(values: list[str], gather: Gather) -> None:
    if len(values) < _COLUMNS:
        raise InputError(f"has {len(values)} columns, not {_COLUMNS}")
    box = corners(values[4:8])
    if values[0] == _IGNORED:
        if not all(math.isfinite(v) for v in box) or box[2] < box[0] or box[3] < box[1]:
            raise InputError(f"the region {list(box)} is no box")
        gather.ignore(box)
        return
    truncation, occlusion = float(values[1]), float(values[2])
    place = [float(v) for v in values[11:14]]
    gather.box(
        box,
        values[0],
        occlusion=occlusion if 0 <= occlusion < _HIDDEN else math.nan,
        truncation=truncation if truncation >= 0 else math.nan,
        distance=math.hypot(*place) if min(place) > _NO_PLACE else math.nan,
    )


def _drives(folder: Path) -> dict[str, str]:
    """Drive of each image stem, from the development kit's two lists."""
    for above in (folder, folder / "mapping", folder.parent, folder.parent / "mapping"):
        mapping, order = above / "train_mapping.txt", above / "train_rand.txt"
        if mapping.is_file() and order.is_file():
            frames = [line.split() for line in text_lines(mapping)]
            numbers = [int(n) for line in text_lines(order) for n in line.split(",") if n.strip().isdecimal()]
            rows = [(k, n - 1) for k, n in enumerate(numbers) if 1 <= n <= len(frames)]
            return {f"{k:06d}": frames[n][1] for k, n in rows if len(frames[n]) > 1}
    return {}


def _lines(labels: BoxLabels, space: LabelSpace) -> list[str]:
    lines = []
    for k, box in enumerate(labels.boxes.tolist()):
        name = re.sub(r"\s", "_", space.name_of(int(labels.classes[k])))
        truncation = math.nan if labels.truncation is None else float(labels.truncation[k])
        occlusion = math.nan if labels.occlusion is None else float(labels.occlusion[k])
        grade = _HIDDEN if math.isnan(occlusion) else round(occlusion)
        share = "-1" if math.isnan(truncation) else repr(truncation)
        lines.append(_line(name, share, grade, box))
    return lines + [_line(_IGNORED, "-1", -1, box) for box in labels.ignore.tolist()]


def _line(name: str, truncation: str, occlusion: int, box: list[float]) -> str:
    place = " ".join(map(repr, box))
    return f"{name} {truncation} {occlusion} -10 {place} -1 -1 -1 -1000 -1000 -1000 -10"
