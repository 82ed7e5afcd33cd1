"""From the part buffer to the picture: sky, textures, shadows, lamps, haze."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from dubio.data.scenes.canvas import Camera
from dubio.data.scenes.light import Conditions, mix
from dubio.data.scenes.space import PAVEMENT, TERRAIN
from dubio.data.scenes.texture import Plane, blur, noise, sample

_F = np.float32


@dataclass(frozen=True)
class Lamp:
    """A light over the ground: place, how far it reaches (metres), colour (0 … 255) and strength."""

    x: float
    z: float
    reach: float
    color: tuple[float, float, float]
    strength: float = 1.0


@dataclass(frozen=True)
class GroundMap:
    """World coordinates of the ground at each pixel below the horizon.

    Args:
        top: first row below the horizon.
        x: across the road in metres, ``(H - top, W)``.
        z: distance in metres, ``(H - top, 1)``.
    """

    top: int
    x: Plane
    z: Plane


def ground_map(camera: Camera) -> GroundMap:
    """Find the ground point under each pixel of a camera whose units are pixels."""
    top = min(max(int(camera.horizon) + 1, 0), camera.height)
    rows = np.arange(top, camera.height, dtype=_F)[:, None] + _F(0.5)
    z = _F(camera.focal * camera.eye) / np.maximum(rows - _F(camera.horizon), _F(0.4))
    columns = np.arange(camera.width, dtype=_F)[None] + _F(0.5)
    x = (columns - _F(camera.column)) * z / _F(camera.focal) - _F(camera.bend) * z * z + _F(camera.shift)
    return GroundMap(top, x.astype(_F), z.astype(_F))


def sky(camera: Camera, light: Conditions, rng: np.random.Generator) -> Plane:
    """Paint a sky with clouds, down to a little below the horizon: ``(rows, W, 3)``."""
    last = min(max(int(camera.horizon) + 3, 1), camera.height)
    rows = np.arange(last, dtype=_F)[:, None] + _F(0.5)
    rise = np.clip((_F(camera.horizon) - rows) / _F(camera.height), 0, 1)  # 0 at the horizon
    low = np.clip(_F(1.0) - rise * _F(2.1), 0, 1)
    low = low * low
    top_color, low_color = np.array(light.sky_top, _F), np.array(light.sky_low, _F)
    gradient = top_color + (low_color - top_color) * low[..., None]
    # Clouds lie on a plane overhead: they crowd towards the horizon.
    far = _F(1.0) / (rise + _F(0.07))
    columns = (np.arange(camera.width, dtype=_F)[None] - _F(camera.column)) / _F(camera.height)
    ox, oy = (_F(v) for v in rng.uniform(0, 256, 2))
    across, along = columns * far, np.broadcast_to(far, (last, camera.width))
    shape = sample(noise("clouds", (8, 16, 32, 64)), along * 13 + oy, across * 8 + ox)
    shape = shape + _F(0.35) * sample(noise("wisps", (32, 64, 128)), along * 23 + ox, across * 13 + oy)
    cover = np.clip((shape + _F(light.clouds * 0.9 - 0.22)) * _F(2.6), 0, 1) * np.clip(rise * 9, 0, 1)
    bright = mix(light.sky_low, (255, 255, 255), 0.55 * (1 - light.dark))
    shade = mix(light.sky_top, light.sky_low, 0.75)
    thick = np.clip(shape * _F(1.3) + _F(0.25), 0, 1)[..., None]
    cloud = np.array(bright, _F) + (np.array(shade, _F) - np.array(bright, _F)) * thick
    strength = _F(0.85 if light.weather != "fog" else 0.1)
    picture = gradient + (cloud - gradient) * (cover * strength)[..., None]
    picture = blur(np.clip(picture, 0, 255).astype(np.uint8), camera.height / 160, 1).astype(_F)
    if light.dark == 1.0:
        _stars(picture, cover, camera, rng)
    elif light.weather in ("clear", "dusk"):
        _sun_glow(picture, camera, light)
    return picture


def _stars(picture: Plane, cover: Plane, camera: Camera, rng: np.random.Generator) -> None:
    rows, columns = rng.integers(0, picture.shape[0], 60), rng.integers(0, camera.width, 60)
    glimmer = rng.uniform(15, 110, 60).astype(_F) * (1 - cover[rows, columns])
    picture[rows, columns] += glimmer[:, None]


def _sun_glow(picture: Plane, camera: Camera, light: Conditions) -> None:
    x, y, z = light.direction
    if z < 0.15:
        return
    column, row = camera.column + camera.focal * x / z, camera.horizon - camera.focal * y / z
    du = np.arange(camera.width, dtype=_F)[None] - _F(column)
    dv = np.arange(picture.shape[0], dtype=_F)[:, None] - _F(row)
    near = _F(1.0) / (_F(1.0) + (du * du + dv * dv) / _F((0.16 * camera.height) ** 2))
    picture += near[..., None] * np.array([150, 120, 60], _F)


def texture_ground(
    picture: Plane, label: npt.NDArray[np.uint8], ground: Plane, where: GroundMap, rng: np.random.Generator
) -> None:
    """Give asphalt, paving and grass their grain, finer and weaker with distance; in place."""
    top, x, z = where.top, where.x, where.z
    classes, weight = label[top:], ground[top:]
    ox, oz = (_F(v) for v in rng.uniform(0, 256, 2))
    grain = sample(noise("grain", (256, 128, 64)), z * 34 + oz, x * 34 + ox)
    stain = sample(noise("stain", (8, 16, 32)), z * 5 + oz, x * 14 + ox)
    close = _F(1.0) / (_F(1.0) + (z / 11) * (z / 11))
    green = classes == TERRAIN
    value = grain * close * np.where(green, _F(0.34), _F(0.15)) + stain * (_F(0.05) + _F(0.04) * green)
    # Joints between slabs, as long as they are wider than a pixel.
    slab = _F(0.6)
    fx, fz = x / slab - np.floor(x / slab), z / slab - np.floor(z / slab)
    joint = ((fx < 0.07) | (fz < 0.07)) & (classes == PAVEMENT)
    value = value - joint * np.clip(_F(1.4) - z / 9, 0, 1) * _F(0.22)
    picture[top:] *= (_F(1.0) + value * weight)[..., None]


def light_ground(ground: Plane, where: GroundMap, lamps: Sequence[Lamp]) -> Plane:
    """Sum the light of lamps on the ground, ``(H - top, W, 3)``, factors on the surface's colour."""
    total = np.zeros((*where.x.shape, 3), _F)
    for lamp in lamps:
        near = where.z[:, 0] > lamp.z - 4 * lamp.reach
        near &= where.z[:, 0] < lamp.z + 4 * lamp.reach
        rows = np.flatnonzero(near)
        if not rows.size:
            continue
        part = slice(int(rows[0]), int(rows[-1]) + 1)
        dx, dz = where.x[part] - _F(lamp.x), where.z[part] - _F(lamp.z)
        near_by = _F(1.0) / (_F(1.0) + (dx * dx + dz * dz) / _F(lamp.reach * lamp.reach))
        fall = near_by * near_by * _F(lamp.strength)
        total[part] += fall[..., None] * (np.array(lamp.color, _F) / _F(255))
    return total * ground[where.top :, :, None]


def bloom(picture: Plane, glow: Plane, radius: float) -> Plane:
    """Return the halo around what emits light, ``(H, W, 3)``, to be added."""
    bright = np.clip(picture * glow[..., None], 0, 255).astype(np.uint8)
    close = blur(bright, radius)
    # The wide halo is smooth: a quarter of the resolution carries it.
    size = (bright.shape[1], bright.shape[0])
    small = Image.fromarray(bright).reduce(4)
    wide = np.asarray(
        Image.fromarray(blur(np.asarray(small), radius)).resize(size, Image.Resampling.BILINEAR)
    )
    return close.astype(_F) * _F(0.6) + wide.astype(_F) * _F(1.3)
