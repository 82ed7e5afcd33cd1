"""The detection network: backbone, pyramid, heads."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn
from torchvision.ops import FeaturePyramidNetwork

from dubio.models.det.torch.architecture import DetArchitecture
from dubio.models.det.torch.backbone import add_dropout, build_backbone
from dubio.models.det.torch.heads import BoxHead, ClassHead, SpatialDropout


class RawDetections(NamedTuple):
    """Outputs of the heads, one row per reference box; with fixed masks an axis ``T`` follows ``B``.

    Attributes:
        logits: ``(B, N, C)``.
        boxes: ``(B, N, 4)`` deltas or distances.
        log_variance: the same shape, or ``None``.
    """

    logits: torch.Tensor
    boxes: torch.Tensor
    log_variance: torch.Tensor | None

    def map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> RawDetections:
        """The same with every tensor changed."""
        spread = self.log_variance
        return RawDetections(
            change(self.logits), change(self.boxes), None if spread is None else change(spread)
        )


class DetNetwork(nn.Module):
    """RetinaNet or FCOS with uncertain heads on a backbone of timm.

    Args:
        architecture: its parts.
        weights: of the backbone (see :func:`dubio.models.det.torch.backbone.build_backbone`).

    Attributes:
        samples: number of dropout masks that are held; 0: none.
        drawn: what :meth:`fix_dropout` was last asked for.

    Raises:
        InputError: there is no such backbone, or its weights don't fit.
    """

    def __init__(self, architecture: DetArchitecture, weights: str | None = None) -> None:
        super().__init__()
        a = self.architecture = architecture
        self.backbone, inputs = build_backbone(a.backbone, a.strides, weights)
        if a.dropout and a.dropout_where == "whole":
            add_dropout(self.backbone, a.dropout)
        self.pyramid = FeaturePyramidNetwork(inputs, a.channels)
        self.coarser = nn.ModuleList(
            nn.Conv2d(a.channels, a.channels, 3, stride=2, padding=1) for _ in range(a.extra)
        )
        self.class_head = ClassHead(a.channels, a.convs, a.per_cell, a.classes, a.dropout, a.logit_variance)
        log_range = a.log_range if a.variance else None
        self.box_head = BoxHead(a.channels, a.convs, a.per_cell, a.dropout, log_range, a.family == "fcos")
        self.samples = 0
        self.drawn = (0, 0)

    def fix_dropout(self, samples: int, seed: int = 0) -> None:
        """Hold ``samples`` dropout masks, or none: outputs then have no axis ``T``.

        Args:
            samples: number ``T``; 0 releases the masks.
            seed: of the masks.
        """
        self.samples, self.drawn = 0, (samples, seed)
        for name, module in self.named_modules():
            if isinstance(module, SpatialDropout):
                module.fix(samples, seed, name)
                self.samples = samples
        self.to(next(self.parameters()).device)

    def features(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Feature maps ``(B, K, h, w)``, finest first."""
        maps = self.backbone(images)
        found = list(self.pyramid(OrderedDict((str(k), m) for k, m in enumerate(maps))).values())
        for conv in self.coarser:
            found.append(conv(torch.relu(found[-1])))
        return found

    def forward(self, images: torch.Tensor) -> RawDetections:
        """Run a batch ``(B, 3, H, W)``; the backbone runs once unless it drops out itself."""
        samples = self.samples
        whole = self.architecture.dropout_where == "whole"
        if samples and whole:
            images = images.repeat_interleave(samples, 0)
        maps = self.features(images)
        if samples and not whole:
            maps = [m.repeat_interleave(samples, 0) for m in maps]
        logits = torch.cat([self.class_head(m) for m in maps], 1)
        pairs = [self.box_head(m) for m in maps]
        boxes = torch.cat([mean for mean, _ in pairs], 1)
        spread = [s for _, s in pairs if s is not None]
        found = RawDetections(logits, boxes, torch.cat(spread, 1) if spread else None)
        if not samples:
            return found
        return found.map(lambda x: x.view(-1, samples, *x.shape[1:]))
