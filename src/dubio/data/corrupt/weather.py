"""Fog, frost, snow, brightness and spatter.

Layers (clouds, flakes, crystals, drops) are made at the scale of the parameters and enlarged with the image.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageDraw
from scipy import ndimage

from dubio.data.corrupt.arrays import (
    F,
    Image,
    Plane,
    Rng,
    base_size,
    blur_along,
    blur_gaussian,
    clouds,
    enlarge,
    to_bytes,
)

_GREY = np.array([0.299, 0.587, 0.114], F)
_ICE = np.array([0.86, 0.94, 1.0], F)
_MUD, _WATER = np.array([63, 42, 20], F), np.array([175, 238, 238], F)
_NEEDLES, _CANVAS = 70, 512
Place = npt.NDArray[np.float64]


def brightness(image: Image, severity: int, rng: Rng, factor: float) -> Image:
    """Raise the value (of HSV) at constant hue and saturation."""
    shift = 255 * (0.1, 0.2, 0.3, 0.4, 0.5)[severity - 1]
    level = np.arange(256, dtype=F)
    gain = np.minimum(level + F(shift), 255) / np.maximum(level, 1)
    top = image.max(axis=2, keepdims=True)
    # black has no hue: it becomes grey
    return to_bytes(np.where(top > 0, image * gain[top], F(shift)))


def fog(image: Image, severity: int, rng: Rng, factor: float) -> Image:
    """Lay a fractal bank of fog over the image; dark images get as much of it as bright ones."""
    amount, decay = ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))[severity - 1]
    bank = clouds((image.shape[0], image.shape[1]), decay, factor, rng)
    out = image.astype(F)
    out += F(255 * amount) * bank[..., None]
    out *= F(1 / (1 + amount))
    return to_bytes(out)


def frost(image: Image, severity: int, rng: Rng, factor: float) -> Image:
    """Lay ice over the image.

    The published corruption shows photographs of frost, which are not ours to pass on: this ice is drawn,
    feathered crystals that grow from the border and from some seeds, on a thin haze. Weights as published.
    """
    keep, ice = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[severity - 1]
    layer = _ice((image.shape[0], image.shape[1]), rng)
    out = image * F(keep)
    out += (F(255 * ice) * layer)[..., None] * _ICE
    return to_bytes(out)


def _ice(size: tuple[int, int], rng: Rng) -> Plane:
    """Brightness of the ice, 0 … 1."""
    short = min(size)
    canvas = [max(8, round(_CANVAS * n / short)) for n in size]
    picture = Pillow.new("L", (canvas[1], canvas[0]), 0)
    pen = ImageDraw.Draw(picture)
    count = round(_NEEDLES * max(size) / short)
    for number in range(count):
        place = rng.uniform(0, 1, 2) * canvas
        if number % 4:  # most crystals grow from the frame
            side = int(rng.integers(4))
            place[side % 2] = (side // 2) * canvas[side % 2]
        _crystal(pen, place, float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.15, 0.55)) * _CANVAS, rng)
    needles = enlarge(np.asarray(picture, F) / F(255), size, "bilinear")
    haze = clouds(size, 1.6, max(short / 64, 1), rng)
    ice = F(0.15) + F(0.35) * haze * haze + F(0.85) * needles * (F(0.35) + haze)
    return np.clip(ice, 0, 1, out=ice)


def _crystal(pen: ImageDraw.ImageDraw, start: Place, angle: float, length: float, rng: Rng) -> None:
    """Draw a needle with side needles at 60 degrees, shorter towards its end."""
    tip = start + length * np.array([np.sin(angle), np.cos(angle)])
    _line(pen, start, tip, 2)
    for along in np.arange(0.05, 1, 7 / max(length, 8)).tolist():
        root = start + (tip - start) * along
        reach = length * 0.35 * (1 - along) * float(rng.uniform(0.4, 1))
        for turn in (-np.pi / 3, np.pi / 3):
            end = root + reach * np.array([np.sin(angle + turn), np.cos(angle + turn)])
            _line(pen, root, end, 1)


def _line(pen: ImageDraw.ImageDraw, start: Place, end: Place, width: int) -> None:
    pen.line([float(start[1]), float(start[0]), float(end[1]), float(end[0])], fill=255, width=width)


def snow(image: Image, severity: int, rng: Rng, factor: float) -> Image:
    """Whiten the ground and add falling flakes, drawn out by the exposure."""
    mean, spread, flake, floor, radius, sigma, keep = (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    )[severity - 1]
    size = (image.shape[0], image.shape[1])
    flakes = enlarge(rng.normal(mean, spread, base_size(size, flake * factor)), size, "bilinear")
    flakes = np.where(flakes < floor, F(0), np.minimum(flakes, 1))
    angle = float(rng.uniform(-135, -45))
    flakes = np.clip(blur_along(flakes, round(radius * factor), sigma * factor, angle), 0, 1)
    out = image.astype(F)
    white = (out @ _GREY) * F(1.5) + F(127.5)
    out = F(keep) * out + F(1 - keep) * np.maximum(out, white[..., None])
    out += (F(255) * (flakes + flakes[::-1, ::-1]))[..., None]
    return to_bytes(out)


def spatter(image: Image, severity: int, rng: Rng, factor: float) -> Image:
    """Spatter the lens: drops of water up to severity 3, mud above.

    Coverage as published; the light on the drops is drawn in our own way, from their relief.
    """
    mean, spread, sigma, floor, strength, mud = (
        (0.65, 0.3, 4, 0.69, 0.6, False),
        (0.65, 0.3, 3, 0.68, 0.6, False),
        (0.65, 0.3, 2, 0.68, 0.5, False),
        (0.65, 0.3, 1, 0.65, 1.5, True),
        (0.67, 0.4, 1, 0.65, 1.5, True),
    )[severity - 1]
    size = (image.shape[0], image.shape[1])
    liquid = blur_gaussian(rng.normal(mean, spread, base_size(size, factor)).astype(F), sigma)
    out = image.astype(F)
    if mud:
        cover = blur_gaussian((liquid > floor).astype(F), strength)
        cover = enlarge(np.where(cover < 0.8, F(0), cover), size, "bilinear")[..., None]
        return to_bytes(out + (_MUD - out) * np.clip(cover, 0, 1))
    drops = liquid > floor
    depth = np.minimum(ndimage.distance_transform_edt(drops), 8).astype(F)
    relief = blur_gaussian(depth, 0.7)
    shine = np.gradient(relief, axis=0) + np.gradient(relief, axis=1) if min(relief.shape) > 1 else relief
    light = np.clip(F(0.5) + shine, 0, 1) * blur_gaussian(drops.astype(F), 0.7)
    out += F(strength) * np.clip(enlarge(light, size), 0, 1)[..., None] * _WATER
    return to_bytes(out)
