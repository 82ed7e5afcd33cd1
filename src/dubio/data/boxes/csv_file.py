"""Plain CSV: one box a row."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dubio.core.boxes import BoxDataset, BoxSample, Floats
from dubio.core.errors import InputError
from dubio.core.files import plain_reason, write_text
from dubio.core.labelspace import LabelSpace
from dubio.data.boxes.coco import file_name
from dubio.data.boxes.columns import Columns, Faults
from dubio.data.boxes.files import positive
from dubio.data.boxes.gather import flag
from dubio.data.boxes.lost import lost
from dubio.data.boxes.pictures import Pictures, name_ids
from dubio.data.boxes.table import assemble, columns_of
from dubio.data.damage import check_file

_CORNERS = ("x1", "y1", "x2", "y2")
_GRADES = ("occlusion", "truncation", "distance")
# Column -> names under which tools write it.
_NAMES = {
    "image": ("image", "image_id", "filename", "file_name", "image_path", "img", "path", "file"),
    "class": ("class", "label", "class_name", "category", "name"),
    "x1": ("x1", "xmin", "x_min", "left"),
    "y1": ("y1", "ymin", "y_min", "top"),
    "x2": ("x2", "xmax", "x_max", "right"),
    "y2": ("y2", "ymax", "y_max", "bottom"),
    **{k: (k,) for k in ("id", "width", "height", "split", "crowd", "difficult", *_GRADES)},
}
_BARE = ("image", *_CORNERS, "class")  # order of columns where no header names them
_SEPARATORS = (",", ";", "\t")
_SHOWN = 200  # characters of a first line
_Table = dict[str, list[str]]


def read_csv(
    path: Path, pictures: Pictures, faults: Faults, *, space: LabelSpace | None = None
) -> BoxDataset:
    """Read boxes from CSV.

    Needed are the columns image, class, x1, y1, x2, y2 (or xmin, ymin, …; the corners in pixels); known are
    also id, width and height of the image, split, crowd, difficult, occlusion, truncation, distance. A row
    with an image and no corners is an image without boxes. Without a header the columns are image, x1, y1,
    x2, y2, class. Cells are parted by commas, semicolons or tabs.

    Args:
        path: the file.
        pictures: where to look for the pictures.
        faults: takes rows that can't be used.
        space: label space; ``None``: the names that occur, sorted.

    Raises:
        InputError: no CSV, or a needed column is missing.
    """
    table, lines = _read(path, faults)
    images = list(dict.fromkeys(table["image"]))
    first = _first(table["image"])
    ids = name_ids(images)
    samples = [_sample(n, k, table, first[n], pictures) for n, k in zip(images, ids, strict=True)]
    number = {name: k for k, name in enumerate(images)}
    boxes = np.stack([_numbers(table[key], lines, faults, path) for key in _CORNERS], axis=1)
    empty = np.array([not any(c) for c in zip(*(table[k] for k in _CORNERS), strict=True)], bool)
    rows = np.flatnonzero(~empty)
    names = sorted({table["class"][k] for k in rows.tolist()})
    place = {name: k for k, name in enumerate(names)}
    grades: dict[str, Any] = {k: _numbers(table[k], lines, faults, path)[rows] for k in _GRADES if k in table}
    columns = Columns(
        image=np.array([number[v] for v in table["image"]], np.int64)[rows],
        boxes=boxes[rows],
        classes=np.array([place.get(v, -1) for v in table["class"]], np.int64)[rows],
        names=names,
        ids=np.array(table["id"], np.str_)[rows] if "id" in table else None,
        **_flags(table, rows),
        **grades,
    )
    return assemble("csv", samples, columns, faults, space=space)


def write_csv(dataset: BoxDataset, path: str | Path) -> list[str]:
    """Write CSV with a header; columns that nothing fills are left out.

    Returns:
        Sentences on what the format can't hold.

    Raises:
        InputError: the file can't be written.
    """
    said = lost(dataset, {"ids", "crowd", "difficult", "split", *_GRADES}, "CSV")
    image, columns = columns_of(dataset)
    optional = [k for k in _GRADES if columns[k] is not None]
    optional += [k for k in ("crowd", "difficult") if np.asarray(columns[k], bool).any()]
    optional += ["id"] if columns["ids"] is not None else []
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["image", "width", "height", "split", "class", *_CORNERS, *optional])
    starts = np.searchsorted(image, np.arange(len(dataset) + 1))
    names, boxes = dataset.space.names, np.asarray(columns["boxes"], np.float64)
    for number, sample in enumerate(dataset):
        head = [file_name(sample), sample.width or "", sample.height or "", sample.split or ""]
        rows = range(int(starts[number]), int(starts[number + 1]))
        for k in rows:
            name = names[int(np.asarray(columns["classes"])[k])]
            writer.writerow([*head, name, *map(repr, boxes[k].tolist()), *_extra(columns, optional, k)])
        if not rows:
            writer.writerow([*head, *[""] * (5 + len(optional))])
    write_text(path, out.getvalue())
    return said


def _extra(columns: Mapping[str, Any], keys: list[str], k: int) -> list[str]:
    cells = []
    for key in keys:
        value = columns["ids" if key == "id" else key][k]
        if key in _GRADES:
            cells.append("" if np.isnan(value) else repr(float(value)))
        else:
            cells.append(str(value) if key == "id" else str(int(value)))
    return cells


def is_box_table(path: Path) -> bool:
    """Whether a CSV file has the columns that boxes need."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            line = file.readline()
        cells = next(csv.reader([line], delimiter=_separator(line)), [])
    except (OSError, ValueError, csv.Error):
        return False
    header = [cell.strip().casefold() for cell in cells]
    places = _places(header)
    if not places and len(header) == len(_BARE):
        return all(_is_number(cell) for cell in header[1:5])
    return set(_BARE) <= places.keys()


