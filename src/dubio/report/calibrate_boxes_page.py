"""The page of ``dubio calibrate --boxes``: before and after, and how all methods compare."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dubio.core.files import write_text
from dubio.report.box_values import footer_of, rounded
from dubio.report.html import render_page

_STYLES = ("base.css", "rel.css", "box.css")
_PROGRAMS = (
    "dom.js", "themebutton.js", "foot.js", "rel_tip.js", "rel_parts.js", "box_store.js", "box_charts.js",
    "boxcal_main.js",
)  # fmt: skip


def write_box_calibration_page(folder: Path, summary: Mapping[str, Any], dataset_name: str) -> Path:
    """Write ``report.html`` into the run folder of a detector's calibration.

    Args:
        folder: the run folder; ``run.json`` is quoted if it is there.
        summary: what ``summary.json`` holds (see :func:`dubio.jobs.calibrate_boxes.calibrate_boxes`).
        dataset_name: title of the page.

    Returns:
        The path of the page.

    Raises:
        InputError: the page can't be written.
    """
    page = Path(folder) / "report.html"
    sentences = list(summary.get("sentences") or ())
    data = {
        "title": dataset_name,
        "headline": _headline(sentences),
        "notes": [],
        "quarantine": [],
        **footer_of(Path(folder)),
        **summary,
        "sentences": _headline_first(sentences),
    }
    plain = rounded(data)
    write_text(page, render_page("boxcal_page.html", plain, styles=_STYLES, programs=_PROGRAMS))
    return page


def _headline(sentences: list[str]) -> str:
    return _headline_first(sentences)[0] if sentences else "Nothing could be judged."


def _headline_first(sentences: list[str]) -> list[str]:
    return sorted(sentences, key=lambda s: not s.startswith("Corners"))
