"""Reviewers' verdicts: the file in which they are kept, read back and joined with the findings.

``verdicts.json`` (format 1, as the audit's page saves it)::

    {"format": 1, "run": "<digest of the findings>",
     "verdicts": [{"finding": 3, "image_id": "…", "x0": 4, "y0": 5, "x1": 60, "y1": 70,
                   "kind": "missing", "verdict": "accepted", "time": "2026-01-31T12:00:00.000Z"}]}

``accepted`` means that the label is wrong, ``rejected`` that it is fine. Boxes are in pixels, right and
bottom exclusive, as in ``findings.parquet``.

Format 2 adds to a verdict, each if there is one: ``reviewer``; ``class`` and ``region`` where the reviewer
chose another class or drew another region (``{"size": [height, width], "runs": [start, length, …]}``, the
runs of the flattened image); and ``opinions``, a list of the same values, where several reviewers judged.
``verdict`` is null where these disagree. ``finding`` is 0 for a place that is not in the list: one that a
reviewer drew, or one that was judged before and is no longer listed. It is written only where needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dubio.core.errors import InputError
from dubio.core.files import digest, read_json, write_json
from dubio.errors.opinions import DECISIONS, Area, Decision, Opinion, Verdict

if TYPE_CHECKING:
    import pyarrow as pa

    from dubio.errors.findings import Finding

__all__ = [
    "DECISIONS", "Area", "Decision", "Opinion", "Verdict", "apply_verdicts", "findings_digest", "place_on",
    "read_verdicts", "reapply", "write_verdicts",
]  # fmt: skip
FORMATS = (1, 2)
_BOX = ("x0", "y0", "x1", "y1")
# a file saved by another page, or edited by hand, is repaired by saving it again
_REMEDY = "save the verdicts again on the audit's page"


def findings_digest(findings: Iterable[Finding]) -> str:
    """Name of a list of findings: 16 hex digits that change with any image, box, class or rank.

    The page keeps verdicts under this name, so a report that is moved, copied or written again from the
    same findings shows them again, and another run in the same folder does not.

    >>> len(findings_digest([]))
    16
    """
    return digest(
        [
            [f.finding, f.image_id, f.kind, f.given_index, f.proposed_index, f.x0, f.y0, f.x1, f.y1, f.size]
            for f in findings
        ]
    )


def read_verdicts(path: str | Path) -> list[Verdict]:
    """Read a file of verdicts, in the order of the findings; places that are not listed come last.

    Args:
        path: ``verdicts.json`` of format 1 or 2.

    Returns:
        The verdicts; empty if nothing has been reviewed.

    Raises:
        InputError: the file is missing, isn't JSON, has another format, a verdict lacks a value or has
            one of a wrong type, or a finding is judged twice.
    """
    data = read_json(path)
    if not isinstance(data, dict) or not isinstance(data.get("verdicts"), list):
        raise InputError("holds no verdicts", path=path, remedy="name the verdicts.json of an audit's page")
    if data.get("format") not in FORMATS:
        raise InputError(
            f"has format {data.get('format')!r}, not {' or '.join(map(str, FORMATS))}",
            path=path,
            remedy="use the dubio that wrote it",
        )
    found: dict[int, Verdict] = {}
    unlisted: list[Verdict] = []
    for place, row in enumerate(data["verdicts"], start=1):
        verdict = _verdict(row, place, path)
        if verdict.finding == 0:
            unlisted.append(verdict)
        elif verdict.finding in found:
            raise InputError(f"judges finding {verdict.finding} twice", path=path, remedy=_REMEDY)
        else:
            found[verdict.finding] = verdict
    return [found[number] for number in sorted(found)] + unlisted


def write_verdicts(path: str | Path, verdicts: Iterable[Verdict], findings: Sequence[Finding]) -> None:
    """Write verdicts as format 1, or as format 2 where that can't hold them.

    Args:
        path: the file.
        verdicts: the verdicts; those on findings first.
        findings: the list that they judge; its digest is written.
    """
    kept = sorted(verdicts, key=lambda v: (v.finding == 0, v.finding))
    plain = all(v.finding and v.verdict and not (v.reviewer or v.label or v.area or v.opinions) for v in kept)
    rows = [_row(v) for v in kept]
    write_json(path, {"format": 1 if plain else 2, "run": findings_digest(findings), "verdicts": rows})


def place_on(findings: Iterable[Finding], verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Give verdicts the numbers of a list of findings, by image, box and kind.

    So a run that was ranked anew keeps what was decided. A verdict whose number, image and box still fit
    stays as it is; one that fits no finding gets the number 0, and may get another one again later.

    Returns:
        The verdicts in their order; no finding is judged twice (the first verdict stays).
    """
    listed = list(findings)
    number_of: dict[tuple[object, ...], int] = {
        (f.image_id, f.x0, f.y0, f.x1, f.y1, f.kind): f.finding for f in reversed(listed)
    }
    named = {(f.finding, f.image_id, f.x0, f.y0, f.x1, f.y1) for f in listed}
    judged: set[int] = set()
    placed = []
    for verdict in verdicts:
        number = verdict.finding
        if (number, verdict.image_id, *verdict.box) not in named:
            number = number_of.get((verdict.image_id, *verdict.box, verdict.kind), 0)
        if number in judged:
            number = 0
        judged |= {number} - {0}
        placed.append(verdict if number == verdict.finding else replace(verdict, finding=number))
    return placed


