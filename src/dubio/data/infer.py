"""A label space from the masks themselves, when the user names none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.labelspace import LabelSpace
from dubio.data.encodings import NONZERO, RGB, distinct, unpack, with_nonzero
from dubio.data.stored import StoredMask, read_stored

Found = tuple[LabelSpace, str | None, list[str]]


def spread(paths: Sequence[Path], limit: int) -> list[Path]:
    """Pick at most ``limit`` paths, evenly spread over the sorted list.

    >>> spread([Path("a"), Path("b"), Path("c"), Path("d")], 2) == [Path("a"), Path("d")]
    True
    """
    ordered = sorted(paths)
    if len(ordered) <= limit:
        return ordered
    return [ordered[round(k * (len(ordered) - 1) / max(limit - 1, 1))] for k in range(limit)]


def infer_space(
    masks: Sequence[Path], *, sample_limit: int = 100, max_classes: int = 256, void_gap: int = 16
) -> Found:
    """Build a label space from the values, palettes or colours of masks.

    A highest value of 255 (8 bits) or 65535 (16 bits) that is far from the others is taken as void.
    Masks whose values are numbered through in each image, or are too many, are instance maps: they
    become two classes, read with the encoding ``"nonzero"``.

    Args:
        masks: the mask files.
        sample_limit: read at most this many, evenly spread; 100 masks take about a second and miss
            only classes that are in fewer than one mask of a hundred.
        max_classes: more values than this are no classes; the largest common tables have about 200.
        void_gap: how far 255 (65535) must be above the next value to be void; a table of classes has
            no such gap by chance.

    Returns:
        The space, the encoding to read the masks with (``None``: ids), and sentences on what was found.

    Raises:
        InputError: no masks, or none that makes a label space.
    """
    if not masks:
        raise InputError("there are no masks to take a label space from", remedy="name a label space")
    chosen = spread(masks, sample_limit)
    read, faults = _read(chosen)
    notes = [f"looked at {len(read)} of {len(masks)} masks for the label space"]
    if faults:
        notes.append(f"{len(faults)} of them can't be read (the first: {faults[0]})")
    if not read:
        raise InputError("none of the masks can be read", path=chosen[0].parent, remedy=str(faults[0]))
    if any(mask.values is None for mask in read):
        return _from_colors(read, max_classes, notes, chosen[0].parent)
    values = [np.asarray(mask.values)[0] for mask in read]
    present = sorted({int(v) for found in values for v in found})
    if present[0] < 0:
        raise InputError(f"masks hold negative values ({present[0]})", path=chosen[0], remedy="name a space")
    if present == [0, 255]:
        notes.append("the values are 0 and 255: background and object (encoding 'nonzero')")
        return _two_classes(), NONZERO, notes
    wide = any(np.asarray(mask.values).dtype.itemsize > 1 for mask in read)
    void = _void_of(present, wide, void_gap)
    classes = [v for v in present if v != void]
    if _looks_like_instances(values, classes, void, max_classes):
        notes.append(
            f"the values {_ranges(classes)} ({len(classes)} of them) look like an instance map, not like "
            "classes; read as background and object with the encoding 'nonzero'"
        )
        return _two_classes(), NONZERO, notes
    palette = next((mask.palette for mask in read if mask.palette is not None), None)
    return _from_values(classes, void, palette, notes), None, notes


def summary(path: Path) -> StoredMask:
    """Read a mask and keep only its distinct values and colours, as arrays of shape ``(1, N)``."""
    mask = read_stored(path)
    values, colors = mask.values, mask.colors
    return StoredMask(
        None if values is None else distinct(values).astype(values.dtype)[None],
        None if colors is None else distinct(colors).astype(np.uint32)[None],
        mask.palette,
    )


def _read(paths: Sequence[Path]) -> tuple[list[StoredMask], list[str]]:
    read, faults = [], []
    for path in paths:
        try:
            read.append(summary(path))
        except InputError as error:
            faults.append(str(error))
    return read, faults


def _void_of(present: list[int], wide: bool, gap: int) -> int | None:
    for value in (255, 65535) if wide else (255,):
        if present[-1] == value and len(present) > 2 and value - present[-2] >= gap:
            return value
    return None


def _looks_like_instances(
    values: Sequence[npt.NDArray[Any]], classes: list[int], void: int | None, max_classes: int
) -> bool:
    if len(classes) > max_classes or classes[-1] >= 1 << 15:
        return True
    # Instances are numbered 0, 1, 2 … in every image; of 16 classes or more an image shows only some.
    through = [v for v in (found[found != void] if void is not None else found for found in values) if len(v)]
    running = sum(int(v[0]) <= 1 and int(v[-1]) - int(v[0]) == len(v) - 1 for v in through)
    return len(classes) >= 16 and running >= 0.9 * len(through)


def _two_classes() -> LabelSpace:
    return LabelSpace.from_dict(
        {
            "name": "objects",
            "classes": [
                {"id": 0, "name": "background", "color": [0, 0, 0]},
                {"id": 1, "name": "object", "color": [255, 255, 255]},
            ],
            "void_colors": [[128, 128, 128]],
            "encodings": {NONZERO: {"map": {"0": 0}, "rest": 1}},
        }
    )


def _from_values(
    classes: list[int], void: int | None, palette: npt.NDArray[np.uint32] | None, notes: list[str]
) -> LabelSpace:
    seen = ""
    if classes[-1] < 2 * len(classes):
        # A value that the sample lacks is more likely a rare class than a hole in the table.
        absent = sorted(set(range(classes[-1])) - set(classes))
        classes = list(range(classes[-1] + 1))
        seen = f"; {_ranges(absent)} not seen but counted as classes" if absent else ""
    said = f"the values are {_ranges(classes)}: {len(classes)} classes without names{seen}"
    notes.append(said if void is None else f"{said}; {void} is taken as void")
    items: list[dict[str, Any]] = []
    for value in classes:
        item: dict[str, Any] = {"id": value, "name": f"class {value}"}
        if palette is not None and value < len(palette):
            item["color"] = unpack(int(palette[value]))
        items.append(item)
    space = LabelSpace.from_dict(
        {"name": "unnamed", "classes": items, "void": [] if void is None else [void], "void_colors": []}
    )
    return with_nonzero(space)


def _from_colors(read: Sequence[StoredMask], max_classes: int, notes: list[str], folder: Path) -> Found:
    present: set[int] = set()
    for mask in read:
        colors = mask.all_colors()
        if colors is not None:
            present.update(colors[0].tolist())
        if len(present) > max_classes:
            raise InputError(
                f"the masks hold more than {max_classes} colours, which are no classes",
                path=folder,
                remedy="name the label space, or give the folder of the masks and not of the pictures",
            )
    items = [
        {"id": k, "name": f"color {packed:06x}", "color": unpack(packed)}
        for k, packed in enumerate(sorted(present))
    ]
    notes.append(f"the masks are coded by {len(items)} colours: {len(items)} classes without names")
    if 0 in present:
        notes.append("black is taken as a class; name a label space if it means void")
    space = LabelSpace.from_dict({"name": "unnamed", "classes": items, "void_colors": []})
    return with_nonzero(space), RGB, notes


def _ranges(values: Sequence[int]) -> str:
    parts: list[tuple[int, int]] = []
    for value in values:
        if parts and value == parts[-1][1] + 1:
            parts[-1] = (parts[-1][0], value)
        else:
            parts.append((value, value))
    shown = [str(a) if a == b else f"{a}…{b}" for a, b in parts[:6]]
    return ", ".join(shown) + (" …" if len(parts) > 6 else "")
