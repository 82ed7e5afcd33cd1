"""Render a synthetic street scene with exact labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.seeds import rng_for
from dubio.data.scenes.canvas import SAMPLES, Camera, Drawn
from dubio.data.scenes.develop import Setting, develop, draw_world
from dubio.data.scenes.light import WEATHERS, Weather, draw_weather, make_conditions
from dubio.data.scenes.space import SCENE_SPACE
from dubio.data.scenes.street import Street, draw_street
from dubio.data.scenes.world import Planner

LEAST_SIZE, MOST_SIZE = 32, 4096


@dataclass(frozen=True)
class SceneObject:
    """An object that is seen in a scene.

    Args:
        klass: class index in :data:`SCENE_SPACE`.
        name: class name.
        instance: its value in the instance map.
        box: left, top, right, bottom of its visible pixels; right and bottom are exclusive.
        occlusion: share of its pixels in the picture that nearer things hide, 0 … 1.
        distance: from the camera, metres.
    """

    klass: int
    name: str
    instance: int
    box: tuple[int, int, int, int]
    occlusion: float
    distance: float


@dataclass(frozen=True)
class Scene:
    """A rendered scene.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        label: ``(H, W)`` uint8 class indices of :data:`SCENE_SPACE`.
        instances: ``(H, W)`` uint16; 0 where no object is, else the number of the object.
        objects: everything countable that is seen, far ones first; instance ``n`` is entry ``n - 1``.
        weather: the weather.
        seed: the seed it was rendered from.
    """

    image: npt.NDArray[np.uint8]
    label: npt.NDArray[np.uint8]
    instances: npt.NDArray[np.uint16]
    objects: tuple[SceneObject, ...]
    weather: Weather
    seed: int


def render_scene(seed: int, *, size: tuple[int, int] = (288, 512), weather: str | None = None) -> Scene:
    """Render a street scene; the same arguments give the same scene on any machine.

    Random numbers and drawing come from numpy and Pillow; other versions of these may change a scene.

    The same seed under another weather gives the same street with the same label, but for the
    umbrellas that people open in the rain. Nothing in a scene is void.

    Args:
        seed: chooses everything: street, buildings, traffic, light, camera.
        size: height and width in pixels, 32 … 4096 each.
        weather: one of clear, overcast, fog, rain, dusk, night; ``None``: drawn from the seed.

    Raises:
        InputError: an unknown weather or an impossible size.

    >>> scene = render_scene(7, size=(48, 80))
    >>> scene.image.shape, scene.label.shape, scene.weather in WEATHERS
    ((48, 80, 3), (48, 80), True)
    """
    height, width = size
    if not (LEAST_SIZE <= height <= MOST_SIZE and LEAST_SIZE <= width <= MOST_SIZE):
        raise InputError(
            f"a scene can't be {height} x {width} pixels", remedy=f"use {LEAST_SIZE} to {MOST_SIZE} each"
        )
    if weather is not None and weather not in WEATHERS:
        raise InputError(f"unknown weather '{weather}'", remedy="known: " + ", ".join(WEATHERS))
    rng = rng_for(seed, "scene")
    drawn = draw_weather(rng)
    chosen: Weather = next((w for w in WEATHERS if w == weather), drawn)
    light = make_conditions(chosen, rng_for(seed, "light", chosen))
    street = draw_street(rng)
    camera = _camera(street, height, width, rng)
    things = Planner(street, light, rng_for(seed, "things"), camera.shift).fill()

    setting = Setting(camera, light, street, things, seed)
    canvas = draw_world(setting)
    label, instances = canvas.marks()
    image = develop(canvas, label, setting)
    kept, numbers = _objects(canvas.objects, label, instances)
    return Scene(image, label, numbers, kept, chosen, seed)


def _camera(street: Street, height: int, width: int, rng: np.random.Generator) -> Camera:
    """Draw a camera in the right lane; units are samples."""
    reach = max(width, 16 / 9 * height) * SAMPLES
    lane = street.half - street.lane * 0.5 if rng.random() < 0.4 else street.lane * 0.5
    straight = rng.random() < 0.4
    return Camera(
        width=width * SAMPLES,
        height=height * SAMPLES,
        focal=reach * rng.uniform(0.68, 0.95),
        column=width * SAMPLES * rng.uniform(0.4, 0.6),
        horizon=height * SAMPLES * rng.uniform(0.4, 0.52),
        eye=rng.uniform(1.35, 2.1),
        shift=lane + rng.uniform(-0.5, 0.5),
        bend=0.0 if straight else rng.uniform(-0.0011, 0.0011),
    )


def _objects(
    drawn: Sequence[Drawn], label: npt.NDArray[np.uint8], instances: npt.NDArray[np.uint16]
) -> tuple[tuple[SceneObject, ...], npt.NDArray[np.uint16]]:
    """List what is still seen, and number it anew without gaps."""
    seen = np.bincount(instances.ravel(), minlength=len(drawn) + 1)
    numbers = np.zeros(len(drawn) + 1, np.uint16)
    found: list[SceneObject] = []
    for item in drawn:
        count = int(seen[item.instance])
        if not count:
            continue
        numbers[item.instance] = len(found) + 1
        rows = np.flatnonzero((instances == item.instance).any(1))
        inside = instances[rows[0] : rows[-1] + 1] == item.instance
        columns = np.flatnonzero(inside.any(0))
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        hidden = 1.0 - count / max(item.area, count)
        name = SCENE_SPACE.name_of(item.klass)
        found.append(SceneObject(item.klass, name, len(found) + 1, box, hidden, item.distance))
    return tuple(found), numbers[instances]
