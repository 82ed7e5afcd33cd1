"""The page of ``dubio validate``: what is found, what the doubts are worth, and a wall of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dubio.core.files import write_text
from dubio.report.box_values import footer_of, rounded
from dubio.report.html import render_page

_STYLES = ("base.css", "rel.css", "box.css", "val.css")
_PROGRAMS = (
    "dom.js", "themebutton.js", "foot.js", "rel_tip.js", "rel_parts.js", "box_store.js", "box_charts.js",
    "val_figures.js", "val_uncertainty.js", "val_draw.js", "val_wall.js", "val_corners.js", "val_main.js",
)  # fmt: skip


def write_validate_page(folder: str | Path, summary: Mapping[str, Any], wall: Mapping[str, Any]) -> Path:
    """Write ``validate.html`` into a run folder.

    Args:
        folder: the run folder; ``run.json`` is quoted if it is there.
        summary: what ``summary.json`` holds (see :func:`dubio.jobs.validate.validate`).
        wall: the images with their boxes (:func:`dubio.jobs.validate_wall.build_wall`), ``quantiles`` of each
            uncertainty, and the ``palette`` of the classes.

    Returns:
        The path of the page.

    Raises:
        InputError: the page can't be written.
    """
    page = Path(folder) / "validate.html"
    data = rounded({**footer_of(Path(folder)), **summary, "wall": wall, "palette": wall["palette"]})
    write_text(page, render_page("val_page.html", data, styles=_STYLES, programs=_PROGRAMS))
    return page
