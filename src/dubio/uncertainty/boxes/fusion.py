"""Fusing the boxes that suppression would throw away into the one that it keeps."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import DetPrediction, Floats
from dubio.core.errors import InputError
from dubio.uncertainty.boxes import suppress_kernels as kernels

# the published width of the weight's fall with distance (1 - IoU)
SPREAD = 0.02
# a box without any variance would silence all others; square pixels
_FLOOR = 1e-4
_PARTS = ("box_aleatoric", "box_epistemic")
_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


def fused(
    prediction: DetPrediction,
    order: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    kept: npt.NDArray[np.int64],
    iou: float,
) -> dict[str, Floats]:
    """Fuse each kept box with its neighbours, coordinate by coordinate.

    A neighbour counts by the inverse of its total variance (aleatoric plus epistemic) and by
    exp(-(1 - IoU)² / 0.02): variance voting of He et al., *Bounding Box Regression with Uncertainty*
    (CVPR 2019). Neighbours look at the same pixels, so their errors are taken to go together: the
    fused variance is the weighted mean of the variances, not the smaller one of independent measurements.

    Args:
        prediction: all boxes, with variances.
        order: ``(N,)`` positions of the boxes that take part.
        groups: ``(N,)`` numbers; only boxes of one number are fused.
        kept: ``(K,)`` positions in ``order`` of the kept boxes.
        iou: a neighbour overlaps the kept box by more than this.

    Returns:
        ``boxes`` ``(K, 4)`` and those of ``box_aleatoric`` and ``box_epistemic`` that there are.

    Raises:
        InputError: there are no variances.
    """
    names = [name for name in _PARTS if getattr(prediction, name) is not None]
    if not names:
        raise InputError(
            "boxes can't be fused without variances", remedy="use a detector that predicts them, or no fusion"
        )
    parts = np.stack([getattr(prediction, name)[order] for name in names])
    total = np.maximum(parts.sum(0), _FLOOR)
    members = np.argsort(groups, kind="stable")
    starts, ends = (np.searchsorted(groups[members], groups[kept], side) for side in _SIDES)
    box, part = np.empty((len(kept), 4)), np.empty((len(names), len(kept), 4))
    boxes = prediction.boxes[order]
    kernels.fuse(boxes, total, parts, members, starts, ends, kept, iou, SPREAD, box, part)
    found: dict[str, Any] = dict(zip(names, part, strict=True))
    # below an IoU of a half, sides that are averaged apart may cross
    low, high = np.minimum(box[:, :2], box[:, 2:]), np.maximum(box[:, :2], box[:, 2:])
    return {"boxes": np.hstack([low, high]), **found}
