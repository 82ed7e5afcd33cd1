"""What lies between the street and the sensor: wet ground, rain streaks, lens and sensor."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from dubio.data.scenes.light import Conditions
from dubio.data.scenes.shading import GroundMap
from dubio.data.scenes.texture import Plane, blur, noise, sample

_F = np.float32


def reflect(picture: Plane, mirror: Plane, wet: Plane, where: GroundMap, rng: np.random.Generator) -> None:
    """Lay the mirror image over wet ground, smeared downwards and broken by puddles; in place.

    Args:
        picture: ``(H, W, 3)``, 0 … 255.
        mirror: what still water would show, same shape.
        wet: wetness per pixel, 0 … 1, 0 off the ground, ``(H, W)``.
        where: ground coordinates.
        rng: for the puddles.
    """
    top = where.top
    if top >= picture.shape[0]:
        return
    tall = max(2, picture.shape[0] // 26)
    # Rough water smears a reflection along the line of sight, which is upright in the picture.
    sharp = Image.fromarray(np.clip(mirror[top:], 0, 255).astype(np.uint8))
    squeezed = sharp.resize((sharp.width, max(1, sharp.height // tall)), Image.Resampling.BOX)
    smeared = np.asarray(squeezed.resize(sharp.size, Image.Resampling.BICUBIC)).astype(_F)
    ox, oz = (_F(v) for v in rng.uniform(0, 256, 2))
    puddle = sample(noise("stain", (8, 16, 32)), where.z * 6 + oz, where.x * 16 + ox)
    still = np.clip(puddle * 3 - _F(0.3), 0, 1)[..., None]
    shown = smeared + (np.asarray(sharp).astype(_F) - smeared) * still * _F(0.7)
    graze = where.z / (where.z + _F(7.0))  # reflections grow at grazing angles
    share = wet[top:] * (_F(0.16) + _F(0.44) * graze + _F(0.2) * still[..., 0])
    below = picture[top:] * (1 - _F(0.3) * wet[top:])[..., None]
    picture[top:] = below + (shown - below) * share[..., None]


def rain_streaks(picture: Plane, light: Conditions, rng: np.random.Generator) -> Plane:
    """Add falling drops, drawn out by the exposure."""
    height, width = picture.shape[:2]
    layer = Image.new("L", (width, height), 0)
    pen = ImageDraw.Draw(layer)
    slant = rng.uniform(-0.25, 0.25)
    count = int(light.rain * width * height / 420)
    spots = rng.uniform(0, 1, (count, 3))
    for x, y, near in spots.tolist():
        long = (0.015 + 0.05 * near * near) * height
        u, v = x * width * 1.2 - 0.1 * width, y * height
        pen.line([int(u), int(v), int(u + slant * long), int(v + long)], fill=int(26 + 66 * near), width=1)
    drops = blur(np.asarray(layer), 0.6, 1).astype(_F) / _F(255)
    veil = np.array([206, 212, 220], _F) * _F(1.0 - 0.45 * light.dark)
    return picture + (veil - picture) * drops[..., None]


def expose(picture: Plane, light: Conditions, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Turn light into a photograph: vignette, contrast, slight blur, sensor noise; 8 bit."""
    height, width = picture.shape[:2]
    dv = (np.arange(height, dtype=_F)[:, None] - _F(height / 2)) / _F(height / 2)
    du = (np.arange(width, dtype=_F)[None] - _F(width / 2)) / _F(width / 2)
    vignette = _F(1.0) - _F(rng.uniform(0.05, 0.14)) * (du * du + dv * dv)
    tint = np.array([1.0 + rng.uniform(-0.03, 0.03), 1.0, 1.0 + rng.uniform(-0.03, 0.03)], _F)
    level = picture * (vignette[..., None] * tint * _F(rng.uniform(0.94, 1.07)) / _F(255))
    # A smooth shoulder keeps lamps from clipping hard; t³ lifts the contrast of the middle.
    level = np.clip(level, 0, 1.6)
    level = level * (_F(1.0) + level / _F(6.0)) / (_F(1.0) + level * level / _F(6.0))
    level = np.clip(level, 0, 1)
    level += (level * level * (3 - 2 * level) - level) * _F(0.35)
    eight = blur((level * _F(255) + _F(0.5)).astype(np.uint8), rng.uniform(0.0, 0.45), 1)
    strength = rng.uniform(1.0, 2.6) + 2.4 * light.dark
    grain = rng.integers(-128, 128, (height, width, 3), dtype=np.int8).astype(_F) + rng.integers(
        -128, 128, (height, width, 1), dtype=np.int8
    ).astype(_F)
    noisy = eight.astype(_F) + grain * _F(strength / 105.0)
    return np.clip(noisy + _F(0.5), 0, 255).astype(np.uint8)
