"""``dubio reliability``: how far models can be trusted, and where."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubio.cli.console import Screen, command_errors, show_page
from dubio.cli.domainopts import domain_options, open_candidates, open_domains, run_options
from dubio.core.errors import InputError

if TYPE_CHECKING:
    from dubio.jobs.reliability import ReliabilityResult

# What fits a terminal of 80 columns and is still read; the rest is in the report and in --json.
_SENTENCES = 12
_COLUMNS = ("accuracy", "mean_iou", "ece", "nll", "prr")


@click.command()
@domain_options
@click.option("--calibrator", type=click.Path(path_type=Path), help="Calibrator applied to every model.")
@click.option(
    "--rank-by", multiple=True,
    type=click.Choice(["max_prob", "entropy", "margin", "max_logit", "energy"]),
    help="Uncertainty scores to rank by; repeatable. [default: all five]",
)  # fmt: skip
@click.option("--bins", type=click.IntRange(1), default=15, show_default=True,
              help="Bins of the calibration error; 15 as published.")  # fmt: skip
@click.option("--confidence", type=click.Choice(["max_prob", "entropy", "margin"]), default="max_prob",
              show_default=True, help="Whose complement is held to be the stated confidence.")  # fmt: skip
@click.option("--features", is_flag=True,
              help="Also kNN and Mahalanobis distances on the network's features.")  # fmt: skip
@click.option("--feature-layer", help="Layer of the features. [default: last stage of the backbone]")
@click.option("--learned/--not-learned", default=True,
              help="Also the standardised largest logit, learned on the source by halves.")  # fmt: skip
@click.option("--uncovered", type=click.Choice(["unknown", "wrong"]), default="unknown", show_default=True,
              help="Pixels of classes that no channel of the model stands for: objects to be detected as "
              "unknown, or errors.")  # fmt: skip
@click.option("--replicates", type=click.IntRange(0), default=1000, show_default=True,
              help="Bootstrap over images, for 90 % intervals; 0: none.")  # fmt: skip
@click.option("--worst", type=click.IntRange(0), default=4, show_default=True,
              help="Images per model and domain that the page shows.")  # fmt: skip
@click.option("--fail-over", type=click.FloatRange(0, 1), metavar="ECE",
              help="Exit with status 1 if a calibration error is larger than this or can't be "
              "computed.")  # fmt: skip
@run_options
@command_errors
def command(**options: Any) -> None:
    """Can I trust this model here? Accuracy, calibration, misclassification and OOD over domains.

    The first --data is the source domain; the others, its parts (--by) and corruptions (--corrupt) are
    compared with it. The same command takes up a stopped run where it left off.

    \b
    dubio reliability --data day=city --data 'fog=ACDC?condition=fog' --model net.onnx --out run
    dubio reliability --data CamVid --corrupt imagenet-c:1,3,5 --model net.onnx --out run
    dubio reliability --data CamVid --scores CamVid=scores --out run
    """  # noqa: D301 - the mark keeps click from joining the lines
    from dubio.jobs.reliability import ReliabilityOptions, reliability
    from dubio.uncertainty.pixel import SCORES

    if options["fail_over"] is not None and math.isnan(options["fail_over"]):
        raise InputError("nan is no limit of --fail-over", remedy="give a number from 0 to 1")
    screen = Screen(as_json=options["as_json"])
    domains = open_domains(options, seed=options["seed"])
    screen.detected(d.describe() for d in domains[:12])
    if len(domains) > 12:
        screen.detected([f"… and {len(domains) - 12} more domains"])
    screen.detected(dict.fromkeys(note for d in domains for note in d.dataset.notes))
    candidates = open_candidates(options)
    for candidate in candidates:
        screen.detected(candidate.describe())
    result = reliability(
        domains,
        candidates,
        options["out"],
        ReliabilityOptions(
            scores=options["rank_by"] or SCORES,
            bins=options["bins"],
            confidence=options["confidence"],
            learned=options["learned"],
            features=options["features"],
            layer=options["feature_layer"],
            uncovered=options["uncovered"],
            replicates=options["replicates"],
            worst=options["worst"],
            seed=options["seed"],
        ),
        workers=options["workers"],
        strict=options["strict"],
        progress=screen.progress,
        say=screen.warn,
    )
    report(screen, result)
    if options["open_page"]:
        show_page(result.report)
    _fail_over(result, options["fail_over"])


def report(screen: Screen, result: ReliabilityResult) -> None:
    """Print the short tables, a sentence per domain and the place of the report."""
    summary = result.summary
    source = next(d["name"] for d in summary["domains"] if d["source"])
    for model in summary["models"]:
        rows = []
        for cell in summary["cells"]:
            if cell["model"] != model["name"]:
                continue
            figures = [cell["metrics"][name] for name in _COLUMNS]
            rows.append((cell["domain"], *figures, _ood(cell), cell["stated"]["0.9"]))
        screen.table(
            f"{model['name']} (source: {source})",
            ("domain", "accuracy", "mIoU", "ECE", "NLL", "PRR", "OOD", "0.9 is"),
            rows,
        )
    if not screen.as_json:
        first = [c["sentence"] for c in summary["cells"] if c["model"] == summary["models"][0]["name"]]
        for sentence in first[:_SENTENCES]:
            screen.say(sentence)
        if len(first) > _SENTENCES:
            screen.say(f"… and {len(first) - _SENTENCES} more domains: see the report. {summary['headline']}")
    screen.left_out(len(result.quarantine), result.path / "quarantine.json")
    screen.result(
        f"report: {result.report}",
        {
            "run": str(result.path),
            "report": str(result.report),
            "quarantined": len(result.quarantine),
            "cells": [_short(cell) for cell in summary["cells"]],
        },
    )


def _ood(cell: dict[str, Any]) -> float | None:
    found = (cell["ood_images"] or {}).get("max_prob")
    return None if found is None else found["auroc"]


def _short(cell: dict[str, Any]) -> dict[str, Any]:
    kept = ("model", "domain", "images", "pixels", "metrics", "intervals", "relative", "stated", "sentence")
    return {name: cell[name] for name in (*kept, "ood_images", "ood_pixels")}


def _fail_over(result: ReliabilityResult, limit: float | None) -> None:
    errors = [cell["metrics"]["ece"] for cell in result.summary["cells"]]
    if limit is not None and any(e is None or e > limit for e in errors):
        raise SystemExit(1)
