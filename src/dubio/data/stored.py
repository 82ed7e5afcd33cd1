"""Mask files as they are stored: integer values or packed colours, before any label space."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from dubio.core.errors import InputError
from dubio.data.damage import READ_ERRORS, check_file, check_png, reason
from dubio.data.encodings import Packed

__all__ = ["IMAGE_SUFFIXES", "MASK_SUFFIXES", "READ_ERRORS", "StoredMask", "read_stored"]
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".pgm")
MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".npy", ".npz", ".mat", ".pgm", ".ppm", ".webp")


@dataclass(frozen=True)
class StoredMask:
    """What a mask file holds.

    Args:
        values: ``(H, W)`` integers: grey values, palette indices or array entries; ``None`` for a
            colour image. A colour image of three equal channels counts as grey.
        colors: ``(H, W)`` colours packed as ``0xRRGGBB`` for a colour image (grey or not).
        palette: ``(256,)`` packed colours by index if the file has a palette.
    """

    values: npt.NDArray[Any] | None
    colors: Packed | None = None
    palette: Packed | None = None

    def all_colors(self) -> Packed | None:
        """Packed colours per pixel, through the palette if there is one; ``None`` without colours."""
        if self.colors is None and self.palette is not None and self.values is not None:
            through: Packed = self.palette[self.values]
            return through
        return self.colors


def read_stored(path: str | Path) -> StoredMask:
    """Read a mask file: PNG, TIFF, BMP, GIF and other lossless images, NPY, NPZ, or SBD's MAT.

    Raises:
        InputError: missing, truncated, lossy (JPEG), not of shape ``(H, W)`` or not integers.
    """
    path = Path(path)
    check_file(path)
    suffix = path.suffix.lower()
    try:
        if suffix in (".npy", ".npz"):
            return StoredMask(_integers(_read_array(path), path))
        if suffix == ".mat":
            return StoredMask(_integers(_read_mat(path), path))
        return _read_picture(path)
    except InputError:
        raise
    except READ_ERRORS as error:
        raise InputError(
            f"can't be read as a mask: {reason(error)}", path=path, remedy="replace the file"
        ) from error


def _read_picture(path: Path) -> StoredMask:
    check_png(path)
    with Image.open(path) as image:
        if image.format in ("JPEG", "MPO", "JPEG2000"):
            raise InputError(
                "is a JPEG: its lossy compression changes class values, most of all at outlines",
                path=path,
                remedy="store masks as PNG",
            )
        if image.mode == "P":
            table = np.zeros((256, 3), np.uint32)
            listed = np.array(image.getpalette("RGB") or [], np.uint32).reshape(-1, 3)[:256]
            table[: len(listed)] = listed
            packed: Packed = (table @ np.array([1 << 16, 1 << 8, 1])).astype(np.uint32)
            return StoredMask(np.asarray(image), palette=packed)
        if image.mode in ("RGB", "RGBA", "RGBX"):
            return _from_rgb(image)
        if image.mode == "1":
            return StoredMask(np.asarray(image).astype(np.uint8))
        if image.mode in ("L", "I", "F") or image.mode.startswith("I;16"):
            return StoredMask(_integers(np.asarray(image), path))
        if image.mode in ("LA", "PA"):
            return StoredMask(np.asarray(image)[..., 0])
        raise InputError(
            f"has the pixel mode {image.mode}", path=path, remedy="store class ids or RGB colours"
        )


def _from_rgb(image: Image.Image) -> StoredMask:
    pixels: Packed = np.asarray(image.convert("RGBA")).view("<u4")[..., 0]
    # Little-endian RGBA reads as 0xAABBGGRR; the packed form used everywhere is 0xRRGGBB.
    red = pixels & 0xFF
    colors: Packed = np.bitwise_or((red << 16) | (pixels & 0xFF00), pixels >> 16 & 0xFF)
    coarse = colors[::16, ::16]
    is_grey = np.array_equal(coarse & 0xFFFF, coarse >> 8) and np.array_equal(colors & 0xFFFF, colors >> 8)
    return StoredMask(red.astype(np.uint8) if is_grey else None, colors)


def _read_array(path: Path) -> npt.NDArray[Any]:
    with open(path, "rb") as file:
        if path.suffix.lower() == ".npy":
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
        with np.load(file, allow_pickle=False) as archive:
            keys = list(archive)
            if len(keys) != 1:
                raise InputError(f"holds {len(keys)} arrays", path=path, remedy="store one mask per file")
            return np.asarray(archive[keys[0]])


def _read_mat(path: Path) -> npt.NDArray[Any]:
    from scipy.io import loadmat

    data = loadmat(path)
    for name in ("GTcls", "GTinst"):
        if name in data:
            return np.asarray(data[name]["Segmentation"][0, 0])
    arrays = [v for k, v in data.items() if not k.startswith("__") and getattr(v, "ndim", 0) == 2]
    if len(arrays) != 1:
        raise InputError(
            "holds neither GTcls nor one matrix", path=path, remedy="give SBD files or PNG masks"
        )
    return np.asarray(arrays[0])


def _integers(array: npt.NDArray[Any], path: Path) -> npt.NDArray[Any]:
    if array.ndim == 3 and 1 in (array.shape[0], array.shape[-1]):
        array = array[0] if array.shape[0] == 1 else array[..., 0]
    if array.ndim != 2:
        raise InputError(f"has the shape {array.shape}", path=path, remedy="a mask has the shape (H, W)")
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.kind not in "iu":
        raise InputError(f"holds {array.dtype} values", path=path, remedy="a mask holds integer class ids")
    return array
