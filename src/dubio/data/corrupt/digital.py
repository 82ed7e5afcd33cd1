"""Contrast, saturation, compression, coarse pixels; and the elastic warp, which moves the label too."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from dubio.core.labelspace import IndexMap
from dubio.data.corrupt.arrays import F, Image, Plane, Rng, base_size, blur_gaussian, enlarge, to_bytes
from dubio.data.corrupt.kernels import pull_image, pull_label

_SIDE = 244  # the published lengths are shares of this


def contrast(image: Image, severity: int, rng: Rng, factor: float) -> Image:
    """Bring every channel near its mean."""
    keep = F((0.4, 0.3, 0.2, 0.1, 0.05)[severity - 1])
    mean = image.mean(axis=(0, 1), dtype=np.float64).astype(F)
    return to_bytes((image - mean) * keep + mean)


def saturate(image: Image, severity: int, rng: Rng, factor: float) -> Image:
    """Change the saturation at constant value (of HSV); grey has no hue and stays grey."""
    gain, shift = ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2))[severity - 1]
    top = image.max(axis=2, keepdims=True).astype(F)
    depth = top - image.min(axis=2, keepdims=True)
    share = np.divide(depth, top, out=np.zeros_like(top), where=top > 0)
    wanted = np.clip(share * F(gain) + F(shift), 0, 1)
    ratio = np.divide(wanted, share, out=np.ones_like(top), where=share > 0)
    return to_bytes(top - (top - image) * ratio)


def pixelate(image: Image, severity: int, rng: Rng, factor: float) -> Image:
    """Show the image in coarse pixels."""
    height, width = image.shape[:2]
    share = min(1.0, (0.6, 0.5, 0.4, 0.3, 0.25)[severity - 1] / factor)
    small = max(1, int(width * share)), max(1, int(height * share))
    picture = Pillow.fromarray(image).resize(small, Pillow.Resampling.BOX)
    return np.array(picture.resize((width, height), Pillow.Resampling.NEAREST))


def jpeg_compression(image: Image, severity: int, rng: Rng, factor: float) -> Image:
    """Compress as JPEG of low quality; its blocks have 8 pixels whatever the image's size."""
    file = io.BytesIO()
    Pillow.fromarray(image).save(file, "JPEG", quality=(25, 18, 15, 10, 7)[severity - 1])
    return np.array(Pillow.open(file))


def elastic_transform(
    image: Image, label: IndexMap | None, severity: int, rng: Rng, factor: float, void: int
) -> tuple[Image, IndexMap | None]:
    """Warp image and label: an affine map and a random field of displacements.

    What comes from outside is mirrored in the image and void in the label.
    """
    alpha, sigma, affine = (
        (2, 0.7, 0.1),
        (2, 0.08, 0.2),
        (0.05, 0.01, 0.02),
        (0.07, 0.01, 0.02),
        (0.12, 0.01, 0.02),
    )[severity - 1]
    size = (image.shape[0], image.shape[1])
    field = []
    for _ in range(2):
        grid = rng.uniform(-1, 1, base_size(size, factor)).astype(F)
        smooth = blur_gaussian(grid, sigma * _SIDE)
        field.append(enlarge(smooth * F(alpha * _SIDE * factor), size))
    matrix, offset = _affine(size, affine * _SIDE * factor, rng)
    row, column = np.ogrid[: size[0], : size[1]]
    rows, columns = (
        (matrix[n, 0] * row + matrix[n, 1] * column + offset[n]).astype(F) + field[n] for n in range(2)
    )
    return pull(image, label, rows, columns, void)


def _affine(
    size: tuple[int, int], reach: float, rng: Rng
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Rows and columns of the source for those of the target: three corners of a square are moved."""
    middle, arm = np.array(size) / 2, min(size) / 3
    corners = middle + arm * np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0]])
    moved = corners + rng.uniform(-reach, reach, (3, 2))
    ones = np.ones((3, 1))
    solved = np.linalg.lstsq(np.hstack([moved, ones]), corners, rcond=None)[0]
    return np.asarray(solved[:2].T, np.float64), np.asarray(solved[2], np.float64)


def pull(
    image: Image, label: IndexMap | None, rows: Plane, columns: Plane, void: int
) -> tuple[Image, IndexMap | None]:
    """Take every pixel of image and label from a place of the source, in pixels."""
    moved = None if label is None else pull_label(np.ascontiguousarray(label), rows, columns, void)
    return pull_image(np.ascontiguousarray(image), rows, columns), moved
