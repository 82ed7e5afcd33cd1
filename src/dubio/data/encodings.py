"""The encodings that no file needs to list: colours, and zero against the rest."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.labelspace import Encoding, IndexMap, LabelSpace

NONZERO = "nonzero"
RGB = "rgb"
Packed = npt.NDArray[np.uint32]
Unknown = Literal["error", "void"]


def with_nonzero(space: LabelSpace) -> LabelSpace:
    """Add the encoding ``nonzero`` to a space of two classes that lacks it; others stay as they are."""
    if len(space) != 2 or NONZERO in space.encodings:
        return space
    first, second = space.ids
    extra = Encoding(NONZERO, {0: first}, rest=second)
    return replace(space, encodings={**space.encodings, NONZERO: extra})


def color_table(space: LabelSpace) -> tuple[tuple[int, int], ...]:
    """List packed colours (``0xRRGGBB``) and the class index (or void's) that each stands for.

    What the encoding ``rgb`` says of a colour counts before the classes' own colours, and these count
    before void's.

    Raises:
        InputError: two classes have the same colour, so that masks can't be told apart.
    """
    index = {c.id: i for i, c in enumerate(space.classes)}
    table: dict[int, int] = {}
    if RGB in space.encodings:
        for packed, class_id in space.encodings[RGB].values.items():
            table[packed] = space.void_index if class_id is None else index[class_id]
    said = set(table)
    for i, item in enumerate(space.classes):
        packed = pack(item.color)
        if packed not in said and table.setdefault(packed, i) != i:
            raise InputError(
                f"in label space '{space.name}' the colour {item.color} stands for "
                f"{space.name_of(table[packed])} and {item.name}",
                remedy="use masks of class ids",
            )
    for color in space.void_colors:
        table.setdefault(pack(color), space.void_index)
    return tuple(table.items())


def written_colors(space: LabelSpace) -> list[int | None]:
    """Packed colour in which each index (void's last) is written; ``None`` if it has none of its own."""
    table = dict(color_table(space))
    own: list[int | None] = [None] * (len(space) + 1)
    for packed, target in table.items():
        own[target] = packed if own[target] is None else own[target]
    for target, color in enumerate(space.palette.tolist()):
        packed = pack((color[0], color[1], color[2]))
        if table.get(packed) == target:
            own[target] = packed
    return own


def distinct(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Distinct integers of an array in ascending order; counting is far faster than sorting.

    >>> distinct(np.array([[3, 1], [1, 3]], np.uint8)).tolist()
    [1, 3]
    """
    if values.size == 0:
        return np.zeros(0, np.int64)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= 1 << 24:
        return np.unique(values).astype(np.int64)
    seen = np.zeros(high + 1, dtype=bool)
    seen[values] = True
    return np.flatnonzero(seen)


def pack(color: tuple[int, int, int]) -> int:
    """Pack a colour as ``0xRRGGBB``."""
    return color[0] << 16 | color[1] << 8 | color[2]


def unpack(packed: int) -> tuple[int, int, int]:
    """Turn ``0xRRGGBB`` into red, green and blue."""
    return (packed >> 16, packed >> 8 & 255, packed & 255)


@lru_cache(maxsize=4)
def color_lookup(table: tuple[tuple[int, int], ...], lost: int, dtype: str) -> npt.NDArray[Any]:
    """Make a table of all 2**24 colours (16 MiB): one gather per pixel is far faster than a search."""
    full = np.full(1 << 24, lost, dtype=dtype)
    for packed, target in table:
        full[packed] = target
    return full


def decode_colors(colors: Packed, space: LabelSpace, unknown: Unknown) -> IndexMap:
    """Turn packed colours ``(H, W)`` into class indices.

    Raises:
        InputError: unknown colours (unless they shall be void), named with their counts.
    """
    lost = len(space) + 1
    coded: IndexMap = color_lookup(color_table(space), lost, np.dtype(space.dtype).str)[colors]
    bad = coded == lost
    if bad.any():
        if unknown == "error":
            values, counts = np.unique(colors[bad], return_counts=True)
            order = np.argsort(counts)[::-1][:3]
            shown = ", ".join(f"{unpack(int(values[k]))} on {counts[k]} pixels" for k in order)
            more = f" and {len(values) - 3} more" if len(values) > 3 else ""
            raise InputError(
                f"colours are not in label space '{space.name}': {shown}{more}",
                remedy="choose another label space or add the colours",
            )
        coded[bad] = space.void_index
    return coded
