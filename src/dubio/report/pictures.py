"""A picture per finding: image, given label and prediction, cut out around the region."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from dubio.core.files import writing
from dubio.core.labelspace import IndexMap, LabelSpace

Bytes = npt.NDArray[np.uint8]

# Height of a tile in the strip, pixels; three tiles side by side fit a laptop's screen.
_TILE = 300
# The cut-out shows the region with this much of its size around it, and at least so many pixels.
_MARGIN, _LEAST = 0.9, 96
_WIDEST = 1.6  # width / height of a tile at most
_BLEND = 0.55  # strength of class colours over the picture
_REGION = (255, 255, 255)
_BOX = (255, 64, 64)


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
    """Box ``x0, y0, x1, y1`` to show: the region with its surroundings, inside the image."""
    h, w = shape
    side_x = max((region.x1 - region.x0) * (1 + 2 * _MARGIN), _LEAST)
    side_y = max((region.y1 - region.y0) * (1 + 2 * _MARGIN), _LEAST)
    # a tile is neither a strip nor a tower
    side_x, side_y = max(side_x, side_y / 1.2), max(side_y, side_x / _WIDEST)
    side_x, side_y = min(side_x, w), min(side_y, h)
    cx, cy = (region.x0 + region.x1) / 2, (region.y0 + region.y1) / 2
    x0 = int(np.clip(cx - side_x / 2, 0, w - side_x))
    y0 = int(np.clip(cy - side_y / 2, 0, h - side_y))
    return x0, y0, int(x0 + side_x), int(y0 + side_y)


def colour(indices: IndexMap, space: LabelSpace, image: Bytes | None) -> Bytes:
    """Class colours, blended over the picture where there is one; void stays as it is, darkened."""
    flat = space.palette[np.minimum(indices, len(space))]
    if image is None:
        return np.asarray(flat)
    mixed = image.astype(np.float32) * (1 - _BLEND) + flat.astype(np.float32) * _BLEND
    void = indices >= len(space)
    mixed[void] = image[void] * 0.4
    return mixed.astype(np.uint8)


def strip(
    region: Region, space: LabelSpace, image: Bytes | None, label: IndexMap, pred: IndexMap
) -> Image.Image:
    """Three tiles side by side: the picture with the box, the given label, the prediction.

    Without a picture the first tile is left out. The region is outlined in white in all tiles.
    """
    x0, y0, x1, y1 = cutout(region, (label.shape[0], label.shape[1]))
    scale = _TILE / (y1 - y0)
    size = (max(1, round((x1 - x0) * scale)), _TILE)
    part = (slice(y0, y1), slice(x0, x1))
    under = None if image is None else _resize(image[part], size, smooth=True)
    outline = _outline(region.mask()[part], size)
    box = [(v - o) * scale for v, o in ((region.x0, x0), (region.y0, y0), (region.x1, x0), (region.y1, y0))]
    tiles = [] if under is None else [Image.fromarray(under)]
    for indices in (label, pred):
        enlarged = _resize(indices[part], size, smooth=False)
        tile = colour(enlarged, space, under)
        tile[outline] = _REGION
        tiles.append(Image.fromarray(tile))
    for tile in tiles[:1] if image is not None else tiles:
        ImageDraw.Draw(tile).rectangle(_around(box, size), outline=_BOX, width=2)
    gap = 4
    sheet = Image.new("RGB", (sum(t.width for t in tiles) + gap * (len(tiles) - 1), _TILE), (255, 255, 255))
    left = 0
    for tile in tiles:
        sheet.paste(tile, (left, 0))
        left += tile.width + gap
    return sheet


def _around(box: list[float], size: tuple[int, int]) -> list[float]:
    pad = 4
    return [
        max(box[0] - pad, 0),
        max(box[1] - pad, 0),
        min(box[2] + pad, size[0] - 1),
        min(box[3] + pad, size[1] - 1),
    ]


def _resize(array: npt.NDArray[Any], size: tuple[int, int], *, smooth: bool) -> npt.NDArray[Any]:
    if smooth:
        return np.asarray(Image.fromarray(np.ascontiguousarray(array)).resize(size, Image.Resampling.BICUBIC))
    h, w = array.shape[:2]
    rows = np.minimum((np.arange(size[1]) + 0.5) * h / size[1], h - 1).astype(int)
    cols = np.minimum((np.arange(size[0]) + 0.5) * w / size[0], w - 1).astype(int)
    return np.asarray(array[rows][:, cols])


def _outline(mask: npt.NDArray[np.bool_], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    big = _resize(mask, size, smooth=False)
    inner = big.copy()
    inner[1:] &= big[:-1]
    inner[:-1] &= big[1:]
    inner[:, 1:] &= big[:, :-1]
    inner[:, :-1] &= big[:, 1:]
    return np.asarray(big & ~inner)


def save_strip(picture: Image.Image, path: Path) -> None:
    """Write a JPEG (quality 88, about 30 KB)."""
    with writing(path) as part:
        picture.save(part, "JPEG", quality=88, subsampling=0)
