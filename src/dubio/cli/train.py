"""``dubio train``: train a network."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from dubio.cli.console import Screen, command_errors
from dubio.cli.modelopts import data_options, open_data
from dubio.cli.train_detector import detector
from dubio.cli.trainopts import parse, train_options

if TYPE_CHECKING:
    from dubio.core.records import Dataset
    from dubio.core.run import Run
    from dubio.models.train.options import TrainOptions

_SHOWN_CLASSES = 30


@click.group("train", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Train a model."""


command.add_command(detector)


@command.command("segmenter")
@data_options
@click.option("--split-train", help="Part of --data to train on. [default: train, if there is one]")
@click.option("--split-val", help="Part of --data to validate on. [default: val, if there is one]")
@train_options
@click.option("--folds", type=click.IntRange(2), help="Cross-fit: held-out scores for every image.")
@click.option("--fold-group", help="Domain tag whose equal values stay in one fold, such as scene.")
@click.option("--resume", type=click.Path(path_type=Path), help="Lightning checkpoint to take up.")
@click.option("--export-onnx", is_flag=True, help="Also write model.onnx, checked against torch.")
@click.option("--onnx-half-weights", is_flag=True, help="Store its weights as float16: half the size.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Run folder.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@command_errors
def segmenter(**options: Any) -> None:
    """Train a segmentation network, or with --folds one per fold for held-out scores.

    The same command takes up a stopped run from its last finished epoch.

    \b
    dubio train segmenter --images photos --labels masks --label-space classes.toml --out run
    dubio train segmenter --images photos --labels masks --label-space classes.toml \\
        --folds 5 --out run    # then: dubio audit … --scores run/scores
    """  # noqa: D301 - click wants the backspace itself
    from dubio.core.run import Run
    from dubio.models.torchdev import require_torch

    require_torch("training")
    # Lightning starts this command once per device; only the first speaks.
    helper = os.environ.get("LOCAL_RANK", "0") != "0"
    screen = Screen(as_json=options["as_json"], quiet=helper)
    if options["images"] is not None and options["labels"] is None:
        raise click.UsageError("--images needs --labels")
    recipe = parse(options)
    train, val = _parts(options, recipe)
    run = Run(options["out"], "train", {k: v for k, v in options.items() if k not in ("out", "as_json")})
    _announce(screen, recipe, train, val)
    if options["folds"]:
        _cross_fit(screen, recipe, train, run, options)
    else:
        _train(screen, recipe, train, val, run, options)


def _parts(options: dict[str, Any], recipe: TrainOptions) -> tuple[Dataset, Dataset | None]:
    """The images to train on (all of them for --folds) and to validate on."""
    from dubio.models.train.options import labelled, split_off, subset

    whole = open_data(options)
    if options["folds"]:
        wanted = options["split_train"]
        return (subset(whole, lambda s: s.split == wanted) if wanted else whole), None
    found = labelled(whole)
    splits = {s.split for s in found}
    first = options["split_train"] or ("train" if "train" in splits else None)
    second = options["split_val"] or ("val" if "val" in splits and first == "train" else None)
    chosen = subset(found, lambda s: s.split == first) if first else found
    if second is None:
        return split_off(chosen, recipe.val_fraction, recipe.seed)
    return chosen, subset(found, lambda s: s.split == second)


def _announce(screen: Screen, recipe: TrainOptions, train: Dataset, val: Dataset | None) -> None:
    screen.detected(
        [
            f"network: {recipe.architecture} with encoder {recipe.encoder}, "
            f"{recipe.encoder_weights or 'random'} weights",
            f"data: {len(train)} images to train on"
            + ("" if val is None else f", {len(val)} to validate on")
            + f", {len(train.space)} classes of '{train.space.name}'",
            *train.notes,
        ]
    )


def _train(
    screen: Screen,
    recipe: TrainOptions,
    train: Dataset,
    val: Dataset | None,
    run: Run,
    options: dict[str, Any],
) -> None:
    from dubio.core.files import fingerprint
    from dubio.models.train.fit import train_segmenter
    from dubio.report.training_page import write_training_page

    assert val is not None
    files = [p for d in (train, val) for s in d for p in (s.image, s.label)]
    work = run.part(
        "train", {"recipe": recipe.recipe(), "files": fingerprint(files), "space": train.space.to_dict()}
    )
    page = partial(write_training_page, run.path, train.name)
    with Bar(screen, "training", page) as bar:
        result = train_segmenter(
            train, val, recipe, run.path, work=work, resume=options["resume"], reporter=bar
        )
    if not result.is_main:
        return
    metrics = result.metrics
    data: dict[str, Any] = {"out": str(run.path), **metrics}
    if options["export_onnx"]:
        data["onnx"] = _export(screen, run.path, half=options["onnx_half_weights"])
    run.finish(pixel_accuracy=metrics["pixel_accuracy"], mean_iou=metrics["mean_iou"])
    rows = [("pixel accuracy", metrics["pixel_accuracy"]), ("mean IoU", metrics["mean_iou"])]
    rows += [(f"IoU {name}", value) for name, value in list(metrics["iou"].items())[:_SHOWN_CLASSES]]
    screen.table(f"validation, epoch {metrics['best_epoch']}", ("what", "value"), rows)
    files_written = "model.safetensors, model.json, metrics.json, curves.csv"
    data["report"] = str(page())
    written = f"written to {run.path}: {files_written}" + (", model.onnx" if "onnx" in data else "")
    screen.result(f"{written}\ncurves: {data['report']}", data)


def _export(screen: Screen, folder: Path, *, half: bool) -> dict[str, Any]:
    from dubio.models.card import ModelCard
    from dubio.models.export import export_onnx
    from dubio.models.smp import load_network

    network, _, description = load_network(folder)
    card = ModelCard.from_dict(description["card"])
    done = export_onnx(network, folder / "model.onnx", card, half_weights=half)
    sizes = "any size" if done.dynamic else "one size only"
    screen.say(f"model.onnx: {done.bytes / 1e6:.1f} MB, {sizes}, differs from torch by {done.error:.1g}")
    return {"path": str(done.path), "dynamic": done.dynamic, "error": done.error, "bytes": done.bytes}


def _cross_fit(
    screen: Screen, recipe: TrainOptions, dataset: Dataset, run: Run, options: dict[str, Any]
) -> None:
    from dubio.models.train.folds import cross_fit
    from dubio.report.training_page import write_training_page

    page = partial(write_training_page, run.path, dataset.name)
    folds = options["folds"]
    done = cross_fit(
        dataset,
        recipe,
        folds,
        run,
        group=options["fold_group"],
        device="cpu" if recipe.accelerator == "cpu" else "auto",
        reporter=lambda fold: Bar(screen, f"fold {fold + 1} of {folds}", page),
    )
    for fault in list(done.bad.values())[:5]:
        screen.warn(fault)
    accuracy, miou = (None if math.isnan(v) else v for v in (done.tally.accuracy, done.tally.mean_iou))
    run.finish(images=done.images, quarantined=len(done.bad), pixel_accuracy=accuracy, mean_iou=miou)
    rows = [
        ("images with held-out scores", done.images),
        ("images that couldn't be used", len(done.bad)),
        ("pixel accuracy, held out", accuracy),
        ("mean IoU, held out", miou),
    ]
    screen.table("cross-fit", ("what", "value"), rows)
    data = {
        "out": str(run.path),
        "scores": str(done.scores),
        "images": done.images,
        "quarantined": done.bad,
        "pixel_accuracy": accuracy,
        "mean_iou": miou,
        "report": str(page()),
    }
    screen.result(f"held-out scores written to {done.scores}\ncurves: {data['report']}", data)


class Bar:
    """A progress bar for a training run; lines per epoch where there is no terminal.

    Args:
        screen: where to show it.
        text: what is going on.
        after: called when an epoch has ended, such as to draw the curves anew.
    """

    def __init__(self, screen: Screen, text: str, after: Callable[[], object] = lambda: None) -> None:
        self.screen, self.text, self.after = screen, text, after
        self._bar: Any = None
        self._task: Any = None
        self._note = ""

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def step(self, done: int, total: int) -> None:
        """``done`` of ``total`` steps are done."""
        if self.screen.quiet or not self.screen.err.is_terminal:
            return
        if self._bar is None:
            from rich.progress import Progress

            self._bar = Progress(console=self.screen.err, transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self.text, total=total)
        self._bar.update(self._task, completed=done, description=f"{self.text}{self._note}")
        if done >= total:
            self._close()

    def epoch(self, row: dict[str, float]) -> None:
        """An epoch has ended with these losses and metrics."""
        self.after()
        self._note = f", mIoU {row.get('val_miou', 0):.3f}"
        if not self.screen.err.is_terminal:
            numbers = ", ".join(
                f"{name.replace('_', ' ')} {row[name]:.3f}"
                for name in ("train_loss", "val_loss", "val_miou", "val_accuracy")
                if name in row
            )
            self.screen.say(f"{self.text}, epoch {row['epoch']:.0f}: {numbers}")

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
