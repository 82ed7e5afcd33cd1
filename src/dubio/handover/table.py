"""Findings as a flat CSV table (RFC 4180, UTF-8), and such a table read back."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from dubio.core.files import writing
from dubio.handover.items import Item
from dubio.handover.rle import to_coco

NAME = "findings.csv"
COLUMNS = (
    "finding", "image_id", "kind", "given", "proposed", "probability", "verdict", "x0", "y0", "x1", "y1",
    "size", "height", "width", "p_given", "p_proposed", "reason", "picture", "rle",
)  # fmt: skip


def write_table(out: Path, items: Sequence[Item]) -> list[str]:
    """Write ``findings.csv``.

    One row per finding, most probable first; ``rle`` is COCO's compressed run lengths of the region in an
    image of ``height`` x ``width`` pixels (the label's size), ``verdict`` is empty where there is none.

    Returns:
        Names of the files.
    """
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for item in items:
        f = item.finding
        values = {name: getattr(f, name) for name in COLUMNS if hasattr(f, name)}
        for name in ("probability", "p_given", "p_proposed"):
            values[name] = f"{values[name]:.6g}"
        values.update(verdict=f.verdict or "", picture=f.picture or "", rle=to_coco(item.mask())["counts"])
        table.writerow([values[name] for name in COLUMNS])
    with writing(out / NAME) as part:
        part.write_bytes(text.getvalue().encode("utf-8", "surrogateescape"))
    return [NAME]
