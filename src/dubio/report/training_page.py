"""The page of a training run: its losses, its validation figures and its learning rate by epoch."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

from dubio.core.errors import InputError
from dubio.core.files import plain_reason, write_text
from dubio.report.box_values import footer_of, rounded
from dubio.report.html import render_page

FILE_NAME = "training.html"
_CURVES = "curves.csv"
_STYLES = ("base.css", "rel.css", "box.css")
_PROGRAMS = (
    "dom.js", "themebutton.js", "foot.js", "rel_tip.js", "rel_parts.js", "box_store.js", "box_charts.js",
    "train_main.js",
)  # fmt: skip
# the figure by which the epoch is chosen, and what people call it
_CHOSEN_BY = {"val_ap": "AP", "val_miou": "Mean IoU"}

Rows = list[dict[str, float | None]]


def write_training_page(folder: Path, title: str) -> Path:
    """Write ``training.html`` into the folder of a training run, from the curves that lie there.

    May be written after each epoch, and shows what there is: one run (``curves.csv``), or all folds
    (``folds/N/curves.csv``) in the same drawings.

    Args:
        folder: the run folder; ``run.json`` is quoted if it is there.
        title: name of the data set.

    Returns:
        The path of the page.

    Raises:
        InputError: there are no curves, or the page can't be written.
    """
    folder = Path(folder)
    runs = [_run(name, read_curves(path)) for name, path in _files(folder)]
    runs = [run for run in runs if run["rows"]]
    if not runs:
        raise InputError(f"holds no {_CURVES}", path=folder, remedy="name the folder of a training run")
    columns = {name for run in runs for name in run["rows"][0]}
    by = next((name for name in _CHOSEN_BY if name in columns), None)
    for run in runs:
        run["best"] = _best(run["rows"], by)
    said = _sentences(runs, by)
    data = {
        "title": title,
        "headline": said[0],
        "sentences": said[1:],
        "runs": runs,
        "by": by,
        "notes": [],
        **footer_of(folder),
    }
    page = folder / FILE_NAME
    write_text(page, render_page("train_page.html", rounded(data), styles=_STYLES, programs=_PROGRAMS))
    return page


def read_curves(path: Path) -> Rows:
    """Rows of a ``curves.csv``, one per epoch; what is missing or undefined is ``None``.

    Raises:
        InputError: it can't be read or is damaged.
    """
    rows: Rows = []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"can't be read ({plain_reason(error)})", path=path, remedy="train again") from error
    for record in csv.DictReader(io.StringIO(text)):
        try:
            values = {k: float(v) if v else math.nan for k, v in record.items() if k is not None}
        except ValueError as error:
            raise InputError("holds words where numbers belong", path=path, remedy="train again") from error
        rows.append({k: v if math.isfinite(v) else None for k, v in values.items()})
    return rows


def _files(folder: Path) -> list[tuple[str, Path]]:
    if (folder / _CURVES).is_file():
        return [("training", folder / _CURVES)]
    folds = [p for p in (folder / "folds").glob(f"*/{_CURVES}") if p.parent.name.isdecimal()]
    folds.sort(key=lambda p: int(p.parent.name))
    return [(f"fold {int(p.parent.name) + 1}", p) for p in folds]


def _run(name: str, rows: Rows) -> dict[str, Any]:
    return {"name": name, "rows": rows}


def _best(rows: Rows, by: str | None) -> dict[str, float | None] | None:
    """The row whose weights are kept: the first of the greatest figures."""
    known = [row for row in rows if by is not None and row.get(by) is not None]
    return max(known, key=lambda row: row[by] or 0.0) if known and by is not None else None


def _sentences(runs: list[dict[str, Any]], by: str | None) -> list[str]:
    epochs = [int(run["rows"][-1].get("epoch") or len(run["rows"])) for run in runs]
    judged = [run for run in runs if run["best"] is not None]
    if not judged or by is None:
        return [
            f"{_count(max(epochs))} trained; the validation images tell nothing: the last weights are kept."
        ]
    reached = [run["best"][by] for run in judged]
    at = [int(run["best"]["epoch"]) for run in judged]
    if len(runs) == 1:
        found = [f"{_CHOSEN_BY[by]} {reached[0]:.3f} on validation images, in epoch {at[0]} of {epochs[0]}."]
    else:
        found = [
            f"{_CHOSEN_BY[by]} {min(reached):.3f} to {max(reached):.3f} on the validation images of "
            f"{len(judged)} folds."
        ]
    late = sum(a == e and e > 2 for a, e in zip(at, epochs, strict=False)) if len(judged) == len(runs) else 0
    if late:
        whose = "" if len(runs) == 1 else f" of {late} of {len(runs)} folds"
        found.append(f"The best epoch{whose} is the last: more epochs may reach more.")
    return found


def _count(epochs: int) -> str:
    return f"{epochs} epoch" if epochs == 1 else f"{epochs} epochs"
