"""``dubio import``: read verdicts on findings back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubio.cli.console import Screen, command_errors

if TYPE_CHECKING:
    from dubio.jobs.verdicts import ImportResult

_PATH = click.Path(path_type=Path)
_TOOLS = ("auto", "dubio", "cvat", "label-studio", "coco", "csv", "fiftyone")
_SHOWN = 10


@click.command("import")
@click.argument("run", type=_PATH)
@click.argument("files", type=_PATH, nargs=-1, required=True, metavar="FILE…")
@click.option("--from", "tool", type=click.Choice(_TOOLS), default="auto", show_default=True,
              help="Tool that wrote the files.")  # fmt: skip
@click.option("--reviewer", default="", help="Name of the reviewer. [default: as the tool says]")
@click.option("--prefer", type=click.Choice(["newest", "first"]),
              help="Decide where reviewers disagree. [default: leave it open]")  # fmt: skip
@click.option("--deleted", type=click.Choice(["open", "rejected"]), default="open", show_default=True,
              help="CVAT, COCO, FiftyOne: what a finding means that was exported and is gone.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@command_errors
def command(**options: Any) -> None:
    """Read verdicts on the findings of a run back, from the report's page or an annotation tool.

    Files: verdicts.json of the page; CVAT's export 'CVAT for images 1.1' (XML or ZIP); Label Studio's JSON
    export; COCO JSON, CSV tables and FiftyOne folders as 'dubio export' writes them. In Label Studio a
    region of a submitted annotation counts as accepted if it is kept, as rejected if it is deleted, unless
    its choice says otherwise. Regions and classes that a reviewer changed, and regions that one drew, are
    used by 'dubio export --to masks'.

    \b
    dubio import run verdicts.json
    dubio import run annotations.zip --reviewer ada
    """  # noqa: D301 - the mark keeps click from joining the lines
    from dubio.jobs.verdicts import import_verdicts

    screen = Screen(as_json=options["as_json"])
    result = import_verdicts(
        options["run"],
        options["files"],
        tool=options["tool"],
        reviewer=options["reviewer"],
        prefer=options["prefer"],
        deleted=options["deleted"],
    )
    screen.detected(f"{path}: verdicts from {tool}" for path, tool in result.tools)
    _warn(screen, result)
    _show(screen, result)


def _warn(screen: Screen, result: ImportResult) -> None:
    if result.unknown:
        screen.warn(f"{len(result.unknown)} entries fit nothing of this run; first: {result.unknown[0]}")
    if result.undecided:
        numbers = ", ".join(map(str, result.undecided[:_SHOWN]))
        screen.warn(f"{len(result.undecided)} findings were changed but got no verdict ({numbers})")
    if result.changed:
        screen.warn(
            f"{result.changed} earlier verdicts were changed; name reviewers by --reviewer to keep both"
        )
    for verdict in result.conflicts[:_SHOWN]:
        said = ", ".join(f"{o.reviewer or 'unnamed'}: {o.verdict}" for o in verdict.opinions)
        screen.say(f"finding {verdict.finding} ({verdict.image_id}): {said}; now {verdict.verdict or 'open'}")


def _show(screen: Screen, result: ImportResult) -> None:
    rows: list[tuple[object, ...]] = [
        (name, result.before[name], result.after[name]) for name in ("accepted", "rejected", "open")
    ]
    screen.table(f"{result.judged} verdicts read", ("findings", "before", "after"), rows)
    if result.edited or result.drawn or result.conflicts:
        screen.say(
            f"{len(result.edited)} with a region or class of the reviewer, {result.drawn} regions drawn, "
            f"{len(result.conflicts)} conflicts"
        )
    if result.agreement:
        pairs = [
            (a.first or "unnamed", a.second or "unnamed", a.judged, a.same, a.kappa) for a in result.agreement
        ]
        columns = ("first", "second", "both judged", "agree", "Cohen's kappa")
        screen.table("Agreement of reviewers", columns, pairs)
    screen.result(
        f"written to {result.path}: verdicts.json, findings.parquet, report.html",
        {
            "run": str(result.path),
            "files": [{"path": str(path), "tool": tool} for path, tool in result.tools],
            "before": result.before,
            "after": result.after,
            "verdicts": result.judged,
            "edited": result.edited,
            "undecided": result.undecided,
            "drawn": result.drawn,
            "unknown": result.unknown,
            "changed": result.changed,
            "conflicts": [v.finding for v in result.conflicts],
            "agreement": [vars(a) for a in result.agreement],
        },
    )
