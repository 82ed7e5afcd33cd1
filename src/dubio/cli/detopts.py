"""Options of detectors: which one, on what, and how double detections are removed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubio.cli.boxopts import waiting
from dubio.core.errors import InputError

if TYPE_CHECKING:
    from dubio.calibration.boxes.bundle import DetectionCalibration
    from dubio.models.det.base import DetModel
    from dubio.uncertainty.boxes.suppress import Suppression

_SHARE = click.FloatRange(0, 1)
NMS_OPTIONS = (
    click.option("--nms", type=click.Choice(["hard", "linear", "gaussian"]), default="hard",
                 show_default=True, help="How double detections are removed; linear, gaussian: soft NMS."),
    click.option("--iou", type=_SHARE, default=0.5, show_default=True, help="Overlap of double detections."),
    click.option("--score", type=_SHARE, default=0.05, show_default=True, help="Least score of a detection."),
    click.option("--limit", type=click.IntRange(1), default=100, show_default=True,
                 help="Most detections of an image."),
    click.option("--classwise/--agnostic", default=True,
                 help="Double only within a class, or across classes. [default: classwise]"),
    click.option("--fuse", is_flag=True, help="Average each detection with its doubles by their variances."),
)  # fmt: skip
VIEW_OPTIONS = (
    click.option("--tta", type=click.Choice(["flip"]),
                 help="Look at each picture mirrored, too (test-time augmentation; checkpoints)."),
    click.option("--tta-scale", type=click.FloatRange(0.1, 4), multiple=True,
                 help="Look at each picture on this scale of the input, too; repeatable (checkpoints)."),
)  # fmt: skip
DETECTOR_OPTIONS = (
    click.option("--detector", type=click.Path(path_type=Path), multiple=True,
                 help="Detector in place of --model: ONNX file, checkpoint of 'dubio train detector', "
                      "transformers folder (D-FINE). Repeatable: checkpoints are an ensemble, as is the "
                      "folder of a training with --folds."),
    click.option("--boxes", type=click.Path(path_type=Path),
                 help="Labelled boxes in any format, for --detector; --layout says which if need be."),
    *NMS_OPTIONS,
    click.option("--decode", type=click.Choice(["exact", "l-norm", "n-flow", "sample", "falsedec"]),
                 default="exact", show_default=True,
                 help="How predicted variances become those of corners; all but exact are for comparison."),
    click.option("--samples", type=click.IntRange(1),
                 help="Passes through the head with dropout. [default: 10; ONNX: as the file has it]"),
    *VIEW_OPTIONS,
    click.option("--seed", type=int, default=0, show_default=True,
                 help="Seed of dropout, and of --decode sample."),
)  # fmt: skip
DETECTOR_NAMES = (
    "detector", "boxes", "nms", "iou", "score", "limit", "classwise", "fuse", "decode", "samples", "tta",
    "tta_scale", "seed",
)  # fmt: skip


def suppression_of(options: dict[str, Any]) -> Suppression:
    """The suppression that :data:`NMS_OPTIONS` describe."""
    from dubio.uncertainty.boxes.suppress import Suppression

    return Suppression(
        method=options["nms"],
        iou=options["iou"],
        classwise=options["classwise"],
        score=options["score"],
        limit=options["limit"],
        fuse=options["fuse"],
    )


def open_detector(options: dict[str, Any]) -> DetModel:
    """Open the detector that the options describe.

    Args:
        options: values of :data:`DETECTOR_OPTIONS` and of the options of a model that detectors share:
            ``card``, ``model_space``, ``input_size``, ``device``, ``amp``.

    Returns:
        One detector; of several checkpoints their ensemble.

    Raises:
        InputError: no ``--detector``, or one that can't be used.
    """
    if not options["detector"]:
        raise InputError("no detector is given", remedy="name one with --detector")
    with waiting(options, "opening the detector"):
        from dubio.models.det.load import load_detector

        return load_detector(
            options["detector"],
            options["card"],
            space=options["model_space"],
            size=options["input_size"] or None,
            suppression=suppression_of(options),
            decode=options["decode"],
            seed=options["seed"],
            device=options["device"],
            amp=options["amp"],
            samples=options["samples"],
            flip=options["tta"] == "flip",
            scales=options["tta_scale"] or (1.0,),
        )


def open_calibration(path: str | Path) -> DetectionCalibration:
    """Open a calibration of ``dubio calibrate --boxes``: its file, or the run folder.

    Raises:
        InputError: it isn't there or can't be used.
    """
    from dubio.calibration.boxes.bundle import load_detection_calibration

    file = Path(path)
    if file.is_dir():
        file /= "calibration.json"
        if not file.is_file():
            raise InputError(
                "holds no calibration.json", path=path, remedy="name a run of 'dubio calibrate --boxes'"
            )
    return load_detection_calibration(file)


def refuse(context: click.Context, names: tuple[str, ...], why: str) -> None:
    """Refuse options that were typed though they have no use.

    Args:
        context: of the command.
        names: parameters that have no use.
        why: end of the sentence, such as "goes with --detector".

    Raises:
        InputError: one of them was typed.
    """
    for parameter in context.command.params:
        name = parameter.name or ""
        typed = context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
        if name in names and typed:
            raise InputError(f"{parameter.opts[0]} {why}", remedy="leave it away")
