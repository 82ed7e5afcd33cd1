"""Train a network and leave its best weights as a checkpoint."""

from __future__ import annotations

import logging
import math
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from dubio.core.errors import InputError
from dubio.core.files import write_json
from dubio.core.records import Dataset
from dubio.core.seeds import derive_seed
from dubio.models.card import IMAGENET_MEAN, IMAGENET_STD, ModelCard
from dubio.models.smp import Architecture, build, save_checkpoint, stride_of
from dubio.models.train.callbacks import Curves, Reporter, SaveOnStop, SeedEpochs, SeedSteps, Silent
from dubio.models.train.crops import Crops, EpochSampler, WholeImages, read_pair
from dubio.models.train.losses import balanced_weights
from dubio.models.train.module import Segmenter
from dubio.models.train.options import TrainOptions

_WEIGHING_IMAGES = 500  # enough to know how frequent classes are


@dataclass(frozen=True)
class TrainResult:
    """What a training run left.

    Attributes:
        folder: holds ``model.safetensors``, ``model.json``, ``metrics.json`` and ``curves.csv``.
        metrics: pixel accuracy, mean IoU and IoU per class on the validation images, at the best epoch.
        is_main: whether this process is the one that wrote (always, on one device).
    """

    folder: Path
    metrics: dict[str, Any]
    is_main: bool


def train_segmenter(
    train: Dataset,
    val: Dataset,
    options: TrainOptions,
    folder: Path,
    *,
    work: Path | None = None,
    resume: Path | None = None,
    reporter: Reporter | None = None,
) -> TrainResult:
    """Train a segmentation network and keep the weights of the epoch with the best validation mIoU.

    Args:
        train: labelled samples to train on.
        val: labelled samples to validate on.
        options: how.
        folder: where the checkpoint, metrics and curves go.
        work: where Lightning's own checkpoints go; ``last.ckpt`` there is taken up. Default: ``folder``.
        resume: a Lightning checkpoint to take up instead.
        reporter: is told of the progress.

    Raises:
        InputError: no images, an unknown architecture, or an image that can't be used.
        KeyboardInterrupt: the user stopped it; ``folder/last`` then holds the weights as they were.
    """
    space, work = train.space, work or folder
    if not len(train) or not len(val):
        raise InputError("there are no labelled images to train or to validate on", path=train.root)
    quieten()
    torch.manual_seed(derive_seed(options.seed, "weights"))
    architecture = Architecture(options.architecture, options.encoder, len(space), options.extra)
    network = build(architecture, options.encoder_weights).to(memory_format=torch.channels_last)
    stride = stride_of(network)
    if any(length % stride for length in options.crop):
        raise InputError(
            f"crops of {options.crop[0]} x {options.crop[1]} don't suit the network",
            remedy=f"choose multiples of {stride}",
        )
    card = ModelCard(space, mean=IMAGENET_MEAN, std=IMAGENET_STD, size_multiple=stride, output="logits")
    module = Segmenter(network, len(space), options, _class_weights(train, options))
    curves = Curves(folder / "curves.csv", reporter or Silent())
    best = ModelCheckpoint(
        dirpath=work,
        filename="best",
        monitor="val_miou",
        mode="max",
        save_last=True,
        enable_version_counter=False,
    )
    stop = SaveOnStop(lambda net: save_checkpoint(folder / "last", net, architecture, card))
    # The checkpoint comes last, so that the curves in it hold the epoch that it ends.
    callbacks: list[Any] = [SeedEpochs(options.seed), SeedSteps(options.seed), curves, stop, best]
    if options.patience is not None:
        callbacks.append(EarlyStopping("val_miou", mode="max", patience=options.patience))
    trainer = make_trainer(options, folder, callbacks)
    loaders = _loaders(train, val, options, card)
    last = resume or work / "last.ckpt"
    run_fit(trainer, module, loaders, last if last.is_file() else None)
    if trainer.is_global_zero:
        _keep_best(module, Path(best.best_model_path))
        metrics = _metrics(trainer, module, loaders[1], options)
        save_checkpoint(folder, network, architecture, card, metrics=metrics, training=options.recipe())
        write_json(folder / "metrics.json", metrics)
        return TrainResult(folder, metrics, True)
    return TrainResult(folder, {}, False)