def reapply(findings: Iterable[Finding], verdicts: Iterable[Verdict]) -> list[Finding]:
    """Findings with the verdicts that still fit them: by number and place, else by image, box and kind.

    Args:
        findings: a list of findings, perhaps ranked anew.
        verdicts: what was decided on it, or on an earlier list of the same run.

    Returns:
        The findings in their order; those that no verdict fits stay as they are.
    """
    listed = list(findings)
    decided = {v.finding: v.verdict for v in place_on(listed, verdicts) if v.finding}
    return [replace(f, verdict=decided[f.finding]) if f.finding in decided else f for f in listed]


def apply_verdicts(findings_table: pa.Table, verdicts: Iterable[Verdict]) -> pa.Table:
    """Write verdicts into a table of findings.

    Args:
        findings_table: the table of ``findings.parquet``; not modified.
        verdicts: what was decided; findings without a verdict keep the one they have, those on which
            reviewers disagree get none, and places that are not listed (number 0) are passed over.

    Returns:
        The table with its column ``verdict`` filled; rows, other columns and metadata are the same.

    Raises:
        InputError: the table has no such finding, or it lies in another image or box: the verdicts
            belong to another run.
    """
    import pyarrow as pa

    columns = ("finding", "image_id", *_BOX)
    missing = [name for name in (*columns, "verdict") if name not in findings_table.column_names]
    if missing:
        raise InputError(f"the table has no column '{missing[0]}'", remedy="give the table of findings")
    rows = findings_table.select(columns).to_pylist()
    row_of = {row["finding"]: n for n, row in enumerate(rows)}
    decided = findings_table.column("verdict").to_pylist()
    for verdict in verdicts:
        if verdict.finding == 0:
            continue
        n = row_of.get(verdict.finding)
        if n is None:
            raise InputError(
                f"the run has no finding {verdict.finding} ({verdict.image_id})",
                remedy="give the verdicts of this run",
            )
        _check_place(verdict, rows[n])
        decided[n] = verdict.verdict
    at = findings_table.schema.get_field_index("verdict")
    field = findings_table.schema.field(at)
    return findings_table.set_column(at, field, pa.array(decided, field.type))


def _check_place(verdict: Verdict, row: Mapping[str, Any]) -> None:
    box = tuple(row[name] for name in _BOX)
    if (row["image_id"], box) != (verdict.image_id, verdict.box):
        raise InputError(
            f"finding {verdict.finding} is {row['image_id']} {list(box)} in this run, but was judged as "
            f"{verdict.image_id} {list(verdict.box)}",
            remedy="give the verdicts of this run",
        )


def _row(verdict: Verdict) -> dict[str, Any]:
    row: dict[str, Any] = {"finding": verdict.finding, "image_id": verdict.image_id}
    row.update(zip(_BOX, verdict.box, strict=True))
    row["kind"] = verdict.kind
    row.update(_said(verdict))
    if verdict.opinions:
        row["opinions"] = [_said(o) for o in verdict.opinions]
    return row


def _said(one: Verdict | Opinion) -> dict[str, Any]:
    row: dict[str, Any] = {"verdict": one.verdict, "time": one.time}
    if one.reviewer:
        row["reviewer"] = one.reviewer
    if one.label is not None:
        row["class"] = one.label
    if one.area is not None:
        row["region"] = {"size": [one.area.height, one.area.width], "runs": list(one.area.runs)}
    return row


def _verdict(row: Any, place: int, path: str | Path) -> Verdict:
    def bad(fault: str) -> InputError:
        return InputError(f"verdict {place} {fault}", path=path, remedy=_REMEDY)

    if not isinstance(row, dict):
        raise bad("is no object")
    for name in ("finding", *_BOX):
        value = row.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise bad(f"has {name} {value!r}, which is no whole number from 0 on")
    for name in ("image_id", "kind"):
        if not isinstance(row.get(name), str):
            raise bad(f"has {name} {row.get(name)!r}, which is no text")
    listed = row.get("opinions", [])
    if not isinstance(listed, list) or not all(isinstance(o, dict) for o in listed):
        raise bad("has opinions that are no list of objects")
    opinions = tuple(Opinion(**_checked(o, bad)) for o in listed)
    said = _checked(row, bad, undecided=len(opinions) > 1)
    numbers = {name: row[name] for name in ("finding", *_BOX)}
    return Verdict(image_id=row["image_id"], kind=row["kind"], opinions=opinions, **said, **numbers)


def _checked(row: Mapping[str, Any], bad: Any, *, undecided: bool = False) -> dict[str, Any]:
    """Arguments of an opinion from its row."""
    decision = row.get("verdict")
    if decision not in DECISIONS and not (undecided and decision is None):
        raise bad(f"is {decision!r}, neither {' nor '.join(DECISIONS)}")
    time = row.get("time") or ""
    try:
        time and datetime.fromisoformat(time)
    except (TypeError, ValueError) as error:
        raise bad(f"has time {time!r}, which is no ISO 8601 time") from error
    reviewer, label = row.get("reviewer", ""), row.get("class")
    if not isinstance(reviewer, str) or not isinstance(label, str | None):
        raise bad("has a reviewer or class that is no text")
    area = None if row.get("region") is None else _area(row["region"], bad)
    return {"verdict": decision, "time": time, "reviewer": reviewer, "label": label, "area": area}


def _area(value: Any, bad: Any) -> Area:
    try:
        height, width = (int(v) for v in value["size"])
        runs = np.array([int(v) for v in value["runs"]], np.int64).reshape(-1, 2)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise bad("has a malformed region") from error
    ends = runs.sum(1)
    inside = height > 0 and width > 0 and bool((runs[:, 1] > 0).all())
    if not inside or not len(runs) or runs[0, 0] < 0 or ends[-1] > height * width:
        raise bad("has a region outside its image")
    if (runs[1:, 0] < ends[:-1]).any():
        raise bad("has a region whose runs are out of order")
    return Area(height, width, tuple(int(v) for v in runs.ravel()))
