"""Run lengths of masks: plain, COCO's, and those of "CVAT for images"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError

Bools = npt.NDArray[np.bool_]
# Larger than any picture that is labelled; a foreign file must not make us allocate more.
_MOST_PIXELS = 1 << 28


def check_size(height: int, width: int) -> None:
    """Refuse sizes of pictures that can't be.

    Raises:
        InputError: not positive, or more than 268 million pixels.
    """
    if height < 1 or width < 1 or height * width > _MOST_PIXELS:
        raise InputError(f"a mask can't have {width} x {height} pixels")


def run_lengths(flat: npt.NDArray[Any]) -> list[int]:
    """Lengths of the runs of a flat mask, background first (0 if it starts with foreground).

    >>> run_lengths(np.array([True, False, False]))
    [0, 1, 2]
    """
    if not flat.size:
        return []
    inside = flat.astype(bool)
    steps = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], steps, [len(inside)]])).tolist()
    return [0, *lengths] if inside[0] else list(lengths)


def from_lengths(lengths: Sequence[int], size: int) -> Bools:
    """The inverse of :func:`run_lengths`; a shorter list is filled up with background.

    Raises:
        InputError: a negative length, or more than ``size`` pixels.
    """
    counts = np.asarray(lengths, np.int64).reshape(-1)
    if (counts < 0).any() or (counts > size).any() or counts.sum() > size:
        raise InputError(f"a mask's run lengths sum to {int(counts.sum())}, not to {size} pixels")
    values = np.arange(len(counts)) % 2 == 1
    flat = np.repeat(values, counts)
    return np.concatenate([flat, np.zeros(size - len(flat), bool)])


def to_coco(mask: Bools) -> dict[str, Any]:
    """COCO's compressed run lengths of a mask ``(H, W)``: ``{"size": [H, W], "counts": "…"}``.

    Columns one after the other; each length as the difference to the one two before, in groups of five
    bits, lowest first, with a flag for "more follows", shifted into printable ASCII (the format of
    COCO's own tools).

    >>> to_coco(np.array([[False, True], [True, True]]))
    {'size': [2, 2], 'counts': '13'}
    """
    lengths = run_lengths(mask.T.ravel())
    text = []
    for place, length in enumerate(lengths):
        value = length - lengths[place - 2] if place > 2 else length
        more = True
        while more:
            group = value & 31
            value >>= 5
            more = value != (-1 if group & 16 else 0)
            text.append(chr((group | 32 if more else group) + 48))
    return {"size": [int(mask.shape[0]), int(mask.shape[1])], "counts": "".join(text)}


def from_coco(rle: dict[str, Any]) -> Bools:
    """Mask ``(H, W)`` of COCO's run lengths, compressed (text) or not (list).

    Raises:
        InputError: no such record, or the lengths don't fit the size.
    """
    try:
        height, width = (int(v) for v in rle["size"])
        counts = rle["counts"]
        lengths = _inflated(counts) if isinstance(counts, str | bytes) else [int(v) for v in counts]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"run lengths are malformed ({error!r})") from error
    check_size(height, width)
    return from_lengths(lengths, height * width).reshape(width, height).T


def _inflated(counts: str | bytes) -> list[int]:
    data = counts.encode("ascii") if isinstance(counts, str) else counts
    lengths: list[int] = []
    value = shift = 0
    for byte in data:
        group = byte - 48
        if not 0 <= group < 64 or shift > 60:
            raise ValueError(f"the byte {byte} is no part of run lengths")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("they break off")
    return lengths


def to_cvat(mask: Bools) -> dict[str, int | str]:
    """CVAT's mask attributes: box and row-wise run lengths inside it, background first.

    >>> to_cvat(np.array([[False, False], [False, True]]))
    {'rle': '0, 1', 'left': 1, 'top': 1, 'width': 1, 'height': 1}
    """
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        raise InputError("an empty region has no box")
    top, left = int(rows[0]), int(cols[0])
    inside = mask[top : rows[-1] + 1, left : cols[-1] + 1]
    return {
        "rle": ", ".join(map(str, run_lengths(inside.ravel()))),
        "left": left,
        "top": top,
        "width": int(inside.shape[1]),
        "height": int(inside.shape[0]),
    }


def from_cvat(rle: str, box: tuple[int, int, int, int], shape: tuple[int, int]) -> Bools:
    """Mask ``(H, W)`` of CVAT's run lengths.

    Args:
        rle: numbers with commas, background first.
        box: left, top, width and height.
        shape: height and width of the image.

    Raises:
        InputError: no numbers, the lengths don't fit the box, or the box lies outside.
    """
    left, top, width, height = box
    check_size(*shape)
    if left < 0 or top < 0 or width < 1 or height < 1 or left + width > shape[1] or top + height > shape[0]:
        raise InputError(f"a mask's box {list(box)} lies outside of {shape[1]} x {shape[0]} pixels")
    try:
        lengths = [int(part) for part in rle.split(",") if part.strip()]
    except ValueError as error:
        raise InputError(f"run lengths are malformed ({error})") from error
    mask = np.zeros(shape, bool)
    mask[top : top + height, left : left + width] = from_lengths(lengths, width * height).reshape(
        height, width
    )
    return mask
