"""Compiled loops: pixels swapped behind frosted glass, and images moved along a field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit

_Loop = TypeVar("_Loop", bound=Callable[..., Any])


def _compiled(loop: _Loop) -> _Loop:
    """Compile a loop; numba's own decorator would hide its types."""
    return cast(_Loop, njit(cache=True, nogil=True)(loop))


@_compiled
def swap_near(image: npt.NDArray[np.uint8], steps: npt.NDArray[np.int16]) -> None:
    """Swap every pixel with a near one, in place; swaps out of the image are left out.

    Args:
        image: ``(H, W, 3)``.
        steps: ``(H, W, 2)`` rows and columns to go.
    """
    height, width = image.shape[:2]
    for i in range(height - 1, -1, -1):
        for j in range(width - 1, -1, -1):
            row, column = i + steps[i, j, 0], j + steps[i, j, 1]
            if 0 <= row < height and 0 <= column < width:
                for c in range(3):
                    kept = image[i, j, c]
                    image[i, j, c] = image[row, column, c]
                    image[row, column, c] = kept


@_compiled
def mirrored(index: int, length: int) -> int:
    """Bring an index into an axis that is mirrored again and again."""
    index %= 2 * length
    return index if index < length else 2 * length - 1 - index


@_compiled
def pull_image(
    image: npt.NDArray[np.uint8], rows: npt.NDArray[np.float32], columns: npt.NDArray[np.float32]
) -> npt.NDArray[np.uint8]:
    """Take each pixel from a place of the image, bilinearly; mirrored beyond the border."""
    height, width = image.shape[:2]
    out = np.empty_like(image)
    for i in range(height):
        for j in range(width):
            top, left = int(np.floor(rows[i, j])), int(np.floor(columns[i, j]))
            down, right = rows[i, j] - top, columns[i, j] - left
            r0, r1 = mirrored(top, height), mirrored(top + 1, height)
            c0, c1 = mirrored(left, width), mirrored(left + 1, width)
            for c in range(3):
                upper = image[r0, c0, c] * (1 - right) + image[r0, c1, c] * right
                lower = image[r1, c0, c] * (1 - right) + image[r1, c1, c] * right
                out[i, j, c] = int(upper * (1 - down) + lower * down + 0.5)
    return out


@_compiled
def pull_label(
    label: npt.NDArray[Any], rows: npt.NDArray[np.float32], columns: npt.NDArray[np.float32], void: int
) -> npt.NDArray[Any]:
    """Take each index from the nearest place of the label; what lies beyond the border is void."""
    height, width = label.shape
    out = np.empty_like(label)
    for i in range(height):
        for j in range(width):
            row, column = int(np.floor(rows[i, j] + 0.5)), int(np.floor(columns[i, j] + 0.5))
            inside = 0 <= row < height and 0 <= column < width
            out[i, j] = label[row, column] if inside else void
    return out
