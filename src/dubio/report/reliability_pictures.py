"""A strip per image: picture, label, prediction, and where the model errs without a doubt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from dubio.core.labelspace import LabelSpace
from dubio.report.pictures import TILE, colour, resize, save_strip, side_by_side

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_LEAST = 96  # height of a strip, however flat the image
_DIM = 0.3  # brightness of the picture where the prediction is right
_FLAT = 96  # its grey where there is no picture
# Colours of an error from fully doubted to fully sure: brightness tells them apart without colour, too.
_DOUBTED, _SURE = (112, 84, 40), (255, 40, 62)
_HATCH, _HATCH_STEP = (58, 92), 8  # greys of void, and the width of a pair of its stripes
# Low to high temperature, dark blue over grey to yellow: readable to the colour-blind.
_RAMP = np.array([(0, 32, 77), (60, 77, 110), (124, 123, 120), (187, 175, 113), (255, 234, 70)], np.float64)


def draw_examined(
    path: Path,
    image: Bytes | None,
    label: npt.NDArray[np.integer[Any]],
    pred: npt.NDArray[np.integer[Any]],
    doubt: Floats,
    space: LabelSpace,
    temperature: Floats | None = None,
) -> list[str]:
    """Draw what a model made of an image, as tiles side by side, and write a JPEG.

    Errors glow the redder the surer the model is; errors that it doubts are a dim brown. Right pixels are
    dim, void ones of the label are hatched. A predicted void where the label has a class is an error.

    Args:
        path: the JPEG to write; missing folders are made.
        image: ``(H, W, 3)`` uint8, or ``None``: its tile is left out.
        label: ``(H, W)`` class indices; ``len(space)`` and above, or negative, is void.
        pred: ``(H, W)`` predicted class indices; ``len(space)`` and above is void.
        doubt: ``(H, W)`` one minus the confidence, in [0, 1]; NaN is drawn as full doubt.
        space: the label space.
        temperature: ``(H, W)`` temperature of each pixel, positive, if a calibrator has one; not finite is
            left black.

    Returns:
        Titles of the tiles, from left to right.

    Raises:
        InputError: the file can't be written.
    """
    size = _fit(label.shape[0], label.shape[1])
    given, guess = (_indices(resize(a, size, smooth=False), space) for a in (label, pred))
    under = None if image is None else resize(image, size, smooth=True)
    tiles = [] if under is None else [("image", under)]
    tiles += [("label", colour(given, space, under)), ("prediction", colour(guess, space, under))]
    title = "errors: bright red is wrong and sure; hatched is void"
    tiles.append((title, _errors(given, guess, resize(doubt, size, smooth=False), space, under)))
    if temperature is not None:
        tiles.append(_temperatures(resize(temperature, size, smooth=False)))
    save_strip(_trimmed([Image.fromarray(tile) for _, tile in tiles]), path)
    return [name for name, _ in tiles]


def _fit(h: int, w: int) -> tuple[int, int]:
    """Width and height of the content of a tile."""
    scale = min(TILE[0] / w, TILE[1] / h)
    return max(1, round(w * scale)), max(1, round(h * scale))


def _indices(values: npt.NDArray[Any], space: LabelSpace) -> npt.NDArray[Any]:
    """Class indices with every void value ``len(space)``."""
    void = len(space)
    return np.where((values < 0) | (values > void), void, values).astype(np.uint16)


def _errors(
    label: npt.NDArray[Any], pred: npt.NDArray[Any], doubt: npt.NDArray[Any], space: LabelSpace,
    image: Bytes | None,
) -> Bytes:  # fmt: skip
    """Errors in the colour of their confidence over the dimmed picture."""
    sure = 1 - np.clip(np.nan_to_num(doubt.astype(np.float32), nan=1.0), 0, 1)[..., None]
    grey = np.full(label.shape, _FLAT, np.float32) if image is None else image.mean(-1, dtype=np.float32)
    drawn = np.repeat(grey[..., None] * _DIM, 3, axis=-1)
    wrong = pred != label
    share = sure[wrong] ** 2  # a coin's toss is doubt, not half of certainty
    drawn[wrong] = np.array(_DOUBTED) * (1 - share) + np.array(_SURE) * share
    rows, cols = np.indices(label.shape)
    stripes = np.where((rows + cols) % _HATCH_STEP < _HATCH_STEP // 2, *_HATCH)
    void = label >= len(space)
    drawn[void] = stripes[void][:, None]
    return drawn.astype(np.uint8)


def _temperatures(values: npt.NDArray[Any]) -> tuple[str, Bytes]:
    """The map of temperatures on a logarithmic scale, with its range as title."""
    known = np.isfinite(values) & (values > 0)
    drawn = np.zeros((*values.shape, 3), np.uint8)
    if not known.any():
        return "temperature: none", drawn
    low, high = float(values[known].min()), float(values[known].max())
    span = np.log(high / low) if high > low else 1.0
    place = np.log(values[known].astype(np.float64) / low) / span
    stops = np.linspace(0, 1, len(_RAMP))
    drawn[known] = np.stack([np.interp(place, stops, _RAMP[:, c]) for c in range(3)], axis=-1)
    return f"temperature: {low:.2f} (dark) to {high:.2f} (yellow)", drawn


def _trimmed(tiles: list[Image.Image]) -> Image.Image:
    """The sheet without the empty bands above and below wide images."""
    sheet = side_by_side(tiles)
    height = max(tiles[0].height, _LEAST)
    top = (TILE[1] - height) // 2
    return sheet.crop((0, top, sheet.width, top + height))
