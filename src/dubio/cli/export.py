"""``dubio export``: hand the findings of an audit over to people and tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubio.cli.console import Screen, command_errors

if TYPE_CHECKING:
    from dubio.jobs.handover import ExportResult

_PATH = click.Path(path_type=Path)
_FORMATS = ("masks", "labels", "coco", "cvat", "label-studio", "fiftyone", "csv")


@click.command("export")
@click.argument("run", type=_PATH)
@click.option("--to", required=True, type=click.Choice(_FORMATS), help="Format.")
@click.option("--out", required=True, type=_PATH, help="Folder to write.")
@click.option("--which", type=click.Choice(["accepted", "rejected", "open", "all"]),
              help="By verdict. [default: accepted for masks and labels, else all but rejected]")  # fmt: skip
@click.option("--min-probability", type=click.FloatRange(0, 1), default=0.0, show_default=True,
              help="Leave out less probable findings; 0 takes all.")  # fmt: skip
@click.option("--top", type=click.IntRange(1), help="At most so many, the most probable. [default: all]")
@click.option("--kinds", help="These only: missing, wrong_class, spurious, outline; of boxes also location, "
              "duplicate. [default: all]")  # fmt: skip
@click.option("--classes", help="Findings of these classes only: names or ids with commas. [default: all]")
@click.option("--shapes", type=click.Choice(["mask", "polygon"]), default="mask", show_default=True,
              help="Regions for COCO, CVAT and Label Studio; masks are lossless, with holes.")  # fmt: skip
@click.option("--format", "layout", default="coco", show_default=True,
              help="Of --to labels: coco, voc, yolo, kitti, bdd100k, cvat, label-studio, csv.")  # fmt: skip
@click.option("--all-images", is_flag=True, help="Images without findings, too; masks: all labels.")
@click.option("--image-url-prefix", help="Label Studio: what stands before an image's path. "
              "[default: /data/local-files/?d=]")  # fmt: skip
@click.option("--data", type=_PATH, help="Where the data set is now, if it was moved.")
@click.option("--images", type=_PATH, help="Where the images are now.")
@click.option("--labels", type=_PATH, help="Where the labels are now; of boxes also their file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@command_errors
def command(**options: Any) -> None:
    """Hand the findings of an audit over to people and tools.

    masks writes corrected copies of the label masks: the findings that were accepted on the report's page
    are applied. labels does the same for boxes; a COCO file that was audited comes back as it is but
    for these. The other formats take the findings into an annotation
    tool; 'dubio import' brings the verdicts back. The data set itself is only read.

    \b
    dubio export run --to masks --out corrected
    dubio export run --to labels --format yolo --out corrected
    dubio export run --to cvat --out for-cvat --top 200
    """  # noqa: D301 - the mark keeps click from joining the lines
    from dubio.handover.audit_run import open_run
    from dubio.handover.items import Choice
    from dubio.jobs.handover import export_run

    screen = Screen(as_json=options["as_json"])
    run = open_run(options["run"], data=options["data"], images=options["images"], labels=options["labels"])
    judged = [sum(f.verdict == v for f in run.findings) for v in ("accepted", "rejected")]
    screen.detected(
        [
            f"audit of '{run.dataset.name}': {len(run.findings)} findings, {judged[0]} accepted, "
            f"{judged[1]} rejected"
        ]
    )
    choice = Choice(
        options["which"], options["min_probability"], options["top"], _names(options["kinds"]),
        _names(options["classes"]),
    )  # fmt: skip
    result = export_run(
        run,
        options["to"],
        options["out"],
        choice,
        shapes=options["shapes"],
        all_images=options["all_images"],
        image_url_prefix=options["image_url_prefix"],
        layout=options["layout"],
        progress=screen.progress,
    )
    _show(screen, result, options["to"])


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(","))


def _show(screen: Screen, result: ExportResult, to: str) -> None:
    rows: list[tuple[str, object]] = [("findings", result.findings), ("images", result.images)]
    details = result.details
    if to == "masks":
        rows += [
            ("masks that changed", details["masks"]),
            ("pixels that changed", details["pixels"]),
            ("pixels that two findings share", details["shared"]),
            ("findings that changed nothing", len(details["unchanged"])),
        ]
        for name, fault in list(details["faults"].items())[:5]:
            screen.warn(f"left out {name}: {fault}")
        if len(details["faults"]) > 5:
            screen.warn(f"{len(details['faults']) - 5} more in {result.path / 'faults.json'}")
    if to == "labels":
        words = {"added": "boxes added", "removed": "boxes removed", "renamed": "boxes of another class",
                 "moved": "boxes moved"}  # fmt: skip
        rows += [(word, details[name]) for name, word in words.items()]
        rows.append(("findings that changed nothing", len(details["unchanged"])))
        for note in details["notes"]:
            screen.warn(note)
    screen.table(f"to {to}", ("what", "value"), rows)
    named = [name for name in result.files if "/" not in name]
    folders = sorted({name.split("/")[0] + "/" for name in result.files if "/" in name})
    screen.result(
        f"written to {result.path}: {', '.join(folders + named)}",
        {
            "out": str(result.path),
            "format": to,
            "findings": result.findings,
            "images": result.images,
            "files": result.files,
            **details,
        },
    )
