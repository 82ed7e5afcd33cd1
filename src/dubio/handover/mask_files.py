"""Mask files written again with some pixels changed: same format, same name, all else as it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from dubio.core.errors import InputError
from dubio.core.files import plain_reason, write_npz, writing
from dubio.core.labelspace import IndexMap, LabelSpace
from dubio.data.encodings import RGB, Unknown, unpack, with_nonzero, written_colors
from dubio.data.masks import decode_stored, read_mask, write_mask
from dubio.data.stored import READ_ERRORS, StoredMask, read_stored

Bools = npt.NDArray[np.bool_]
_ARRAYS = (".npy", ".npz")
_MATLAB = ".mat"
_RGB_MODES = ("RGB", "RGBA", "RGBX")


def rewrite_mask(
    source: Path,
    target: Path,
    indices: IndexMap,
    space: LabelSpace,
    encoding: str | None = None,
    *,
    unknown: Unknown = "error",
    rest: Mapping[int, int] | None = None,
) -> Path:
    """Write a mask file again with the pixels whose class index differs.

    Format, pixel mode, palette, georeference and all unchanged pixels are kept. The file is read back; where
    its format can't hold the new mask losslessly, it becomes a PNG of the same name.

    Args:
        source: the file as it is.
        target: where the new one goes; never ``source``.
        indices: ``(H, W)`` class indices wanted.
        space: label space.
        encoding: encoding of the masks.
        unknown: how values outside the label space are read.
        rest: class index -> stored value for classes that the encoding names by "all the rest".

    Returns:
        The file written.

    Raises:
        InputError: the file can't be read, or a class can't be stored in its encoding.
    """
    if target.resolve() == source.resolve():
        raise InputError("is the original", path=target, remedy="choose another folder")
    stored = read_stored(source)
    before = decode_stored(stored, space, encoding, unknown=unknown, path=source)
    changed = before != indices
    if not changed.any():
        return copy_file(source, target)
    by_colour = _by_colour(stored, space, encoding, unknown)
    values = _values(stored, before, indices, changed, space, encoding, by_colour, rest)
    if source.suffix.lower() != _MATLAB:
        try:
            _write_like(source, target, changed, values, by_colour)
            if np.array_equal(read_mask(target, space, encoding, unknown=unknown), indices):
                return target
        except (InputError, *READ_ERRORS):
            pass
        target.unlink(missing_ok=True)
    target = target.with_suffix(".png")
    write_mask(target, indices, space, encoding)
    return target


def copy_file(source: Path, target: Path) -> Path:
    """Copy a file byte for byte, safely."""
    try:
        data = source.read_bytes()
    except OSError as error:
        raise InputError(f"can't be read ({plain_reason(error)})", path=source) from error
    with writing(target) as part:
        part.write_bytes(data)
    return target


def rest_values(paths: Iterable[Path], space: LabelSpace, encoding: str | None) -> dict[int, int]:
    """Stored values for classes that an encoding names by "all the rest", as the masks use them.

    Args:
        paths: mask files, a few of them.
        space: label space.
        encoding: the encoding.

    Returns:
        Class index -> its most frequent stored value; empty if the encoding names all values.
    """
    space = with_nonzero(space)
    if encoding == RGB or not isinstance(space.encoding(encoding).rest, int):
        return {}
    index = space.ids.index(int(space.encoding(encoding).rest))
    listed = list(space.encoding(encoding).values)
    counts: dict[int, int] = {}
    for path in paths:
        try:
            values = read_stored(path).values
        except InputError:
            continue
        if values is not None:
            for value, count in zip(*np.unique(values, return_counts=True), strict=True):
                if int(value) not in listed:
                    counts[int(value)] = counts.get(int(value), 0) + int(count)
    return {index: max(counts, key=lambda v: (counts[v], v))} if counts else {}


def _by_colour(stored: StoredMask, space: LabelSpace, encoding: str | None, unknown: Unknown) -> bool:
    """Whether the mask is read by its colours (see :func:`dubio.data.masks.decode_stored`)."""
    if encoding == RGB or stored.values is None:
        return True
    try:
        with_nonzero(space).encode(stored.values, encoding, unknown=unknown)
    except InputError:
        return True
    return False


def _values(
    stored: StoredMask,
    before: IndexMap,
    indices: IndexMap,
    changed: Bools,
    space: LabelSpace,
    encoding: str | None,
    by_colour: bool,
    rest: Mapping[int, int] | None,
) -> npt.NDArray[np.int64]:
    """Stored values (or packed colours) of the changed pixels."""
    space = with_nonzero(space)
    table = np.zeros(len(space) + 1, np.int64)
    for index in np.unique(indices[changed]).tolist():
        if by_colour:
            colour = written_colors(space)[index]
            if colour is None:
                raise InputError(f"'{space.name}' has no colour of its own for {space.name_of(index)}")
            table[index] = colour
        else:
            table[index] = _value_of(index, stored, before, space, encoding, rest or {})
    return table[indices[changed]]


def _value_of(
    index: int,
    stored: StoredMask,
    before: IndexMap,
    space: LabelSpace,
    encoding: str | None,
    rest: Mapping[int, int],
) -> int:
    how = space.encoding(encoding)
    value = int(space.decode(np.array([index]), encoding)[0])
    if value in how.values and int(space.encode(np.array([value]), encoding)[0]) == index:
        return value
    used = np.asarray(stored.values)[before == index]
    if used.size:
        values, counts = np.unique(used, return_counts=True)
        return int(values[counts.argmax()])
    value = rest.get(index, value)
    try:
        fits = int(space.encode(np.array([value]), encoding)[0]) == index
    except InputError:
        fits = False
    if not fits:
        raise InputError(f"the encoding '{encoding or 'ids'}' of '{space.name}' can't store "
                         f"{space.name_of(index)}")  # fmt: skip
    return value


def _write_like(
    source: Path, target: Path, changed: Bools, values: npt.NDArray[np.int64], by_colour: bool
) -> None:
    if source.suffix.lower() in _ARRAYS:
        _write_array(source, target, changed, values)
        return
    with Image.open(source) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise InputError("holds several pictures", path=source)
        image.load()
        mode, pixels = image.mode, np.array(image)
        made = _picture(image, pixels, mode, changed, values, by_colour)
        with writing(target) as part:
            made.save(part, format=image.format, **_saved_with(image))


def _picture(
    image: Image.Image,
    pixels: npt.NDArray[Any],
    mode: str,
    changed: Bools,
    values: npt.NDArray[np.int64],
    by_colour: bool,
) -> Image.Image:
    if mode == "P":
        numbers = _palette_numbers(image, values) if by_colour else values
        pixels[changed] = _fitting(numbers, pixels.dtype)
        made = Image.fromarray(pixels, "L")
        palette = image.palette
        if palette is not None:
            made.putpalette(image.getpalette(palette.mode) or [], palette.mode)
        return made
    if mode in _RGB_MODES:
        colours = np.array([unpack(int(v)) for v in values]) if by_colour else np.stack([values] * 3, 1)
        pixels[..., :3][changed] = _fitting(colours, pixels.dtype)
        return Image.fromarray(pixels, mode)
    if mode in ("LA", "PA"):
        raise InputError("has an alpha channel beside its values")
    if mode == "1":
        pixels = pixels.astype(bool)
        pixels[changed] = _fitting(values, np.dtype(np.uint8)).astype(bool)
        return Image.fromarray(pixels)
    pixels[changed] = _fitting(values, pixels.dtype)
    return Image.fromarray(pixels)


def _palette_numbers(image: Image.Image, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    palette = np.array(image.getpalette("RGB") or [], np.int64).reshape(-1, 3)
    packed = (palette @ np.array([1 << 16, 1 << 8, 1])).tolist()
    missing = [v for v in np.unique(values).tolist() if v not in packed]
    if missing:
        raise InputError(f"the palette lacks the colour {unpack(missing[0])}")
    return np.array([packed.index(int(v)) for v in values], np.int64)


def _fitting(values: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    cast = values.astype(dtype)
    if not np.array_equal(cast.astype(np.int64), values):
        raise InputError("a value doesn't fit the pixels of the file")
    return cast


def _saved_with(image: Image.Image) -> dict[str, Any]:
    """Options that keep what is known of the file: transparency, bits, compression, TIFF tags."""
    kept: dict[str, Any] = {k: image.info[k] for k in ("transparency", "dpi", "gamma") if k in image.info}
    if image.format == "TIFF":
        kept["tiffinfo"] = image.tag_v2  # type: ignore[attr-defined]  # TIFF images alone have it
        kept["compression"] = image.info.get("compression", "raw")
    if image.format == "WEBP":
        kept["lossless"] = True
    return kept


def _write_array(source: Path, target: Path, changed: Bools, values: npt.NDArray[np.int64]) -> None:
    with open(source, "rb") as file:
        if source.suffix.lower() == ".npy":
            array, key = np.lib.format.read_array(file, allow_pickle=False), None
        else:
            with np.load(file, allow_pickle=False) as archive:
                key = next(iter(archive))
                array = archive[key]
    array = array.copy()
    flat = array.reshape(changed.shape)
    flat[changed] = _fitting(values, array.dtype)
    if key is not None:
        write_npz(target, {key: array})
        return
    with writing(target) as part:
        np.save(part, array, allow_pickle=False)
