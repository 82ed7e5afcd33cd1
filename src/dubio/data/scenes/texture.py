"""Noise textures that repeat without a seam, and blurs; all in whole-number or plain arithmetic."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from dubio.core.seeds import rng_for

Plane = npt.NDArray[np.float32]
SIZE = 256


@cache
def noise(name: str, cells: tuple[int, ...]) -> Plane:
    """Return a seamless texture of shape ``(256, 256)`` with values in -1 … 1.

    Args:
        name: chooses the pattern; the same name gives the same texture everywhere.
        cells: octaves by their number of cells per side (divisors of 256); each weighs half of
            the one before.
    """
    rng = rng_for(0, "scene texture", name)
    total, weight, whole = np.zeros((SIZE, SIZE), np.float32), 1.0, 0.0
    for count in cells:
        grid = rng.integers(0, 256, (count, count), dtype=np.uint8)
        wrapped = np.tile(grid, (3, 3))
        step = SIZE // count
        fine = (
            Image.fromarray(wrapped).resize((3 * SIZE, 3 * SIZE), Image.Resampling.BICUBIC)
            if step > 1
            else None
        )
        plane = np.asarray(fine)[SIZE : 2 * SIZE, SIZE : 2 * SIZE] if fine else grid
        total += np.float32(weight) * (plane.astype(np.float32) / np.float32(127.5) - np.float32(1.0))
        whole += weight
        weight *= 0.5
    return total / np.float32(whole)


def sample(texture: Plane, rows: npt.NDArray[np.float32], columns: npt.NDArray[np.float32]) -> Plane:
    """Look a texture up at texel positions of any size (it repeats)."""
    index = (np.floor(rows).astype(np.int64) & (SIZE - 1)) * SIZE + (
        np.floor(columns).astype(np.int64) & (SIZE - 1)
    )
    return np.take(texture, index)


def blur(picture: npt.NDArray[np.uint8], radius: float, passes: int = 2) -> npt.NDArray[np.uint8]:
    """Blur an 8-bit picture ``(H, W)`` or ``(H, W, 3)`` by boxes; two passes are nearly a Gaussian."""
    image, box = Image.fromarray(picture), ImageFilter.BoxBlur(radius)
    for _ in range(passes):
        image = image.filter(box)
    return np.asarray(image)
