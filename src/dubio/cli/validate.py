"""``dubio validate``: hold a detector's boxes and uncertainties against labelled boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dubio.cli.boxopts import (
    BOXES,
    DETECTIONS,
    IMAGES,
    LAYOUT,
    SHOWN_ROWS,
    SPACE,
    open_labelled,
    open_seen,
    waiting,
)
from dubio.cli.console import Screen, command_errors, show_page
from dubio.cli.detopts import open_calibration, refuse
from dubio.cli.domainopts import run_options
from dubio.cli.modelopts import add_options
from dubio.cli.valopts import DETECTOR, DETECTOR_ONLY, SUPPRESSION, open_validated
from dubio.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dubio.calibration.boxes.bundle import DetectionCalibration
    from dubio.core.boxes import BoxDataset, DetPrediction
    from dubio.data.corrupt.boxes import BoxCorruption
    from dubio.jobs.validate import ValidateOptions, ValidateResult
    from dubio.jobs.validate_detect import Detecting

_CROSS_FIT, _NONE = "cross-fit", "none"
_VALIDATION = (
    BOXES,
    LAYOUT,
    IMAGES,
    SPACE,
    DETECTIONS,
    *DETECTOR,
    *SUPPRESSION,
    click.option("--batch-size", type=click.IntRange(1), default=4, show_default=True,
                 help="Images per run of the network."),
    click.option("--iou", type=click.FloatRange(0, 1), default=0.5, show_default=True,
                 help="From this IoU on, a detection stands for a labelled box."),
    click.option("--class-aware/--class-blind", default=True,
                 help="Pair boxes of one class first, then the rest; or let the surest choose whatever the "
                 "class. [default: class-aware]"),
    click.option("--matching", default="greedy", show_default=True,
                 type=click.Choice(["greedy", "hungarian", "published-iou", "published-mse"]),
                 help="greedy: the surest detection chooses first, as in COCO. hungarian: most IoU in sum. "
                 "The published ones pair with replacement and know no false detections; for comparison."),
    click.option("--min-score", type=click.FloatRange(0, 1),
                 help="Less sure detections are left out, but for average precision. [default: where F1 is "
                 "greatest, since that is where a user would put the bar]"),
    click.option("--calibration", metavar="RUN|FILE|cross-fit|none", default=_CROSS_FIT, show_default=True,
                 help="Run or file of 'dubio calibrate --boxes'; or calibrate here, each part of the images "
                 "by the others, so that no figure is of images that a fit has seen; or not at all."),
    click.option("--voc", type=click.Choice(["area", "eleven-points"]),
                 help="Also Pascal VOC's average precision, over all recalls or at eleven."),
    click.option("--corrupt", multiple=True, metavar="NAME[:LEVEL]",
                 help="Also on spoilt pictures, boxes moved along: fog:3, imagenet-c:3, flip-h, flip-v, "
                 "rotate-90, scale:0.5, shift:0.1, crop:0.7, or the published br, ct, bl, ns, nsp, mb "
                 "(:0-9). Repeatable."),
    click.option("--folds", type=click.IntRange(2), default=5, show_default=True,
                 help="Parts of the images for cross-fit."),
    click.option("--fold-group", metavar="TAG",
                 help="Domain tag whose equal values stay in one part, such as scene."),
    click.option("--replicates", type=click.IntRange(0), default=1000, show_default=True,
                 help="Bootstrap over images, for 90 % intervals; 0: none."),
    click.option("--pictures", type=click.IntRange(0), default=60, show_default=True,
                 help="Pictures on the page, an equal share by each way of going wrong."),
)  # fmt: skip


def _validation_options(command: Any) -> Any:
    return add_options(command, _VALIDATION)


@click.command()
@_validation_options
@run_options
@click.pass_context
@command_errors
def command(context: click.Context, **options: Any) -> None:
    """What does this detector find, and are its uncertainties true?

    Every labelled box with the detection that stands for it, false detections as rows of their own, each
    uncertainty raw and calibrated: validation.parquet; figures and a page beside it.

    \b
    dubio validate --boxes instances.json --detections predicted --out run
    dubio validate --boxes instances.json --images val2017 --detector net.onnx --out run
    dubio validate --boxes labels --detector net.onnx --corrupt 'fog:3;flip-h' --out run
    """  # noqa: D301 - the mark keeps click from joining the lines
    if bool(options["detector"]) == (options["detections"] is not None):
        raise InputError("give either --detections or --detector", remedy="one of the two says what is found")
    if not options["detector"]:
        refuse(context, DETECTOR_ONLY, "goes with --detector")
    screen = Screen(as_json=options["as_json"])
    # what may be misspelt comes before long reading
    calibration, corruptions = _calibration(options), _corruptions(options)
    dataset = open_labelled(options)
    screen.detected(dataset.notes)
    detections = _detections(options, dataset, screen)
    with waiting(options, "loading the figures"):
        from dubio.jobs.validate import validate

        chosen = _chosen(options)
    result = validate(
        dataset,
        detections,
        options["out"],
        chosen,
        calibration=calibration,
        corruptions=corruptions,
        progress=screen.progress,
        say=screen.warn,
    )
    _report(screen, result)
    if options["open_page"]:
        show_page(result.report)


def _chosen(options: dict[str, Any]) -> ValidateOptions:
    from dubio.jobs.validate import ValidateOptions

    return ValidateOptions(
        iou=options["iou"],
        class_aware=options["class_aware"],
        matching=options["matching"],
        min_score=options["min_score"],
        cross_fit=options["calibration"] == _CROSS_FIT,
        voc=options["voc"],
        folds=options["folds"],
        fold_group=options["fold_group"],
        replicates=options["replicates"],
        pictures=options["pictures"],
        seed=options["seed"],
    )


def _calibration(options: dict[str, Any]) -> DetectionCalibration | None:
    how = options["calibration"]
    if how in (_CROSS_FIT, _NONE):
        return None
    with waiting(options, "reading the calibration"):
        return open_calibration(how)


def _corruptions(options: dict[str, Any]) -> list[BoxCorruption]:
    if not options["corrupt"]:
        return []
    from dubio.data.corrupt.boxes import parse_box_corruptions

    return [c for text in options["corrupt"] for c in parse_box_corruptions(text)]


def _detections(
    options: dict[str, Any], dataset: BoxDataset, screen: Screen
) -> Mapping[str, DetPrediction] | Detecting:
    if not options["detector"]:
        seen = open_seen(options, dataset)
        screen.detected(seen.notes)
        return seen.predictions
    model = open_validated(options)
    with waiting(options, "opening the detector"):
        from dubio.jobs.validate_detect import Detecting
        from dubio.models.det.source import DetectionSource

    source = DetectionSource(model, dataset.space, class_map=options["class_map"])
    screen.detected(source.describe())
    return Detecting(source, options["batch_size"], options["workers"], options["strict"])


def _report(screen: Screen, result: ValidateResult) -> None:
    summary = result.summary
    classes = sorted(summary["classes"], key=lambda c: -c["labels"])[:SHOWN_ROWS]
    columns = ("labels", "found", "wrong_class", "missed", "false", "ap", "mean_iou")
    more = len(summary["classes"]) - len(classes)
    screen.table(
        "classes"
        + (f", the most labelled (and {more} more in {result.path / 'summary.json'})" if more else ""),
        ("class", "labels", "found", "wrong", "missed", "false", "AP", "IoU"),
        [(c["name"], *(c[name] for name in columns)) for c in classes],
    )
    corners = summary["corners"].get("figures", {})
    names = ("ece", "coverage_90", "nll", "crps", "sharpness", "auroc_wrong")
    # of a single kind, the total is that kind
    shown = corners if len(summary["corners"].get("kinds", ())) > 1 else {"total": corners.get("total", {})}
    if corners:
        parts = " (calibrated parts share the whole: how well they alone cover is no question)"
        screen.table(
            "spread of corners" + (parts if len(shown) > 1 else ""),
            ("spread", "ECE", "in 90 %", "NLL", "CRPS", "sigma", "AUROC"),
            [(f"{k}, {n}", *(f[c] for c in names)) for k, own in shown.items() for n, f in own.items()],
        )
    if summary["corruptions"]:
        keys = ("ap", "precision", "recall", "mean_iou", "sharpness", "ece", "ece_calibrated")
        screen.table(
            "spoilt pictures",
            ("pictures", "AP", "right", "found", "IoU", "sigma", "ECE", "calibrated"),
            [(row["name"], *(row[k] for k in keys)) for row in summary["corruptions"]],
        )
    if not screen.as_json:
        for sentence in (summary["headline"], *summary["sentences"]):
            screen.say(sentence)
    screen.left_out(len(summary["quarantine"]), result.path / "summary.json")
    left = ("precision_recall", "along", "notes")
    screen.result(
        f"table: {result.table}\nreport: {result.report}",
        {
            "run": str(result.path),
            "table": str(result.table),
            "report": str(result.report),
            **{k: v for k, v in summary.items() if k not in left},
        },
    )
