"""Options that describe a model and a data set, for the commands that run one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubio.core.errors import InputError

if TYPE_CHECKING:
    from dubio.core.labelspace import LabelSpace
    from dubio.core.records import Dataset
    from dubio.models.base import Network

Command = Callable[..., Any]

_MODEL = (
    click.option(
        "--model",
        "model_path",
        type=click.Path(path_type=Path),
        help="ONNX file, torch program (.pt2), transformers folder or dubio checkpoint.",
    ),
    click.option("--model-space", help="Label space of the model's channels: a name or a file."),
    click.option("--class-map", help="From the model's classes to the labels': a name or a file."),
    click.option("--card", help="How pixels go in: a card's name (deeplab-edgetpu, imagenet …) or a file."),
    click.option(
        "--input-scale",
        type=click.Choice(["0-1", "0-255", "imagenet"]),
        help="Pixel range; plain unless --mean and --std are given. imagenet: 0-1 with ImageNet's.",
    ),
    click.option("--mean", type=float, nargs=3, help="Subtracted per channel, in units of the scale."),
    click.option("--std", type=float, nargs=3, help="Divided by per channel, in units of the scale."),
    click.option("--channels", type=click.Choice(["rgb", "bgr"]), help="Channel order of the input."),
    click.option(
        "--input-size", type=int, nargs=2, metavar="H W", help="Resize every image to this height and width."
    ),
    click.option("--window", type=int, nargs=2, metavar="H W", help="Sliding window; default: whole images."),
    click.option(
        "--overlap",
        type=click.FloatRange(0, 1, max_open=True),
        help="Share by which windows overlap. [default: the card's, 0.25: a quarter hides the seams]",
    ),
    click.option("--output", type=click.Choice(["auto", "logits", "probabilities"]), help="What comes out."),
    click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
    click.option("--amp/--no-amp", default=False, help="Mixed precision on a GPU (twice as fast, coarser)."),
)

_DATA = (
    click.option("--images", type=click.Path(path_type=Path), help="Folder of images."),
    click.option(
        "--labels", type=click.Path(path_type=Path), help="Folder of label masks, if there are any."
    ),
    click.option("--label-space", help="Label space of the labels: a name or a file."),
    click.option("--encoding", help="Encoding of the label masks. [default: class ids]"),
    click.option("--data", type=click.Path(path_type=Path), help="Root of a data set, in place of --images."),
    click.option("--layout", help="Layout of --data. [default: detected]"),
)


# What can be said of a model beside its file.
MODEL_DETAILS = _MODEL[1:]


def model_options(command: Command) -> Command:
    """Add the options of a model."""
    return add_options(command, _MODEL)


def data_options(command: Command) -> Command:
    """Add the options of a data set."""
    return add_options(command, _DATA)


def add_options(command: Command, options: tuple[Any, ...]) -> Command:
    """Decorate a command with options, in their order."""
    for option in reversed(options):
        command = option(command)
    return command


def open_model(options: dict[str, Any]) -> Network:
    """Open the model that the options describe.

    Raises:
        InputError: no ``--model``, or one that can't be used.
    """
    from dubio.models.load import load_model

    if options["model_path"] is None:
        raise InputError("no model is given", remedy="name one with --model")
    return load_model(
        options["model_path"],
        card=options["card"],
        space=options["model_space"],
        input_scale=options["input_scale"],
        mean=options["mean"] or None,
        std=options["std"] or None,
        channels=options["channels"],
        size=options["input_size"] or None,
        window=options["window"] or None,
        overlap=options["overlap"],
        output=options["output"],
        device=options["device"],
    )


def open_data(
    options: dict[str, Any], *, split: str | None = None, space: LabelSpace | None = None
) -> Dataset:
    """Open the data set that the options describe.

    Args:
        options: values of :func:`data_options`.
        split: part of a data set with ``--data``.
        space: used when no label space is named.

    Raises:
        InputError: neither or both of ``--images`` and ``--data``, or what they name can't be read.
    """
    from dubio.data.layouts import open_dataset, open_folders
    from dubio.data.spaces import load_space

    if (options["data"] is None) == (options["images"] is None):
        raise InputError("give either --images or --data")
    named = load_space(options["label_space"]) if options["label_space"] else None
    if options["data"] is not None:
        return open_dataset(
            options["data"],
            layout=options["layout"],
            split=split,
            space=named,
            encoding=options["encoding"],
        )
    return open_folders(
        labels=options["labels"],
        images=options["images"],
        space=named or space,
        encoding=options["encoding"],
    )
