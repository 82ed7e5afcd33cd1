"""``dubio train detector``: train a detector that says how sure it is of each box."""

from __future__ import annotations

import math
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubio.cli.boxopts import waiting
from dubio.cli.console import Screen, command_errors
from dubio.cli.traindetopts import detector_options, parse_detector
from dubio.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dubio.cli.train import Bar
    from dubio.core.boxes import BoxDataset
    from dubio.core.run import Run
    from dubio.models.det.train.options import DetTrainOptions


@click.command("detector")
@detector_options
@command_errors
def detector(**options: Any) -> None:
    """Train a detector of uncertain boxes, or with --folds one per fold for held-out detections.

    The same command takes up a stopped run from its last finished epoch.

    \b
    dubio train detector --boxes annotations.json --images photos --out run
    dubio predict --detector run --images new-photos --out predicted
    dubio train detector --boxes annotations.json --images photos --folds 5 --out run
    """  # noqa: D301 - click wants the backspace itself
    from dubio.core.run import Run
    from dubio.models.torchdev import require_torch

    # Lightning starts this command once per device; only the first speaks.
    helper = os.environ.get("LOCAL_RANK", "0") != "0"
    screen = Screen(as_json=options["as_json"], quiet=helper)
    options["quiet"] = helper
    with waiting(options, "loading torch"):
        require_torch("training")
    with waiting(options, "reading labelled boxes"):
        from dubio.data.boxes import open_boxes

        whole = open_boxes(
            options["boxes"], options["layout"], options["images"], space=options["label_space"]
        )
        recipe = parse_detector(options, len(whole.space))
        train, val = _parts(whole, options, recipe)
        recipe = _lasting(recipe, train, options)
    if not any(len(train.labels[s.image_id]) for s in train):
        raise InputError(
            "there is no labelled box to train on", path=whole.root, remedy="name other labels or images"
        )
    told = {k: v for k, v in options.items() if k not in ("out", "as_json", "quiet")}
    run = Run(options["out"], "train", told)
    _announce(screen, recipe, train, val, options)
    if options["folds"]:
        _cross_fit(screen, recipe, train, run, options)
    else:
        assert val is not None
        _train(screen, recipe, train, val, run, options)


def _parts(
    whole: BoxDataset, options: dict[str, Any], recipe: DetTrainOptions
) -> tuple[BoxDataset, BoxDataset | None]:
    """The images to train on (all of them for --folds) and to validate on."""
    from dubio.models.det.train.options import pictured, split_off, subset

    found = pictured(whole)
    if not len(found):
        raise InputError(
            "there are no pictures to train on", path=whole.root, remedy="name their folder with --images"
        )
    wanted = options["split_train"]
    if options["folds"]:
        return (subset(found, lambda s: s.split == wanted) if wanted else found), None
    splits = {s.split for s in found}
    first = wanted or ("train" if "train" in splits else None)
    second = options["split_val"] or ("val" if "val" in splits and first == "train" else None)
    chosen = subset(found, lambda s: s.split == first) if first else found
    if second is None:
        return split_off(chosen, recipe.val_fraction, recipe.seed)
    return chosen, subset(found, lambda s: s.split == second)


def _lasting(recipe: DetTrainOptions, train: BoxDataset, options: dict[str, Any]) -> DetTrainOptions:
    """The recipe with as many epochs as the data need, unless the user has said how long to train."""
    from dataclasses import replace

    from dubio.models.det.train.options import enough_epochs

    if options["epochs"] is not None or options["max_steps"] is not None:
        return recipe
    folds = options["folds"]
    images = len(train)
    if folds:
        images = max(1, round(images * (folds - 1) / folds * (1 - recipe.val_fraction)))
    return replace(recipe, epochs=enough_epochs(options["preset"], images, recipe.batch_size))


def _duration(recipe: DetTrainOptions, options: dict[str, Any]) -> str:
    """How long is trained, and why."""
    from dubio.models.det.train.options import LEAST_STEPS, RECIPES

    preset = options["preset"]
    usual = RECIPES[preset]["epochs"]
    if options["max_steps"] is not None:
        return f"training: {recipe.max_steps} steps or {recipe.epochs} epochs, whichever ends first"
    if options["epochs"] is None and recipe.epochs > usual:
        return (
            f"training: {recipe.epochs} epochs, not {preset}'s {usual}: so few images take more to reach "
            f"{LEAST_STEPS[preset]} steps (--epochs says otherwise)"
        )
    return f"training: {recipe.epochs} epochs" + (" as asked" if options["epochs"] else f", {preset}'s own")


def _announce(
    screen: Screen,
    recipe: DetTrainOptions,
    train: BoxDataset,
    val: BoxDataset | None,
    options: dict[str, Any],
) -> None:
    a = recipe.architecture
    boxes = sum(len(train.labels[s.image_id]) for s in train)
    bare = sum(not len(train.labels[s.image_id]) for s in train)
    dropout = f"dropout {a.dropout:g} in the {a.dropout_where}" if a.dropout else "no dropout"
    screen.detected(
        [
            f"network: {a.family} on {a.backbone}, {recipe.backbone_weights or 'random'} weights, "
            f"input {recipe.size[0]} x {recipe.size[1]}, {dropout}, loss {recipe.loss}",
            f"data: {len(train)} images with {boxes} boxes to train on"
            + (f", {bare} of them without a box" if bare else "")
            + ("" if val is None else f", {len(val)} to validate on")
            + f", {len(train.space)} classes of '{train.space.name}'",
            _duration(recipe, options),
            *train.notes,
        ]
    )


