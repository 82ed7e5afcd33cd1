"""CODA: corner cases of driving, in COCO's form with a flag per annotation.

Li et al., "CODA: A Real-World Road Corner Case Dataset for Object Detection in Autonomous Driving",
ECCV 2022.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dubio.core.boxes import BoxDataset
from dubio.core.labelspace import LabelSpace
from dubio.data.boxes.coco import read_coco
from dubio.data.boxes.columns import Faults
from dubio.data.boxes.pictures import Pictures

# CODA's spelling of classes of KITTI and BDD100K.
ALIASES = {"traffic_light": "traffic light", "traffic_sign": "traffic sign"}
_FLAG = "corner_case"


def is_coda(data: Mapping[str, Any]) -> bool:
    """Whether COCO's form holds CODA's flag.

    >>> is_coda({"annotations": [{"corner_case": True}]}), is_coda({"annotations": []})
    (True, False)
    """
    records = data.get("annotations")
    first = records[0] if isinstance(records, list) and records else None
    return isinstance(first, dict) and _FLAG in first


def read_coda(
    data: Mapping[str, Any], pictures: Pictures, faults: Faults, *, space: LabelSpace | None = None
) -> BoxDataset:
    """Read CODA.

    With the label space of KITTI or BDD100K (see :func:`~dubio.data.boxes.kitti.kitti_space`,
    :func:`~dubio.data.boxes.bdd.bdd_space`) the classes are matched by name. Boxes of CODA's other classes
    then become ignored regions: objects are there, so a detection on them is no false positive. The flag
    ``corner_case`` is counted and not kept.

    Args:
        data: the parsed JSON.
        pictures: where to look for the pictures.
        faults: takes annotations that can't be used.
        space: label space; ``None``: CODA's own categories.

    Raises:
        InputError: no images or categories.
    """
    records = data.get("annotations") or []
    odd = sum(1 for r in records if isinstance(r, dict) and r.get(_FLAG))
    note = f"{odd} boxes are marked as corner cases; the mark isn't kept"
    return read_coco(
        data, pictures, faults, space=space, name="coda", aliases=ALIASES, foreign="ignore", notes=[note]
    )
