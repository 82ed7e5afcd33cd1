"""What the corruptions share: types, rounding, blurs by transforms, layers of noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from scipy import fft

Image = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]
Rng = np.random.Generator
F = np.float32


def to_bytes(values: Plane) -> Image:
    """Round and clip values of 0 … 255; overwrites them."""
    np.rint(values, out=values)
    np.clip(values, 0, 255, out=values)
    return values.astype(np.uint8)


def blur_gaussian(values: Plane, sigma: float) -> Plane:
    """Blur the first two axes by a Gaussian; mirrored at the border, at the same cost for any width."""
    height, width = values.shape[:2]
    rows, columns = (
        np.exp(-0.5 * (sigma * np.pi * np.arange(n) / n) ** 2).astype(F) for n in (height, width)
    )
    return _filtered(values, np.outer(rows, columns))


def blur_symmetric(values: Plane, kernel: npt.NDArray[np.float64]) -> Plane:
    """Convolve the first two axes with a kernel of odd size that is symmetric in both; mirrored border."""
    factors = []
    for length, size in zip(values.shape[:2], kernel.shape, strict=True):
        steps = np.arange(size) - size // 2
        factors.append(np.cos(np.pi * np.outer(np.arange(length), steps) / length))
    return _filtered(values, (factors[0] @ kernel @ factors[1].T).astype(F))


def _filtered(values: Plane, gain: Plane) -> Plane:
    # The cosine transform takes its input as mirrored at the border: a product is a mirrored convolution.
    waves = fft.dctn(values, axes=(0, 1), overwrite_x=False)
    waves *= gain if values.ndim == 2 else gain[..., None]
    return np.asarray(fft.idctn(waves, axes=(0, 1), overwrite_x=True), F)


def blur_along(values: Plane, radius: int, sigma: float, angle: float) -> Plane:
    """Smear the first two axes along a line: half a Gaussian, as a moving camera leaves it.

    The weights are centred on their mean, so that nothing is displaced against its label.

    Args:
        values: ``(H, W)`` or ``(H, W, 3)``.
        radius: length of the line in pixels.
        sigma: standard deviation of the weights, pixels.
        angle: direction in degrees.
    """
    steps = np.arange(radius + 1, dtype=np.float64)
    weights = np.exp(-0.5 * (steps / max(sigma, 1e-6)) ** 2)
    weights /= weights.sum()
    steps -= weights @ steps
    reach = int(np.ceil(np.abs(steps).max())) + 1
    rows = reach + steps * np.sin(np.deg2rad(angle))
    columns = reach + steps * np.cos(np.deg2rad(angle))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    low_r, low_c = np.floor(rows).astype(int), np.floor(columns).astype(int)
    for down in (0, 1):
        for right in (0, 1):
            share = np.abs(1 - down - (rows - low_r)) * np.abs(1 - right - (columns - low_c))
            np.add.at(kernel, (low_r + down, low_c + right), weights * share)
    padded = np.pad(values, [(reach, reach)] * 2 + [(0, 0)] * (values.ndim - 2), mode="symmetric")
    size = [fft.next_fast_len(n, real=True) for n in padded.shape[:2]]
    gain = fft.rfft2(kernel.astype(F), s=size)
    waves = fft.rfft2(padded, s=size, axes=(0, 1))
    waves *= gain if values.ndim == 2 else gain[..., None]
    out = fft.irfft2(waves, s=size, axes=(0, 1), overwrite_x=True)
    inside = np.s_[2 * reach : 2 * reach + values.shape[0], 2 * reach : 2 * reach + values.shape[1]]
    return np.ascontiguousarray(out[inside], F)


def enlarge(plane: npt.NDArray[Any], size: tuple[int, int], how: str = "bicubic") -> Plane:
    """Resize a plane ``(h, w)`` of floats to ``size`` (height, width), smoothly."""
    ways = {"bicubic": Pillow.Resampling.BICUBIC, "bilinear": Pillow.Resampling.BILINEAR}
    picture = Pillow.fromarray(np.ascontiguousarray(plane, F))
    return np.asarray(picture.resize((size[1], size[0]), ways[how]))


def base_size(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """Size of an image at the scale for which the parameters were made."""
    return max(1, round(size[0] / factor)), max(1, round(size[1] / factor))


def clouds(size: tuple[int, int], decay: float, finest: float, rng: Rng) -> Plane:
    """A fractal map of 0 … 1: each octave is half as coarse and weighs ``1 / decay`` of the one before.

    Args:
        size: height and width.
        decay: the larger, the smoother.
        finest: length of the finest octave in pixels.
        rng: randomness.
    """
    short = min(size)
    total, weight, cells = np.zeros(size, F), 1.0, 2
    while True:
        grid = [max(2, round(cells * n / short)) for n in size]
        total += F(weight) * enlarge(rng.uniform(-1, 1, grid), size)
        if short / cells <= finest:
            break
        weight, cells = weight / decay, cells * 2
    total -= total.min()
    peak = float(total.max())
    return total / F(peak) if peak > 0 else total
