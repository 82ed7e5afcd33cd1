"""The loss of a batch: classes of all boxes, coordinates of those that answer for an object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torchvision.ops import sigmoid_focal_loss

from dubio.models.det.torch.assign import (
    NEITHER,
    assign_anchors,
    assign_points,
    deltas,
    distances,
)
from dubio.models.det.torch.losses import LOSSES, detached_nll
from dubio.models.det.torch.network import RawDetections


class Target(NamedTuple):
    """Labels of one image, in pixels of the network's input.

    Attributes:
        boxes: ``(M, 4)`` of positive size.
        classes: ``(M,)`` int64.
        ignore: ``(K, 4)`` regions where nothing is right or wrong.
    """

    boxes: torch.Tensor
    classes: torch.Tensor
    ignore: torch.Tensor


class Parts(NamedTuple):
    """The two parts of a loss, each per object in the batch."""

    classes: torch.Tensor
    boxes: torch.Tensor


class Objective:
    """Focal loss (Lin et al., ICCV 2017) and a loss of uncertain boxes.

    Both are summed over all maps and divided by the number of boxes that answer for an object. Every
    coordinate of those counts, also one whose target is exactly zero.

    Args:
        loss: one of :data:`dubio.models.det.torch.losses.LOSSES`, or ``l1`` without uncertainty.
        alpha: weight of positives in the focal loss.
        gamma: how much sure answers are played down.
    """

    def __init__(self, loss: str = "beta-nll", alpha: float = 0.25, gamma: float = 2.0) -> None:
        self.loss, self.alpha, self.gamma = loss, alpha, gamma

    def __call__(
        self, raw: RawDetections, reference: torch.Tensor, targets: Sequence[Target], *, warm: bool = False
    ) -> Parts:
        """Loss of a batch.

        Args:
            raw: outputs ``(B, N, …)``.
            reference: ``(N, 4)`` anchors or ``(N, 3)`` points.
            targets: one per image; images without boxes are all background.
            warm: keep the variances' gradient from the means, as in the first steps.
        """
        anchors = reference.shape[1] == 4
        assign, encode = (assign_anchors, deltas) if anchors else (assign_points, distances)
        found = torch.stack([assign(reference, t.boxes, t.ignore) for t in targets])
        image, place = torch.where(found >= 0)
        # where the boxes of each image start in the list of all
        counts = torch.tensor([len(t.boxes) for t in targets], device=found.device)
        row = found[image, place] + (counts.cumsum(0) - counts)[image]
        boxes = torch.cat([t.boxes for t in targets])[row]
        labels = torch.cat([t.classes for t in targets])[row]
        number = max(1, len(row))
        wanted = torch.zeros_like(raw.logits, dtype=torch.float32)
        wanted[image, place, labels] = 1.0
        focal = sigmoid_focal_loss(raw.logits.float(), wanted, self.alpha, self.gamma)
        classes = (focal * (found != NEITHER)[..., None]).sum() / number
        spread = None if raw.log_variance is None else raw.log_variance[image, place]
        goal = encode(reference[place], boxes)
        return Parts(classes, self._boxes(raw.boxes[image, place], spread, goal, warm).sum() / number)

    def _boxes(
        self, mean: torch.Tensor, spread: torch.Tensor | None, goal: torch.Tensor, warm: bool
    ) -> torch.Tensor:
        if spread is None or self.loss == "l1":
            return (mean.float() - goal).abs()
        return (detached_nll if warm else LOSSES[self.loss])(mean, spread, goal)
