"""Options of the commands that hold a detector against labelled boxes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubio.cli.detopts import VIEW_OPTIONS

if TYPE_CHECKING:
    from dubio.models.det.base import DetModel

_PATH = click.Path(path_type=Path)
_SHARE = click.FloatRange(0, 1)
DETECTOR = (
    click.option("--detector", type=_PATH, multiple=True,
                 help="Detector: ONNX file, checkpoint of 'dubio train detector', transformers folder. "
                 "Repeatable: checkpoints are an ensemble, as is the folder of a training with --folds."),
    click.option("--card", help="What its inputs and outputs mean: yolox, nanodet, fastestdet, or a file."),
    click.option("--model-space", help="Its classes: a label space or a file."),
    click.option("--class-map", help="From its classes to the labels': a name or a file. [default: by name]"),
    click.option("--input-size", type=int, nargs=2, metavar="H W", help="Of files that leave it open."),
    click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
    click.option("--amp/--no-amp", default=False, help="Mixed precision on a GPU."),
)  # fmt: skip
SUPPRESSION = (
    click.option("--nms", type=click.Choice(["hard", "linear", "gaussian"]), default="hard",
                 show_default=True, help="How double detections are removed; linear, gaussian: soft NMS."),
    click.option("--nms-iou", type=_SHARE, default=0.5, show_default=True,
                 help="Overlap of double detections."),
    click.option("--nms-score", type=_SHARE, default=0.005, show_default=True,
                 help="Least score that the detector gives; low, since average precision counts all."),
    click.option("--limit", type=click.IntRange(1), default=100, show_default=True,
                 help="Most detections of an image."),
    click.option("--classwise/--agnostic", default=True,
                 help="Double only within a class, or across classes. [default: classwise]"),
    click.option("--fuse", is_flag=True, help="Average each detection with its doubles by their variances."),
    click.option("--decode", type=click.Choice(["exact", "l-norm", "n-flow", "sample", "falsedec"]),
                 default="exact", show_default=True, help="How predicted variances become those of corners."),
    click.option("--samples", type=click.IntRange(1), help="Passes through the head with dropout."),
    *VIEW_OPTIONS,
)  # fmt: skip
# that have a use with a detector only
DETECTOR_ONLY = (
    "card", "model_space", "class_map", "input_size", "device", "amp", "nms", "nms_iou", "nms_score", "limit",
    "classwise", "fuse", "decode", "samples", "tta", "tta_scale", "batch_size", "workers", "corrupt",
)  # fmt: skip


def open_validated(options: dict[str, Any]) -> DetModel:
    """Open the detector that the options describe.

    Raises:
        InputError: it can't be used.
    """
    from dubio.cli.detopts import open_detector

    usual = {
        "nms": "hard",
        "nms_iou": 0.5,
        "nms_score": 0.005,
        "limit": 100,
        "classwise": True,
        "fuse": False,
    }
    given = {**usual, "decode": "exact", "samples": None, "tta": None, "tta_scale": (), **options}
    return open_detector({**given, "iou": given["nms_iou"], "score": given["nms_score"]})
