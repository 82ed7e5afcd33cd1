"""Reviewers' verdicts: the file that the audit page saves, read back and joined with the findings.

``verdicts.json`` (format 1)::

    {"format": 1, "run": "<digest of the findings>",
     "verdicts": [{"finding": 3, "image_id": "…", "x0": 4, "y0": 5, "x1": 60, "y1": 70,
                   "kind": "missing", "verdict": "accepted", "time": "2026-01-31T12:00:00.000Z"}]}

``accepted`` means that the label is wrong, ``rejected`` that it is fine. Boxes are in pixels, right and
bottom exclusive, as in ``findings.parquet``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from dubio.core.errors import InputError
from dubio.core.files import digest, read_json

if TYPE_CHECKING:
    import pyarrow as pa

    from dubio.errors.findings import Finding

FORMAT = 1
Decision = Literal["accepted", "rejected"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)
_BOX = ("x0", "y0", "x1", "y1")
# a file saved by another page, or edited by hand, is repaired by saving it again
_REMEDY = "save the verdicts again on the audit's page"


@dataclass(frozen=True)
class Verdict:
    """What a reviewer decided on one finding.

    Args:
        finding: number of the finding in its run, from 1.
        image_id: image.
        x0: left edge of the box, pixels.
        y0: top edge.
        x1: right edge, exclusive.
        y1: bottom edge, exclusive.
        kind: kind of error that was suspected.
        verdict: ``"accepted"``: the label is wrong; ``"rejected"``: the label is fine.
        time: when, ISO 8601; empty if unknown.
    """

    finding: int
    image_id: str
    x0: int
    y0: int
    x1: int
    y1: int
    kind: str
    verdict: Decision
    time: str = ""

    @property
    def box(self) -> tuple[int, int, int, int]:
        """``x0, y0, x1, y1`` in pixels."""
        return self.x0, self.y0, self.x1, self.y1


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
    """Read a file of verdicts, in the order of the findings.

    Args:
        path: ``verdicts.json`` as saved by the audit's page.

    Returns:
        The verdicts; empty if nothing has been reviewed.

    Raises:
        InputError: the file is missing, isn't JSON, has another format, a verdict lacks a value or has
            one of a wrong type, or a finding is judged twice.
    """
    data = read_json(path)
    if not isinstance(data, dict) or not isinstance(data.get("verdicts"), list):
        raise InputError("holds no verdicts", path=path, remedy="name the verdicts.json of an audit's page")
    if data.get("format") != FORMAT:
        raise InputError(
            f"has format {data.get('format')!r}, not {FORMAT}",
            path=path,
            remedy="use the dubio that wrote it",
        )
    found: dict[int, Verdict] = {}
    for place, row in enumerate(data["verdicts"], start=1):
        verdict = _verdict(row, place, path)
        if verdict.finding in found:
            raise InputError(f"judges finding {verdict.finding} twice", path=path, remedy=_REMEDY)
        found[verdict.finding] = verdict
    return [found[number] for number in sorted(found)]


def apply_verdicts(findings_table: pa.Table, verdicts: Iterable[Verdict]) -> pa.Table:
    """Write verdicts into a table of findings.

    Args:
        findings_table: the table of ``findings.parquet``; not modified.
        verdicts: what was decided; findings without a verdict keep the one they have.

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
    if row.get("verdict") not in DECISIONS:
        raise bad(f"is {row.get('verdict')!r}, neither {' nor '.join(DECISIONS)}")
    time = row.get("time") or ""
    try:
        time and datetime.fromisoformat(time)
    except (TypeError, ValueError) as error:
        raise bad(f"has time {time!r}, which is no ISO 8601 time") from error
    numbers = {name: row[name] for name in ("finding", *_BOX)}
    return Verdict(image_id=row["image_id"], kind=row["kind"], verdict=row["verdict"], time=time, **numbers)
