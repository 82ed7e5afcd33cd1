"""``dubio audit --boxes``: find the label errors of a detection data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dubio.cli.boxopts import BOXES, DETECTIONS, open_labelled, open_seen, waiting
from dubio.cli.console import Screen
from dubio.core.errors import InputError

if TYPE_CHECKING:
    from dubio.core.boxes import BoxDataset
    from dubio.errors.boxes.audit import BoxAuditOptions
    from dubio.jobs.audit_boxes import BoxAuditResult

BOX_OPTIONS = (BOXES, DETECTIONS)
BOX_NAMES = ("boxes", "detections")
# what only masks have a use for
MASK_NAMES = (
    "labels", "data", "split", "encoding", "scores", "predictions", "scores_kind",
    "scores_layout", "scores_key", "model_path", "model_space", "class_map", "card", "input_scale", "mean",
    "std", "channels", "input_size", "window", "overlap", "output", "device", "amp", "min_size", "unknown",
)  # fmt: skip


def audit_detection(options: dict[str, Any]) -> BoxAuditResult:
    """Audit what the options name."""
    try:
        return _audit(options)
    except KeyboardInterrupt:
        # unlike the commands that work image by image, this one has nothing to take up
        click.echo("\ndubio: stopped; nothing of this audit is kept, the same command starts anew", err=True)
        raise SystemExit(130) from None


def _audit(options: dict[str, Any]) -> BoxAuditResult:
    screen = Screen(as_json=options["as_json"])
    dataset = open_labelled(options)
    names = ", ".join(dataset.space.names[:12]) + (" …" if len(dataset.space) > 12 else "")
    screen.detected([*dataset.notes, f"{len(dataset.space)} classes ({names})"])
    seen = open_seen(options, dataset)
    screen.detected(seen.notes)
    with waiting(options, "loading the finder"):
        from dubio.jobs.audit_boxes import audit_boxes

        chosen = _options(options, dataset)
    result = audit_boxes(
        dataset,
        seen.predictions,
        options["out"],
        chosen,
        reviewed=tuple(str(p) for p in options["reviewed"]),
        workers=options["workers"],
        strict=options["strict"],
        progress=screen.progress,
        say=screen.warn,
    )
    from dubio.cli.audit import report

    report(screen, result)
    return result


def _options(options: dict[str, Any], dataset: BoxDataset) -> BoxAuditOptions:
    from dubio.errors.boxes.audit import BoxAuditOptions
    from dubio.errors.findings import BOX_KINDS

    classes = kinds = None
    if options["classes"]:
        classes = tuple(dataset.space.index_of(name) for name in options["classes"].split(","))
    if options["kinds"]:
        kinds = tuple(name.strip() for name in options["kinds"].split(","))
        unknown = [k for k in kinds if k not in BOX_KINDS]
        if unknown:
            raise InputError(f"unknown kind '{unknown[0]}'", remedy=f"choose from {', '.join(BOX_KINDS)}")
    rate = options["plant_rate"]
    return BoxAuditOptions(
        method=options["method"],
        classes=classes,
        kinds=kinds,
        max_findings=options["max_findings"],
        min_probability=options["min_probability"],
        error_rate=options["error_rate"],
        folds=options["folds"],
        copies=options["copies"],
        **({} if rate is None else {"plant_rate": rate}),
        seed=options["seed"],
    )


def box_options(command: Any) -> Any:
    """Add the options of an audit of boxes."""
    for option in reversed(BOX_OPTIONS):
        command = option(command)
    return command
