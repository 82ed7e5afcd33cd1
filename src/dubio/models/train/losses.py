"""Losses that leave void out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch.nn import functional

from dubio.core.labelspace import IndexMap


def cross_entropy(
    logits: torch.Tensor, label: torch.Tensor, void: int, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean cross-entropy over the pixels that aren't void; 0 if all are.

    Args:
        logits: ``(B, C, H, W)``.
        label: ``(B, H, W)`` int64 class indices.
        void: index of void.
        weights: ``(C,)`` class weights.
    """
    loss = functional.cross_entropy(logits, label, weights, ignore_index=void, reduction="sum")
    valid = label != void
    if weights is None:
        return loss / valid.sum().clamp(min=1)
    # The weighted mean, as torch defines it.
    padded = torch.cat([weights, weights.new_zeros(1)])
    return loss / padded[label].sum().clamp(min=1e-6)


def dice_loss(logits: torch.Tensor, label: torch.Tensor, void: int, smooth: float = 1.0) -> torch.Tensor:
    """One minus the soft dice coefficient, averaged over the classes that occur in the batch's labels.

    Milletari, Navab, Ahmadi: V-Net, 3DV 2016; here with plain sums in place of squares.

    Args:
        logits: ``(B, C, H, W)``.
        label: ``(B, H, W)`` int64 class indices.
        void: index of void (``C``); such pixels count nowhere.
        smooth: added above and below, in pixels, so that a class of few pixels isn't all or nothing.
    """
    classes = logits.shape[1]
    valid = (label != void).unsqueeze(1)
    probability = logits.float().softmax(dim=1) * valid
    target = functional.one_hot(label.clamp(max=classes), classes + 1)[..., :classes]
    target = target.permute(0, 3, 1, 2).to(probability.dtype) * valid
    axes = (0, 2, 3)
    both, total = (probability * target).sum(axes), (probability + target).sum(axes)
    present = target.sum(axes) > 0
    loss = 1 - (2 * both + smooth) / (total + smooth)
    return (loss * present).sum() / present.sum().clamp(min=1)


def balanced_weights(labels: Iterable[IndexMap], n_classes: int, largest: float = 10.0) -> tuple[float, ...]:
    """Median-frequency class weights (Eigen and Fergus, ICCV 2015), capped.

    Args:
        labels: ``(H, W)`` class indices, ``C`` = void.
        n_classes: the number ``C`` of classes.
        largest: cap; rarer classes would otherwise rule the gradient.

    Returns:
        One weight per class; 1 for a class that doesn't occur.

    >>> balanced_weights([np.array([[0, 0, 0, 1, 2]], np.uint8)], 2)
    (0.6666666666666666, 2.0)
    """
    counts = np.zeros(n_classes, np.float64)
    for label in labels:
        counts += np.bincount(label.ravel(), minlength=n_classes)[:n_classes]
    present = counts > 0
    if not present.any():
        return (1.0,) * n_classes
    weights = np.ones(n_classes)
    weights[present] = np.minimum(np.median(counts[present]) / counts[present], largest)
    return tuple(float(w) for w in weights)
