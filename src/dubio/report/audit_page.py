"""The page of an audit: one HTML file that opens from disk, with the pictures beside it.

What it shares with other pages is in :mod:`dubio.report.html`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dubio.core.files import write_text
from dubio.errors.verdicts import findings_digest
from dubio.report.html import embed, render_page
from dubio.report.run_notes import RunNotes, read_notes

if TYPE_CHECKING:
    from dubio.core.boxes import BoxDataset
    from dubio.core.labelspace import LabelSpace
    from dubio.core.records import Dataset
    from dubio.errors.findings import Finding
    from dubio.errors.summary import AuditSummary

__all__ = ["METHODS", "embed", "headline", "page_data", "render", "write_audit_report"]

_STYLES = ("base.css", "summary.css", "wall.css")
_PROGRAMS = (
    "dom.js", "themebutton.js", "foot.js", "store.js", "transfer.js", "charts.js", "summary.js", "trust.js",
    "view.js", "filters.js", "images.js", "card.js", "wall.js", "viewer.js", "keys.js", "main.js",
)  # fmt: skip
METHODS = {
    "planted": "learned from planted errors",
    "meta": "meta classification (published method)",
}


def write_audit_report(
    path: str | Path,
    findings: list[Finding],
    summary: AuditSummary,
    dataset: Dataset | BoxDataset,
    quarantine: dict[str, str],
) -> None:
    """Write ``report.html`` into a run folder.

    Args:
        path: the run folder; pictures are looked up below it, ``run.json`` is quoted if it is there.
        findings: the ranked findings, worst first; may be empty.
        summary: what the audit says of the data set.
        dataset: the data set, for its name and label space (void keeps its own colour and name).
        quarantine: image id -> why it was left out.

    Raises:
        InputError: the page can't be written.
    """
    folder = Path(path)
    notes = read_notes(folder, dataset.space.names)
    data = page_data(folder, findings, summary, dataset, quarantine, notes)
    write_text(folder / "report.html", render(data))


def page_data(
    folder: Path,
    findings: list[Finding],
    summary: AuditSummary,
    dataset: Dataset | BoxDataset,
    quarantine: dict[str, str],
    notes: RunNotes,
) -> dict[str, Any]:
    """Everything that the page shows, as plain data."""
    from dubio.core.boxes import BoxDataset
    from dubio.errors.findings import BOX_KINDS, KINDS, TITLES
    from dubio.errors.summary import SUSPICIOUS
    from dubio.report.pictures import GAP, TILE

    boxes = isinstance(dataset, BoxDataset)
    return {
        "run": findings_digest(findings),
        "name": dataset.name,
        "date": notes.date,
        "method": _method(summary),
        "headline": headline(summary),
        "suspicious_from": SUSPICIOUS,
        "summary": summary.to_dict(),
        "tile": [*TILE, GAP],
        "palette": _palette(dataset.space, "nothing" if boxes else "void"),
        "kinds": {k: TITLES[k] for k in (BOX_KINDS if boxes else KINDS)},
        "unit": "box" if boxes else "region",
        "images": _images(folder),
        "findings": [_row(f, folder, len(dataset.space)) for f in findings],
        "quarantine": sorted(quarantine.items()),
        "notes": list(dataset.notes),
        "footer": {"version": notes.version, "options": notes.options, "command": notes.command},
    }


def _method(summary: AuditSummary) -> str:
    if summary.method == "planted" and summary.quality is None:
        return "ranked by the model's probability of the label"
    return METHODS.get(summary.method, summary.method)


def headline(summary: AuditSummary) -> str:
    """What the audit found, in one or two sentences.

    Where probabilities are not calibrated there is no number to give: the reason is said instead.
    """
    from dubio.errors.findings import BOX_KINDS

    ranked = {0: "No place is suspicious enough to be listed.", 1: "1 place listed."}.get(
        summary.findings, f"{summary.findings:,} places ranked, worst first."
    )
    if summary.expected is None or summary.low is None or summary.high is None:
        note = summary.note.strip().rstrip(".")
        if not note:
            return ranked
        return f"{note[0].upper()}{note[1:]}. {ranked}"
    word = "labelled box" if set(summary.kinds) == set(BOX_KINDS) else "label region"
    ending = "" if summary.regions == 1 else "es" if word.endswith("x") else "s"
    regions = f"{summary.regions:,} {word}{ending}"
    count = round(summary.expected)
    about = "Less than one label error" if count < 1 else f"About {count:,} label error{'s'[: count != 1]}"
    return (
        f"{about} expected among {regions} (90\u00a0%: {summary.low:,.0f} to {summary.high:,.0f}). {ranked}"
    )


def render(data: dict[str, Any]) -> str:
    """The page as text (see :func:`dubio.report.html.render_page`)."""
    return render_page("page.html", data, styles=_STYLES, programs=_PROGRAMS)


def _row(f: Finding, folder: Path, void: int) -> dict[str, Any]:
    return {
        "n": f.finding,
        "image": f.image_id,
        "kind": f.kind,
        "given": _index(f.given_index, void),
        "proposed": _index(f.proposed_index, void),
        "p": round(f.probability, 5),
        "box": [f.x0, f.y0, f.x1, f.y1],
        "of": [f.width, f.height],
        "size": f.size,
        "pg": _rounded(f.p_given),
        "pp": _rounded(f.p_proposed),
        "reason": f.reason,
        "picture": _picture(folder, f.picture),
        "verdict": f.verdict,
    }


def _index(index: int, void: int) -> int:
    """Place in the palette; what is no class stands last."""
    return index if 0 <= index < void else void


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _images(folder: Path) -> list[dict[str, Any]]:
    """The most suspect images, those with pictures, from ``images.parquet`` if it is there."""
    import pyarrow.parquet as pq

    if not (folder / "images.parquet").is_file():
        return []
    columns = ("image_id", "fault", "fault_kind", "expected_errors", "findings", "reason", "picture")
    rows = pq.read_table(folder / "images.parquet").to_pylist()
    kept = [{name: row.get(name) for name in columns} for row in rows if row.get("picture")]
    return [row | {"picture": _picture(folder, row["picture"])} for row in kept]


def _picture(folder: Path, name: str | None) -> dict[str, Any] | None:
    """Path and number of tiles of a strip; ``None`` if there is none."""
    if name is None:
        return None
    from PIL import Image

    from dubio.report.pictures import tiles_of

    try:
        with Image.open(folder / name) as picture:
            tiles = tiles_of(picture.size)
    except OSError:
        tiles = 3  # the page says that the file is missing
    return {"src": Path(name).as_posix(), "tiles": tiles}


def _palette(space: LabelSpace, last: str) -> list[dict[str, Any]]:
    """Name and colour of each class, then of what is none."""
    names = [*space.names, last]
    return [
        {"name": name, "color": [int(v) for v in rgb]} for name, rgb in zip(names, space.palette, strict=True)
    ]
