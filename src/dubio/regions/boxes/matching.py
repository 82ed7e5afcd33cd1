"""Which detection stands for which labelled box.

The published auto-labelling code gives every labelled box its nearest detection, without regard to score
and with replacement: one detection may serve several objects, and false positives never appear. It can be
chosen for comparison. The default pairs one to one, as the COCO evaluation does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxLabels, DetPrediction
from dubio.core.errors import InputError
from dubio.regions.boxes.iou import Floats, pairwise_cover, pairwise_iou

MatchMethod = Literal["greedy", "hungarian", "published-iou", "published-mse"]
MATCH_METHODS: tuple[MatchMethod, ...] = get_args(MatchMethod)
# A detection that lies this much in a crowd or an ignored region is neither right nor wrong.
IGNORED_COVER = 0.5
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Match:
    """Detections and labelled boxes of one image, paired.

    Attributes:
        label: ``(N,)`` number of the labelled box that a detection stands for; -1: none.
        prediction: ``(M,)`` number of the detection that stands for a labelled box; -1: none.
        iou: ``(N,)`` IoU of a detection with its labelled box; NaN without one.
        label_iou: ``(M,)`` IoU of a labelled box with its detection; NaN without one.
        best_iou: ``(N,)`` greatest IoU of a detection with any labelled box, crowds left out; 0 without any.
        ignored: ``(N,)`` unpaired detections that are no false positives: they lie in a crowd, in an
            ignored region or on a difficult box.
        label_ignored: ``(M,)`` crowds and difficult boxes: nobody misses them.
    """

    label: Ints
    prediction: Ints
    iou: Floats
    label_iou: Floats
    best_iou: Floats
    ignored: Flags
    label_ignored: Flags

    @property
    def true_positive(self) -> Flags:
        """``(N,)`` detections that stand for a labelled box that counts."""
        found = self.label >= 0
        found[found] = ~self.label_ignored[self.label[found]]
        return found

    @property
    def false_positive(self) -> Flags:
        """``(N,)`` detections that stand for nothing and are not ignored."""
        return (self.label < 0) & ~self.ignored

    @property
    def missed(self) -> Flags:
        """``(M,)`` labelled boxes without a detection, ignored ones left out."""
        return (self.prediction < 0) & ~self.label_ignored


def match_boxes(
    prediction: DetPrediction,
    labels: BoxLabels,
    *,
    iou: float = 0.5,
    class_aware: bool = True,
    method: MatchMethod = "greedy",
    min_score: float = 0.0,
) -> Match:
    """Pair the detections of an image with its labelled boxes.

    Args:
        prediction: the detections.
        labels: the labelled boxes.
        iou: least IoU of a pair (of the one-to-one methods).
        class_aware: pair boxes of one class only.
        method: ``greedy``: the most confident detection chooses first, among the labelled boxes still free
            the one of greatest IoU (as COCO does); ``hungarian``: the pairs of greatest IoU in sum;
            ``published-iou``, ``published-mse``: each labelled box takes the detection of greatest IoU or
            least squared coordinate error, with replacement (for comparison only).
        min_score: less confident detections are not paired.

    Raises:
        InputError: no such method.

    >>> seen = DetPrediction(np.array([[0, 0, 9, 10], [0, 0, 10, 10.0]]), np.array([0.9, 0.8]), [0, 0], 1)
    >>> found = match_boxes(seen, BoxLabels(np.array([[0, 0, 10, 10]]), np.array([0])))
    >>> found.label.tolist(), found.false_positive.tolist()
    ([0, -1], [False, True])
    """
    if method not in MATCH_METHODS:
        raise InputError(f"there is no matching '{method}'", remedy=f"one of {', '.join(MATCH_METHODS)}")
    overlap = pairwise_iou(prediction.boxes, labels.boxes)
    passed_over = labels.crowd | labels.difficult
    allowed = np.broadcast_to(
        (prediction.scores >= min_score)[:, None] & ~labels.crowd[None, :], overlap.shape
    )
    if class_aware:
        allowed = allowed & (prediction.classes[:, None] == labels.classes[None, :])
    if method.startswith("published"):
        taken = _published(prediction, labels, overlap, method)
        label = np.full(len(prediction), -1, np.int64)
        # of several objects that one detection serves, the first is named
        served = np.flatnonzero(taken >= 0)[::-1]
        label[taken[served]] = served
    else:
        value = np.where(allowed & (overlap >= iou), overlap, -1.0)
        pair = _greedy if method == "greedy" else _hungarian
        label = pair(value, prediction.scores, passed_over)
        taken = np.full(len(labels), -1, np.int64)
        taken[label[label >= 0]] = np.flatnonzero(label >= 0)
    return _match(prediction, labels, overlap, label, taken, passed_over, class_aware)


def _match(
    prediction: DetPrediction,
    labels: BoxLabels,
    overlap: Floats,
    label: Ints,
    taken: Ints,
    passed_over: Flags,
    class_aware: bool,
) -> Match:
    n, m = overlap.shape
    own = np.full(n, np.nan)
    own[label >= 0] = overlap[np.flatnonzero(label >= 0), label[label >= 0]]
    theirs = np.full(m, np.nan)
    theirs[taken >= 0] = overlap[taken[taken >= 0], np.flatnonzero(taken >= 0)]
    solid = overlap[:, ~labels.crowd]
    best = solid.max(1) if solid.size else np.zeros(n)
    ignored = (label < 0) & _in_ignored(prediction, labels, class_aware)
    ignored |= (label >= 0) & passed_over[np.maximum(label, 0)] if m else False
    return Match(label, taken, own, theirs, best, ignored, passed_over)


def _in_ignored(prediction: DetPrediction, labels: BoxLabels, class_aware: bool) -> Flags:
    inside = np.zeros(len(prediction), bool)
    if len(labels.ignore):
        inside |= pairwise_cover(prediction.boxes, labels.ignore).max(1) >= IGNORED_COVER
    if labels.crowd.any():
        cover = pairwise_cover(prediction.boxes, labels.boxes[labels.crowd])
        if class_aware:
            cover = cover * (prediction.classes[:, None] == labels.classes[labels.crowd][None, :])
        inside |= cover.max(1) >= IGNORED_COVER
    return inside


def _greedy(value: Floats, scores: Floats, passed_over: Flags) -> Ints:
    """Boxes that count are chosen before those that are passed over, whatever their IoU."""
    n, m = value.shape
    label = np.full(n, -1, np.int64)
    if not m:
        return label
    free = value.copy()
    # beyond any IoU, so that a box that counts always wins
    free[:, ~passed_over] += np.where(free[:, ~passed_over] >= 0, 2.0, 0.0)
    useful = np.flatnonzero((value >= 0).any(1))
    for k in useful[np.argsort(-scores[useful], kind="stable")].tolist():
        j = int(free[k].argmax())
        if free[k, j] >= 0:
            label[k] = j
            free[:, j] = -1
    return label


def _hungarian(value: Floats, scores: Floats, passed_over: Flags) -> Ints:
    from scipy.optimize import linear_sum_assignment

    del scores, passed_over
    label = np.full(len(value), -1, np.int64)
    if value.size:
        rows, columns = linear_sum_assignment(np.maximum(value, 0), maximize=True)
        real = value[rows, columns] >= 0
        label[rows[real]] = columns[real]
    return label


def _published(prediction: DetPrediction, labels: BoxLabels, overlap: Floats, method: str) -> Ints:
    if not len(prediction):
        return np.full(len(labels), -1, np.int64)
    if method == "published-iou":
        # a labelled box that nothing meets gets the first detection, which is the most confident one
        order = np.argsort(-prediction.scores, kind="stable")
        return np.asarray(order[overlap[order].argmax(0)], np.int64)
    error = ((prediction.boxes[:, None] - labels.boxes[None]) ** 2).mean(2)
    return np.asarray(error.argmin(0), np.int64)
