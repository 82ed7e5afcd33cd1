"""The detector under training, as a Lightning module."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from timm.utils.model_ema import ModelEmaV3

from dubio.core.boxes import BoxDataset, DetPrediction
from dubio.models.det.torch.network import DetNetwork, RawDetections
from dubio.models.det.torch.objective import Objective, Target
from dubio.models.det.train.images import split_labels
from dubio.models.det.train.options import DetTrainOptions
from dubio.models.train.module import warm_cosine

Batch = tuple[torch.Tensor, list[Target], torch.Tensor]
Finish = Callable[[RawDetections, Sequence[int]], list[DetPrediction]]


class Detector(pl.LightningModule):
    """A detection network with loss, optimiser, averaged weights and validation AP.

    AP is measured on the averaged weights, without sampling of dropout, over boxes in image pixels after
    the same suppression that detection uses.

    Args:
        network: the network.
        options: the training options.
        val: the images that are validated on.
        finish: turns raw outputs of images, by their places in ``val``, into detections.
    """

    reference: torch.Tensor

    def __init__(
        self, network: DetNetwork, options: DetTrainOptions, val: BoxDataset, finish: Finish
    ) -> None:
        super().__init__()
        self.network, self.options = network, options
        self.objective = Objective(options.loss, gamma=options.gamma)
        # a weighted likelihood rises while the network gets better, so all are judged by the plain one
        plain = "gaussian" if network.architecture.variance else "l1"
        self.judge = Objective(plain, gamma=options.gamma)
        reference = torch.from_numpy(network.architecture.reference(options.size))
        self.register_buffer("reference", reference, persistent=False)
        # gradients never flow into the averaged weights
        self.ema = (
            ModelEmaV3(network, options.ema, use_warmup=True).requires_grad_(False) if options.ema else None
        )
        self.val, self._finish = val, finish
        self.metric = average_precision()
        self.measured: dict[str, Any] = {}

    @property
    def best(self) -> DetNetwork:
        """The network whose weights are kept: the average, if there is one."""
        found = self.network if self.ema is None else self.ema.module
        assert isinstance(found, DetNetwork)
        return found

    def loss(
        self, raw: RawDetections, targets: Sequence[Target], stage: str, *, warm: bool = False
    ) -> torch.Tensor:
        """Weighted sum of the losses of classes and boxes; all three are logged.

        In validation the boxes' loss is the normal likelihood, whatever the training's, for comparison.
        """
        objective = self.judge if stage == "val" else self.objective
        parts = objective(raw, self.reference, targets, warm=warm)
        total = parts.classes + self.options.box_weight * parts.boxes
        for name, value in (("loss", total), ("class_loss", parts.classes), ("box_loss", parts.boxes)):
            self.log(
                f"{stage}_{name}",
                value,
                on_step=False,
                on_epoch=True,
                batch_size=len(targets),
                sync_dist=stage == "val",
            )
        return total

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """One step on a batch of crops."""
        images, targets, _ = batch
        total = max(1, int(self.trainer.estimated_stepping_batches))
        warm = self.global_step < self.options.variance_warmup * total
        raw = self.network(images.contiguous(memory_format=torch.channels_last))
        return self.loss(raw, targets, "train", warm=warm)

    def on_train_batch_end(self, *_: Any) -> None:
        """Take the new weights into the average."""
        if self.ema is not None:
            self.ema.update(self.network, step=self.global_step)

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's detections."""
        self.metric.reset()
        self.best.eval()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Detect in a batch of whole images and remember what was found."""
        images, targets, numbers = batch
        raw = self.best(images.contiguous(memory_format=torch.channels_last))
        self.loss(raw, targets, "val")
        places = numbers.tolist()
        found = self._finish(raw, places)
        self.metric.update([_predicted(p, self.device) for p in found], [self._labelled(n) for n in places])

    def on_validation_epoch_end(self) -> None:
        """Log AP and AP50 of all processes' images; NaN where no box is labelled."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = self.metric.compute()
        # below 0 is what the metric says without any labelled box
        ap, ap50 = (v if (v := float(found[name])) >= 0 else math.nan for name in ("map", "map_50"))
        self.measured = {"ap": ap, "ap50": ap50}
        self.log("val_ap", ap, prog_bar=True)
        self.log("val_ap50", ap50)

    def _labelled(self, number: int) -> dict[str, torch.Tensor]:
        labels = self.val.labels[self.val.samples[number].image_id]
        boxes, classes, _ = split_labels(labels)
        unclear = labels.crowd | labels.difficult
        everything = np.concatenate([boxes, labels.boxes[unclear]]).astype(np.float32)
        crowd = np.arange(len(everything)) >= len(boxes)
        return {
            "boxes": torch.as_tensor(everything, device=self.device),
            "labels": torch.as_tensor(np.concatenate([classes, labels.classes[unclear]]), device=self.device),
            "iscrowd": torch.as_tensor(crowd.astype(np.int64), device=self.device),
        }

    def configure_optimizers(self) -> Any:
        """AdamW with a warm-up and a cosine, stepped per batch."""
        groups: list[dict[str, Any]] = []
        inner = {id(p) for p in self.network.backbone.parameters()}
        slow = self.options.backbone_lr if self.options.backbone_weights else 1.0
        for share, own in ((slow, True), (1.0, False)):
            chosen = [p for p in self.network.parameters() if p.requires_grad and (id(p) in inner) == own]
            rate = {"lr": self.options.lr * share}
            decay = self.options.weight_decay
            groups.append({"params": [p for p in chosen if p.ndim > 1], "weight_decay": decay, **rate})
            # norms and biases have no scale that decay could act on
            groups.append({"params": [p for p in chosen if p.ndim <= 1], "weight_decay": 0.0, **rate})
        optimizer = torch.optim.AdamW(groups, lr=self.options.lr)
        total = max(3, int(self.trainer.estimated_stepping_batches))
        rise = max(1, round(total * self.options.warmup))
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warm_cosine(step, rise, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def average_precision(*, alone: bool = False) -> Any:
    """The metric of COCO; by default it gathers the detections of all processes.

    Args:
        alone: leave other processes out.
    """
    from torchmetrics.detection import MeanAveragePrecision

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = MeanAveragePrecision(backend="faster_coco_eval", sync_on_compute=not alone)
    metric.warn_on_many_detections = False
    return metric


def _predicted(found: DetPrediction, device: torch.device) -> dict[str, torch.Tensor]:
    return {
        "boxes": torch.as_tensor(found.boxes, dtype=torch.float32, device=device),
        "scores": torch.as_tensor(found.scores, dtype=torch.float32, device=device),
        "labels": torch.as_tensor(found.classes, device=device),
    }
