"""The page of ``dubio reliability`` and ``dubio calibrate``: models side by side over domains.

What it shares with other pages is in :mod:`dubio.report.html`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dubio.core.files import write_text
from dubio.report.html import render_page
from dubio.report.run_notes import read_notes

_STYLES = ("base.css", "rel.css")
_PROGRAMS = (
    "dom.js", "themebutton.js", "foot.js", "rel_store.js", "rel_metrics.js", "rel_tip.js", "rel_parts.js",
    "rel_lead.js", "rel_before.js", "rel_table.js", "rel_heat.js", "rel_charts.js", "rel_risk.js",
    "rel_scores.js", "rel_worst.js", "rel_main.js",
)  # fmt: skip
# Points of all risk-coverage curves together: some 3 MB of page, however many models and domains.
_POINTS = 200_000
_FEWEST_POINTS = 24
_LISTS = ("models", "domains", "scores", "cells", "guarantees", "notes", "quarantine")
_DIGITS = 6  # significant ones; the page shows three


def write_reliability_report(folder: str | Path, data: Mapping[str, Any]) -> Path:
    """Write ``report.html`` into a run folder.

    Args:
        folder: the run folder; pictures are looked up below it, ``run.json`` is quoted if it is there.
        data: what ``summary.json`` holds. Lists may be empty, and numbers may be ``None`` or not finite:
            those are shown as undefined.

    Returns:
        The path of the page.

    Raises:
        InputError: the page can't be written.
    """
    page = Path(folder) / "report.html"
    write_text(page, render(page_data(Path(folder), data)))
    return page


def page_data(folder: Path, data: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the page shows, as plain data: rounded, curves thinned, notes of the run added."""
    notes = read_notes(folder)
    cells = [dict(cell) for cell in data.get("cells", ())]
    curves = sum(len(cell.get("risk_coverage") or ()) for cell in cells)
    points = max(_POINTS // max(curves, 1), _FEWEST_POINTS)
    for cell in cells:
        found = cell.get("risk_coverage") or {}
        cell["risk_coverage"] = {name: thinned(curve, points) for name, curve in found.items()}
        cell["worst"] = [_with_size(folder, row) for row in cell.get("worst") or ()]
    footer = {"version": notes.version, "options": notes.options, "command": notes.command}
    plain = {"title": "", "headline": "", "command": "reliability"}
    lists: dict[str, list[Any]] = {name: [] for name in _LISTS}
    shown = {**plain, **lists, "date": notes.date, "footer": footer, **data, "cells": cells}
    rounded: dict[str, Any] = _rounded(shown)
    return rounded


def render(data: dict[str, Any]) -> str:
    """The page as text (see :func:`dubio.report.html.render_page`)."""
    return render_page("rel_page.html", data, styles=_STYLES, programs=_PROGRAMS)


def thinned(curve: Sequence[Any], most: int) -> list[Any]:
    """At most so many points of a curve, evenly chosen, the ends among them.

    >>> thinned([0, 1, 2, 3, 4, 5, 6], 3)
    [0, 3, 6]
    """
    if len(curve) <= most:
        return list(curve)
    return [curve[round(n * (len(curve) - 1) / (most - 1))] for n in range(most)]


def _with_size(folder: Path, row: Mapping[str, Any]) -> dict[str, Any]:
    """Add the size of a picture, so that the page keeps its place before it is loaded."""
    from PIL import Image

    picture = row.get("picture")
    if not picture:
        return dict(row)
    try:
        with Image.open(folder / picture["src"]) as found:
            size = list(found.size)
    except OSError:
        return dict(row)  # the page says that the file is missing
    return {**row, "picture": {**picture, "size": size}}


def _rounded(value: Any) -> Any:
    """The same data with as many digits as a page needs; what is not finite becomes ``None``."""
    if isinstance(value, Mapping):
        return {str(k): _rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(v) for v in value]
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value
