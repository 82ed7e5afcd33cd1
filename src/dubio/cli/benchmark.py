"""``dubio benchmark``: plant known errors into labels, and score lists that were made on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubio.cli.benchmark_boxes import (
    PLANT_BOXES,
    PLANT_MASKS,
    SCORE_MASKS,
    holds_boxes,
    plant_boxes,
    score_boxes_list,
)
from dubio.cli.benchmark_tables import show_published, show_score, show_truth
from dubio.cli.boxopts import BOXES
from dubio.cli.console import Screen, command_errors
from dubio.cli.detopts import refuse
from dubio.core.errors import InputError

if TYPE_CHECKING:
    from dubio.core.records import Dataset

_PATH = click.Path(path_type=Path)


@click.group("benchmark")
def command() -> None:
    """Plant label errors, and score how well a list finds known ones.

    \b
    dubio benchmark plant --labels masks --out truth
    dubio audit --labels truth/labels --images pictures --scores scores --out run
    dubio benchmark score run --truth truth
    """  # noqa: D301 - the mark keeps click from joining the lines


@command.command("plant", short_help="Write label masks or boxes with planted errors.")
@click.option("--labels", type=_PATH, help="Folder of label masks that are taken for right.")
@click.option("--data", type=_PATH, help="Root of a data set in a known layout, in place of --labels.")
@BOXES
@click.option("--layout", help="Layout of --data, or format of --boxes. [default: detected]")
@click.option("--split", help="Part of --data. [default: all]")
@click.option("--label-space", help="Label space: a name or a TOML/JSON file. [default: inferred]")
@click.option("--encoding", help="Encoding of the masks, such as labelIds, rgb, nonzero. [default: detected]")
@click.option("--out", required=True, type=_PATH, help="Truth folder.")
@click.option(
    "--rate", type=click.FloatRange(0, 1, min_open=True), default=0.05, show_default=True,
    help="Errors per eligible label region or box; a few in a hundred is what careful data sets have.",
)  # fmt: skip
@click.option(
    "--kinds", help="Kinds with weights, such as drop=3,swap=1; of drop, swap, shift, erode, dilate, "
    "spurious; of boxes: drop, swap, location, duplicate, spurious, merge, split. [default: all alike, "
    "without the last two]",
)  # fmt: skip
@click.option(
    "--min-size", type=click.IntRange(1),
    help="Pixels that an error changes at least. [default: 250 on a 2048x1024 image as published, in "
    "proportion, at least 30]",
)  # fmt: skip
@click.option(
    "--max-share", type=click.FloatRange(0, 1, min_open=True), default=0.1, show_default=True,
    help="Regions that cover more of the image stay: nobody overlooks a road.",
)  # fmt: skip
@click.option("--images", type=click.IntRange(1), help="So many images, drawn by the seed. [default: all]")
@click.option("--burst", type=click.FloatRange(0, 1), default=0.0, show_default=True,
              help="Boxes: share of images that lose most of their boxes.")  # fmt: skip
@click.option("--pictures", type=_PATH, help="Boxes: folder of the pictures, if the labels don't lead to it.")
@click.option("--write-as", help="Boxes: format of the labels with errors: coco, voc, yolo … [default: coco]")
@click.option("--unknown", type=click.Choice(["error", "void"]), default="error", show_default=True,
              help="Label values outside the label space.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@click.option("--workers", type=click.IntRange(1), help="Images at once. [default: all processors]")
@click.option("--strict", is_flag=True, help="Stop at the first mask that can't be used.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
@command_errors
def plant_command(context: click.Context, **options: Any) -> None:
    """Write copies of label masks or of boxes with planted errors, and where the errors are.

    The labels are only read. The same command takes up a stopped run where it left off; a folder made with
    other options is not changed.
    """
    from dubio.errors.bench.planting import PlantOptions, plant_dataset

    screen = Screen(as_json=options["as_json"])
    if options["boxes"] is not None:
        refuse(context, PLANT_MASKS, "has no use with --boxes")
        drawn = {**options, "images": options["pictures"], "images_drawn": options["images"]}
        plant_boxes(screen, drawn, parse_kinds(options["kinds"]))
        return
    refuse(context, PLANT_BOXES, "goes with --boxes")
    dataset = _dataset(options)
    screen.detected([f"label space '{dataset.space.name}': {len(dataset.space)} classes", *dataset.notes])
    names = ("rate", "min_size", "max_share", "seed", "images", "unknown")
    truth = plant_dataset(
        dataset,
        options["out"],
        PlantOptions(kinds=parse_kinds(options["kinds"]), **{name: options[name] for name in names}),
        workers=options["workers"],
        strict=options["strict"],
        progress=screen.progress,
    )
    show_truth(screen, truth, dataset, options["out"])


@command.command("score", short_help="Score an audit or another list against them.")
@click.argument("run", type=_PATH, required=False)
@click.option("--truth", type=_PATH, help="Truth folder on whose labels the list was made.")
@click.option("--findings", type=_PATH, help="Parquet file of findings, in place of an audit's run folder.")
@click.option("--out", type=_PATH, help="Run folder for score.json and curve.csv.")
@click.option(
    "--match-iou", type=click.FloatRange(0, 1, min_open=True),
    help="IoU from which a finding meets an error. [default: 0.25, the published value; boxes: 0.5]",
)  # fmt: skip
@click.option(
    "--draws", type=click.IntRange(0), default=1000, show_default=True,
    help="Bootstrap draws over images for the 90 % intervals; 0: none.",
)  # fmt: skip
@click.option("--all-images", is_flag=True, help="Count errors in images that the run did not audit, too.")
@click.option("--published-out", type=_PATH, help="Write the published tool's files here.")
@click.option(
    "--published-min-size", type=click.IntRange(1), default=1, show_default=True,
    help="Leave smaller segments out of those files, pixels; published: 250, against ragged outlines.",
)  # fmt: skip
@click.option("--proposals", type=_PATH, help="Old results: folder of NAME_proposals.png.")
@click.option("--label-errors", type=_PATH, help="Old results: folder of NAME_label_errors.png.")
@click.option("--class-ids", help="Old results: class ids that count, such as 6,7,11.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draws.")
@click.option("--workers", type=click.IntRange(1), help="Images at once. [default: all processors]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
@command_errors
def score_command(context: click.Context, **options: Any) -> None:
    """Score an audit's RUN against the errors that were planted into its labels.

    With --proposals and --label-errors, old results of the published tool are scored instead: by its own
    rule, and properly.
    """
    screen = Screen(as_json=options["as_json"])
    if holds_boxes(options["truth"]):
        refuse(context, SCORE_MASKS, "has no use for boxes")
        score_boxes_list(screen, {**options, "match_iou": options["match_iou"] or 0.5})
        return
    options["match_iou"] = options["match_iou"] or 0.25
    old = [name for name in ("proposals", "label_errors", "class_ids") if options[name] is not None]
    if old:
        _score_old(screen, options, old)
        return
    from dubio.jobs.benchmark import open_list, score_list_file, write_published_files

    if options["truth"] is None:
        raise InputError("no truth is given", remedy="name a folder of 'dubio benchmark plant' with --truth")
    run, workers = options["run"], options["workers"]
    opened = open_list(
        options["truth"], run=run, findings=options["findings"], all_images=options["all_images"]
    )
    screen.detected(opened.notes)
    found = score_list_file(
        opened,
        options["out"],
        origin={k: v for k, v in options.items() if k not in ("out", "as_json")},
        match_iou=options["match_iou"],
        draws=options["draws"],
        seed=options["seed"],
        workers=workers,
    )
    if found.outside:
        screen.warn(f"{found.outside} findings lie in images that the truth doesn't have; they don't count")
    written = [str(options["out"] / name) for name in ("score.json", "curve.csv")] if options["out"] else []
    if options["published_out"] is not None:
        done = write_published_files(
            options["published_out"], opened, run=run, min_size=options["published_min_size"],
            workers=workers, progress=screen.progress,
        )  # fmt: skip
        written.append(str(options["published_out"]))
        if done.lost:
            screen.warn(f"{done.lost} error pixels are of class id 0, which the published files can't hold")
    show_score(screen, found)
    screen.result(f"written: {', '.join(written) or 'nothing'}", {"written": written, **found.to_dict()})


def parse_kinds(text: str | None) -> dict[Any, float] | None:
    """Kinds with weights from text; a kind without a weight has 1.

    Raises:
        InputError: a weight that is no number, or a kind named twice.

    >>> parse_kinds("drop=3, swap")
    {'drop': 3.0, 'swap': 1.0}
    """
    if text is None:
        return None
    found: dict[Any, float] = {}
    for part in text.split(","):
        name, equals, weight = (piece.strip() for piece in part.partition("="))
        try:
            value = float(weight) if equals else 1.0
        except ValueError as error:
            raise InputError(
                f"'{part.strip()}' is no kind with a weight", remedy="write drop=3,swap=1"
            ) from error
        if name in found:
            raise InputError(f"kind '{name}' is given twice")
        found[name] = value
    return found


def _dataset(options: dict[str, Any]) -> Dataset:
    from dubio.data.layouts import open_dataset, open_folders
    from dubio.data.spaces import load_space

    space = load_space(options["label_space"]) if options["label_space"] else None
    if (options["data"] is None) == (options["labels"] is None):
        raise InputError("give either --labels or --data")
    if options["data"] is None:
        return open_folders(labels=options["labels"], space=space, encoding=options["encoding"])
    return open_dataset(
        options["data"], layout=options["layout"], split=options["split"], space=space,
        encoding=options["encoding"],
    )  # fmt: skip


def _score_old(screen: Screen, options: dict[str, Any], given: list[str]) -> None:
    from dubio.jobs.benchmark import score_published

    if len(given) < 3 or any(options[name] is not None for name in ("run", "findings", "truth")):
        raise InputError(
            "old results need --proposals, --label-errors and --class-ids, and no run, findings or truth"
        )
    try:
        classes = [int(part) for part in options["class_ids"].split(",")]
    except ValueError as error:
        raise InputError(f"'{options['class_ids']}' are no class ids", remedy="write 6,7,11") from error
    data = score_published(
        options["proposals"], options["label_errors"], classes, match_iou=options["match_iou"],
        draws=options["draws"], seed=options["seed"], out=options["out"], workers=options["workers"],
    )  # fmt: skip
    show_published(screen, data, options["out"])
