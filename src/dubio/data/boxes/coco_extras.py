"""What COCO annotations say beside box and class: the area of the object, and attributes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.data.boxes.gather import flag

GRADES = {"occlusion": "occluded", "truncation": "truncated", "distance": "distance"}


def areas(records: list[Any], boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    """Areas of the objects in square pixels, NaN where none is told.

    Args:
        records: the annotations.
        boxes: ``(N, 4)`` x, y, width and height.

    Returns:
        ``(N,)``, or ``None`` if all are those of the boxes.

    >>> areas([{"area": 12}, {}], np.array([[0.0, 0, 4, 4]] * 2)).tolist()
    [12.0, nan]
    """
    said = [_number(r.get("area")) for r in records]
    area = np.array(said, np.float64)
    # tools without outlines write 0: an object in a box has some area
    area[~(np.isfinite(area) & (area > 0))] = np.nan
    with np.errstate(over="ignore", invalid="ignore"):
        told = ~np.isnan(area) & ~np.isclose(area, boxes[:, 2] * boxes[:, 3], rtol=1e-9, atol=0)
    return area if told.any() else None


def attributes(records: list[Any]) -> dict[str, Any]:
    """Columns of the attributes that dubio knows, if any record has them."""
    said = {k: r["attributes"] for k, r in enumerate(records) if isinstance(r.get("attributes"), dict)}
    found: dict[str, Any] = {}
    for key, word in GRADES.items():
        values = np.full(len(records), np.nan)
        for k, own in said.items():
            values[k] = _grade(own.get(word))
        if not np.isnan(values).all():
            found[key] = values
    hard = [k for k, own in said.items() if flag(own.get("difficult")) == 1]
    if hard:
        found["difficult"] = np.isin(np.arange(len(records)), hard)
    return found


def _grade(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return flag(value)
    return float(value)


def _number(value: Any) -> float:
    """A number as JSON holds it, else NaN; whole numbers may be too long for one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan
