"""Options of a detector's training run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from dubio.core.boxes import BoxDataset, BoxSample
from dubio.core.errors import InputError
from dubio.core.records import Sample
from dubio.core.seeds import derive_seed
from dubio.models.card import IMAGENET_MEAN, IMAGENET_STD, Triple
from dubio.models.det.torch.architecture import MULTIPLE, DetArchitecture, Size
from dubio.models.train.options import TrainOptions, assign_folds

_HARDWARE = ("accelerator", "devices", "num_nodes", "strategy", "precision", "workers", "logger")
LOSS_NAMES = ("beta-nll", "detached", "gaussian", "laplace", "student", "energy", "published", "l1")


# What suits a preset of the architecture. "tiny" was tried on 273 images of blood cells on two processor
# cores: AP50 0.87 after 8 epochs with batches of 4, 0.79 with batches of 8, which are half the steps.
# "base" takes the published batch and its usual rate with AdamW.
RECIPES: dict[str, dict[str, Any]] = {
    "tiny": {"size": (256, 320), "batch_size": 4, "epochs": 12, "lr": 1e-3},
    "small": {"size": (320, 416), "batch_size": 4, "epochs": 30, "lr": 1e-3},
    "base": {"size": (640, 832), "batch_size": 16, "epochs": 50, "lr": 2e-4},
}
# Steps below which a preset has learned little, whatever the number of epochs: 75 images of cell nuclei gave
# "tiny" 228 steps in 12 epochs, and AP 0.02. "base" is for data that are large enough.
LEAST_STEPS = {"tiny": 800, "small": 2500}


def enough_epochs(preset: str, images: int, batch_size: int) -> int:
    """Epochs of a preset: its own, or as many as give it :data:`LEAST_STEPS` on few images.

    Args:
        preset: one of :data:`RECIPES`.
        images: images to train on.
        batch_size: images per step; of several devices, all together.

    >>> enough_epochs("tiny", 273, 4), enough_epochs("tiny", 75, 4), enough_epochs("base", 75, 16)
    (12, 43, 50)
    """
    epochs = int(RECIPES[preset]["epochs"])
    # training leaves a rest of one image out
    rest = images > batch_size and images % batch_size == 1
    steps = max(1, -(-(images - rest) // batch_size))
    return max(epochs, -(-LEAST_STEPS.get(preset, 0) // steps))


@dataclass(frozen=True)
class DetTrainOptions:
    """How a detector is trained.

    Args:
        architecture: the network.
        backbone_weights: name of pretrained weights (downloaded), or a file with them; ``None`` starts at
            random.
        size: height and width of the network's input, multiples of 32.
        mean: subtracted from pixels in 0 to 1, per channel.
        std: divided by.
        batch_size: images per step and device.
        epochs: passes over the training images.
        max_steps: stop after so many steps, ``None``: only by epochs.
        lr: peak learning rate of AdamW.
        backbone_lr: share of it that a pretrained backbone gets.
        weight_decay: AdamW's, on weights of two and more dimensions only.
        warmup: share of the steps over which the learning rate rises.
        loss: of the boxes, one of :data:`LOSS_NAMES`.
        variance_warmup: share of the steps in which the variances learn without touching the means; for
            losses that let the mean starve. The default loss does better without (AP 0.55, not 0.53).
        box_weight: weight of the boxes' loss beside that of the classes.
        gamma: of the focal loss.
        ema: decay of the averaged weights, which are the ones kept; 0: no average.
        fit_anchors: choose the architecture's ``anchor_size`` so that the smallest boxes of the data find an
            anchor (see :func:`dubio.models.det.train.images.fitted_anchor_size`).
        flip: mirror half of the images.
        scale: smallest and largest factor by which images are scaled.
        jitter: strength of changes in brightness, contrast and saturation, 0 is none.
        patience: stop when validation AP hasn't risen for so many epochs; ``None`` never stops early.
        val_fraction: share of images to validate on where the data set has no split.
        seed: seed of weights, augmentation and validation images.
        precision: Lightning's precision; ``auto`` is bf16-mixed on a GPU that can, else 32-true.
        accelerator: Lightning's accelerator.
        devices: Lightning's devices.
        num_nodes: number of machines.
        strategy: Lightning's strategy.
        workers: processes that read images; 0 reads in the training process.
        logger: ``csv`` writes curves.csv, ``tensorboard`` writes event files too.

    Raises:
        InputError: an impossible value.
    """

    architecture: DetArchitecture = field(default_factory=DetArchitecture)
    backbone_weights: str | None = None
    size: Size = (320, 416)
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    batch_size: int = 4
    epochs: int = 30
    max_steps: int | None = None
    lr: float = 1e-3
    backbone_lr: float = 1.0
    weight_decay: float = 0.01
    warmup: float = 0.05
    loss: str = "beta-nll"
    variance_warmup: float = 0.0
    box_weight: float = 1.0
    gamma: float = 2.0
    ema: float = 0.999
    fit_anchors: bool = True
    flip: bool = True
    scale: tuple[float, float] = (0.75, 1.5)
    jitter: float = 0.2
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
        whole = min(self.size) >= MULTIPLE and not any(length % MULTIPLE for length in self.size)
        checks = (
            (
                whole,
                f"a detector's input can't be {self.size[0]} x {self.size[1]}; give multiples of {MULTIPLE}",
            ),
            (self.loss in LOSS_NAMES, f"there is no loss '{self.loss}'; known: {', '.join(LOSS_NAMES)}"),
            (self.loss == "l1" or self.architecture.variance, f"the loss '{self.loss}' needs variances"),
            (self.batch_size >= 1, f"a batch can't hold {self.batch_size} images"),
            (self.epochs >= 1, f"{self.epochs} epochs train nothing"),
            (self.lr > 0 and self.backbone_lr >= 0, f"the learning rate can't be {self.lr}"),
            (0 <= self.warmup < 1, f"the warm-up can't be a share of {self.warmup}"),
            (0 <= self.variance_warmup <= 1, f"the warm-up can't be a share of {self.variance_warmup}"),
            (0 <= self.ema < 1, f"the decay of averaged weights can't be {self.ema}"),
            (0 < low <= high, f"images can't be scaled by {low} to {high}"),
            (0 < self.val_fraction < 1, f"the validation share can't be {self.val_fraction}"),
            (min(self.std) > 0, f"pixels can't be divided by {self.std}"),
        )
        for good, fault in checks:
            if not good:
                raise InputError(fault)

    def recipe(self) -> dict[str, Any]:
        """The options on which the trained weights depend, without the hardware."""
        return {k: v for k, v in asdict(self).items() if k not in _HARDWARE}

    def hardware(self) -> TrainOptions:
        """What Lightning's trainer needs to know, in the form that all training shares."""
        names = {f.name for f in fields(TrainOptions)}
        shared = ("epochs", "max_steps", *_HARDWARE)
        return TrainOptions(**{k: getattr(self, k) for k in shared if k in names})


