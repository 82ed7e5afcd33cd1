"""A picture per finding: image, given label and prediction, cut out around the region.

All tiles have one shape, so that a page of them stays calm: the cut-out takes in more of the surroundings
where the region is narrow, and is padded where the image ends.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from dubio.core.files import writing
from dubio.core.labelspace import IndexMap, LabelSpace

Bytes = npt.NDArray[np.uint8]

# A tile, pixels: three side by side are sharp on a laptop's screen and take about 60 KB.
TILE = (432, 324)
GAP = 6
# The cut-out shows the region with this much of its size around it, and at least so many pixels across.
_MARGIN, _LEAST = 0.6, 96
_BLEND = 0.5  # strength of class colours over the picture
_VOID = 0.45  # brightness of the picture where the label is void
_REGION, _HALO = (255, 255, 255), (16, 16, 20)
_BOX = (255, 59, 72)
_MAT = (24, 24, 28)  # beyond the border of the image, and between tiles


class Region(Protocol):
    """What a picture needs of a finding."""

    @property
    def x0(self) -> int: ...  # noqa: D102
    @property
    def y0(self) -> int: ...  # noqa: D102
    @property
    def x1(self) -> int: ...  # noqa: D102
    @property
    def y1(self) -> int: ...  # noqa: D102
    def mask(self) -> npt.NDArray[np.bool_]: ...  # noqa: D102


def cutout(region: Region, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Box ``x0, y0, x1, y1`` to show: the region with its surroundings, inside the image.

    It has the shape of a tile as far as the image (``shape``: height, width) allows.
    """
    h, w = shape
    ratio = TILE[0] / TILE[1]
    side_x = max((region.x1 - region.x0) * (1 + 2 * _MARGIN), _LEAST)
    side_y = max((region.y1 - region.y0) * (1 + 2 * _MARGIN), _LEAST / ratio)
    side_x, side_y = max(side_x, side_y * ratio), max(side_y, side_x / ratio)
    across, down = min(max(round(side_x), 1), w), min(max(round(side_y), 1), h)
    x0 = int(np.clip((region.x0 + region.x1 - across) // 2, 0, w - across))
    y0 = int(np.clip((region.y0 + region.y1 - down) // 2, 0, h - down))
    return x0, y0, x0 + across, y0 + down


def colour(indices: IndexMap, space: LabelSpace, image: Bytes | None) -> Bytes:
    """Class colours, blended over the picture where there is one; void stays as it is, darkened.

    Args:
        indices: ``(H, W)`` class indices; void is ``len(space)``.
        space: the label space.
        image: ``(H, W, 3)`` picture, or ``None`` for flat colours.

    Returns:
        ``(H, W, 3)`` uint8.
    """
    flat = space.palette[np.minimum(indices, len(space))]
    if image is None:
        return np.asarray(flat)
    mixed = image.astype(np.float32) * (1 - _BLEND) + flat.astype(np.float32) * _BLEND
    void = indices >= len(space)
    mixed[void] = image[void] * _VOID
    return mixed.astype(np.uint8)


def strip(
    region: Region, space: LabelSpace, image: Bytes | None, label: IndexMap, pred: IndexMap
) -> Image.Image:
    """Three tiles side by side: the picture with the box, the given label, the prediction.

    Without a picture the first tile is left out, and the box is drawn into the others. In the label and the
    prediction the region is outlined, white within dark, so that it shows on any colour.

    Args:
        region: box and mask in pixels of the label.
        space: label space.
        image: ``(H, W, 3)`` uint8, or ``None``.
        label: ``(H, W)`` class indices as given.
        pred: ``(H, W)`` class indices as predicted.

    Returns:
        An RGB picture of two or three tiles of size :data:`TILE`.
    """
    x0, y0, x1, y1 = cutout(region, (label.shape[0], label.shape[1]))
    scale = min(TILE[0] / (x1 - x0), TILE[1] / (y1 - y0))
    size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
    part = (slice(y0, y1), slice(x0, x1))
    under = None if image is None else resize(image[part], size, smooth=True)
    line, halo = _outline(resize(region.mask()[part], size, smooth=False))
    box = [(v - o) * scale for v, o in ((region.x0, x0), (region.y0, y0), (region.x1, x0), (region.y1, y0))]
    tiles = [] if under is None else [Image.fromarray(under)]
    for indices in (label, pred):
        coloured = colour(resize(indices[part], size, smooth=False), space, under)
        coloured[halo] = _HALO
        coloured[line] = _REGION
        tiles.append(Image.fromarray(coloured))
    for tile in tiles[:1] if image is not None else tiles:
        pen = ImageDraw.Draw(tile)
        pen.rectangle(_around(box, size, 5), outline=_HALO, width=1)
        pen.rectangle(_around(box, size, 4), outline=_BOX, width=2)
    return side_by_side(tiles)


def whole(space: LabelSpace, image: Bytes | None, label: IndexMap, pred: IndexMap) -> Image.Image:
    """The same tiles of a whole image, with nothing marked (see :func:`strip`)."""
    h, w = label.shape
    scale = min(TILE[0] / w, TILE[1] / h)
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    under = None if image is None else resize(image, size, smooth=True)
    layers = [colour(resize(indices, size, smooth=False), space, under) for indices in (label, pred)]
    return side_by_side([Image.fromarray(t) for t in ([] if under is None else [under]) + layers])


def tiles_of(size: tuple[int, int]) -> int:
    """Number of tiles in a strip of this size (width, height).

    >>> tiles_of((3 * TILE[0] + 2 * GAP, TILE[1]))
    3
    """
    return max(1, round((size[0] + GAP) / (TILE[0] + GAP)))


def save_strip(picture: Image.Image, path: Path) -> None:
    """Write a JPEG; class colours keep their full resolution."""
    with writing(path) as part:
        picture.save(part, "JPEG", quality=85, subsampling=0, optimize=True)


def side_by_side(tiles: list[Image.Image]) -> Image.Image:
    """A sheet of tiles, each in the middle of its place."""
    sheet = Image.new("RGB", (TILE[0] * len(tiles) + GAP * (len(tiles) - 1), TILE[1]), _MAT)
    for number, tile in enumerate(tiles):
        left = number * (TILE[0] + GAP) + (TILE[0] - tile.width) // 2
        sheet.paste(tile, (left, (TILE[1] - tile.height) // 2))
    return sheet


def _around(box: list[float], size: tuple[int, int], pad: int) -> list[float]:
    return [
        max(box[0] - pad, 0),
        max(box[1] - pad, 0),
        min(box[2] + pad, size[0] - 1),
        min(box[3] + pad, size[1] - 1),
    ]


def resize(array: npt.NDArray[Any], size: tuple[int, int], *, smooth: bool) -> npt.NDArray[Any]:
    """Bring an array to a size (width, height); ``smooth`` for ``(H, W, 3)`` pictures, not for indices."""
    if smooth:
        return np.asarray(Image.fromarray(np.ascontiguousarray(array)).resize(size, Image.Resampling.BICUBIC))
    h, w = array.shape[:2]
    rows = np.minimum((np.arange(size[1]) + 0.5) * h / size[1], h - 1).astype(int)
    cols = np.minimum((np.arange(size[0]) + 0.5) * w / size[0], w - 1).astype(int)
    return np.asarray(array[rows][:, cols])


def _outline(mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """A line of two pixels around a mask, and a halo of one pixel around the line.

    Around, not inside: a region may be no wider than the line.
    """
    outside = _shrink(_shrink(~mask))
    return ~mask & ~outside, outside & ~_shrink(outside)


def _shrink(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    inner = mask.copy()
    inner[1:] &= mask[:-1]
    inner[:-1] &= mask[1:]
    inner[:, 1:] &= mask[:, :-1]
    inner[:, :-1] &= mask[:, 1:]
    return inner
