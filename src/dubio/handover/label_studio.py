"""Label Studio: tasks with predictions, the labeling configuration, and a check of what it would not show.

How a reviewer works with it: make a project with ``label_config.xml``, import ``tasks.json``. Each finding is
a predicted region labelled with the class that the model proposes, with its probability as score. A region
takes the choice accepted or rejected; without a choice, a region that is kept in a submitted annotation
counts as accepted and one that is deleted as rejected. The JSON export is read back by ``dubio import``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as Tree

import numpy as np
import numpy.typing as npt

import dubio
from dubio.core.files import write_text
from dubio.core.labelspace import LabelSpace
from dubio.handover.brush import to_brush
from dubio.handover.cvat import clean
from dubio.handover.items import OPEN, Item
from dubio.handover.label_studio_check import validate
from dubio.handover.polygons import has_holes, outlines
from dubio.handover.shots import Shot

__all__ = ["label_config", "make_task", "validate", "write_label_studio"]
NAME, CONFIG = "tasks.json", "label_config.xml"
LOCAL_FILES = "/data/local-files/?d="
# storages that Label Studio resolves itself, by the plain name
_STORAGES = ("s3://", "gs://", "azure-blob://")
# names of the tags in the configuration
IMAGE, BRUSH, POLYGON, VERDICT = "image", "class", "outline", "verdict"
RECTANGLE = "box"


def write_label_studio(
    out: Path,
    found: Sequence[Shot],
    space: LabelSpace,
    *,
    shapes: str = "mask",
    image_url_prefix: str = LOCAL_FILES,
) -> list[str]:
    """Write ``tasks.json`` and ``label_config.xml``.

    Args:
        out: folder.
        found: images with findings.
        space: label space; all its classes become labels.
        shapes: ``mask``: brush masks, lossless; ``polygon``: outlines along the edges of pixels in percent
            of the image, one per part, and brush masks for regions with holes; ``box``: rectangles.
        image_url_prefix: goes in front of the path of an image below the folder of the images.

    Returns:
        Names of the files.
    """
    # one task per line: brush masks are long lists of small numbers
    tasks = [json.dumps(make_task(s, space, shapes, image_url_prefix), ensure_ascii=False) for s in found]
    write_text(out / NAME, "[\n" + ",\n".join(tasks) + "\n]\n")
    write_text(out / CONFIG, label_config(space, shapes=shapes))
    return [NAME, CONFIG]


def label_config(space: LabelSpace, *, shapes: str = "mask") -> str:
    """Labeling configuration: an image, brush (and polygon) or rectangle labels, and a choice per region."""
    view = Tree.Element("View")
    Tree.SubElement(view, "Image", name=IMAGE, value="$image", zoom="true", zoomControl="true")
    tags = [("BrushLabels", BRUSH), *([("PolygonLabels", POLYGON)] if shapes == "polygon" else [])]
    if shapes == "box":
        tags = [("RectangleLabels", RECTANGLE)]
    for tag, name in tags:
        group = Tree.SubElement(view, tag, name=name, toName=IMAGE)
        for c in space.classes:
            Tree.SubElement(
                group, "Label", value=clean(c.name), background="#{:02x}{:02x}{:02x}".format(*c.color)
            )
    choices = Tree.SubElement(
        view, "Choices", name=VERDICT, toName=IMAGE, perRegion="true", choice="single", showInline="true"
    )
    for word in ("accepted", "rejected"):
        Tree.SubElement(choices, "Choice", value=word)
    Tree.indent(view)
    return Tree.tostring(view, encoding="unicode") + "\n"


def make_task(shot: Shot, space: LabelSpace, shapes: str, image_url_prefix: str) -> dict[str, Any]:
    """Task of one image: its findings as regions of a prediction."""
    plain = image_url_prefix.startswith(_STORAGES)
    results = [result for item in shot.items for result in _results(shot, item, space, shapes)]
    task: dict[str, Any] = {
        "data": {
            "image": image_url_prefix + (shot.name if plain else quote(shot.name)),
            "image_id": shot.sample.image_id,
            "findings": [item.finding.finding for item in shot.items],
        },
        "predictions": [],
    }
    if results:
        score = round(max(item.finding.probability for item in shot.items), 6)
        version = f"dubio {dubio.__version__}"
        task["predictions"] = [{"model_version": version, "score": score, "result": results}]
    return task


def _results(shot: Shot, item: Item, space: LabelSpace, shapes: str) -> list[dict[str, Any]]:
    """Regions of a finding: one, or one per part of a polygon."""
    label = clean(space.name_of(item.class_index(space)))
    number = item.finding.finding
    if shapes == "box":
        x0, y0, x1, y1 = (
            _percent(np.array(shot.box(item)).reshape(2, 2), shot)[0]
            + _percent(np.array(shot.box(item)).reshape(2, 2), shot)[1]
        )
        place = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0, "rotation": 0}
        return _region(shot, item, f"f{number}", RECTANGLE, "rectanglelabels", label, place)
    mask = shot.mask(item)
    if shapes != "polygon" or has_holes(mask):
        value = {"format": "rle", "rle": to_brush(mask)}
        return _region(shot, item, f"f{number}", BRUSH, "brushlabels", label, value)
    results = []
    for part, ring in enumerate(outlines(mask)):
        points: dict[str, Any] = {"points": _percent(ring, shot), "closed": True}
        name = f"f{number}" if part == 0 else f"f{number}.{part}"
        results += _region(shot, item, name, POLYGON, "polygonlabels", label, points)
    return results


def _region(
    shot: Shot, item: Item, name: str, tag: str, kind: str, label: str, value: dict[str, Any]
) -> list[dict[str, Any]]:
    f = item.finding
    common = {
        "id": name,
        "to_name": IMAGE,
        "original_width": shot.width,
        "original_height": shot.height,
        "image_rotation": 0,
    }
    results: list[dict[str, Any]] = [
        {
            **common,
            "from_name": tag,
            "type": kind,
            "value": {**value, kind: [label]},
            "score": round(f.probability, 6),
            "meta": {"text": [f"finding {f.finding}, {f.kind}: {f.reason}"]},
        }
    ]
    if item.state != OPEN:
        value = {**value, "choices": [item.state]}
        results.append({**common, "from_name": VERDICT, "type": "choices", "value": value})
    return results


def _percent(ring: npt.NDArray[np.float64], shot: Shot) -> list[list[float]]:
    scaled = ring * 100 / np.array([shot.width, shot.height])
    return [[round(x, 9), round(y, 9)] for x, y in scaled.tolist()]
