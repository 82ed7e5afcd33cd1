"""``dubio audit``: find the label errors of a data set, of masks or of boxes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubio.cli.audit_boxes import BOX_NAMES, MASK_NAMES, audit_detection, box_options
from dubio.cli.boxopts import SHOWN_ROWS
from dubio.cli.console import Screen, command_errors, show_page
from dubio.cli.detopts import refuse
from dubio.cli.modelopts import model_options, open_model
from dubio.core.errors import InputError

if TYPE_CHECKING:
    from dubio.core.records import Dataset, PredictionSource
    from dubio.jobs.audit import AuditResult
    from dubio.jobs.audit_boxes import BoxAuditResult

_PATH = click.Path(path_type=Path)
_SHOWN = 10


@click.command()
@click.option("--labels", type=_PATH, help="Folder of label masks.")
@click.option("--images", type=_PATH, help="Folder of images: for pictures, features and --model.")
@click.option("--data", type=_PATH, help="Root of a data set in a known layout, in place of the two.")
@click.option("--layout", help="Layout of --data, or format of --boxes. [default: detected]")
@click.option("--split", help="Part of --data. [default: all]")
@click.option("--label-space", help="Label space: a name or a TOML/JSON file. [default: inferred]")
@click.option("--encoding", help="Encoding of the masks, such as labelIds, rgb, nonzero. [default: detected]")
@click.option("--scores", type=_PATH, help="Folder of class scores, one NPY, NPZ or safetensors per image.")
@click.option("--predictions", type=_PATH, help="Folder of predicted label masks (fewer features).")
@click.option(
    "--scores-kind",
    type=click.Choice(["auto", "logits", "probabilities"]),
    default="auto",
    show_default=True,
    help="What the scores are; auto: probabilities lie in 0 … 1 and sum to 1.",
)
@click.option(
    "--scores-layout",
    type=click.Choice(["auto", "chw", "hwc"]),
    default="auto",
    show_default=True,
    help="Order of the axes; auto: by the number of classes and the image's shape.",
)
@click.option("--scores-key", help="Name of the array in NPZ and safetensors files.")
@model_options
@box_options
@click.option("--out", required=True, type=_PATH, help="Run folder.")
@click.option(
    "--method", type=click.Choice(["planted", "meta"]), default="planted", show_default=True,
    help="planted: learns from errors that it plants; meta: the published meta classifier.",
)  # fmt: skip
@click.option("--classes", help="Search these classes only: names or ids with commas. [default: all]")
@click.option(
    "--kinds",
    help="Report these only: missing, wrong_class, spurious, outline; of boxes also location and duplicate. "
    "[default: all]",
)
@click.option(
    "--min-size", type=click.IntRange(1),
    help="Smallest region, pixels. [default: 100 on a 2048x1024 image as published, in proportion]",
)  # fmt: skip
@click.option(
    "--max-findings", type=click.IntRange(1), default=500, show_default=True,
    help="Length of the list; 500 is about two hours of reviewing.",
)  # fmt: skip
@click.option(
    "--min-probability", type=click.FloatRange(0, 1), default=0.0, show_default=True,
    help="Leave out less probable findings; 0 ranks all.",
)  # fmt: skip
@click.option(
    "--error-rate", type=click.FloatRange(0, 1),
    help="Share of label regions assumed wrong. [default: estimated from the scores]",
)  # fmt: skip
@click.option(
    "--folds", type=click.IntRange(2), default=5, show_default=True,
    help="Parts for cross-fitting by image; more parts, more to learn from, more time.",
)  # fmt: skip
@click.option(
    "--copies", type=click.IntRange(1),
    help="Planted copies per image. [default: as many as give about 4000 planted errors]",
)  # fmt: skip
@click.option(
    "--plant-rate", type=click.FloatRange(0, 1, min_open=True),
    help="Planted errors per label region: few enough that they don't touch each other. "
    "[default: 0.06; boxes: 0.08]",
)  # fmt: skip
@click.option(
    "--reviewed", type=_PATH, multiple=True, metavar="RUN",
    help="Earlier audit with verdicts (dubio import): they teach this one. Repeatable; may be --out itself.",
)  # fmt: skip
@click.option("--unknown", type=click.Choice(["error", "void"]), default="error", show_default=True,
              help="Label values outside the label space.")  # fmt: skip
@click.option("--fail-over", type=click.IntRange(0),
              help="Exit with status 1 if more findings than this are more probable than 0.5.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@click.option("--workers", type=click.IntRange(1), help="Images at once. [default: all processors]")
@click.option("--strict", is_flag=True, help="Stop at the first image that can't be used.")
@click.option("--open/--no-open", "open_page", default=False, help="Open the report in a browser.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
@command_errors
def command(context: click.Context, **options: Any) -> None:
    """Find the label errors of a data set, of masks or of boxes.

    Needs the labels (--labels, or --data; --boxes) and what a model says of the images: --scores,
    --predictions or --model; --detections, also the uncertain ones. The model should not have been trained
    on the very labels it is held against; train with 'dubio train segmenter --folds' (detector --folds) to
    get honest scores. Labels are only read, never changed.

    \b
    dubio audit --labels masks --images pictures --scores scores --label-space cityscapes --out run
    dubio audit --data CamVid --model net.onnx --model-space cityscapes --card deeplab-edgetpu --out run
    dubio audit --boxes instances.json --detections predicted --out run
    """  # noqa: D301 - the mark keeps click from joining the lines
    result: AuditResult | BoxAuditResult
    if options["boxes"] is not None:
        refuse(context, MASK_NAMES, "has no use with --boxes")
        result = audit_detection(options)
    else:
        refuse(context, BOX_NAMES, "goes with --boxes")
        result = _audit_masks(options)
    if options["open_page"]:
        show_page(result.report)
    limit = options["fail_over"]
    if limit is not None and result.summary.suspicious > limit:
        raise SystemExit(1)


def _audit_masks(options: dict[str, Any]) -> AuditResult:
    from dubio.jobs.audit import audit

    screen = Screen(as_json=options["as_json"])
    dataset = _dataset(options)
    screen.detected([_classes_line(dataset), *dataset.notes])
    source = _source(options, dataset)
    screen.detected(source.describe())
    result = audit(
        dataset,
        source,
        options["out"],
        _audit_options(options, dataset),
        workers=options["workers"],
        strict=options["strict"],
        progress=screen.progress,
        say=screen.warn,
    )
    report(screen, result)
    return result


def _classes_line(dataset: Dataset) -> str:
    space = dataset.space
    names = ", ".join(space.names[:12]) + (" …" if len(space) > 12 else "")
    void = ", ".join(str(v) for v in space.void) or "none"
    return f"label space '{space.name}': {len(space)} classes ({names}); void values: {void}"


def _dataset(options: dict[str, Any]) -> Dataset:
    from dubio.data.layouts import open_dataset, open_folders
    from dubio.data.spaces import load_space

    space = load_space(options["label_space"]) if options["label_space"] else None
    if (options["data"] is None) == (options["labels"] is None):
        raise InputError("give either --labels or --data")
    if options["data"] is not None:
        return open_dataset(
            options["data"], layout=options["layout"], split=options["split"], space=space,
            encoding=options["encoding"],
        )  # fmt: skip
    return open_folders(
        labels=options["labels"], images=options["images"], space=space, encoding=options["encoding"]
    )


def _source(options: dict[str, Any], dataset: Dataset) -> PredictionSource:
    given = [name for name in ("scores", "predictions", "model_path") if options[name] is not None]
    if len(given) != 1:
        raise InputError(
            "give one of --scores, --predictions and --model",
            remedy="the labels are held against what a model says",
        )
    if given[0] == "model_path":
        from dubio.models.source import ModelSource

        return ModelSource(
            open_model(options),
            dataset.space,
            class_map=options["class_map"],
            window=options["window"] or None,
            overlap=options["overlap"],
            amp=options["amp"],
        )
    from dubio.data.predictions import open_predictions
    from dubio.data.spaces import load_space

    return open_predictions(
        dataset,
        scores=options["scores"],
        predictions=options["predictions"],
        class_map=options["class_map"],
        model_space=load_space(options["model_space"]) if options["model_space"] else None,
        layout=options["scores_layout"],
        kind=options["scores_kind"],
        key=options["scores_key"],
    )


def _audit_options(options: dict[str, Any], dataset: Dataset) -> Any:
    from dubio.errors.audit import AuditOptions
    from dubio.errors.findings import KINDS

    classes = kinds = None
    if options["classes"]:
        classes = tuple(dataset.space.index_of(name) for name in options["classes"].split(","))
    if options["kinds"]:
        kinds = tuple(name.strip() for name in options["kinds"].split(","))
        unknown = [k for k in kinds if k not in KINDS]
        if unknown:
            raise InputError(f"unknown kind '{unknown[0]}'", remedy=f"choose from {', '.join(KINDS)}")
    return AuditOptions(
        method=options["method"],
        classes=classes,
        kinds=kinds,
        min_size=options["min_size"],
        max_findings=options["max_findings"],
        min_probability=options["min_probability"],
        error_rate=options["error_rate"],
        folds=options["folds"],
        copies=options["copies"],
        plant_rate=options["plant_rate"] or AuditOptions.plant_rate,
        unknown=options["unknown"],
        reviewed=tuple(str(p) for p in options["reviewed"]),
        seed=options["seed"],
    )


def _faults(screen: Screen, result: AuditResult | BoxAuditResult) -> None:
    """Labels that look wrong as a whole, if there are any."""
    from dubio.errors.image_scores import SHOWN_FAULT

    if result.images is None:
        return
    images = result.images.to_pylist()
    faults = [row for row in images if row["fault"] is not None and row["fault"] >= SHOWN_FAULT]
    if faults:
        screen.table(
            f"Labels that look wrong as a whole ({len(faults)})",
            ("image", "fault probability", "why"),
            [(row["image_id"], row["fault"], row["reason"]) for row in faults[:_SHOWN]],
        )


def report(screen: Screen, result: AuditResult | BoxAuditResult) -> None:
    """Print the short tables and the place of the report."""
    from dubio.errors.findings import TITLES

    s = result.summary
    rows = [
        (f.finding, f.probability, TITLES[f.kind], f.given, f.proposed, f.image_id)
        for f in result.findings[:_SHOWN]
    ]
    screen.table(
        f"Most probable label errors ({min(_SHOWN, len(rows))} of {len(result.findings)} listed)",
        ("#", "probability", "kind", "label says", "model says", "image"),
        rows,
    )
    boxes = "duplicate" in s.kinds
    shown = [r for r in s.classes if r.regions or r.suspicious]
    if boxes and len(shown) > SHOWN_ROWS:
        shown.sort(key=lambda r: -(r.expected or 0.0))
    more = len(shown) - SHOWN_ROWS if boxes else 0
    where = f" (the most, and {more} more in {result.path / 'summary.json'})" if more > 0 else ""
    classes = [
        (
            r.name,
            r.regions,
            r.suspicious,
            r.expected,
            "–" if r.low is None else f"{r.low:.0f} to {r.high:.0f}",
        )
        for r in (shown[:SHOWN_ROWS] if boxes else shown)
    ]
    screen.table(
        f"Expected errors per class{where}",
        ("class", "boxes" if boxes else "regions", "p >= 0.5", "expected", "90 % interval"),
        classes,
    )
    _faults(screen, result)
    unit = "labelled boxes" if boxes else "label regions"
    if s.expected is not None and s.low is not None and s.high is not None:
        how = "estimated" if s.error_rate_estimated else "as assumed"
        screen.say(
            f"{s.images} images, {s.regions} {unit}: about {s.expected:.0f} errors that the model can "
            f"point at (90 %: {s.low:.0f} to {s.high:.0f}; rate {100 * (s.error_rate or 0):.2f} %, {how})"
        )
    if s.method == "meta":
        screen.say("probability: that the predicted object is real although the label denies it")
    if s.quality:
        base = max((b["ap"] for b in s.quality["baselines"].values()), default=float("nan"))
        screen.say(
            f"{s.quality['title']}: average precision {s.quality['ap']:.2f} "
            f"(best other score {base:.2f}), AUROC {s.quality['auroc']:.2f}, "
            f"calibration error {s.quality['ece']:.3f}"
        )
    if s.found_wrong or s.found_fine:
        screen.say(
            f"verdicts of earlier audits: {s.found_wrong} places of this one were found wrong, "
            f"{s.found_fine} were found fine and are not listed again"
        )
    screen.left_out(len(result.quarantine), result.path / "quarantine.json")
    screen.result(
        f"report: {result.report}",
        {
            "run": str(result.path),
            "report": str(result.report),
            "findings": len(result.findings),
            "quarantined": len(result.quarantine),
            "summary": s.to_dict(),
        },
    )
