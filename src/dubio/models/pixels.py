"""From images to the input of a network, and from its scores back to the size of the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.records import ScoreKind
from dubio.models.card import ModelCard, Size

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def resize_image(image: Image, size: Size, mode: str = "bilinear") -> Image:
    """Resize an RGB image ``(H, W, 3)`` to ``size`` (height, width) with Pillow's filter ``mode``."""
    if image.shape[:2] == tuple(size):
        return image
    from PIL import Image as Pillow

    filters = Pillow.Resampling
    how = {
        "bilinear": filters.BILINEAR,
        "bicubic": filters.BICUBIC,
        "box": filters.BOX,
        "nearest": filters.NEAREST,
    }[mode]
    return np.asarray(Pillow.fromarray(image).resize((size[1], size[0]), how))


def prepare(images: Sequence[Image], card: ModelCard, size: Size | None = None) -> Floats:
    """Turn RGB images of equal size into a batch as the card wants it.

    Args:
        images: each ``(H, W, 3)`` uint8 RGB.
        card: the network's card.
        size: height and width of the batch; ``None`` keeps the images' size.

    Returns:
        ``(B, 3, h, w)`` float32 in the card's channel order and scale.

    >>> card = ModelCard(channels="bgr", scale="0-255", mean=(0, 0, 0), std=(1, 1, 1))
    >>> prepare([np.array([[[1, 2, 3]]], np.uint8)], card)[0, :, 0, 0].tolist()
    [3.0, 2.0, 1.0]
    """
    if size is not None:
        images = [resize_image(image, size, card.resize) for image in images]
    pixels = np.stack(images)
    if card.channels == "bgr":
        pixels = pixels[..., ::-1]
    unit = 255.0 if card.scale == "0-1" else 1.0
    std = np.asarray(card.std, np.float64)
    gain = (1.0 / (unit * std)).astype(np.float32)
    shift = (np.asarray(card.mean, np.float64) / std).astype(np.float32)
    batch = np.empty((len(images), 3, *pixels.shape[1:3]), np.float32)
    for channel in range(3):
        np.multiply(pixels[..., channel], gain[channel], out=batch[:, channel])
        batch[:, channel] -= shift[channel]
    return batch


def resize_channels(scores: npt.NDArray[Any], size: Size, kind: ScoreKind = "logits") -> Floats:
    """Resize scores ``(K, h, w)`` bilinearly to ``(K, H, W)`` float32, whatever the aspect ratio.

    A network's input may have been stretched, so its scores are stretched back.
    """
    if scores.shape[1:] == tuple(size):
        return np.asarray(scores, np.float32)
    from dubio.data.resize import resize_scores

    return resize_scores(scores, size, kind, aspect_tolerance=math.inf)
