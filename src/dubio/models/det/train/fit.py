"""Train a detector and leave its best weights as a checkpoint."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch.utils.data import DataLoader

from dubio.core.boxes import BoxDataset, DetPrediction
from dubio.core.errors import InputError
from dubio.core.files import write_json
from dubio.core.seeds import derive_seed
from dubio.data.boxes.pictures import size_of
from dubio.models.det.card import DetectorCard
from dubio.models.det.decode import candidates
from dubio.models.det.fit import place
from dubio.models.det.specs import InputSpec
from dubio.models.det.torch.backbone import is_folded, unfold
from dubio.models.det.torch.checkpoint import save_detector
from dubio.models.det.torch.network import DetNetwork, RawDetections
from dubio.models.det.torch.select import card_of, heads_of
from dubio.models.det.train.images import BoxedCrops, WholeBoxed, collate, fitted_anchor_size, split_labels
from dubio.models.det.train.module import Detector, average_precision
from dubio.models.det.train.options import DetTrainOptions
from dubio.models.train.callbacks import Curves, Reporter, SaveOnStop, SeedSteps, Silent
from dubio.models.train.crops import EpochSampler
from dubio.models.train.fit import make_trainer, quieten, run_fit
from dubio.uncertainty.boxes.suppress import Suppression

_UNFOLDING_IMAGES = 64  # enough for the statistics of some thousand cells each
_FLOOR = 0.01  # AP changes in its third digit only below
_SUPPRESSION = Suppression(score=_FLOOR)

NO_BOX = "no box is labelled in the validation images: AP is undefined, the last weights are kept"

_COLUMNS = (
    *("epoch", "step", "lr", "train_loss", "train_class_loss", "train_box_loss"),
    *("val_loss", "val_class_loss", "val_box_loss", "val_ap", "val_ap50"),
)


@dataclass(frozen=True)
class DetTrainResult:
    """What a training run left.

    Attributes:
        folder: holds ``model.safetensors``, ``model.json``, ``metrics.json`` and ``curves.csv``.
        metrics: ``ap`` (IoU 0.5 to 0.95) and ``ap50`` on the validation images, at the best epoch; ``None``
            where no box is labelled in them, with the ``reason``.
        is_main: whether this process is the one that wrote (always, on one device).
    """

    folder: Path
    metrics: dict[str, Any]
    is_main: bool


def train_detector(
    train: BoxDataset,
    val: BoxDataset,
    options: DetTrainOptions,
    folder: Path,
    *,
    work: Path | None = None,
    resume: Path | None = None,
    reporter: Reporter | None = None,
) -> DetTrainResult:
    """Train a detection network and keep the weights of the epoch with the best validation AP.

    Where the validation images have no box, AP is undefined: the last weights are kept, and nothing stops
    early. The loss would not choose better: there it is least for a network that finds nothing.

    Images without boxes are trained on: nothing is there. Crowds, difficult boxes and ignored regions are
    neither objects nor background.

    Args:
        train: images with boxes to train on.
        val: images with boxes to validate on.
        options: how; the number of classes is taken from the data.
        folder: where the checkpoint, metrics and curves go.
        work: where Lightning's own checkpoints go; ``last.ckpt`` there is taken up. Default: ``folder``.
        resume: a Lightning checkpoint to take up instead.
        reporter: is told of the progress.

    Raises:
        InputError: no images, an unknown backbone, or an image that can't be used.
        KeyboardInterrupt: the user stopped it; ``folder/last`` then holds the weights as they were.
    """
    space, work = train.space, work or folder
    if not len(train) or not len(val):
        raise InputError("there are no images with boxes to train or to validate on", path=train.root)
    if options.architecture.classes != len(space):
        raise InputError(f"a detector of {options.architecture.classes} classes can't learn {len(space)}")
    quieten()
    torch.manual_seed(derive_seed(options.seed, "weights"))
    architecture = options.architecture
    if options.fit_anchors:
        fitted = fitted_anchor_size(train, options.size, architecture.levels[0])
        architecture = replace(architecture, anchor_size=fitted)
    network = DetNetwork(architecture, options.backbone_weights)
    network = network.to(memory_format=torch.channels_last)
    spec = InputSpec(size=options.size, mean=options.mean, std=options.std)
    card = card_of(architecture, space, spec)
    whole = WholeBoxed(train, spec)
    if is_folded(network.backbone) and options.backbone_weights:
        count = min(len(whole), _UNFOLDING_IMAGES)
        unfold(network.backbone, (whole[k].image[None] for k in range(count)))
    module: Any = Detector(network, options, val, _finisher(val, card, network))
    judged = count_boxes(val) > 0
    best = ModelCheckpoint(
        dirpath=work,
        filename="best",
        monitor="val_ap" if judged else None,
        mode="max",
        save_last=True,
        enable_version_counter=False,
    )
    stop = SaveOnStop(lambda _: save_detector(folder / "last", module.best, card))
    # The checkpoint comes last, so that the curves in it hold the epoch that it ends.
    curves = Curves(folder / "curves.csv", reporter or Silent(), _COLUMNS, group=-1)
    callbacks: list[Any] = [SeedSteps(options.seed), curves, stop, best]
    if options.patience is not None and judged:
        callbacks.append(EarlyStopping("val_ap", mode="max", patience=options.patience))
    trainer = make_trainer(options.hardware(), folder, callbacks)
    loaders = _loaders(train, val, options, spec)
    last = resume or work / "last.ckpt"
    run_fit(trainer, module, loaders, last if last.is_file() else None)
    if not trainer.is_global_zero:
        return DetTrainResult(folder, {}, False)
    if not judged:
        metrics: dict[str, Any] = _unjudged(module, curves.rows)
    else:
        metrics = _keep_best(module, Path(best.best_model_path), curves.rows)
    if judged and trainer.world_size > 1:
        # shares of several processes are filled up with images that count twice
        metrics |= _measured_alone(module, loaders[1], options)
    save_detector(folder, module.best, card, metrics=metrics, training=options.recipe())
    write_json(folder / "metrics.json", metrics)
    return DetTrainResult(folder, metrics, True)


def _keep_best(module: Detector, path: Path, rows: list[dict[str, float]]) -> dict[str, Any]:
    """Take the weights of the best epoch; its row of the curves tells what they reach."""
    if path.is_file():
        module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["state_dict"])
    row = max(rows, key=lambda r: r.get("val_ap", -math.inf)) if rows else {}
    return {
        "ap": row.get("val_ap"),
        "ap50": row.get("val_ap50"),
        "images": len(module.val),
        "best_epoch": int(row["epoch"]) if row else None,
    }


def count_boxes(dataset: BoxDataset) -> int:
    """Boxes that average precision counts: neither crowds nor difficult."""
    return sum(len(split_labels(dataset.labels[s.image_id])[0]) for s in dataset)


def _unjudged(module: Detector, rows: list[dict[str, float]]) -> dict[str, Any]:
    return {
        "ap": None,
        "ap50": None,
        "images": len(module.val),
        "best_epoch": int(rows[-1]["epoch"]) if rows else None,
        "reason": NO_BOX,
    }


def _measured_alone(module: Any, loader: Any, options: DetTrainOptions) -> dict[str, Any]:
    """Measure the kept weights once more, by one process."""
    one = replace(options, devices="1", num_nodes=1, strategy="auto", logger="csv")
    alone = make_trainer(one.hardware(), Path(), [])
    # the other processes have gone on and would never answer
    module.metric = average_precision(alone=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone.validate(module.eval(), loader, verbose=False)
    return dict(module.measured)


def _finisher(val: BoxDataset, card: DetectorCard, network: DetNetwork) -> Any:
    """From raw outputs to detections in the image, by the code that detection uses."""
    size = card.input.size
    assert size is not None
    reference = torch.from_numpy(network.architecture.reference(size))
    shapes: dict[int, tuple[int, int]] = {}

    def finish(raw: RawDetections, numbers: Sequence[int]) -> list[DetPrediction]:
        heads = heads_of(raw, reference.to(raw.logits.device), size, floor=_FLOOR)
        found = []
        for head, number in zip(heads, numbers, strict=True):
            shape = shapes.setdefault(number, size_of(val.samples[number]))
            placed, _ = place(shape, card.input, size)
            found.append(_SUPPRESSION.apply(candidates(head, card.outputs, placed, floor=_FLOOR)))
        return found

    return finish


def _loaders(
    train: BoxDataset, val: BoxDataset, options: DetTrainOptions, spec: InputSpec
) -> tuple[Any, Any]:
    common: dict[str, Any] = {
        "collate_fn": collate,
        "num_workers": options.workers,
        "pin_memory": torch.cuda.is_available(),
        "persistent_workers": options.workers > 0,
    }
    # A batch of one image has poor batch statistics; leave such a rest out unless it is all there is.
    rest = len(train) > options.batch_size and len(train) % options.batch_size == 1
    crops = BoxedCrops(train, options, spec)
    sampler = EpochSampler(len(train), options.seed)
    batches = DataLoader(crops, options.batch_size, sampler=sampler, drop_last=rest, **common)
    return batches, DataLoader(WholeBoxed(val, spec), options.batch_size, **common)
