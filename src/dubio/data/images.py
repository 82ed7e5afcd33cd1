"""Pictures: any common format to ``(H, W, 3)`` 8-bit RGB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, TiffImagePlugin

from dubio.core.errors import InputError
from dubio.data.damage import READ_ERRORS, check_file, check_png, reason
from dubio.data.resize import ASPECT_TOLERANCE, check_aspect

_WIDTH, _LENGTH, _ORIENTATION = 256, 257, 274  # tags of TIFF and EXIF


def read_image(path: str | Path) -> npt.NDArray[np.uint8]:
    """Read a picture as ``(H, W, 3)`` ``uint8`` RGB.

    The EXIF orientation is applied; grey becomes three equal channels; 16 bits are scaled to 8; an
    alpha channel is dropped; float pixels are taken as 0 to 1 if none is above 1, else as 0 to 255.

    Raises:
        InputError: missing, unreadable or truncated.
    """
    path = Path(path)
    check_file(path)
    try:
        check_png(path)
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode in ("I", "F") or image.mode.startswith("I;16"):
                return np.repeat(_to_8_bits(np.asarray(image))[..., None], 3, axis=2)
            return np.array(image.convert("RGB"), dtype=np.uint8)
    except InputError:
        raise
    except READ_ERRORS as error:
        raise InputError(
            f"can't be read as an image: {reason(error)}", path=path, remedy="replace the file"
        ) from error


def image_size(path: str | Path) -> tuple[int, int]:
    """Height and width of a picture as :func:`read_image` returns it, from the header alone.

    Raises:
        InputError: missing or no image.
    """
    path = Path(path)
    check_file(path)
    try:
        with Image.open(path) as image:
            width, height = image.size
            if isinstance(image, TiffImagePlugin.TiffImageFile):
                # Some versions of Pillow have turned the size of a TIFF already.
                width, height = image.tag_v2[_WIDTH], image.tag_v2[_LENGTH]
            # PNG: asking Pillow for EXIF decodes the picture unless the chunk has been met.
            known = image.format != "PNG" or "exif" in image.info
            turned = known and image.getexif().get(_ORIENTATION, 1) >= 5
    except READ_ERRORS as error:
        raise InputError(
            f"can't be read as an image: {reason(error)}", path=path, remedy="replace the file"
        ) from error
    return (width, height) if turned else (height, width)


def _to_8_bits(grey: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if grey.dtype.kind == "f":
        scale = 255.0 if float(grey.max(initial=0)) <= 1 else 1.0
        return np.nan_to_num(grey * scale).round().clip(0, 255).astype(np.uint8)
    # 257 maps 65535 to 255; 8-bit values in a 32-bit container stay as they are.
    if grey.dtype.itemsize == 4 and int(grey.max(initial=0)) < 256:
        return grey.clip(0, 255).astype(np.uint8)
    return ((grey.clip(0, 65535).astype(np.uint32) + 128) // 257).astype(np.uint8)


def fit_image(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Resize a picture ``(H, W, 3)`` to height and width (bilinear); as it is if they agree.

    Raises:
        InputError: the proportions differ: it is another picture, or a turned one.
    """
    if image.shape[:2] == tuple(size):
        return image
    height, width = size
    check_aspect((image.shape[0], image.shape[1]), (height, width), ASPECT_TOLERANCE, what="the image")
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
