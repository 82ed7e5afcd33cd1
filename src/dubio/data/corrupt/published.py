"""The image operations of de Jorge et al. (CVPR 2023), with the label moved where pixels move.

Different from the released code: geometric operations move the label, ``black_and_white`` doesn't darken
(its weights .3, .5, .11 add up to .91; ours are those of Rec. 601), sums are rounded and not cut, and salt
and pepper, Poisson and speckle noise run. How many levels ``rotate`` and ``rotate_upside_down`` have, whose
range is published, is our choice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageEnhance, ImageFilter, ImageOps

from dubio.core.labelspace import IndexMap
from dubio.data.corrupt.arrays import F, Image, Rng, to_bytes

REC_601 = (0.299, 0.587, 0.114)
PUBLISHED_GREY = (0.3, 0.5, 0.11)
_LEVELS = 90
_FACTORS = tuple(np.linspace(0.2, 1.8, _LEVELS).tolist())
_ANGLES = tuple(np.linspace(-60, 60, _LEVELS).tolist())
Apply = Callable[[Image, float, Rng], Image]


@dataclass(frozen=True)
class Operation:
    """One published operation.

    Args:
        code: its published code, ``t0`` …; those of the noise tools have none.
        levels: the values it takes, by level; one of 0 if it has none.
        apply: takes the image, the value and randomness; ``None``: it turns the image.
        turn: degrees to add to the value, for turning.
    """

    code: str
    levels: tuple[float, ...]
    apply: Apply | None
    turn: float = 0


def _enhance(tool: Callable[[Pillow.Image], ImageEnhance._Enhance]) -> Apply:
    return lambda image, value, rng: np.array(tool(Pillow.fromarray(image)).enhance(value))


def solarize(image: Image, value: float, rng: Rng) -> Image:
    """Invert all values from a threshold on."""
    return np.array(ImageOps.solarize(Pillow.fromarray(image), int(value)))


def shift_channels(image: Image, shifts: npt.NDArray[np.int64]) -> Image:
    """Add a number to each channel, clipped."""
    return np.clip(image.astype(np.int16) + shifts.astype(np.int16), 0, 255).astype(np.uint8)


def black_and_white(image: Image, weights: tuple[float, float, float] = REC_601) -> Image:
    """Turn to grey; :data:`PUBLISHED_GREY` are the published weights, which darken."""
    grey = to_bytes(np.asarray(image @ np.array(weights, F), F))
    return np.repeat(grey[..., None], 3, axis=2)


def add_noise(image: Image, noise: npt.NDArray[np.floating]) -> Image:
    """Add noise of the image's shape, rounded and clipped."""
    return to_bytes((image + noise).astype(F))


def salt_and_pepper(image: Image, value: float, rng: Rng) -> Image:
    """Set 0.4 % of the values to white or black, half each."""
    out = image.copy()
    flat = out.reshape(-1)
    count = int(np.ceil(0.004 * flat.size / 2))
    places = rng.integers(flat.size, size=(2, count))
    flat[places[0]], flat[places[1]] = 255, 0
    return out


def poisson(image: Image, value: float, rng: Rng) -> Image:
    """Draw each value from a Poisson distribution of as many photons as its 8-bit level."""
    return to_bytes(rng.poisson(image.astype(F) * F(256 / 255)).astype(F) * F(255 / 256))


def speckle(image: Image, value: float, rng: Rng) -> Image:
    """Add the image times standard normal noise, one draw per value."""
    return to_bytes(image * (1 + rng.standard_normal(image.shape, F)))


OPERATIONS: dict[str, Operation] = {
    "identity": Operation("t0", (0.0,), lambda image, value, rng: image.copy()),
    "brightness": Operation("t1", _FACTORS, _enhance(ImageEnhance.Brightness)),
    "color": Operation("t2", _FACTORS, _enhance(ImageEnhance.Color)),
    "contrast": Operation("t3", _FACTORS, _enhance(ImageEnhance.Contrast)),
    "solarize": Operation("t4", tuple(np.linspace(255, 75, _LEVELS).tolist()), solarize),
    "RGB_rand": Operation(
        "t5",
        tuple(np.linspace(1, 120, _LEVELS).astype(int).tolist()),
        lambda image, value, rng: shift_channels(image, rng.integers(-int(value), int(value), 3)),
    ),
    "black_and_white": Operation("t6", (0.0,), lambda image, value, rng: black_and_white(image)),
    "invert": Operation("t7", (0.0,), lambda image, value, rng: 255 - image),
    "rotate": Operation("t8", _ANGLES, None),
    "rotate_90": Operation("t9", (0.0,), None, 90),
    "rotate_180": Operation("t10", (0.0,), None, 180),
    "rotate_270": Operation("t11", (0.0,), None, 270),
    "rotate_upside_down": Operation("t12", _ANGLES, None, 180),
    "gaussian_noise": Operation(
        "t13",
        tuple(np.linspace(0, 30, 20).tolist()),
        lambda image, value, rng: add_noise(image, rng.standard_normal(image.shape, F) * F(value)),
    ),
    "blur": Operation(
        "t14", (0.0,), lambda image, value, rng: np.array(Pillow.fromarray(image).filter(ImageFilter.BLUR))
    ),
    "salt_and_pepper": Operation("", (0.0,), salt_and_pepper),
    "poisson": Operation("", (0.0,), poisson),
    "speckle": Operation("", (0.0,), speckle),
}


def turn(image: Image, label: IndexMap | None, angle: float, void: int) -> tuple[Image, IndexMap | None]:
    """Turn image (bilinearly) and label (to the nearest) counter-clockwise by degrees.

    Quarter turns are exact and swap height and width, as a photograph that is turned. By other angles the
    size stays; what comes from outside is black, and void in the label.
    """
    if angle % 90 == 0:
        quarters = int(angle // 90) % 4
        moved = None if label is None else np.ascontiguousarray(np.rot90(label, quarters))
        return np.ascontiguousarray(np.rot90(image, quarters)), moved
    out = np.array(Pillow.fromarray(image).rotate(angle, Pillow.Resampling.BILINEAR))
    if label is None:
        return out, None
    # mode I holds any class index
    picture = Pillow.fromarray(label.astype(np.int32))
    turned = picture.rotate(angle, Pillow.Resampling.NEAREST, fillcolor=void)
    return out, np.array(turned).astype(label.dtype)
