"""Options of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from dubio.core.errors import InputError
from dubio.core.records import Dataset, Sample
from dubio.core.seeds import derive_seed

_HARDWARE = ("accelerator", "devices", "num_nodes", "strategy", "precision", "workers", "logger")


@dataclass(frozen=True)
class TrainOptions:
    """How a segmentation network is trained.

    Args:
        architecture: architecture of segmentation-models-pytorch.
        encoder: its encoder; ``tu-NAME`` takes any of timm's.
        encoder_weights: name of pretrained encoder weights (downloaded), or a file with them; ``None`` starts
            at random.
        extra: further arguments of the architecture, such as ``(("decoder_channels", 64),)``.
        crop: height and width of the training crops.
        batch_size: crops per step and device.
        epochs: passes over the training images.
        max_steps: stop after so many steps, ``None``: only by epochs.
        lr: peak learning rate of AdamW; 1e-3 suits random weights, 1e-4 pretrained ones.
        weight_decay: AdamW's, on weights of two and more dimensions only.
        schedule: learning rate after the warm-up: ``cosine`` to zero, or ``onecycle``.
        warmup: share of the steps over which the learning rate rises.
        dice: weight of the dice loss beside cross-entropy; it keeps small classes from vanishing.
        class_weights: weights of the classes in the cross-entropy, ``"balanced"``, or ``None``.
        flip: mirror half of the crops.
        scale: smallest and largest factor by which images are scaled before cropping.
        jitter: strength of changes in brightness, contrast and saturation, 0 is none.
        patience: stop when validation mIoU hasn't risen for so many epochs; ``None`` never stops early.
        val_fraction: share of images to validate on where the data set has no split.
        seed: seed of weights, crops and validation images.
        precision: Lightning's precision; ``auto`` is bf16-mixed on a GPU that can, else 32-true.
        accelerator: Lightning's accelerator.
        devices: Lightning's devices.
        num_nodes: number of machines.
        strategy: Lightning's strategy (``ddp``, ``fsdp`` …).
        workers: processes that read crops; 0 reads in the training process.
        logger: ``csv`` writes curves.csv, ``tensorboard`` writes event files too.
    """

    architecture: str = "Unet"
    encoder: str = "resnet34"
    encoder_weights: str | None = None
    extra: tuple[tuple[str, Any], ...] = ()
    crop: tuple[int, int] = (512, 512)
    batch_size: int = 8
    epochs: int = 50
    max_steps: int | None = None
    lr: float = 1e-3
    weight_decay: float = 0.01
    schedule: Literal["cosine", "onecycle"] = "cosine"
    warmup: float = 0.05
    dice: float = 0.5
    class_weights: tuple[float, ...] | Literal["balanced"] | None = None
    flip: bool = True
    scale: tuple[float, float] = (0.5, 2.0)
    jitter: float = 0.3
    patience: int | None = None
    val_fraction: float = 0.1
    seed: int = 0
    precision: str = "auto"
    accelerator: str = "auto"
    devices: str = "auto"
    num_nodes: int = 1
    strategy: str = "auto"
    workers: int = 0
    logger: Literal["csv", "tensorboard"] = "csv"

    def __post_init__(self) -> None:
        low, high = self.scale
        checks = (
            (min(self.crop) >= 1, f"crops can't be {self.crop[0]} x {self.crop[1]}"),
            (self.batch_size >= 1, f"a batch can't hold {self.batch_size} crops"),
            (self.epochs >= 1, f"{self.epochs} epochs train nothing"),
            (self.lr > 0, f"the learning rate can't be {self.lr}"),
            (0 <= self.warmup < 1, f"the warm-up can't be a share of {self.warmup}"),
            (0 < low <= high, f"images can't be scaled by {low} to {high}"),
            (0 < self.val_fraction < 1, f"the validation share can't be {self.val_fraction}"),
        )
        for good, fault in checks:
            if not good:
                raise InputError(fault)

    def recipe(self) -> dict[str, Any]:
        """The options on which the trained weights depend, without the hardware."""
        return {k: v for k, v in asdict(self).items() if k not in _HARDWARE}


def assign_folds(
    samples: Sequence[Sample], folds: int, seed: int, *, group: str | None = None
) -> dict[str, int]:
    """Deal images to folds of nearly equal size, by a hash of image id and seed.

    The result doesn't depend on the order of the samples.

    Args:
        samples: the samples.
        folds: number of folds.
        seed: seed.
        group: a domain tag; images of equal tag (one scene, one patient) stay in one fold.

    Returns:
        Fold number by image id.

    Raises:
        InputError: fewer than two folds, or fewer images (or groups) than folds.

    >>> dealt = assign_folds([Sample(c) for c in "abcd"], 2, 0)
    >>> sorted(dealt.values())
    [0, 0, 1, 1]
    """
    names = {s.image_id: s.domain.get(group, s.image_id) if group else s.image_id for s in samples}
    units = sorted(set(names.values()), key=lambda name: derive_seed(seed, name, "fold"))
    if folds < 2:
        raise InputError(f"{folds} folds leave nothing to train on or to predict", remedy="give at least 2")
    if len(units) < folds:
        raise InputError(
            f"{len(units)} images or groups can't be dealt to {folds} folds", remedy="choose fewer folds"
        )
    number = {name: place % folds for place, name in enumerate(units)}
    return {image_id: number[name] for image_id, name in names.items()}


def split_off(dataset: Dataset, fraction: float, seed: int) -> tuple[Dataset, Dataset]:
    """Cut a data set into a training and a validation part, by a hash of image id and seed.

    Args:
        dataset: the data set.
        fraction: share of the second part; at least one image.
        seed: seed.

    Raises:
        InputError: fewer than two images.
    """
    if len(dataset) < 2:
        raise InputError(f"data set '{dataset.name}' has {len(dataset)} labelled images; training needs 2")
    order = sorted(dataset, key=lambda s: derive_seed(seed, s.image_id, "validation"))
    count = min(len(order) - 1, max(1, round(fraction * len(order))))
    chosen = {s.image_id for s in order[:count]}
    return subset(dataset, lambda s: s.image_id not in chosen), subset(
        dataset, lambda s: s.image_id in chosen
    )


def subset(dataset: Dataset, keep: Any) -> Dataset:
    """The samples of a data set for which ``keep(sample)`` is true."""
    from dataclasses import replace

    return replace(dataset, samples=tuple(s for s in dataset if keep(s)))


def labelled(dataset: Dataset) -> Dataset:
    """The samples that have both an image and a label."""
    return subset(dataset, lambda s: s.image is not None and s.label is not None)
