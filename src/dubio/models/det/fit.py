"""Images into the input of a detector, and boxes back into the image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import Floats
from dubio.models.det.specs import InputSpec, Size, Triple
from dubio.models.pixels import resize_image

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Placed:
    """Where an image lies in the input of a network.

    Args:
        scale: pixels of the input per pixel of the image, for x and y.
        shift: x and y of the image's corner in the input.
        size: height and width of the image.

    >>> placed = Placed((2.0, 2.0), (0.0, 8.0), (10, 20))
    >>> placed.boxes_back(np.array([[4.0, 8, 60, 18]])).tolist()
    [[2.0, 0.0, 20.0, 5.0]]
    """

    scale: tuple[float, float]
    shift: tuple[float, float]
    size: Size

    def boxes_back(self, boxes: Floats) -> Floats:
        """Boxes ``(N, 4)`` of the input in pixels of the image, cut at its border."""
        height, width = self.size
        found = (boxes - np.tile(self.shift, 2)) / np.tile(self.scale, 2)
        return np.asarray(np.clip(found, 0, [width, height, width, height]))

    def variances_back(self, variances: Floats) -> Floats:
        """Variances ``(N, 4)`` in square pixels of the image; the cut at the border doesn't change them."""
        return np.asarray(variances / np.tile(self.scale, 2) ** 2)


def place(size: Size, spec: InputSpec, goal: Size) -> tuple[Placed, Size]:
    """Where an image of this size goes in an input of the size ``goal``, and the size it gets there.

    The scales are those of the rounded size, so that boxes go back to where they came from exactly.
    """
    height, width = size
    new = goal
    if spec.fit == "letterbox":
        ratio = min(goal[0] / height, goal[1] / width)
        new = max(1, round(height * ratio)), max(1, round(width * ratio))
    free = (goal[0] - new[0], goal[1] - new[1])
    top, left = (free[0] // 2, free[1] // 2) if spec.align == "center" else (0, 0)
    return Placed((new[1] / width, new[0] / height), (float(left), float(top)), size), new


def prepare(image: Image, spec: InputSpec, goal: Size) -> tuple[npt.NDArray[np.float32], Placed]:
    """Turn an RGB image into the input of a detector.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        spec: how pixels go in.
        goal: height and width of the input.

    Returns:
        ``(3, h, w)`` float32, and where the image lies in it. Images are resized bilinearly, smoothed when
        they shrink.

    >>> spec = InputSpec(scale="0-255", pad=(7, 7, 7))
    >>> prepared, placed = prepare(np.full((4, 8, 3), 200, np.uint8), spec, (8, 8))
    >>> prepared[0, :, 0].tolist()
    [200.0, 200.0, 200.0, 200.0, 7.0, 7.0, 7.0, 7.0]
    """
    placed, new = place((image.shape[0], image.shape[1]), spec, goal)
    resized = resize_image(image, new)
    if spec.channels == "bgr":
        resized = resized[..., ::-1]
    left, top = (int(v) for v in placed.shift)
    canvas = np.empty((3, *goal), np.float32)
    if new != goal:
        canvas[:] = np.array(spec.pad, np.float32)[:, None, None]
    canvas[:, top : top + new[0], left : left + new[1]] = resized.transpose(2, 0, 1)
    gain, shift = _normalisation(spec.scale, spec.mean, spec.std)
    canvas *= gain
    canvas -= shift
    return canvas, placed


@lru_cache(8)
def _normalisation(
    scale: str, mean: Triple, std: Triple
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """What pixels are multiplied by, and what is taken off then, both ``(3, 1, 1)``."""
    unit, spread = 255.0 if scale == "0-1" else 1.0, np.array(std, np.float64)
    gain, shift = 1 / (unit * spread), np.array(mean, np.float64) / spread
    return gain.astype(np.float32)[:, None, None], shift.astype(np.float32)[:, None, None]