def subset(dataset: BoxDataset, keep: Any) -> BoxDataset:
    """The images of a data set for which ``keep(sample)`` is true."""
    from dataclasses import replace

    samples = tuple(s for s in dataset if keep(s))
    return replace(dataset, samples=samples, labels={s.image_id: dataset.labels[s.image_id] for s in samples})


def pictured(dataset: BoxDataset) -> BoxDataset:
    """The images of a data set whose picture is there."""
    return subset(dataset, lambda s: s.image is not None)


def split_off(dataset: BoxDataset, fraction: float, seed: int) -> tuple[BoxDataset, BoxDataset]:
    """Cut a data set into a training and a validation part, by a hash of image id and seed.

    Args:
        dataset: the data set.
        fraction: share of the second part; at least one image.
        seed: seed.

    Raises:
        InputError: fewer than two images.
    """
    if len(dataset) < 2:
        raise InputError(f"data set '{dataset.name}' has {len(dataset)} pictures; training needs 2")
    order = sorted(dataset, key=lambda s: derive_seed(seed, s.image_id, "validation"))
    count = min(len(order) - 1, max(1, round(fraction * len(order))))
    chosen = {s.image_id for s in order[:count]}
    return subset(dataset, lambda s: s.image_id not in chosen), subset(
        dataset, lambda s: s.image_id in chosen
    )


def deal(
    samples: tuple[BoxSample, ...], folds: int, seed: int, *, group: str | None = None
) -> dict[str, int]:
    """Deal images to folds; see :func:`dubio.models.train.options.assign_folds`."""
    plain = [Sample(s.image_id, domain=dict(s.domain)) for s in samples]
    return assign_folds(plain, folds, seed, group=group)