def _places(header: list[str]) -> dict[str, int]:
    """Where in the header each known column is."""
    return {key: header.index(n) for key, words in _NAMES.items() for n in reversed(words) if n in header}


def _separator(text: str) -> str:
    """What parts the cells of the first line: comma, semicolon or tab, whichever occurs most."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(_SEPARATORS, key=first.count)


def _read(path: Path, faults: Faults) -> tuple[_Table, list[int]]:
    """Cells by column, and the line of each row."""
    check_file(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        separator = _separator(text)
        read = csv.reader(io.StringIO(text), delimiter=separator)
        rows = [(k, row) for k, row in enumerate(read, start=1) if any(row)]
    except (OSError, ValueError, csv.Error) as error:
        reason = plain_reason(error)
        raise InputError(f"isn't readable CSV ({reason})", path=path, remedy="is the file whole?") from error
    named = [cell.strip() for cell in rows[0][1]] if rows else []
    header = [cell.casefold() for cell in named]
    places = _places(header)
    if len(header) == len(_BARE) and not places:
        places = {key: k for k, key in enumerate(_BARE)}
    else:
        rows = rows[1:]
    missing = [key for key in _BARE if key not in places]
    if missing:
        known = "; ".join(f"{key}: {', '.join(_NAMES[key])}" for key in missing)
        raise InputError(
            f"has no column {', '.join(missing)}: its first line is {', '.join(named)[:_SHOWN] or 'empty'}",
            path=path,
            remedy=f"name them in the first line, with corners in pixels; known names: {known}",
        )
    last = max(places.values())
    whole = [(k, row) for k, row in rows if len(row) > last and row[places["image"]].strip()]
    for k in sorted({k for k, _ in rows} - {k for k, _ in whole}):
        faults.add(f"{path.name}, row {k}", "lacks cells")
    table = {key: [row[place].strip() for _, row in whole] for key, place in places.items()}
    if separator != _SEPARATORS[0]:  # where cells aren't parted by commas, numbers may hold them
        for key in table.keys() & {*_CORNERS, *_GRADES}:
            table[key] = [cell.replace(",", ".") for cell in table[key]]
    return table, [k for k, _ in whole]


def _first(names: list[str]) -> dict[str, int]:
    return {name: k for k, name in reversed(list(enumerate(names)))}


def _sample(name: str, image_id: str, table: _Table, row: int, pictures: Pictures) -> BoxSample:
    cells = {key: table[key][row] for key in ("width", "height", "split") if key in table}
    width, height = positive(cells.get("width")), positive(cells.get("height"))
    split = cells.get("split") or None
    return BoxSample(image_id, pictures.find(name), width, height, split=split, file_name=name)


def _is_number(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return False
    return True


def _numbers(cells: list[str], lines: list[int], faults: Faults, path: Path) -> Floats:
    """Cells as numbers; empty ones and, after putting them aside, unreadable ones are NaN."""
    try:
        return np.array([cell or "nan" for cell in cells], np.float64)
    except ValueError:
        found = np.full(len(cells), np.nan)
        for k, cell in enumerate(cells):
            try:
                found[k] = float(cell or "nan")
            except ValueError:
                faults.add(f"{path.name}, row {lines[k]}", f"'{cell}' is no number")
        return found


def _flags(table: _Table, rows: Any) -> dict[str, Any]:
    keys = [k for k in ("crowd", "difficult") if k in table]
    return {k: np.array([flag(v) == 1 for v in table[k]], bool)[rows] for k in keys}
