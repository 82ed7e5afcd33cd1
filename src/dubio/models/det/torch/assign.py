"""Which reference box answers for which labelled box, and what it has to predict."""

from __future__ import annotations

import torch
from torchvision.ops import box_iou

NOTHING, NEITHER = -1, -2
_FROM, _UPTO = 4.0, 8.0  # of the stride: sizes that a map of FCOS answers for
_RADIUS = 1.5  # of the stride: how far from the centre of a box a point may lie


def assign_anchors(
    anchors: torch.Tensor, boxes: torch.Tensor, ignore: torch.Tensor, low: float = 0.4, high: float = 0.5
) -> torch.Tensor:
    """RetinaNet's assignment: by IoU, and each box to its best anchors whatever their IoU.

    Args:
        anchors: ``(N, 4)``.
        boxes: ``(M, 4)``.
        ignore: ``(K, 4)`` regions where nothing counts as background.
        low: below this IoU an anchor is background.
        high: from this IoU on it answers for the box.

    Returns:
        ``(N,)`` box number, ``-1`` background, ``-2`` neither.
    """
    found = torch.full((len(anchors),), NOTHING, dtype=torch.int64, device=anchors.device)
    if len(boxes):
        iou = box_iou(boxes, anchors)
        best, which = iou.max(0)
        found = torch.where(best >= high, which, torch.where(best >= low, NEITHER, NOTHING))
        top = iou.max(1, keepdim=True).values
        row, column = torch.where((iou >= top - 1e-6) & (top > 0))
        # several boxes may call for one anchor: the one that it fits best gets it
        found[column] = torch.where(found[column] >= 0, found[column], which[column])
        found[column[which[column] == row]] = row[which[column] == row]
    return _spare(found, (anchors[:, :2] + anchors[:, 2:]) / 2, ignore)


def assign_points(points: torch.Tensor, boxes: torch.Tensor, ignore: torch.Tensor) -> torch.Tensor:
    """FCOS's assignment: points near the centre, each map for its range of sizes, the smallest box first.

    Args:
        points: ``(N, 3)`` x, y, stride.
        boxes: ``(M, 4)``.
        ignore: ``(K, 4)`` regions where nothing counts as background.

    Returns:
        ``(N,)`` box number, ``-1`` background, ``-2`` neither.
    """
    place, stride = points[:, :2], points[:, 2]
    found = torch.full((len(points),), NOTHING, dtype=torch.int64, device=points.device)
    if len(boxes):
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        near = (place[:, None] - centre).abs().amax(2) < _RADIUS * stride[:, None]
        sides = distances(points[:, None], boxes[None]) * stride[:, None, None]
        longest = sides.amax(2)
        low = torch.where(stride == stride.min(), 0.0, _FROM * stride)
        high = torch.where(stride == stride.max(), float("inf"), _UPTO * stride)
        fits = near & (sides.amin(2) > 0) & (longest > low[:, None]) & (longest <= high[:, None])
        area = (boxes[:, 2:] - boxes[:, :2]).prod(1).expand(len(points), -1)
        smallest, which = torch.where(fits, area, float("inf")).min(1)
        found = torch.where(torch.isfinite(smallest), which, NOTHING)
    return _spare(found, place, ignore)


def deltas(anchors: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Deltas ``(…, 4)`` from anchors to boxes of positive size; the inverse of ``DeltaCoder``'s decoding."""
    size, wanted = anchors[..., 2:] - anchors[..., :2], boxes[..., 2:] - boxes[..., :2]
    shift = (boxes[..., :2] + 0.5 * wanted - anchors[..., :2] - 0.5 * size) / size
    return torch.cat([shift, torch.log(wanted / size)], -1)


def distances(points: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Distances ``(…, 4)`` of the sides from points ``(…, 3)``, in strides."""
    place, stride = points[..., :2], points[..., 2:]
    return torch.cat([place - boxes[..., :2], boxes[..., 2:] - place], -1) / stride


def _spare(found: torch.Tensor, centre: torch.Tensor, ignore: torch.Tensor) -> torch.Tensor:
    """Background whose centre lies in an ignored region is neither."""
    if not len(ignore):
        return found
    inside = ((centre[:, None] >= ignore[:, :2]) & (centre[:, None] <= ignore[:, 2:])).all(2).any(1)
    return torch.where((found == NOTHING) & inside, NEITHER, found)
