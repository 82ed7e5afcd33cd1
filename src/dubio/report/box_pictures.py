"""Pictures under the boxes of a page: resized once, the boxes themselves are drawn by the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from dubio.core.files import writing

# pixels of the longer side: sharp on a laptop's screen, some 120 KB
LONGEST = 1120


def save_picture(path: Path, image: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """Write a picture as JPEG, made smaller if need be.

    Args:
        path: the file; missing folders are made.
        image: ``(H, W, 3)`` uint8 RGB.

    Returns:
        Width and height of the file.

    Raises:
        InputError: it can't be written.
    """
    picture = Image.fromarray(np.ascontiguousarray(image))
    scale = min(1.0, LONGEST / max(picture.size))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    with writing(path) as part:
        picture.save(part, "JPEG", quality=85, optimize=True)
    return size
