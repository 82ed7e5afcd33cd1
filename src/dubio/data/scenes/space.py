"""The label space of the synthetic scenes, and the index of each of its classes."""

from __future__ import annotations

import tomllib
from importlib import resources

from dubio.core.labelspace import LabelSpace

_TEXT = resources.files("dubio.data").joinpath("sets/scenes.toml").read_text(encoding="utf-8")
SCENE_SPACE = LabelSpace.from_dict(tomllib.loads(_TEXT))

ROAD, PAVEMENT, BUILDING, POLE, LIGHT, SIGN, VEGETATION, TERRAIN, SKY, PERSON, CAR, TRUCK, BUS, BICYCLE = (
    SCENE_SPACE.index_of(name)
    for name in (
        "road",
        "pavement",
        "building",
        "pole",
        "traffic light",
        "traffic sign",
        "vegetation",
        "terrain",
        "sky",
        "person",
        "car",
        "truck",
        "bus",
        "bicycle",
    )
)
VOID = SCENE_SPACE.void_index
