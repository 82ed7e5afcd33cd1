"""From the outputs of a network on its device to the few candidates that are worth decoding."""

from __future__ import annotations

from typing import Any

import torch

from dubio.core.labelspace import LabelSpace
from dubio.models.det.card import DetectorCard
from dubio.models.det.heads import RawHead
from dubio.models.det.specs import InputSpec, OutputSpec, Size
from dubio.models.det.torch.architecture import DetArchitecture
from dubio.models.det.torch.network import RawDetections
from dubio.uncertainty.boxes.deltas import TORCHVISION_CLAMP

# The most candidates of an image. Networks that are keen on small objects have thousands of doubles: of fewer
# candidates the last objects would be lost. Without a bound an untrained network would fill the memory.
MOST = 5000


def card_of(
    architecture: DetArchitecture, space: LabelSpace, spec: InputSpec, *, samples: bool = False
) -> DetectorCard:
    """The card of a network: what goes in, and what its outputs mean.

    Args:
        architecture: the network's parts.
        space: its classes.
        spec: how pixels go in.
        samples: outputs have an axis of samples.
    """
    delta = architecture.coder == "delta"
    outputs = OutputSpec(
        coder=architecture.coder,
        boxes=("deltas" if delta else "distances",),
        logits=("logits",),
        score_kind="sigmoid",
        log_variance="log_variance" if architecture.variance else None,
        reference="reference",
        samples=samples,
        clamp=TORCHVISION_CLAMP if delta else None,
    )
    return DetectorCard(outputs, spec, space)


def heads_of(
    raw: RawDetections, reference: torch.Tensor, size: Size, *, floor: float, most: int | None = MOST
) -> list[RawHead]:
    """The best candidates of each image, moved to the processor.

    Args:
        raw: outputs ``(B, N, …)`` or ``(B, T, N, …)``.
        reference: ``(N, 4)`` anchors or ``(N, 3)`` points, on the same device.
        size: height and width of the input.
        floor: candidates whose best class stays below on the mean of the samples are left out.
        most: the most candidates per image, the best ones; ``None``: all.
    """
    logits, boxes, spread = (None if x is None else (x if x.ndim == 4 else x[:, None]).float() for x in raw)
    assert logits is not None
    assert boxes is not None
    best = logits.sigmoid().mean(1).amax(-1)
    found = []
    for k in range(len(logits)):
        count = best.shape[1] if most is None else min(most, best.shape[1])
        rows = torch.topk(best[k], count).indices
        rows = rows[best[k][rows] >= floor].sort().values
        variance = None if spread is None else _host(spread[k][:, rows].double().exp())
        found.append(
            RawHead(
                means=_host(boxes[k][:, rows]),
                variances=variance,
                reference=_host(reference[rows]),
                classes=_host(logits[k][:, rows]),
                objectness=None,
                size=size,
            )
        )
    return found


def _host(x: torch.Tensor) -> Any:
    return x.cpu().numpy()
