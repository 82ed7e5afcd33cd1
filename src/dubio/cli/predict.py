"""``dubio predict``: run a model over images."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubio.cli.console import Screen, command_errors
from dubio.cli.detopts import DETECTOR_NAMES, DETECTOR_OPTIONS, refuse
from dubio.cli.modelopts import add_options, data_options, model_options, open_data, open_model

if TYPE_CHECKING:
    from dubio.jobs.predict import PredictSummary

# What only networks that segment have a use for.
_SEGMENTATION = (
    "model_path", "input_scale", "mean", "std", "channels", "window", "overlap", "output", "labels",
    "encoding", "data", "split", "keep_scores", "maps",
)  # fmt: skip


def _detector_options(command: Any) -> Any:
    return add_options(command, DETECTOR_OPTIONS)


@click.command("predict")
@model_options
@data_options
@_detector_options
@click.option("--split", help="Part of --data, such as val. [default: all]")
@click.option("--calibrator", type=click.Path(path_type=Path),
              help="Calibrator of 'dubio calibrate', applied to what the model says; with --detector its run "
              "folder does, too.")  # fmt: skip
@click.option(
    "--batch-size", type=click.IntRange(1), help="Images per run. [default: 1 on a CPU, 4 on a GPU]"
)
@click.option("--keep-scores", is_flag=True, help="Write all class scores, float16 (C, H, W), to OUT/scores.")
@click.option("--maps/--no-maps", default=True, help="Write predicted class, entropy and margin to OUT/maps.")
@click.option("--workers", type=click.IntRange(1), help="Threads that read and write. [default: processors]")
@click.option("--strict", is_flag=True, help="Stop at the first image that can't be used.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Run folder.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
@command_errors
def command(context: click.Context, **options: Any) -> None:
    """Run a model: region table, uncertainty maps, and with --keep-scores all scores.

    With --detector: a table of detections with the scores of all classes and the variances of their corners,
    and COCO results.

    The same command takes up a stopped run where it left off.

    \b
    dubio predict --model net.onnx --images photos --out run
    dubio predict --model net.onnx --model-space cityscapes --input-scale 0-255 \\
        --data camvid --split val --keep-scores --out run
    dubio predict --detector yolox.onnx --card yolox --images photos --out run
    dubio predict --detector net.onnx --boxes instances.json --images val2017 --out run
    dubio predict --detector net1 --detector net2 --tta flip --images photos --out run
    """  # noqa: D301 - click wants the backspace itself
    if options["detector"]:
        from dubio.cli.predict_boxes import predict_boxes

        refuse(context, _SEGMENTATION, "has no use with --detector")
        predict_boxes({k: v for k, v in options.items() if k not in _SEGMENTATION})
        return
    refuse(context, DETECTOR_NAMES, "goes with --detector")
    options = {k: v for k, v in options.items() if k not in DETECTOR_NAMES}
    from dubio.core.run import Run
    from dubio.jobs.candidates import open_calibrator
    from dubio.jobs.predict import PredictJob
    from dubio.models.source import ModelSource, numbered_space

    screen = Screen(as_json=options["as_json"])
    model = open_model(options)
    dataset = open_data(
        options, split=options["split"], space=model.space or numbered_space(model.n_channels)
    )
    on_gpu = model.runtime.device.startswith("cuda")
    batch_size = options["batch_size"] or (4 if on_gpu else 1)
    source = ModelSource(
        model,
        dataset.space,
        class_map=options["class_map"],
        batch_size=batch_size,
        amp=options["amp"],
        calibrator=open_calibrator(options["calibrator"], dataset.space),
    )
    labels = sum(s.label is not None for s in dataset)
    screen.detected(source.describe())
    screen.detected([f"data: {len(dataset)} images, {labels} with labels, classes of '{dataset.space.name}'"])
    screen.detected(dataset.notes)
    run = Run(options["out"], "predict", {k: v for k, v in options.items() if k not in ("out", "as_json")})
    job = PredictJob(
        source,
        dataset,
        run,
        keep_scores=options["keep_scores"],
        maps=options["maps"],
        batch_size=batch_size,
        workers=options["workers"],
        strict=options["strict"],
    )
    for _ in screen.progress(job.work(), len(job.samples), "predicting"):
        pass
    _show(screen, job.finish(), options)


def _show(screen: Screen, summary: PredictSummary, options: dict[str, Any]) -> None:
    out: Path = options["out"]
    rows: list[tuple[str, object]] = [("images", summary.images)]
    if summary.resumed:
        rows.append(("of these from an earlier run", summary.resumed))
    rows.append(("regions", summary.regions))
    rows.append(("images that couldn't be used", len(summary.bad)))
    data: dict[str, Any] = {
        "out": str(out),
        "images": summary.images,
        "resumed": summary.resumed,
        "regions": summary.regions,
        "quarantined": [{"image_id": o.sample.image_id, "fault": o.fault} for o in summary.bad],
        "pixel_accuracy": None,
        "mean_iou": None,
    }
    if summary.tally is not None:
        for name, value in (("pixel_accuracy", summary.tally.accuracy), ("mean_iou", summary.tally.mean_iou)):
            data[name] = None if math.isnan(value) else value
        rows.append(("pixel accuracy against the labels", summary.tally.accuracy))
        rows.append(("mean IoU against the labels", summary.tally.mean_iou))
    if summary.damaged:
        screen.warn(f"{summary.damaged} images were predicted again: files of an earlier run were damaged")
    for outcome in summary.bad[:5]:
        screen.warn(outcome.fault)
    if len(summary.bad) > 5:
        screen.warn(f"{len(summary.bad) - 5} more in {out / 'quarantine.json'}")
    screen.table("predictions", ("what", "value"), rows)
    kept = ["regions.parquet"]
    kept += ["maps/"] if options["maps"] else []
    kept += ["scores/"] if options["keep_scores"] else []
    screen.result(f"written to {out}: {', '.join(kept)}", data)
