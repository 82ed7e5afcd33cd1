"""The network under training, as a Lightning module."""

from __future__ import annotations

import math
from typing import Any

import lightning.pytorch as pl
import torch
from torch.nn import functional

from dubio.models.train.crops import Pair
from dubio.models.train.losses import cross_entropy, dice_loss
from dubio.models.train.options import TrainOptions


class Segmenter(pl.LightningModule):
    """A segmentation network with loss, optimiser and validation metrics.

    Validation keeps one int64 confusion matrix ``(C, C)`` (label by prediction); void counts nowhere.

    Args:
        network: gives logits ``(B, C, H, W)``.
        n_classes: the number ``C`` of classes; void has the index ``C``.
        options: the training options.
        class_weights: weights of the classes in the cross-entropy.
    """

    confusion: torch.Tensor
    class_weights: torch.Tensor | None

    def __init__(
        self,
        network: torch.nn.Module,
        n_classes: int,
        options: TrainOptions,
        class_weights: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__()
        self.network, self.options = network, options
        self.void = n_classes
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)
        empty = torch.zeros(n_classes, n_classes, dtype=torch.int64)
        self.register_buffer("confusion", empty, persistent=False)
        self.measured: dict[str, Any] = {}

    def loss(self, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Cross-entropy plus weighted dice."""
        total = cross_entropy(logits.float(), label, self.void, self.class_weights)
        if self.options.dice:
            total = total + self.options.dice * dice_loss(logits, label, self.void)
        return total

    def training_step(self, batch: Pair, batch_idx: int) -> torch.Tensor:
        """One step on a batch of crops."""
        image, label = batch
        loss = self.loss(self.network(image.contiguous(memory_format=torch.channels_last)), label)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(image))
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's counts."""
        self.confusion.zero_()

    def validation_step(self, batch: Pair, batch_idx: int) -> None:
        """Count one image (or several of equal size)."""
        image, label = batch
        logits = self.network(image.contiguous(memory_format=torch.channels_last)).float()
        logits = functional.interpolate(logits, label.shape[-2:], mode="bilinear", align_corners=False)
        self.log("val_loss", self.loss(logits, label), on_epoch=True, batch_size=len(image), sync_dist=True)
        valid = label != self.void
        pairs = label[valid] * self.void + logits.argmax(dim=1)[valid]
        self.confusion += torch.bincount(pairs, minlength=self.void**2).view(self.void, self.void)

    def on_validation_epoch_end(self) -> None:
        """Add up the counts of all processes and log accuracy and mIoU."""
        matrix = self.trainer.strategy.reduce(self.confusion, reduce_op="sum")
        both = matrix.diagonal().double()
        union = matrix.sum(0).double() + matrix.sum(1).double() - both
        iou = both / union
        seen = union > 0
        miou = float(iou[seen].mean()) if bool(seen.any()) else 0.0
        accuracy = float(both.sum() / matrix.sum().clamp(min=1))
        self.measured = {
            "pixel_accuracy": accuracy,
            "mean_iou": miou,
            "iou": [float(v) if s else None for v, s in zip(iou, seen, strict=True)],
        }
        self.log("val_miou", miou, prog_bar=True)
        self.log("val_accuracy", accuracy)

    def configure_optimizers(self) -> Any:
        """AdamW with a warm-up and a cosine, or one cycle; stepped per batch."""
        named = [(n, p) for n, p in self.named_parameters() if p.requires_grad]
        groups = [
            {"params": [p for _, p in named if p.ndim > 1], "weight_decay": self.options.weight_decay},
            # Norms and biases have no scale that decay could act on.
            {"params": [p for _, p in named if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.options.lr)
        total = max(3, int(self.trainer.estimated_stepping_batches))
        scheduler: Any
        if self.options.schedule == "onecycle":
            # Both halves of the cycle need a step.
            share = min(max(self.options.warmup, 2 / total), 1 - 1 / total)
            scheduler = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, self.options.lr, total_steps=total, pct_start=share
            )
        else:
            rise = max(1, round(total * self.options.warmup))
            scheduler = torch.optim.lr_scheduler.LambdaLR(
                optimizer, lambda step: warm_cosine(step, rise, total)
            )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def warm_cosine(step: int, rise: int, total: int) -> float:
    """Factor of the learning rate: a line up over ``rise`` steps, then half a cosine down to 0.

    >>> warm_cosine(0, 10, 100), warm_cosine(9, 10, 100), round(warm_cosine(100, 10, 100), 6)
    (0.1, 1.0, 0.0)
    """
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, total - rise))))
