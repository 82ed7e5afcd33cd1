"""Options of a training run, and how they become :class:`TrainOptions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dubio.cli.modelopts import Command, add_options
from dubio.core.errors import InputError

if TYPE_CHECKING:
    from dubio.models.train.options import TrainOptions

_POSITIVE = click.IntRange(1)

_TRAIN = (
    click.option(
        "--architecture", default="Unet", show_default=True, help="Unet, DeepLabV3Plus, FPN, Segformer …"
    ),
    click.option("--encoder", default="resnet34", show_default=True, help="Encoder; tu-NAME takes timm's."),
    click.option(
        "--encoder-weights",
        default="none",
        show_default=True,
        help="Pretrained encoder: imagenet … (downloaded), or a file with its state dict. none: random.",
    ),
    click.option(
        "--network-option",
        "extra",
        multiple=True,
        metavar="NAME=VALUE",
        help="Further argument of the architecture, such as decoder_pyramid_channels=64; repeatable.",
    ),
    click.option(
        "--crop",
        type=_POSITIVE,
        nargs=2,
        default=(512, 512),
        show_default=True,
        metavar="H W",
        help="Crop size.",
    ),
    click.option(
        "--batch-size", type=_POSITIVE, default=8, show_default=True, help="Crops per step and device."
    ),
    click.option("--epochs", type=_POSITIVE, default=50, show_default=True, help="Passes over the images."),
    click.option("--max-steps", type=_POSITIVE, help="Stop after so many steps."),
    click.option(
        "--lr",
        type=float,
        default=1e-3,
        show_default=True,
        help="Peak learning rate; 1e-4 with pretrained weights.",
    ),
    click.option("--weight-decay", type=float, default=0.01, show_default=True, help="AdamW's weight decay."),
    click.option(
        "--schedule",
        type=click.Choice(["cosine", "onecycle"]),
        default="cosine",
        show_default=True,
        help="Learning rate after the warm-up.",
    ),
    click.option(
        "--warmup", type=float, default=0.05, show_default=True, help="Share of steps with rising rate."
    ),
    click.option(
        "--dice",
        type=float,
        default=0.5,
        show_default=True,
        help="Weight of dice loss; keeps small classes alive.",
    ),
    click.option("--class-weights", help="balanced, or one number per class, separated by commas."),
    click.option("--flip/--no-flip", default=True, show_default=True, help="Mirror half of the crops."),
    click.option(
        "--scale",
        type=float,
        nargs=2,
        default=(0.5, 2.0),
        show_default=True,
        metavar="LOW HIGH",
        help="Range of random scaling.",
    ),
    click.option("--jitter", type=float, default=0.3, show_default=True, help="Strength of colour changes."),
    click.option("--patience", type=_POSITIVE, help="Stop after so many epochs without a better mIoU."),
    click.option(
        "--val-fraction",
        type=float,
        default=0.1,
        show_default=True,
        help="Share of images to validate on where there is no --split-val.",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Seed of all randomness."),
    click.option(
        "--precision", default="auto", show_default=True, help="Lightning's; auto: bf16-mixed on a GPU."
    ),
    click.option("--accelerator", default="auto", show_default=True, help="Lightning's accelerator."),
    click.option("--devices", default="auto", show_default=True, help="Lightning's devices."),
    click.option("--num-nodes", type=_POSITIVE, default=1, show_default=True, help="Number of machines."),
    click.option("--strategy", default="auto", show_default=True, help="Lightning's strategy (ddp, fsdp …)."),
    click.option(
        "--workers",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="Reading processes; 0: none extra.",
    ),
    click.option(
        "--logger",
        type=click.Choice(["csv", "tensorboard"]),
        default="csv",
        show_default=True,
        help="curves.csv, or event files too.",
    ),
)


def train_options(command: Command) -> Command:
    """Add the options of a training run."""
    return add_options(command, _TRAIN)


def parse(options: dict[str, Any]) -> TrainOptions:
    """Collect the options of a training run.

    Raises:
        InputError: an impossible value.
    """
    from dataclasses import fields

    from dubio.models.train.options import TrainOptions

    values = {f.name: options[f.name] for f in fields(TrainOptions) if f.name in options}
    if values["encoder_weights"].lower() == "none":
        values["encoder_weights"] = None
    values["extra"] = tuple(sorted(_argument(text) for text in values["extra"]))
    weights = values["class_weights"]
    if weights is not None and weights != "balanced":
        try:
            values["class_weights"] = tuple(float(v) for v in weights.split(","))
        except ValueError as error:
            raise InputError(
                f"class weights can't be '{weights}'", remedy="give 'balanced' or numbers with commas"
            ) from error
    return TrainOptions(**values)


def _argument(text: str) -> tuple[str, Any]:
    import json

    name, equals, value = text.partition("=")
    try:
        if not (equals and name.isidentifier()):
            raise ValueError
        return name, json.loads(value)
    except ValueError as error:
        raise InputError(
            f"'{text}' is no option of a network", remedy="write NAME=VALUE, lists as [1, 2]"
        ) from error
