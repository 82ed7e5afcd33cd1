"""``dubio calibrate``: fit calibrators, and say where they help and where they don't."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dubio.cli.calibrate_boxes import BOX_NAMES, BOX_OPTIONS, calibrate_detector
from dubio.cli.console import Screen, command_errors, show_page
from dubio.cli.detopts import refuse
from dubio.cli.domainopts import alterations, domain_options, open_candidates, open_domains, run_options
from dubio.cli.modelopts import add_options
from dubio.core.errors import InputError

if TYPE_CHECKING:
    from dubio.data.domains import Domain
    from dubio.jobs.calibrate import CalibrateResult

# what only masks have a use for
_MASKS = (
    "data", "by", "corrupt", "models", "scores", "fit", "methods", "pixels", "clusters", "fit_corrupt",
    "augment", "risks", "confidence", "worst",
)  # fmt: skip
_COLUMNS = ("ece", "ks", "nll", "brier", "prr", "mean_iou")


def _box_options(command: Any) -> Any:
    return add_options(command, BOX_OPTIONS)


@click.command()
@domain_options
@click.option("--fit", "fit", multiple=True, metavar="NAME",
              help="Domain to fit on; the others are judged. Repeatable. [default: the first --data is cut "
              "into a calibration and a test half, ten runs of neighbouring images alternately]")  # fmt: skip
@click.option("--method", "methods", multiple=True, metavar="NAME",
              help="temperature, temperature-ece, vector, classwise, clustered, clustered-soft, "
              "clustered-gmm, clustered-class, adaptive, isotonic, top-label, dirichlet, local, "
              "local-logits. Repeatable. "
              "[default: temperature, vector, classwise, clustered, isotonic]")  # fmt: skip
@click.option("--pixels", type=click.IntRange(-1), default=20_000, show_default=True,
              help="Pixels per image to fit on; as published.")  # fmt: skip
@click.option("--clusters", type=click.IntRange(1), default=8, show_default=True,
              help="Clusters of images; as published.")  # fmt: skip
@click.option("--fit-corrupt", "fit_corrupt", multiple=True, metavar="KIND:SEVERITIES",
              help="Fit on corrupted copies of the calibration images too, so that calibrators learn what "
              "shift looks like; judge under others. Repeatable.")  # fmt: skip
@click.option("--augment", type=click.IntRange(0), default=0, show_default=True,
              help="Copies of each calibration image under random colours; published: 15.")  # fmt: skip
@click.option("--risk", "risks", multiple=True, metavar="CLASS:LEVEL",
              help="Also a threshold of this class whose masks miss at most this share of it: "
              "Pedestrian:0.1. Repeatable.")  # fmt: skip
@click.option("--confidence", type=click.FloatRange(0, 1, min_open=True, max_open=True),
              help="Of the promise of --risk. [default: it holds on average over images]")  # fmt: skip
@click.option("--replicates", type=click.IntRange(0), default=1000, show_default=True,
              help="Bootstrap over images, for 90 % intervals; 0: none.")  # fmt: skip
@click.option("--worst", type=click.IntRange(0), default=2, show_default=True,
              help="Images per model and domain that the page shows.")  # fmt: skip
@_box_options
@run_options
@click.pass_context
@command_errors
def command(context: click.Context, **options: Any) -> None:
    """Fit calibrators on some images and compare before and after on others, in every domain.

    No image is ever both fitted on and judged. The calibrators are written to OUT/calibrators; apply one
    with 'dubio predict --calibrator FILE'. The same command takes up a stopped run where it left off.

    With --boxes: the classes, confidence and corners of a detector, by its detections. Every method is judged
    on images that it did not see; what is saved, OUT/calibration.json, is fitted on all.

    \b
    dubio calibrate --data city=CamVid --model net.onnx --out run
    dubio calibrate --data cal=A --data test=B --data fog=C --fit cal --model net.onnx --out run
    dubio calibrate --data city=CamVid --corrupt fog:3 --model net.onnx --method local --out run
    dubio calibrate --boxes instances.json --detections predicted --out run
    """  # noqa: D301 - the mark keeps click from joining the lines
    if options["boxes"] is not None:
        refuse(context, _MASKS, "has no use with --boxes")
        calibrate_detector(options)
        return
    refuse(context, BOX_NAMES, "goes with --boxes")
    from dubio.jobs.calibrate import calibrate
    from dubio.jobs.fitting import DEFAULT, CalibrateOptions
    from dubio.jobs.reliability import ReliabilityOptions

    screen = Screen(as_json=options["as_json"])
    fit, test = _roles(options)
    screen.detected(f"fitted on {d.describe()}" for d in fit)
    screen.detected(f"judged on {d.describe()}" for d in test)
    candidates = open_candidates(options)
    if len(candidates) > 1:
        raise InputError("one model at a time can be calibrated", remedy="give one --model")
    screen.detected(candidates[0].describe())
    result = calibrate(
        candidates[0],
        fit,
        test,
        options["out"],
        CalibrateOptions(
            methods=options["methods"] or DEFAULT,
            pixels=options["pixels"],
            clusters=options["clusters"],
            corruptions=options["fit_corrupt"],
            augment=options["augment"],
            risks=tuple(_risk(text) for text in options["risks"]),
            confidence=options["confidence"],
            seed=options["seed"],
        ),
        ReliabilityOptions(replicates=options["replicates"], worst=options["worst"], seed=options["seed"]),
        workers=options["workers"],
        strict=options["strict"],
        progress=screen.progress,
        say=screen.warn,
    )
    _report(screen, result)
    if options["open_page"]:
        show_page(result.measured.report)


def _risk(text: str) -> tuple[str, float]:
    name, _, level = text.rpartition(":")
    try:
        return name, float(level)
    except ValueError as error:
        raise InputError(f"'{text}' is no class and level", remedy="write Pedestrian:0.1") from error


def _roles(options: dict[str, Any]) -> tuple[list[Domain], list[Domain]]:
    """Domains to fit on and to judge; corruptions are those of the first one that is judged."""
    from dubio.data.domains import corrupted
    from dubio.jobs.calibrate import split_in_two

    plain = open_domains({**options, "corrupt": ()}, seed=options["seed"])
    names = [d.name for d in plain]
    strange = [n for n in options["fit"] if n not in names]
    if strange:
        raise InputError(f"there is no domain '{strange[0]}' to fit on", remedy=f"known: {', '.join(names)}")
    if options["fit"]:
        fit = [d for d in plain if d.name in options["fit"]]
        test = [d for d in plain if d.name not in options["fit"]]
    else:
        first, second = split_in_two(plain[0])
        fit, test = [first], [second, *plain[1:]]
    if not test:
        raise InputError("all domains are fitted on", remedy="leave one to judge by, or leave --fit away")
    for text in options["corrupt"]:
        test += corrupted(test[0], alterations(text), seed=options["seed"])
    return fit, test


def _report(screen: Screen, result: CalibrateResult) -> None:
    summary = result.measured.summary
    for domain in summary["domains"]:
        rows = [
            (cell["model"], *(cell["metrics"][name] for name in _COLUMNS))
            for cell in summary["cells"]
            if cell["domain"] == domain["name"]
        ]
        screen.table(
            f"{domain['name']} ({domain['images']} images)",
            ("calibrator", "ECE", "KS", "NLL", "Brier", "PRR", "mIoU"),
            rows,
        )
    if not screen.as_json:
        for sentence in result.sentences:
            screen.say(sentence)
    screen.left_out(len(result.measured.quarantine), result.measured.path / "quarantine.json")
    screen.result(
        f"calibrators: {result.measured.path / 'calibrators'}\nreport: {result.measured.report}",
        {
            "run": str(result.measured.path),
            "report": str(result.measured.report),
            "calibrators": {name: str(path) for name, path in result.files.items()},
            "sentences": result.sentences,
            "quarantined": len(result.measured.quarantine),
            "cells": [
                {name: cell[name] for name in ("model", "domain", "images", "pixels", "metrics", "intervals")}
                for cell in summary["cells"]
            ],
        },
    )
