"""Synthetic street scenes with exact labels, for the demo and for tests."""

from dubio.data.scenes.boxes import BOX_SPACE, scene_boxes
from dubio.data.scenes.light import WEATHERS, Weather
from dubio.data.scenes.render import Scene, SceneObject, render_scene
from dubio.data.scenes.space import SCENE_SPACE
from dubio.data.scenes.write import write_scenes

__all__ = [
    "BOX_SPACE",
    "SCENE_SPACE",
    "WEATHERS",
    "Scene",
    "SceneObject",
    "Weather",
    "render_scene",
    "scene_boxes",
    "write_scenes",
]