def _train(
    screen: Screen,
    recipe: DetTrainOptions,
    train: BoxDataset,
    val: BoxDataset,
    run: Run,
    options: dict[str, Any],
) -> None:
    with waiting(options, "loading Lightning"):
        from dubio.models.det.train.fit import NO_BOX, count_boxes, train_detector
        from dubio.models.det.train.folds import training_key
        from dubio.report.training_page import write_training_page

    if not count_boxes(val):
        screen.warn(f"{NO_BOX}; --split-val or --val-fraction choose others")
    work = run.part("train", [training_key(d, recipe) for d in (train, val)])
    page = partial(write_training_page, run.path, train.name)
    with _bar(screen, "training", page) as bar:
        result = train_detector(
            train, val, recipe, run.path, work=work, resume=options["resume"], reporter=bar
        )
    if not result.is_main:
        return
    metrics = result.metrics
    data: dict[str, Any] = {"out": str(run.path), **metrics, "report": str(page())}
    written = "model.safetensors, model.json, metrics.json, curves.csv"
    if options["export_onnx"]:
        data["onnx"] = _export(screen, run.path, options)
        written += ", detector.onnx"
    run.finish(ap=metrics["ap"], ap50=metrics["ap50"])
    rows = [("AP (IoU 0.5 to 0.95)", metrics["ap"]), ("AP50", metrics["ap50"]), ("images", metrics["images"])]
    screen.table(f"validation, epoch {metrics['best_epoch']}", ("what", "value"), rows)
    screen.result(f"written to {run.path}: {written}\ncurves: {data['report']}", data)


def _export(screen: Screen, folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    from dubio.models.det.torch.checkpoint import load_network
    from dubio.models.det.torch.export import export_detector

    network, card = load_network(folder)
    samples = options["samples"] if network.architecture.dropout and options["samples"] > 1 else 0
    done = export_detector(
        network,
        folder / "detector.onnx",
        card,
        samples=samples,
        seed=options["seed"],
        half_weights=options["onnx_half_weights"],
    )
    screen.say(
        f"detector.onnx: {done.bytes / 1e6:.1f} MB, {samples or 'no'} samples, "
        f"differs from torch by {done.error:.1g}"
    )
    return {"path": str(done.path), "samples": samples, "error": done.error, "bytes": done.bytes}


def _cross_fit(
    screen: Screen, recipe: DetTrainOptions, dataset: BoxDataset, run: Run, options: dict[str, Any]
) -> None:
    with waiting(options, "loading Lightning"):
        from dubio.data.boxes import open_detections
        from dubio.models.det.train.fit import NO_BOX
        from dubio.models.det.train.folds import cross_fit_detectors
        from dubio.report.training_page import write_training_page
    from dubio.reliability.boxes.average_precision import average_precision

    folds = options["folds"]
    page = partial(write_training_page, run.path, dataset.name)
    done = cross_fit_detectors(
        dataset,
        recipe,
        folds,
        run,
        group=options["fold_group"],
        samples=options["samples"],
        device="cpu" if recipe.accelerator == "cpu" else "auto",
        reporter=lambda fold: _bar(screen, f"fold {fold + 1} of {folds}", page),
    )
    if done is None:
        return
    screen.left_out(len(done.bad), run.path / "quarantine.json")
    if done.unjudged:
        numbers = ", ".join(str(fold + 1) for fold in done.unjudged)
        screen.warn(f"fold {numbers}: {NO_BOX}; --val-fraction takes more")
    found = average_precision(done.dataset, open_detections(done.dataset, run.path).predictions)
    images = len(done.dataset)
    run.finish(images=images, quarantined=len(done.bad), ap=found.ap, ap50=found.ap50)
    rows = [
        ("images with held-out detections", images),
        ("detections", done.detections),
        ("AP (IoU 0.5 to 0.95), held out", found.ap),
        ("AP50, held out", found.ap50),
    ]
    screen.table("cross-fit", ("what", "value"), rows)
    data = {
        "out": str(run.path),
        "images": images,
        "detections": done.detections,
        "quarantined": done.bad,
        "ap": None if found.ap != found.ap else found.ap,
        "ap50": None if found.ap50 != found.ap50 else found.ap50,
        "report": str(page()),
    }
    written = f"held-out detections written to {run.path}: boxes.parquet, detections.json"
    screen.result(f"{written}\ncurves: {data['report']}", data)


def _bar(screen: Screen, text: str, after: Callable[[], object]) -> Bar:
    """The progress bar of ``dubio train segmenter``, with the figures of a detector."""
    from dubio.cli.train import Bar

    class DetBar(Bar):
        def epoch(self, row: dict[str, float]) -> None:
            """An epoch has ended with these losses and metrics."""
            self.after()
            names = ("train_loss", "val_loss", "val_ap", "val_ap50")
            known = {n: row[n] for n in names if not math.isnan(row.get(n, math.nan))}
            self._note = f", AP {known['val_ap']:.3f}" if "val_ap" in known else ""
            if not self.screen.err.is_terminal:
                numbers = ", ".join(f"{n.replace('_', ' ')} {value:.3f}" for n, value in known.items())
                self.screen.say(f"{self.text}, epoch {row['epoch']:.0f}: {numbers}")

    return DetBar(screen, text, after)
