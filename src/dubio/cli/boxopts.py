"""What commands on boxes share: options that name labelled boxes and what a detector says of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubio.core.errors import InputError

if TYPE_CHECKING:
    from dubio.core.boxes import BoxDataset
    from dubio.data.boxes import BoxPredictions

SHOWN_ROWS = 15  # of a table of classes: with what else is said they fit a terminal
_PATH = click.Path(path_type=Path)
BOXES = click.option(
    "--boxes", type=_PATH, help="Labelled boxes: COCO, VOC, YOLO, KITTI, BDD100K, CVAT, CSV …"
)
LAYOUT = click.option("--layout", help="Format of --boxes. [default: detected]")
IMAGES = click.option(
    "--images", type=_PATH, help="Folder of their pictures, if the labels don't lead to it."
)
SPACE = click.option(
    "--label-space", help="Classes, if the labels lack some: a name or a TOML/JSON file. [default: theirs]"
)
DETECTIONS = click.option(
    "--detections", type=_PATH,
    help="Run of 'dubio predict --detector', its boxes.parquet, COCO results, or YOLO files with confidence.",
)  # fmt: skip


@contextmanager
def waiting(options: dict[str, Any], text: str) -> Iterator[None]:
    """Show on a terminal that something is going on; nothing where none is, or with ``--json``.

    Nothing else may draw itself meanwhile, such as a progress bar.
    """
    from rich.console import Console

    err = Console(stderr=True, highlight=False)
    if options.get("as_json") or options.get("quiet") or not err.is_terminal:
        yield
        return
    with err.status(text):
        yield


def open_labelled(options: dict[str, Any]) -> BoxDataset:
    """Open the boxes that the options name.

    Raises:
        InputError: none are named, or they can't be used.
    """
    if options["boxes"] is None:
        raise InputError("give --boxes", remedy="they are held against what a detector says")
    with waiting(options, "reading labelled boxes"):
        from dubio.data.boxes import open_boxes

        space = None
        if options.get("label_space"):
            from dubio.data.spaces import load_space

            space = load_space(options["label_space"])
        strict = bool(options.get("strict"))
        return open_boxes(options["boxes"], options["layout"], options["images"], space=space, strict=strict)


def open_seen(options: dict[str, Any], dataset: BoxDataset) -> BoxPredictions:
    """Open the detections that the options name.

    Raises:
        InputError: none are named, or they can't be used.
    """
    if options["detections"] is None:
        raise InputError("give --detections", remedy="make them with 'dubio predict --detector'")
    with waiting(options, "reading detections"):
        from dubio.data.boxes import open_detections

        return open_detections(dataset, options["detections"], strict=bool(options.get("strict")))
