"""Scores of whole images: resized to what the network wants, or under a sliding window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from dubio.core.errors import InputError
from dubio.models.base import SegModel
from dubio.models.card import Size
from dubio.models.pixels import Floats, Image, prepare, resize_channels


def predict_scores(
    model: SegModel,
    images: Sequence[Image],
    *,
    size: Size | Sequence[Size | None] | None = None,
    window: Size | None = None,
    overlap: float | None = None,
    batch_size: int = 8,
    amp: bool = False,
) -> list[Floats]:
    """Score images.

    Images whose network input has the same size run as one batch. Under a sliding window the scores of
    overlapping windows are averaged with weights that fall towards a window's border, where a network
    sees little context.

    Args:
        model: the network.
        images: each ``(H, W, 3)`` uint8 RGB; sizes may differ.
        size: height and width of the scores, for all or one for each image; default: the image's own.
        window: height and width of a sliding window; default: the card's (none: whole images).
        overlap: share by which windows overlap, in [0, 1); default: the card's.
        batch_size: the most images or windows in one run; results don't depend on it.
        amp: mixed precision on a GPU.

    Returns:
        One ``(K, H, W)`` float32 array per image, in the kind that ``model.kind`` says.

    Raises:
        InputError: an image isn't ``(H, W, 3)`` uint8, or the network can't be run.
    """
    for image in images:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise InputError(f"an image is (H, W, 3) uint8 RGB, not {image.shape} {image.dtype}")
    goals = _goals(images, size)
    window = window or model.card.window
    if window is not None:
        share = model.card.overlap if overlap is None else overlap
        if not 0 <= share < 1:
            raise InputError(f"windows can't overlap by {share}", remedy="give a share in [0, 1)")
        scores = [_slide(model, image, window, (share, batch_size, amp)) for image in images]
        return [resize_channels(s, goal, model.kind) for s, goal in zip(scores, goals, strict=True)]
    return _whole(model, images, goals, batch_size, amp)


def _goals(images: Sequence[Image], size: Size | Sequence[Size | None] | None) -> list[Size]:
    own = [(int(i.shape[0]), int(i.shape[1])) for i in images]
    if size is None:
        return own
    if len(size) == 2 and isinstance(size[0], int) and isinstance(size[1], int):
        return [(size[0], size[1])] * len(images)
    wanted: list[Size | None] = list(size)  # type: ignore[arg-type]  # a single size was handled above
    return [w or o for w, o in zip(wanted, own, strict=True)]


def _whole(
    model: SegModel, images: Sequence[Image], goals: Sequence[Size], batch_size: int, amp: bool
) -> list[Floats]:
    groups: dict[Size, list[int]] = defaultdict(list)
    for number, image in enumerate(images):
        groups[model.card.input_size(*image.shape[:2])].append(number)
    out: list[Floats | None] = [None] * len(images)
    for size, members in groups.items():
        for start in range(0, len(members), batch_size):
            part = members[start : start + batch_size]
            batch = np.concatenate([prepare([images[n]], model.card, size) for n in part])
            for number, scores in zip(part, model.run(batch, amp=amp), strict=True):
                out[number] = resize_channels(scores, goals[number], model.kind)
    return [scores for scores in out if scores is not None]


def _slide(model: SegModel, image: Image, window: Size, options: tuple[float, int, bool]) -> Floats:
    overlap, batch_size, amp = options
    height, width = image.shape[:2]
    tile = (min(window[0], height), min(window[1], width))
    if model.card.size is not None:
        tile = window  # a network of fixed size: small images are filled up, not stretched
    places = [
        (top, left)
        for top in window_starts(height, tile[0], overlap)
        for left in window_starts(width, tile[1], overlap)
    ]
    weight = _weights(tile)
    total = np.zeros((model.n_channels, height, width), np.float32)
    norm = np.zeros((height, width), np.float32)
    for part in _chunks(places, batch_size):
        batch = np.concatenate([_tile(model, image, place, tile) for place in part])
        for (top, left), scores in zip(part, model.run(batch, amp=amp), strict=True):
            full = resize_channels(scores, tile, model.kind)
            bottom, right = min(top + tile[0], height), min(left + tile[1], width)
            inside = np.s_[: bottom - top, : right - left]
            total[:, top:bottom, left:right] += (full * weight)[:, *inside]
            norm[top:bottom, left:right] += weight[inside]
    total /= norm
    return total


def _tile(model: SegModel, image: Image, place: Size, tile: Size) -> Floats:
    top, left = place
    piece = image[top : top + tile[0], left : left + tile[1]]
    if model.card.size is not None:
        batch = prepare([piece], model.card)
        # Zero is the mean colour once pixels are normalised.
        gaps = ((0, 0), (0, 0), (0, tile[0] - piece.shape[0]), (0, tile[1] - piece.shape[1]))
        return np.pad(batch, gaps)
    return prepare([piece], model.card, model.card.input_size(*tile))


def window_starts(length: int, window: int, overlap: float) -> list[int]:
    """First pixels of windows that cover a length evenly and overlap at least by a share.

    >>> window_starts(10, 4, 0.25)
    [0, 3, 6]
    >>> window_starts(3, 4, 0.25)
    [0]
    """
    if length <= window:
        return [0]
    step = max(1, int(window * (1 - overlap)))
    count = -(-(length - window) // step) + 1
    return [round(n * (length - window) / (count - 1)) for n in range(count)]


def _weights(tile: Size) -> Floats:
    """A pyramid that falls to a small positive value at the border."""
    rows, columns = (np.minimum(np.arange(n) + 1, n - np.arange(n)) / ((n + 1) / 2) for n in tile)
    return np.outer(rows, columns).astype(np.float32)


def _chunks(items: Sequence[Size], size: int) -> Iterator[Sequence[Size]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
