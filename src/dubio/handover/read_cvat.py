"""Verdicts from CVAT: its export "CVAT for images 1.1"."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Tree

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.data.safe_xml import parse_xml
from dubio.handover.cvat import NAME
from dubio.handover.polygons import fill
from dubio.handover.returned import Answer, Returned, decision_of, number_of, read_data
from dubio.handover.rle import check_size, from_cvat


def read_cvat(path: Path) -> Answer:
    """Read ``annotations.xml``, or the archive or folder that holds it.

    The verdict is the attribute ``verdict``. A shape without a finding's number is a region that the
    reviewer drew; it counts as accepted unless its verdict is ``rejected``.

    Raises:
        InputError: no such file, or a shape is malformed.
    """
    root = parse_xml(read_data(path, NAME), path)
    if root.tag != "annotations":
        raise InputError("is no annotation file of CVAT", path=path)
    if root.find("track") is not None:
        raise InputError(
            "holds tracks of a video", path=path, remedy="export the task as 'CVAT for images 1.1'"
        )
    answer = Answer()
    for image in root.iter("image"):
        name = image.get("name") or ""
        answer.images.append(name)
        for shape in image:
            where = f"a {shape.tag} of {name}"
            try:
                mask = _mask(shape, _size(image))
            except (InputError, ValueError, TypeError, OverflowError) as error:
                raise InputError(f"{where} is malformed ({error})", path=path) from error
            if mask is None:
                continue
            said = {a.get("name"): (a.text or "") for a in shape.iter("attribute")}
            decision = decision_of(said.get("verdict"), where, path)
            number = number_of(said.get("finding"))
            if number is None and decision is None:
                decision = "accepted"
            answer.rows.append(Returned(name, number, decision, shape.get("label"), mask, row=where))
    return answer


def _size(image: Tree.Element) -> tuple[int, int]:
    height, width = int(image.get("height") or 0), int(image.get("width") or 0)
    check_size(height, width)
    return height, width


def _mask(shape: Tree.Element, size: tuple[int, int]) -> npt.NDArray[np.bool_] | None:
    """Region of a shape; ``None`` for what has none (points, lines, tags) or is empty."""
    value = dict(shape.attrib)
    if shape.tag == "mask":
        left, top, width, height = (int(value.get(k) or -1) for k in ("left", "top", "width", "height"))
        left, top = int(value.get("left") or 0), int(value.get("top") or 0)
        mask = from_cvat(value.get("rle", ""), (left, top, width, height), size)
    elif shape.tag == "polygon":
        points = [[float(v) for v in p.split(",")] for p in value.get("points", "").split(";") if p]
        mask = fill([np.array(points, float)], size)
    elif shape.tag == "box":
        x0, y0, x1, y1 = (float(value[k]) for k in ("xtl", "ytl", "xbr", "ybr"))
        mask = fill([np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])], size)
    else:
        return None
    return mask if mask.any() else None
