"""COCO JSON: findings as instances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import dubio
from dubio.core.files import write_json
from dubio.core.labelspace import LabelSpace
from dubio.handover.items import Item
from dubio.handover.polygons import has_holes, outlines
from dubio.handover.rle import to_coco
from dubio.handover.shots import Shot

NAME = "annotations.json"


def write_coco(out: Path, found: Sequence[Shot], space: LabelSpace, *, shapes: str = "mask") -> list[str]:
    """Write ``annotations.json``.

    Categories are all classes under their ids. A finding is an instance of the class that the model
    proposes; ``score`` is the probability that the label is wrong there.

    Args:
        out: folder.
        found: images with findings.
        space: label space.
        shapes: ``mask``: compressed run lengths; ``polygon``: outlines along the edges of pixels, and run
            lengths for regions with holes, which a polygon can't have; ``box``: boxes alone.

    Returns:
        Names of the files.
    """
    categories = [{"id": c.id, "name": c.name, "supercategory": ""} for c in space.classes]
    images, annotations = [], []
    for number, shot in enumerate(found, start=1):
        images.append({"id": number, "file_name": shot.name, "width": shot.width, "height": shot.height})
        for item in shot.items:
            annotations.append(_annotation(item, shot, number, space, shapes))
    write_json(
        out / NAME,
        {
            "info": {"description": "suspected label errors", "version": f"dubio {dubio.__version__}"},
            "licenses": [],
            "images": images,
            "annotations": annotations,
            "categories": categories,
        },
    )
    return [NAME]


def attributes(item: Item) -> dict[str, Any]:
    """What every format says of a finding."""
    f = item.finding
    return {
        "finding": f.finding,
        "kind": f.kind,
        "given": f.given,
        "proposed": f.proposed,
        "probability": round(f.probability, 6),
        "reason": f.reason,
        "verdict": item.state,
    }


def box_of(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Left, top, width and height of a region's box."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(cols[0]), int(rows[0]), int(cols[-1] - cols[0]) + 1, int(rows[-1] - rows[0]) + 1


def _annotation(item: Item, shot: Shot, image: int, space: LabelSpace, shapes: str) -> dict[str, Any]:
    if shapes == "box":
        x0, y0, x1, y1 = shot.box(item)
        sides = [x0, y0, x1 - x0, y1 - y0]
        return _entry(item, image, space, [], sides[2] * sides[3], [round(v, 4) for v in sides])
    mask = shot.mask(item)
    segmentation: Any
    if shapes == "polygon" and not has_holes(mask):
        segmentation = [ring.astype(int).ravel().tolist() for ring in outlines(mask)]
    else:
        segmentation = to_coco(mask)
    return _entry(item, image, space, segmentation, int(mask.sum()), list(box_of(mask)))


def _entry(
    item: Item, image: int, space: LabelSpace, segmentation: Any, area: float, bbox: list[Any]
) -> dict[str, Any]:
    return {
        "id": item.finding.finding,
        "image_id": image,
        "category_id": space.ids[item.class_index(space)],
        "segmentation": segmentation,
        "area": area,
        "bbox": bbox,
        "iscrowd": 0,
        "score": round(item.finding.probability, 6),
        "attributes": attributes(item),
    }