def run_fit(trainer: Any, module: Segmenter, loaders: tuple[Any, Any], last: Path | None) -> None:
    """Train; a stop by the user ends the process after the weights are saved."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        with _quiet():
            # Only plain data is in our checkpoints: nothing needs to be unpickled.
            trainer.fit(module, *loaders, ckpt_path=None if last is None else str(last), weights_only=True)
    except SystemExit as error:
        if trainer.interrupted:
            raise KeyboardInterrupt from error
        raise
    except torch.cuda.OutOfMemoryError as error:
        raise InputError("the GPU's memory is too small", remedy="lower --batch-size or --crop") from error
    finally:
        # Lightning leaves Ctrl-C switched off after an interrupt.
        signal.signal(signal.SIGINT, handler)


def _keep_best(module: Segmenter, path: Path) -> None:
    if path.is_file():
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        module.load_state_dict(state)


def _metrics(trainer: Any, module: Segmenter, loader: Any, options: TrainOptions) -> dict[str, Any]:
    """Measure the kept weights once more, by one process, so that the numbers belong to the file."""
    alone = pl.Trainer(accelerator=_one(trainer), devices=1, **_calm(), precision=_precision(options))
    with _quiet():
        alone.validate(module.eval(), loader, verbose=False)
    found = dict(module.measured)
    names = loader.dataset.dataset.space.names
    found["iou"] = dict(zip(names, found["iou"], strict=True))
    found["images"] = len(loader.dataset)
    found["best_epoch"] = _best_epoch(trainer)
    return found


def _best_epoch(trainer: Any) -> int | None:
    rows = next((c.rows for c in trainer.callbacks if isinstance(c, Curves)), [])
    if not rows:
        return None
    return int(max(rows, key=lambda row: row.get("val_miou", -math.inf))["epoch"])


def _one(trainer: Any) -> str:
    kind = trainer.strategy.root_device.type
    return "gpu" if kind == "cuda" else str(kind)


def _calm() -> dict[str, Any]:
    return {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}


def make_trainer(options: TrainOptions, folder: Path, callbacks: list[Any]) -> Any:
    """A trainer of Lightning with our options and without its chatter."""
    devices: Any = options.devices
    if devices != "auto" and devices.lstrip("-").isdigit():
        devices = int(devices)
    settings = _calm()
    if options.logger == "tensorboard":
        settings["logger"] = TensorBoardLogger(str(folder), name="tensorboard", version="")
    try:
        with _quiet():
            return pl.Trainer(
                accelerator=options.accelerator,
                devices=devices,
                num_nodes=options.num_nodes,
                strategy=options.strategy,
                precision=_precision(options),
                max_epochs=options.epochs,
                max_steps=-1 if options.max_steps is None else options.max_steps,
                gradient_clip_val=None if options.strategy.startswith("fsdp") else 1.0,
                num_sanity_val_steps=0,
                log_every_n_steps=1,
                callbacks=callbacks,
                **settings,
            )
    except (ValueError, RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0][:200]
        raise InputError(f"Lightning refuses the hardware options ({reason})") from error


def _precision(options: TrainOptions) -> Any:
    if options.precision != "auto":
        return options.precision
    on_gpu = options.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported() else "32-true"


def _loaders(train: Dataset, val: Dataset, options: TrainOptions, card: ModelCard) -> tuple[Any, Any]:
    crops = Crops(train, options, card)
    common: dict[str, Any] = {
        "num_workers": options.workers,
        "pin_memory": torch.cuda.is_available(),
        "persistent_workers": options.workers > 0,
    }
    # A batch of one crop has no batch statistics; leave such a rest out unless it is all there is.
    rest = len(train) > options.batch_size and len(train) % options.batch_size == 1
    sampler = EpochSampler(len(train), options.seed)
    batches = DataLoader(crops, options.batch_size, sampler=sampler, drop_last=rest, **common)
    # Images may differ in size, so each is a batch of its own.
    return batches, DataLoader(WholeImages(val, card), 1, **common)


def _class_weights(train: Dataset, options: TrainOptions) -> tuple[float, ...] | None:
    if options.class_weights is None:
        return None
    count = len(train.space)
    if options.class_weights == "balanced":
        chosen = sorted(train, key=lambda s: derive_seed(options.seed, s.image_id, "weights"))
        return balanced_weights((read_pair(s, train)[1] for s in chosen[:_WEIGHING_IMAGES]), count)
    if len(options.class_weights) != count:
        raise InputError(f"{len(options.class_weights)} class weights for {count} classes")
    return options.class_weights


def quieten() -> None:
    """Keep the libraries' reports from the user."""
    for name in (
        "lightning",
        "lightning.pytorch",
        "lightning.fabric",
        "lightning.pytorch.utilities.rank_zero",
    ):
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
