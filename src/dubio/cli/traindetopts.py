"""Options of a detector's training run, and how they become :class:`DetTrainOptions`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubio.cli.modelopts import Command, add_options

if TYPE_CHECKING:
    from dubio.models.det.train.options import DetTrainOptions

_POSITIVE = click.IntRange(1)
_SHARE = click.FloatRange(0, 1, max_open=True)

_DATA = (
    click.option("--boxes", required=True, type=click.Path(path_type=Path),
                 help="Labelled boxes: COCO, VOC, YOLO, KITTI, BDD100K, CVAT, Label Studio or CSV."),
    click.option("--layout", help="Their format. [default: detected]"),
    click.option("--images", type=click.Path(path_type=Path),
                 help="Folder of the pictures. [default: found beside the labels]"),
    click.option("--label-space", help="Classes: a name or a file. [default: what the labels say]"),
    click.option("--split-train", help="Part to train on. [default: train, if there is one]"),
    click.option("--split-val", help="Part to validate on. [default: val, if there is one]"),
)  # fmt: skip
_NETWORK = (
    click.option("--architecture", type=click.Choice(["retinanet", "fcos"]), default="retinanet",
                 show_default=True, help="Anchors and deltas, or points and distances."),
    click.option("--preset", type=click.Choice(["tiny", "small", "base"]), default="small", show_default=True,
                 help="Size of the network: tiny trains on a processor in minutes, base wants a GPU."),
    click.option("--backbone", help="timm model. [default: the preset's]"),
    click.option("--encoder-weights", default="none", show_default=True,
                 help="Pretrained backbone: a file with its state dict; imagenet: timm's, downloaded; "
                      "none: random."),
    click.option("--dropout", type=_SHARE, default=0.1, show_default=True,
                 help="Share of channels dropped, in training and for epistemic uncertainty; 0: none."),
    click.option("--dropout-where", type=click.Choice(["heads", "whole"]), default="heads",
                 show_default=True, help="heads: samples run the backbone once; whole: once each."),
    click.option("--logit-variance", is_flag=True, help="Predict a variance for class logits too."),
    click.option("--image-size", type=_POSITIVE, nargs=2, metavar="H W",
                 help="Size of the network's input, multiples of 32. "
                      "[default: tiny 256 320, small 320 416, base 640 832]"),
    click.option("--mean", type=float, nargs=3,
                 help="Subtracted from pixels in 0 to 1. [default: ImageNet's]"),
    click.option("--std", type=float, nargs=3, help="Divided by. [default: ImageNet's]"),
)  # fmt: skip
_TRAINING = (
    click.option("--loss", default="beta-nll", show_default=True,
                 type=click.Choice(["beta-nll", "detached", "gaussian", "laplace", "student", "energy",
                                    "published", "l1"]),
                 help="Of the boxes; l1 predicts no variance; published is for comparison only."),
    click.option("--batch-size", type=_POSITIVE,
                 help="Images per step and device. [default: tiny 4, small 4, base 16]"),
    click.option("--epochs", type=_POSITIVE,
                 help="Passes over the images. [default: tiny 12, small 30, base 50; on few images as many "
                      "as give tiny 800 steps, small 2500]"),
    click.option("--max-steps", type=_POSITIVE, help="Stop after so many steps."),
    click.option("--lr", type=float, help="Peak learning rate. [default: 0.001, base 0.0002]"),
    click.option("--backbone-lr", type=float, default=1.0, show_default=True,
                 help="Share of it that a pretrained backbone gets."),
    click.option("--weight-decay", type=float, default=0.01, show_default=True, help="AdamW's weight decay."),
    click.option("--warmup", type=_SHARE, default=0.05, show_default=True,
                 help="Share of steps with rising rate."),
    click.option("--variance-warmup", type=click.FloatRange(0, 1), default=0.0, show_default=True,
                 help="Share of steps in which variances don't touch the boxes."),
    click.option("--box-weight", type=float, default=1.0, show_default=True,
                 help="Weight of the boxes' loss beside that of the classes."),
    click.option("--ema", type=_SHARE, default=0.999, show_default=True,
                 help="Decay of the averaged weights, which are kept; 0: no average."),
    click.option("--flip/--no-flip", default=True, show_default=True, help="Mirror half of the images."),
    click.option("--scale", type=float, nargs=2, default=(0.75, 1.5), show_default=True,
                 metavar="LOW HIGH", help="Range of random scaling."),
    click.option("--jitter", type=float, default=0.2, show_default=True, help="Strength of colour changes."),
    click.option("--patience", type=_POSITIVE, help="Stop after so many epochs without a better AP."),
    click.option("--val-fraction", type=float, default=0.1, show_default=True,
                 help="Share of images to validate on where there is no --split-val."),
    click.option("--seed", type=int, default=0, show_default=True, help="Seed of all randomness."),
    click.option("--folds", type=click.IntRange(2), help="Cross-fit: held-out detections for every image."),
    click.option("--fold-group", help="Domain tag whose equal values stay in one fold, such as scene."),
    click.option("--samples", type=_POSITIVE, default=10, show_default=True,
                 help="Dropout masks of held-out detections and of --export-onnx."),
)  # fmt: skip
_HARDWARE = (
    click.option("--precision", default="auto", show_default=True,
                 help="Lightning's; auto: bf16-mixed on a GPU."),
    click.option("--accelerator", default="auto", show_default=True, help="Lightning's accelerator."),
    click.option("--devices", default="auto", show_default=True, help="Lightning's devices."),
    click.option("--num-nodes", type=_POSITIVE, default=1, show_default=True, help="Number of machines."),
    click.option("--strategy", default="auto", show_default=True, help="Lightning's strategy (ddp …)."),
    click.option("--workers", type=click.IntRange(0), default=0, show_default=True,
                 help="Reading processes; 0: none extra."),
    click.option("--logger", type=click.Choice(["csv", "tensorboard"]), default="csv", show_default=True,
                 help="curves.csv, or event files too."),
    click.option("--resume", type=click.Path(path_type=Path), help="Lightning checkpoint to take up."),
    click.option("--export-onnx", is_flag=True,
                 help="Also write detector.onnx, which runs without torch and holds the dropout samples."),
    click.option("--onnx-half-weights", is_flag=True, help="Store its weights as float16: half the size."),
    click.option("--out", required=True, type=click.Path(path_type=Path), help="Run folder."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)  # fmt: skip


def detector_options(command: Command) -> Command:
    """Add the options of a detector's training run."""
    return add_options(command, (*_DATA, *_NETWORK, *_TRAINING, *_HARDWARE))


def parse_detector(options: dict[str, Any], n_classes: int) -> DetTrainOptions:
    """Collect the options of a training run; what isn't said is the preset's.

    Raises:
        InputError: an impossible value.
    """
    from dataclasses import fields

    from dubio.models.det.torch.architecture import preset
    from dubio.models.det.train.options import RECIPES, DetTrainOptions

    architecture = preset(
        options["preset"],
        family=options["architecture"],
        classes=n_classes,
        backbone=options["backbone"],
        dropout=options["dropout"],
        dropout_where=options["dropout_where"],
        logit_variance=options["logit_variance"],
        variance=options["loss"] != "l1",
    )
    taken = {f.name for f in fields(DetTrainOptions)} & options.keys()
    values = {name: options[name] for name in taken if options[name] not in (None, ())}
    weights = options["encoder_weights"]
    return DetTrainOptions(
        **{
            **RECIPES[options["preset"]],
            **values,
            **({"size": options["image_size"]} if options["image_size"] else {}),
            "architecture": architecture,
            "backbone_weights": None if weights.lower() == "none" else weights,
        }
    )
