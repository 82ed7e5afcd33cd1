"""The objects of a scene as labelled boxes."""

from __future__ import annotations

import numpy as np

from dubio.core.boxes import BoxLabels
from dubio.core.labelspace import LabelSpace
from dubio.data.scenes.render import Scene
from dubio.data.scenes.space import SCENE_SPACE

_THINGS = ("person", "car", "truck", "bus", "bicycle", "traffic light", "traffic sign")
BOX_SPACE = LabelSpace("scene-things", tuple(c for c in SCENE_SPACE.classes if c.name in _THINGS))
# What is smaller or more hidden nobody would label: pixels of the shorter side, and share.
_LEAST_SIDE, _MOST_HIDDEN = 9, 0.75


def scene_boxes(scene: Scene) -> BoxLabels:
    """Boxes around the visible pixels of the countable things of a scene.

    Classes are those of :data:`BOX_SPACE`. Occlusion is the share that nearer things hide, distance is in
    metres. Things of fewer than nine pixels in width or height, or hidden to more than three quarters, are
    left out.

    >>> from dubio.data.scenes.render import render_scene
    >>> found = scene_boxes(render_scene(7, size=(96, 160)))
    >>> len(found) > 0, found.boxes.shape[1]
    (True, 4)
    """
    place = {SCENE_SPACE.index_of(name): BOX_SPACE.index_of(name) for name in _THINGS}
    kept = [
        o
        for o in scene.objects
        if o.klass in place
        and o.occlusion <= _MOST_HIDDEN
        and min(o.box[2] - o.box[0], o.box[3] - o.box[1]) >= _LEAST_SIDE
    ]
    return BoxLabels(
        np.array([o.box for o in kept], np.float64).reshape(-1, 4),
        np.array([place[o.klass] for o in kept], np.int64),
        occlusion=np.array([o.occlusion for o in kept], np.float64),
        distance=np.array([o.distance for o in kept], np.float64),
    )
