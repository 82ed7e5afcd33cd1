"""Non-maximum suppression that carries, and if wanted fuses, the uncertainties of boxes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from dubio.core.boxes import DetPrediction
from dubio.core.errors import InputError
from dubio.uncertainty.boxes import suppress_kernels as kernels
from dubio.uncertainty.boxes.fusion import fused

SuppressionMethod = Literal["hard", "linear", "gaussian"]
_NO_LIMIT = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Suppression:
    """How double detections are removed; one and the same for evaluation and use.

    Args:
        method: ``hard`` removes boxes that overlap a better one by more than ``iou``. ``linear`` and
            ``gaussian`` lower their scores instead, by 1 - IoU (if it is above ``iou``) or by
            exp(-IoU² / ``sigma``): Bodla et al., *Soft-NMS* (ICCV 2017).
        iou: intersection over union from which boxes count as the same object; no part of ``gaussian``.
        classwise: only boxes of the same class remove each other.
        score: least score, before and after it is lowered.
        limit: most boxes of an image; ``None``: all.
        sigma: width of ``gaussian``, as published (TensorFlow's ``soft_nms_sigma`` is half of it).
        fuse: average each kept box with those of its group that overlap it by more than ``iou``
            (see :func:`~dubio.uncertainty.boxes.fusion.fused`); needs variances.

    Raises:
        InputError: a value is impossible.
    """

    method: SuppressionMethod = "hard"
    iou: float = 0.5
    classwise: bool = True
    score: float = 0.05
    limit: int | None = 100
    sigma: float = 0.5
    fuse: bool = False

    def __post_init__(self) -> None:
        if self.method not in get_args(SuppressionMethod):
            known = ", ".join(get_args(SuppressionMethod))
            raise InputError(f"there is no suppression '{self.method}'", remedy=f"choose from {known}")
        for name, value in (("IoU", self.iou), ("score", self.score)):
            if not 0 <= value <= 1:
                raise InputError(f"the {name} of suppression lies between 0 and 1, not at {value}")
        if not 0 < self.sigma < np.inf:
            raise InputError(f"the width of soft suppression is positive, not {self.sigma}")
        if self.limit is not None and self.limit < 1:
            raise InputError(f"at most {self.limit} boxes can't be kept", remedy="give 1 or more, or None")

    def apply(self, prediction: DetPrediction) -> DetPrediction:
        """Suppress; see :func:`suppress`."""
        return suppress(prediction, **asdict(self))

    def describe(self) -> str:
        """The choice in words.

        >>> Suppression(limit=None).describe()
        'hard NMS within classes, IoU 0.5, score 0.05 and more'
        """
        how = {"hard": f", IoU {self.iou:g}", "linear": f", IoU {self.iou:g}"}
        width = how.get(self.method, f", sigma {self.sigma:g}")
        among = "within classes" if self.classwise else "across classes"
        most = "" if self.limit is None else f", at most {self.limit} boxes"
        name = self.method if self.method == "hard" else f"soft ({self.method})"
        fusion = f", kept boxes fused with neighbours above IoU {self.iou:g}" if self.fuse else ""
        return f"{name} NMS {among}{width}, score {self.score:g} and more{most}{fusion}"


def suppress(
    prediction: DetPrediction,
    *,
    method: SuppressionMethod = "hard",
    iou: float = 0.5,
    classwise: bool = True,
    score: float = 0.05,
    limit: int | None = 100,
    sigma: float = 0.5,
    fuse: bool = False,
) -> DetPrediction:
    """Remove double detections; class scores and variances of those that stay come along.

    Args are those of :class:`Suppression`. Soft suppression lowers ``scores`` and leaves ``class_scores``
    as they are.

    Returns:
        The boxes that stay, best score first; of equal scores the earlier box goes first. The order of
        the input plays no other part.

    Raises:
        InputError: an option is impossible, or ``fuse`` without variances.

    >>> boxes = np.array([[0, 0, 10, 10], [1, 0, 10, 10], [30, 0, 40, 10.0]])
    >>> seen = DetPrediction(boxes, np.array([0.6, 0.9, 0.7]), np.array([0, 0, 0]), 1)
    >>> suppress(seen).scores.tolist()
    [0.9, 0.7]
    >>> suppress(seen, method="linear").scores.round(3).tolist()
    [0.9, 0.7, 0.06]
    """
    Suppression(method, iou, classwise, score, limit, sigma, fuse)
    enough = np.flatnonzero(prediction.scores >= score)
    order = enough[np.argsort(-prediction.scores[enough], kind="stable")]
    boxes, scores = prediction.boxes[order], prediction.scores[order]
    groups = prediction.classes[order] if classwise else np.zeros(len(order), np.int64)
    kept, most = np.empty(len(order), np.int64), _NO_LIMIT if limit is None else limit
    if method == "hard":
        n_groups = prediction.n_classes if classwise else 1
        count = kernels.hard(boxes, groups, n_groups, iou, most, kept)
    else:
        how = kernels.GAUSSIAN if method == "gaussian" else kernels.LINEAR
        count = kernels.soft(boxes, scores, groups, how, iou, sigma, score, most, kept)
    kept = kept[:count]
    changed: dict[str, Any] = {"scores": scores[kept]}
    if fuse:
        changed |= fused(prediction, order, groups, kept, iou)
    return replace(prediction.take(order[kept]), **changed)
