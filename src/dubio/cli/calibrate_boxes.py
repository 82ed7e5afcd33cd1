"""``dubio calibrate --boxes``: calibrate a detector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dubio.cli.boxopts import (
    BOXES,
    DETECTIONS,
    IMAGES,
    LAYOUT,
    SPACE,
    open_labelled,
    open_seen,
    waiting,
)
from dubio.cli.console import Screen, show_page

if TYPE_CHECKING:
    from dubio.jobs.calibrate_boxes import BoxCalibrateResult

BOX_OPTIONS = (
    BOXES,
    LAYOUT,
    IMAGES,
    SPACE,
    DETECTIONS,
    click.option("--spread", default="auto", show_default=True,
                 help="Corners: adaptive, adaptive-score, scale, scale-laplace, scale-student, "
                 "scale-student-class, isotonic, isotonic-relative, isotonic-square, a published one "
                 "(ts_all, iso_all …), none. auto: adaptive, or scale-student where few boxes match."),
    click.option("--classes", default="temperature", show_default=True,
                 help="Class scores: temperature, isotonic, each also with -per-class; none."),
    click.option("--confidence-by", default="logistic", show_default=True,
                 help="Confidence: logistic, logistic-position, isotonic, isotonic-per-class, none."),
    click.option("--scope", type=click.Choice(["coordinate", "box", "bonferroni", "none"]),
                 default="coordinate", show_default=True,
                 help="What a conformal interval holds: each coordinate, or all four of a box together."),
    click.option("--spread-of", type=click.Choice(["total", "aleatoric", "epistemic"]), default="total",
                 show_default=True, help="Which of the detector's variances is its sigma."),
    click.option("--iou", type=click.FloatRange(0, 1), default=0.5, show_default=True,
                 help="From this IoU with a labelled box of its class on, a detection is right."),
    click.option("--min-score", type=click.FloatRange(0, 1), default=0.05, show_default=True,
                 help="Less confident detections are left out: nobody looks at them."),
    click.option("--folds", type=click.IntRange(2), default=5, show_default=True,
                 help="Parts by image: each method is judged on parts that it did not see."),
    click.option("--fold-group", metavar="TAG",
                 help="Domain tag whose equal values stay in one part, such as scene."),
    click.option("--compare/--no-compare", default=True,
                 help="Judge all other methods too, the published ones among them."),
)  # fmt: skip
BOX_NAMES = (
    "boxes", "layout", "images", "label_space", "detections", "spread", "classes", "confidence_by",
    "scope", "spread_of", "iou", "min_score", "folds", "fold_group", "compare",
)  # fmt: skip
_CORNERS = ("ece", "published_ece", "nll", "crps", "coverage_90")


def calibrate_detector(options: dict[str, Any]) -> None:
    """Calibrate what the options name, and say what came out."""
    screen = Screen(as_json=options["as_json"])
    dataset = open_labelled(options)
    screen.detected(dataset.notes)
    seen = open_seen(options, dataset)
    screen.detected(seen.notes)
    with waiting(options, "loading the methods"):
        from dubio.jobs.calibrate_boxes import BoxCalibrateOptions, calibrate_boxes

    chosen = BoxCalibrateOptions(
        spread=options["spread"],
        classes=options["classes"],
        confidence=options["confidence_by"],
        scope=options["scope"],
        compare=options["compare"],
        spread_of=options["spread_of"],
        iou=options["iou"],
        min_score=options["min_score"],
        folds=options["folds"],
        fold_group=options["fold_group"],
        replicates=options["replicates"],
        seed=options["seed"],
    )
    result = calibrate_boxes(
        dataset, seen.predictions, options["out"], chosen, progress=screen.progress, say=screen.warn
    )
    _report(screen, result)
    if options["open_page"]:
        show_page(result.report)


def _report(screen: Screen, result: BoxCalibrateResult) -> None:
    summary = result.summary
    for part, columns, heads in (
        ("confidence", ("ece", "d_ece", "brier", "nll"), ("ECE", "D-ECE", "Brier", "NLL")),
        ("classes", ("accuracy", "ece", "sce", "brier", "nll"), ("accuracy", "ECE", "SCE", "Brier", "NLL")),
        ("corners", _CORNERS, ("ECE", "ECE, normal", "NLL", "CRPS", "in 90 %")),
    ):
        found = summary[part]
        rows = [
            (name + (" *" if name == found["chosen"] else ""), *(figures[c] for c in columns))
            for name, figures in found.get("figures", {}).items()
        ]
        if rows:
            screen.table(
                f"{part}, on images that each method did not see (* chosen)", ("method", *heads), rows
            )
    if not screen.as_json:
        for sentence in result.sentences:
            screen.say(sentence)
    screen.result(
        f"calibration: {result.file}\nreport: {result.report}",
        {
            "run": str(result.path),
            "calibration": str(result.file),
            "report": str(result.report),
            "sentences": result.sentences,
            **{p: summary[p] for p in ("confidence", "classes", "corners")},
        },
    )
