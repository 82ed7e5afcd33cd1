"""Boxes that are numbers of another kind than the format says: told, never mended."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import Floats

_SLACK = 0.5  # pixels: rounded numbers leave an image by a little
_FEWEST = 5  # boxes that say something about all
_CORNER_AND_SIZE = ("coco", "coda")
_UNIT = 2.0  # largest corner of boxes in parts of the image, were they read as x, y, width, height


def sentence_on_places(name: str, boxes: Floats, sizes: Floats) -> str | None:
    """Say how many boxes leave their image, and what may be wrong if most do.

    Args:
        name: name of the format.
        boxes: ``(N, 4)`` x1, y1, x2, y2 in pixels.
        sizes: ``(N, 2)`` width and height of each box's image; infinite: not known.

    Returns:
        One sentence; ``None`` if there is nothing to say.

    >>> sentence_on_places("coco", np.array([[50.0, 50, 130, 130]] * 5), np.full((5, 2), 100.0))
    '5 of 5 boxes leave their image: are they x, y, right, bottom in place of x, y, width, height?'
    >>> sentence_on_places("csv", np.array([[0.1, 0.2, 0.3, 0.4]] * 5), np.full((5, 2), np.inf))
    'all boxes are smaller than a pixel: are they parts of the image in place of pixels?'
    """
    n = len(boxes)
    if n >= _FEWEST and _are_parts(boxes):
        return "all boxes are smaller than a pixel: are they parts of the image in place of pixels?"
    beyond, known = _leave(boxes, sizes), np.isfinite(sizes).all(axis=1)
    sure = beyond & known
    if sure.sum() < _FEWEST or 2 * sure.sum() <= known.sum():
        return f"{beyond.sum()} boxes leave their image by more than half a pixel" if beyond.any() else None
    return f"{beyond.sum()} of {n} boxes leave their image: {_guess(name, boxes[sure], sizes[sure])}"


def _leave(boxes: Floats, sizes: Floats) -> npt.NDArray[np.bool_]:
    return np.asarray(((boxes[:, :2] < -_SLACK) | (boxes[:, 2:] > sizes + _SLACK)).any(axis=1))


def _are_parts(boxes: Floats) -> bool:
    inside = bool((boxes >= 0).all() and (boxes <= _UNIT).all())
    return inside and bool((boxes[:, 2:] - boxes[:, :2] <= 1).all()) and bool((boxes % 1 > 0).any())


def _guess(name: str, boxes: Floats, sizes: Floats) -> str:
    """What the boxes may be; a guess must hold for most of those that leave their image."""
    whole = (boxes[:, 2:] - boxes[:, :2]).clip(0)
    if name in _CORNER_AND_SIZE and _most((whole > boxes[:, :2]) & (whole <= sizes + _SLACK)):
        return "are they x, y, right, bottom in place of x, y, width, height?"
    if name == "yolo" and _most(whole > 2 * sizes):
        return "are they pixels in place of parts of the image?"
    return "do the labels belong to these images, and are their sizes right?"


def _most(fits: npt.NDArray[np.bool_]) -> bool:
    return 2 * int(fits.all(axis=1).sum()) > len(fits)
