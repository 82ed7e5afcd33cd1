"""From a setting to a photograph: draw the world, then add light, shadows, haze, weather and the lens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from dubio.core.seeds import rng_for
from dubio.data.scenes.canvas import SAMPLES, Camera, Canvas
from dubio.data.scenes.furniture import StreetLamp
from dubio.data.scenes.ground import draw_ground
from dubio.data.scenes.light import Conditions
from dubio.data.scenes.plants import draw_treeline
from dubio.data.scenes.shading import GroundMap, Lamp, bloom, ground_map, light_ground, sky, texture_ground
from dubio.data.scenes.skyline import draw_skyline
from dubio.data.scenes.space import SKY
from dubio.data.scenes.street import FAR, Street
from dubio.data.scenes.texture import Plane, blur, noise
from dubio.data.scenes.vehicles import Vehicle
from dubio.data.scenes.weather import expose, rain_streaks, reflect
from dubio.data.scenes.world import Thing

_F = np.float32


@dataclass(frozen=True)
class Setting:
    """What a scene is made of: camera (in samples), light, street, the things in it from far to near."""

    camera: Camera
    light: Conditions
    street: Street
    things: Sequence[Thing]
    seed: int


def draw_world(setting: Setting, *, mirror: bool = False) -> Canvas:
    """Draw the world from far to near; with ``mirror`` its reflection in the ground, one sample per pixel."""
    camera, style = setting.camera, setting.street.style
    if mirror:
        camera = replace(_in_pixels(camera), mirror=True)
    canvas = Canvas(camera, setting.light, 1 if mirror else SAMPLES)
    rng = rng_for(setting.seed, "backdrop")
    width, height = float(camera.width), float(camera.height)
    air = canvas.paint((0, 0, 0), SKY, 1.0, sky=1.0)
    canvas.polygon([(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)], air)
    if not mirror:
        draw_ground(canvas, setting.street, rng_for(setting.seed, "ground"))
    draw_skyline(canvas, rng, {"city": 0.95, "suburb": 0.4, "boulevard": 0.65}[style])
    draw_treeline(canvas, rng, FAR, {"city": 0.3, "suburb": 0.8, "boulevard": 0.7}[style])
    for thing in setting.things:
        thing.draw(canvas)
    return canvas


def develop(canvas: Canvas, label: npt.NDArray[np.uint8], setting: Setting) -> npt.NDArray[np.uint8]:
    """Turn a drawn world into a photograph.

    Args:
        canvas: the drawn world.
        label: class of each pixel, ``(H, W)``.
        setting: what was drawn.

    Returns:
        RGB picture, ``(H, W, 3)`` uint8.
    """
    camera, light = _in_pixels(canvas.camera), setting.light
    rng = rng_for(setting.seed, "photo")
    look, kinds = canvas.layers()
    picture, haze = look[..., :3].astype(_F), look[..., 3].astype(_F) / _F(255)
    ground, air, leaf, glow = (kinds[..., n].astype(_F) / _F(255) for n in range(4))
    where = ground_map(camera)
    heaven = sky(camera, light, rng)

    texture_ground(picture, label, ground, where, rng)
    _texture_leaves(picture, leaf, rng)
    _cast_shadows(picture, ground, camera, setting)
    if light.lamps:
        _shine(picture, ground, where, setting)
    if light.wet:
        reflect(picture, _mirror(setting, heaven), ground * _F(light.wet), where, rng)
    ratio = where.z / _F(light.reach)
    far = np.minimum(ratio * ratio / (1 + ratio * ratio), _F(0.94))
    haze[where.top :] += far * ground[where.top :]
    _fade(picture, haze, air, light)
    picture[: len(heaven)] += heaven * air[: len(heaven), :, None]
    if glow.any():
        picture += bloom(picture, glow, camera.height / 130) * _F(0.4 + 0.6 * light.dark)
    if light.rain:
        picture = rain_streaks(picture, light, rng)
    return expose(picture, light, rng)


def _fade(picture: Plane, haze: Plane, air: Plane, light: Conditions) -> None:
    """Blend what isn't sky into the haze; in place.

    Colours and haze are means over a pixel's samples, in which sky counts as black and clear: at an
    outline both are first taken relative to the part that isn't sky.
    """
    solid = 1 - air
    share = haze / np.maximum(solid, _F(0.004))
    picture *= (1 - share)[..., None]
    picture += np.array(light.haze, _F) * (share * solid)[..., None]


def _in_pixels(camera: Camera) -> Camera:
    n = SAMPLES
    return replace(
        camera,
        width=camera.width // n,
        height=camera.height // n,
        focal=camera.focal / n,
        column=camera.column / n,
        horizon=camera.horizon / n,
    )


def _texture_leaves(picture: Plane, leaf: Plane, rng: np.random.Generator) -> None:
    height, width = leaf.shape
    texture = noise("leaves", (256, 128))
    rows, columns = (int(v) for v in rng.integers(0, 256, 2))
    tiles = np.tile(texture, (height // 256 + 2, width // 256 + 2))
    picture *= (1 + tiles[rows : rows + height, columns : columns + width] * leaf * _F(0.3))[..., None]


def _cast_shadows(picture: Plane, ground: Plane, camera: Camera, setting: Setting) -> None:
    """Darken the ground under things, and away from the sun."""
    light, things = setting.light, setting.things
    size = (camera.width, camera.height)
    close, cast = Image.new("L", size, 0), Image.new("L", size, 0)
    pen, under = ImageDraw.Draw(cast), ImageDraw.Draw(close)
    x, y, z = light.direction
    reach = (max(-3.0, min(3.0, -x / y)), max(-3.0, min(3.0, -z / y)))
    for thing in things:
        if light.shadow and thing.far < 110:
            for outline in thing.shadow(reach):
                _fill(pen, camera, outline)
        if isinstance(thing, Vehicle) and thing.z < 90:
            _fill(under, camera, thing.footprint())
    dark = light.lit((1, 1, 1), 0.0)
    full = light.lit((1, 1, 1), light.facing(0, 1, 0))
    loss = np.array([1 - d / f for d, f in zip(dark, full, strict=True)], _F) * _F(light.shadow)
    soft = blur(np.asarray(cast), 1.0, 1).astype(_F) / _F(255) * ground
    contact = blur(np.asarray(close), 1.6).astype(_F) / _F(255) * ground
    picture *= (1 - soft[..., None] * loss) * (1 - contact * _F(0.62))[..., None]


def _fill(pen: ImageDraw.ImageDraw, camera: Camera, outline: Sequence[tuple[float, float]]) -> None:
    nearest = 1.0  # metres: what lies behind the camera can't be projected
    points = [camera.project(x, 0.0, max(z, nearest)) for x, z in outline]
    flat = [int(min(max(v, -20000), 20000)) for p in points for v in p]
    if max(z for _, z in outline) > nearest:
        pen.polygon(flat, fill=255)


def _shine(picture: Plane, ground: Plane, where: GroundMap, setting: Setting) -> None:
    """Let headlights and street lamps light the ground; strongest when everything else is dark."""
    lamps = [Lamp(setting.camera.shift, 7.0, 6.0, (255, 242, 214), 0.9)]
    for thing in setting.things:
        if isinstance(thing, StreetLamp | Vehicle) and thing.far < 75:
            lamps += thing.lamps()
    picture[where.top :] *= 1 + light_ground(ground, where, lamps) * _F(2.2 * setting.light.dark)


def _mirror(setting: Setting, heaven: Plane) -> Plane:
    """Return what still water would show in place of the ground, ``(H, W, 3)``."""
    light, canvas = setting.light, draw_world(setting, mirror=True)
    look, kinds = canvas.layers()
    picture = look[..., :3].astype(_F)
    haze, air, glow = (plane.astype(_F) / _F(255) for plane in (look[..., 3], kinds[..., 1], kinds[..., 3]))
    _fade(picture, haze, air, light)
    height = canvas.camera.height
    rows = np.clip(2 * int(canvas.camera.horizon) - np.arange(height), 0, len(heaven) - 1)
    picture += heaven[rows] * air[..., None]
    return picture * (1 + glow * _F(1.2 * light.dark))[..., None]
