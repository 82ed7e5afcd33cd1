"""Label masks: stored files to class indices and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from dubio.core.errors import InputError
from dubio.core.files import writing
from dubio.core.labelspace import IndexMap, LabelSpace
from dubio.data.encodings import RGB, Unknown, decode_colors, distinct, unpack, with_nonzero, written_colors
from dubio.data.infer import spread, summary
from dubio.data.stored import StoredMask, read_stored


def read_mask(
    path: str | Path, space: LabelSpace, encoding: str | None = None, *, unknown: Unknown = "error"
) -> IndexMap:
    """Read a label mask as class indices.

    PNG, TIFF and BMP with 1, 8 or 16 bits, palette images (by index), RGB and RGBA images, NPY and
    NPZ arrays of integers, and the MATLAB files of SBD.

    Args:
        path: the file.
        space: its label space.
        encoding: an encoding of the space, or ``"rgb"`` for the colours of its classes. ``None``: class
            ids; a colour image (or a palette image whose indices are no ids) is read by its colours.
        unknown: what to do with values that are neither class nor void.

    Returns:
        ``(H, W)`` ``uint8`` or ``uint16``, 0 to C-1, C for void.

    Raises:
        InputError: unreadable, truncated, lossy or wrongly shaped file, unknown values or colours, or
            an encoding that the space lacks.
    """
    return decode_stored(read_stored(path), space, encoding, unknown=unknown, path=Path(path))


def decode_stored(
    stored: StoredMask,
    space: LabelSpace,
    encoding: str | None = None,
    *,
    unknown: Unknown = "error",
    path: Path | None = None,
) -> IndexMap:
    """Turn what a mask file holds into class indices (see :func:`read_mask`)."""
    space = with_nonzero(space)
    colors = stored.all_colors()
    try:
        if encoding == RGB:
            if colors is None:
                raise InputError("has no colours", remedy="choose an encoding of ids")
            return decode_colors(colors, space, unknown)
        if stored.values is None:
            if encoding is not None:
                raise InputError(f"is colour coded, not '{encoding}'", remedy="choose the encoding 'rgb'")
            return decode_colors(np.asarray(colors), space, unknown)
        try:
            return space.encode(stored.values, encoding, unknown=unknown)
        except InputError:
            if encoding is not None or colors is None:
                raise
            with suppress(InputError):
                return decode_colors(colors, space, "error")
            raise
    except InputError as error:
        raise InputError(error.fault, path=error.path or path, remedy=error.remedy) from error


def write_mask(path: str | Path, indices: IndexMap, space: LabelSpace, encoding: str | None = None) -> None:
    """Write class indices as a PNG that :func:`read_mask` reads back equal.

    Args:
        path: a ``.png`` file; written whole or not at all.
        indices: ``(H, W)`` class indices, C for void.
        space: their label space.
        encoding: an encoding of the space or ``"rgb"``; ``None``: class ids, 8 or 16 bits as needed.

    Raises:
        InputError: not PNG, wrong shape or indices, or a value that the encoding can't store.
    """
    path, space = Path(path), with_nonzero(space)
    if path.suffix.lower() != ".png":
        raise InputError("is not a PNG name", path=path, remedy="masks are written as .png")
    if indices.ndim != 2 or indices.dtype.kind not in "iu" or indices.size == 0:
        raise InputError(f"a mask has the shape (H, W) and integers, not {indices.shape} {indices.dtype}")
    if int(indices.min()) < 0 or int(indices.max()) > space.void_index:
        raise InputError(f"class indices of '{space.name}' are 0 to {space.void_index} (void)")
    used = distinct(indices)
    if encoding == RGB:
        image = Image.fromarray(_colors(indices, used, space))
    else:
        image = Image.fromarray(_ids(indices, used, space, encoding))
    with writing(path) as part:
        image.save(part, format="PNG")


def _colors(indices: IndexMap, used: npt.NDArray[Any], space: LabelSpace) -> npt.NDArray[np.uint8]:
    colors = written_colors(space)
    for index in used.tolist():
        if colors[index] is None:
            raise InputError(f"'{space.name}' has no colour of its own for {space.name_of(index)}")
    table = np.array([unpack(packed or 0) for packed in colors], np.uint8)
    return table[indices]


def _ids(
    indices: IndexMap, used: npt.NDArray[Any], space: LabelSpace, encoding: str | None
) -> npt.NDArray[Any]:
    stored = space.decode(used, encoding)
    try:
        same = np.array_equal(space.encode(stored, encoding), used)
    except InputError:
        same = False
    if not same:
        raise InputError(
            f"the encoding '{encoding or 'ids'}' of '{space.name}' can't store all of this mask",
            remedy="choose another encoding",
        )
    low, high = int(stored.min()), int(stored.max())
    if low < 0 or high > 65535:
        raise InputError(f"a PNG can't store the values {low} to {high}", remedy="choose another encoding")
    return space.decode(indices, encoding).astype(np.uint8 if high < 256 else np.uint16)


def detect_encoding(
    paths: Sequence[Path], space: LabelSpace, *, sample_limit: int = 12
) -> tuple[str | None, str]:
    """Find the encoding of a space in which masks make sense.

    An encoding fits a mask if every value is a class or void in it; the one that fits most of the
    sampled masks is taken, if it fits more than half: a few bad files are found again, and named, when they
    are read. If several fit equally, one that is part of every file name wins, then class ids, unless
    these show at most one class where another encoding shows more; the sentence names the others.

    Args:
        paths: mask files.
        space: their label space.
        sample_limit: how many are read, evenly spread; a dozen street scenes show nearly all values.

    Returns:
        The encoding (``None``: class ids) and a sentence for the user.

    Raises:
        InputError: no masks, or none of the encodings fits.
    """
    if not paths:
        raise InputError(f"there are no masks to find the encoding of '{space.name}' from")
    space = with_nonzero(space)
    chosen = spread(list(paths), sample_limit)
    read, fault = _read_sound(chosen)
    colored = 2 * sum(stored.values is None for stored in read.values()) > len(read)
    named = [name for name in space.encodings if name != RGB]
    fits: dict[str | None, tuple[int, int]] = {}
    for name in [RGB] if colored else [None, *named]:
        fits[name] = _fit(read, space, name)
    if not colored and not any(count for count, _ in fits.values()):
        fits[RGB] = _fit(read, space, RGB)
    most = max(count for count, _ in fits.values())
    if 2 * most <= len(read):
        for path in read:
            read_mask(path, space, RGB if colored else None)  # the fault, with numbers of pixels
        raise fault or InputError(f"no encoding of '{space.name}' fits the masks", path=chosen[0].parent)
    classes = {name: seen for name, (count, seen) in fits.items() if count == most}
    best, why = _choose(classes, [path.stem.casefold() for path in read])
    others = [_called(name) for name in classes if name != best]
    also = f"; {', '.join(others)} would fit too" if others else ""
    also += f"; {len(chosen) - most} of {len(chosen)} masks looked at don't fit" if most < len(chosen) else ""
    return best, f"masks are read as {_called(best)} of '{space.name}'{why}{also}"


def _read_sound(paths: Sequence[Path]) -> tuple[dict[Path, StoredMask], InputError | None]:
    read: dict[Path, StoredMask] = {}
    fault: InputError | None = None
    for path in paths:
        try:
            read[path] = summary(path)
        except InputError as error:
            fault = fault or error
    if not read and fault is not None:
        raise fault
    return read, fault


def _choose(fits: Mapping[str | None, int], stems: Sequence[str]) -> tuple[str | None, str]:
    for name in fits:
        if name is not None and all(name.casefold() in stem for stem in stems):
            return name, " (by their file names)"
    best = None if None in fits else max(fits, key=lambda name: fits[name])
    richest = max(fits, key=lambda name: fits[name])
    if fits[best] <= 1 < fits[richest]:
        return richest, f", which shows {fits[richest]} classes"
    return best, ""


def _called(name: str | None) -> str:
    return "class ids" if name is None else f"'{name}'"


def _fit(read: Mapping[Path, StoredMask], space: LabelSpace, encoding: str | None) -> tuple[int, int]:
    """Count the masks that fit, and the classes that they show."""
    seen: set[int] = set()
    count = 0
    for stored in read.values():
        if stored.values is None and encoding != RGB:
            continue
        # Class ids are tried strictly, without falling back on colours.
        strict = stored if encoding is not None else StoredMask(stored.values)
        with suppress(InputError):
            seen.update(distinct(decode_stored(strict, space, encoding)).tolist())
            count += 1
    return count, len(seen - {space.void_index})
