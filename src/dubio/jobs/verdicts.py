"""Verdicts read back into a run: merged, kept, and shown on its page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from dubio.core.errors import InputError
from dubio.core.files import read_json, writing
from dubio.errors.findings import Finding, to_table
from dubio.errors.summary import AuditSummary, ClassRow
from dubio.errors.verdicts import Verdict, apply_verdicts, place_on, read_verdicts, write_verdicts
from dubio.handover.audit_run import VERDICTS, AuditRun, open_run, read_summary
from dubio.handover.matching import Matched, match
from dubio.handover.merge import Agreement, Prefer, agreements, merge
from dubio.handover.returned import TOOLS, Answer, Tool, detect
from dubio.jobs.handover import EXPORTS

Deleted = Literal["open", "rejected"]


@dataclass
class ImportResult:
    """What an import changed.

    Attributes:
        path: the run folder.
        tools: per file, the tool that wrote it.
        before: numbers of findings accepted, rejected and open.
        after: the same, now.
        judged: number of verdicts that came in.
        edited: findings whose region or class a reviewer changed.
        undecided: findings that were changed in the tool, but got no verdict.
        drawn: number of regions that reviewers drew.
        unknown: sentences on what fits nothing of the run.
        changed: number of earlier verdicts that their reviewer took back.
        conflicts: verdicts on which reviewers disagree.
        agreement: of each two reviewers.
    """

    path: Path
    tools: list[tuple[Path, Tool]]
    before: dict[str, int]
    after: dict[str, int]
    judged: int
    edited: list[int]
    undecided: list[int]
    drawn: int
    unknown: list[str]
    changed: int
    conflicts: list[Verdict]
    agreement: list[Agreement] = field(default_factory=list)


def import_verdicts(
    run: str | Path | AuditRun,
    files: Sequence[str | Path],
    *,
    tool: Tool | Literal["auto"] = "auto",
    reviewer: str = "",
    prefer: Prefer | None = None,
    deleted: Deleted = "open",
) -> ImportResult:
    """Read verdicts from files of annotation tools into a run.

    ``verdicts.json``, the column ``verdict`` of ``findings.parquet`` and ``report.html`` are written again.

    Args:
        run: run folder of ``dubio audit``, or an opened one.
        files: the files; each may hold the verdicts of one or more reviewers.
        tool: which tool wrote them; ``auto``: found out.
        reviewer: name for verdicts; without one, those that the tool gives count.
        prefer: how to decide where reviewers disagree; ``None``: leave it open.
        deleted: what a shape means that was exported to CVAT and is gone.

    Returns:
        The ``ImportResult``.

    Raises:
        InputError: no such run or file, a file can't be understood, or nothing in it fits the run.
    """
    opened = run if isinstance(run, AuditRun) else open_run(run)
    before = _counts(opened.findings)
    known = _recorded(opened)
    read: list[tuple[Path, Tool]] = []
    total = Matched()
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for name in files:
        path = Path(name)
        found_tool = detect(path) if tool == "auto" else tool
        found = _read(opened, path, found_tool, deleted)
        if not found.verdicts and found.unknown:
            raise InputError(
                f"fits nothing of this run ({found.unknown[0]})",
                path=path,
                remedy="name the run it came from",
            )
        incoming = [_signed(v, reviewer, now) for v in found.verdicts]
        total.edited |= found.edited
        total.undecided |= found.undecided
        total.drawn += found.drawn
        total.unknown += found.unknown
        total.verdicts += incoming
        read.append((path, found_tool))
    merged = merge(known, total.verdicts, prefer)
    _save(opened, merged.verdicts)
    return ImportResult(
        opened.path, read, before, _counts(opened.findings), len(total.verdicts), sorted(total.edited),
        sorted(total.undecided - {v.finding for v in total.verdicts}), total.drawn, total.unknown,
        merged.changed, merged.conflicts, agreements(merged.verdicts),
    )  # fmt: skip


def _recorded(run: AuditRun) -> list[Verdict]:
    """Verdicts of the run so far; those that only its table has, too."""
    judged = {v.finding for v in run.verdicts}
    only = [
        Verdict(f.finding, f.image_id, f.x0, f.y0, f.x1, f.y1, f.kind, _decision(f))
        for f in run.findings
        if f.verdict and f.finding not in judged
    ]
    return [*run.verdicts, *only]


def _decision(f: Finding) -> Literal["accepted", "rejected"]:
    return "accepted" if f.verdict == "accepted" else "rejected"


def _read(run: AuditRun, path: Path, tool: Tool, deleted: Deleted) -> Matched:
    if tool not in TOOLS:
        raise InputError(f"unknown tool '{tool}'", remedy=f"choose from {', '.join(TOOLS)}")
    if tool == "dubio":
        return _own(run, path)
    answer = _answer(path, tool)
    found = match(run, answer, deleted=_sent(run, tool) if deleted == "rejected" else ())
    return found


def _own(run: AuditRun, path: Path) -> Matched:
    """Verdicts of the page, or of another copy of the run."""
    found = Matched()
    for verdict in place_on(run.findings, read_verdicts(path)):
        if verdict.finding or verdict.area is not None:
            found.verdicts.append(verdict)
            found.drawn += verdict.finding == 0
        else:
            place = f"{verdict.image_id} {list(verdict.box)}"
            found.unknown.append(f"the verdict on {place} fits no finding of this run")
    return found


def _answer(path: Path, tool: Tool) -> Answer:
    if tool == "cvat":
        from dubio.handover.read_cvat import read_cvat

        return read_cvat(path)
    if tool == "label-studio":
        from dubio.handover.read_label_studio import read_label_studio

        return read_label_studio(path)
    from dubio.handover.read_tables import read_coco, read_fiftyone, read_table

    if tool == "coco":
        return read_coco(path)
    return read_table(path) if tool == "csv" else read_fiftyone(path)


def _sent(run: AuditRun, tool: Tool) -> Iterable[int]:
    """Numbers of the findings that were last exported to a tool."""
    path = run.path / EXPORTS
    record = (read_json(path) if path.exists() else {}).get(tool)
    if not isinstance(record, Mapping) or record.get("run") != run.digest:
        raise InputError(
            f"no export of these findings to {tool} is on record", path=run.path,
            remedy="leave out --deleted: what was never sent can't be told from what was deleted",
        )  # fmt: skip
    return [int(n) for n in record["findings"]]


def _signed(verdict: Verdict, reviewer: str, now: str) -> Verdict:
    """The verdict under the name of a reviewer, with a time."""
    opinions = tuple(
        replace(o, reviewer=o.reviewer or reviewer, time=o.time or now) for o in verdict.opinions
    )
    who = verdict.reviewer if verdict.opinions or not reviewer else reviewer
    return replace(verdict, reviewer=who, time=verdict.time or now, opinions=opinions)


def _counts(findings: Iterable[Finding]) -> dict[str, int]:
    counts = dict.fromkeys(("accepted", "rejected", "open"), 0)
    for f in findings:
        counts[f.verdict or "open"] += 1
    return counts


def _save(run: AuditRun, verdicts: list[Verdict]) -> None:
    """Write the verdicts, the table and the page; the run's own list is brought up to date."""
    import pyarrow.parquet as pq

    table = apply_verdicts(to_table(run.findings, run.space), verdicts)
    decided = table.column("verdict").to_pylist()
    run.findings = [replace(f, verdict=v) for f, v in zip(run.findings, decided, strict=True)]
    run.verdicts = verdicts
    write_verdicts(run.path / VERDICTS, verdicts, run.findings)
    with writing(run.path / "findings.parquet") as part:
        pq.write_table(table, part, compression="zstd")
    _write_page(run)


def _write_page(run: AuditRun) -> None:
    from dubio.report.audit_page import write_audit_report

    quarantine = run.path / "quarantine.json"
    left_out = read_json(quarantine) if quarantine.exists() else {}
    write_audit_report(run.path, run.findings, _summary(run.path), run.boxes or run.dataset, left_out)


def _summary(path: Path) -> AuditSummary:
    """The audit's summary; what an earlier version didn't write yet is ``None``."""
    record: dict[str, Any] = read_summary(path)
    try:
        rows = tuple(ClassRow(**_known(ClassRow, row)) for row in record["classes"])
        return AuditSummary(**{**_known(AuditSummary, record), "classes": rows})
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"is no summary of an audit ({error}); the verdicts are saved, the page is as it was",
            path=path / "summary.json",
            remedy="run the same audit again; its finished parts are reused",
        ) from error


def _known(record: type, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f.name: values.get(f.name) for f in fields(record)}
