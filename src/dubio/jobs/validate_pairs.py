"""Which labelled box is found, of a wrong class or missed, and which detection is false: image by image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxLabels, DetPrediction
from dubio.core.errors import InputError
from dubio.regions.boxes.matching import MATCH_METHODS, MatchMethod, match_boxes
from dubio.regions.boxes.table import STATES

FOUND, WRONG_CLASS, MISSED, FALSE, IGNORED = range(len(STATES))
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PairingOptions:
    """How detections are paired with labelled boxes.

    Args:
        iou: least IoU of a pair.
        class_aware: pairs of one class go first; what is left on both sides is then paired whatever its
            class, and of a wrong class. Else the most confident detection chooses among all boxes.
        method: see :func:`~dubio.regions.boxes.matching.match_boxes`. The published ones give every labelled
            box its nearest detection with replacement, know no false ones, and take no notice of the score.
        min_score: less confident detections are left out.

    Raises:
        InputError: an impossible value.
    """

    iou: float = 0.5
    class_aware: bool = True
    method: MatchMethod = "greedy"
    min_score: float = 0.0

    def __post_init__(self) -> None:
        if self.method not in MATCH_METHODS:
            raise InputError(
                f"there is no matching '{self.method}'", remedy=f"one of {', '.join(MATCH_METHODS)}"
            )
        for name, value in (("IoU of a pair", self.iou), ("least score", self.min_score)):
            if not 0 <= value <= 1:
                raise InputError(f"the {name} lies between 0 and 1, not at {value}")

    @property
    def published(self) -> bool:
        """Whether it is one of the published matchers."""
        return self.method.startswith("published")


@dataclass(frozen=True, eq=False)
class Pairs:
    """Rows of an image: its labelled boxes, then the detections that stand for none.

    Attributes:
        label: ``(R,)`` number of the labelled box; -1: none.
        detection: ``(R,)`` number of the detection; -1: none.
        state: ``(R,)`` place in ``STATES``.
    """

    label: Ints
    detection: Ints
    state: Ints


def pair_image(seen: DetPrediction, labels: BoxLabels, options: PairingOptions) -> Pairs:
    """Pair the detections of an image with its labelled boxes.

    Crowds and difficult boxes are ignored, and so are detections that lie in crowds, in ignored regions or on
    difficult boxes.

    Args:
        seen: the detections.
        labels: the labelled boxes.
        options: how.

    >>> seen = DetPrediction(np.array([[0, 0, 9, 9], [20, 0, 30, 10.0]]), np.array([0.9, 0.8]), [1, 0], 2)
    >>> pairs = pair_image(seen, BoxLabels(np.array([[0, 0, 10, 10]]), np.array([0])), PairingOptions())
    >>> pairs.label.tolist(), pairs.detection.tolist(), [STATES[k] for k in pairs.state]
    ([0, -1], [0, 1], ['wrong_class', 'false'])
    """
    match = match_boxes(
        seen, labels, iou=options.iou, class_aware=options.class_aware and not options.published,
        method=options.method, min_score=options.min_score,
    )  # fmt: skip
    taken = match.prediction.copy()
    kept = seen.scores >= options.min_score
    if options.published:
        # a labelled box that nothing overlaps gets some detection all the same
        taken[~(match.label_iou > 0)] = -1
    elif options.class_aware:
        _pair_rest(seen, labels, options, taken, kept & (match.label < 0) & ~match.ignored, match.missed)
    paired = taken >= 0
    wrong = paired & (seen.classes[taken] != labels.classes) if len(seen) else np.zeros(len(labels), bool)
    state = np.where(paired, np.where(wrong, WRONG_CLASS, FOUND), MISSED)
    state = np.where(match.label_ignored, IGNORED, state)
    alone = kept.copy()
    alone[taken[paired]] = False
    rest = np.flatnonzero(alone) if not options.published else np.zeros(0, np.int64)
    return Pairs(
        np.concatenate([np.arange(len(labels)), np.full(len(rest), -1)]).astype(np.int64),
        np.concatenate([taken, rest]).astype(np.int64),
        np.concatenate([state, np.where(match.ignored[rest], IGNORED, FALSE)]).astype(np.int64),
    )


def _pair_rest(
    seen: DetPrediction,
    labels: BoxLabels,
    options: PairingOptions,
    taken: Ints,
    free: npt.NDArray[np.bool_],
    missed: npt.NDArray[np.bool_],
) -> None:
    """Pair what is left on both sides whatever its class; ``taken`` is filled."""
    mine, theirs = np.flatnonzero(free), np.flatnonzero(missed)
    if not len(mine) or not len(theirs):
        return
    rest = match_boxes(
        seen.take(mine), labels.take(theirs), iou=options.iou, class_aware=False, method=options.method
    )
    hit = np.flatnonzero(rest.prediction >= 0)
    taken[theirs[hit]] = mine[rest.prediction[hit]]
