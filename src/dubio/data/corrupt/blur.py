"""Blurs of lens, glass and motion; mirrored at the border, centred, so that labels stay true."""

from __future__ import annotations

import numpy as np
from PIL import Image as Pillow

from dubio.data.corrupt.arrays import F, Image, Rng, blur_along, blur_gaussian, blur_symmetric, to_bytes
from dubio.data.corrupt.kernels import swap_near


def gaussian_blur(image: Image, severity: int, rng: Rng, factor: float) -> Image:
    """Blur by a Gaussian."""
    return to_bytes(blur_gaussian(image.astype(F), (1, 2, 3, 4, 6)[severity - 1] * factor))


def defocus_blur(image: Image, severity: int, rng: Rng, factor: float) -> Image:
    """Blur by a disk with a soft edge, as a lens out of focus does."""
    pixels, alias = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))[severity - 1]
    radius, soft = pixels * factor, max(alias * factor, 0.5)
    reach = int(np.ceil(radius + soft))
    steps = np.arange(-reach, reach + 1)
    disk = np.clip((radius + soft - np.hypot(*np.meshgrid(steps, steps))) / (2 * soft), 0, 1)
    disk[reach, reach] = max(disk[reach, reach], 1e-6)  # a disk smaller than a pixel blurs nothing
    return to_bytes(blur_symmetric(image.astype(F), disk / disk.sum()))


def glass_blur(image: Image, severity: int, rng: Rng, factor: float) -> Image:
    """Blur, swap pixels with near ones, and blur again."""
    sigma, reach, rounds = ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))[severity - 1]
    out = to_bytes(blur_gaussian(image.astype(F), sigma * factor))
    reach = round(reach * factor)
    for _ in range(rounds if reach else 0):
        steps = rng.integers(-reach, reach + 1, (*image.shape[:2], 2), dtype=np.int16)
        swap_near(out, steps)
    return to_bytes(blur_gaussian(out.astype(F), sigma * factor))


def motion_blur(image: Image, severity: int, rng: Rng, factor: float) -> Image:
    """Smear along a line at up to 45 degrees from the horizon."""
    radius, sigma = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))[severity - 1]
    angle = float(rng.uniform(-45, 45))
    return to_bytes(blur_along(image.astype(F), round(radius * factor), sigma * factor, angle))


def zoom_blur(image: Image, severity: int, rng: Rng, factor: float) -> Image:
    """Average over a zoom into the middle; part of the image's size, so that no scale is needed."""
    end, step = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))[severity - 1]
    zooms = np.arange(1, end, step)
    picture = Pillow.fromarray(image)
    width, height = picture.size
    total = image.astype(np.uint16)  # at most 17 images of 255
    for zoom in zooms.tolist():
        gap = (width * (1 - 1 / zoom) / 2, height * (1 - 1 / zoom) / 2)
        box = (gap[0], gap[1], width - gap[0], height - gap[1])
        total += np.asarray(picture.resize((width, height), Pillow.Resampling.BILINEAR, box=box))
    return to_bytes(total * F(1 / (len(zooms) + 1)))
