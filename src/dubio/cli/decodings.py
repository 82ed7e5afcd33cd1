"""``dubio decodings``: compare the ways to decode localisation uncertainty."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubio.cli.boxopts import BOXES, IMAGES, LAYOUT, open_labelled, waiting
from dubio.cli.console import Screen, command_errors
from dubio.cli.modelopts import add_options
from dubio.cli.valopts import DETECTOR, open_validated
from dubio.core.errors import InputError

if TYPE_CHECKING:
    from dubio.jobs.decodings import DecodingResult

_OPTIONS = (
    *DETECTOR,
    BOXES,
    LAYOUT,
    IMAGES,
    click.option("--method", "methods", multiple=True,
                 type=click.Choice(["exact", "l-norm", "n-flow", "sample", "falsedec"]),
                 help="Repeatable. [default: all]"),
    click.option("--draws", type=click.IntRange(2), default=100, show_default=True,
                 help="Draws of 'sample'; 100 as published."),
    click.option("--iou", type=click.FloatRange(0, 1), default=0.5, show_default=True,
                 help="From this IoU on, a candidate stands for a labelled box."),
    click.option("--min-score", type=click.FloatRange(0, 1), default=0.05, show_default=True,
                 help="Less sure candidates are left out."),
    click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draws."),
    click.option("--out", required=True, type=click.Path(path_type=Path), help="Run folder."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)  # fmt: skip


def _decoding_options(command: Any) -> Any:
    return add_options(command, _OPTIONS)


@click.command()
@_decoding_options
@command_errors
def command(**options: Any) -> None:
    """Compare the decodings of localisation uncertainty on labelled images: error, likelihood, time.

    For detectors that predict variances of deltas or distances: checkpoints of 'dubio train detector' and
    their ONNX exports.

    \b
    dubio decodings --detector net --boxes instances.json --images val2017 --out run
    """  # noqa: D301 - the mark keeps click from joining the lines
    if not options["detector"]:
        raise InputError("no detector is given", remedy="name one with --detector")
    screen = Screen(as_json=options["as_json"])
    model = open_validated(options)
    screen.detected(model.describe())
    dataset = open_labelled(options)
    screen.detected(dataset.notes)
    with waiting(options, "loading the decodings"):
        from dubio.jobs.decodings import DecodingOptions, compare_detector_decodings
        from dubio.uncertainty.boxes.methods import METHODS

    chosen = DecodingOptions(
        options["methods"] or METHODS,
        options["iou"],
        options["min_score"],
        options["draws"],
        options["seed"],
    )
    result = compare_detector_decodings(
        model,
        dataset,
        options["out"],
        chosen,
        class_map=options["class_map"],
        progress=screen.progress,
        say=screen.warn,
    )
    _report(screen, result)


def _report(screen: Screen, result: DecodingResult) -> None:
    from dubio.jobs.decodings import FIGURES

    rows = result.table.to_pylist()
    screen.table(
        f"decodings of {rows[0]['boxes']} boxes in {result.images} images",
        ("method", "RMSE px", "IoU", "NLL", "ECE", "in 1 sigma", "sigma px", "ms/image"),
        [(r["method"], *(r[name] for name in FIGURES[:-1]), f"{r[FIGURES[-1]]:.1f}") for r in rows],
    )
    screen.result(
        f"written to {result.path / 'summary.json'}",
        {"out": str(result.path), "images": result.images, "decodings": rows},
    )
