"""Several looks at one image (test-time augmentation), and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import DetPrediction, Floats
from dubio.core.errors import InputError
from dubio.uncertainty.boxes.classes import class_entropy

_MIRRORED = [2, 1, 0, 3]  # x0 and x1 change places under a mirror, and so do their variances


@dataclass(frozen=True)
class View:
    """A look at an image.

    Args:
        flip: mirrored, left and right.
        scale: of the network's input.

    Raises:
        InputError: a scale that isn't positive.

    >>> View(flip=True, scale=1.25).name
    'mirrored, scaled by 1.25'
    """

    flip: bool = False
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.scale < np.inf:
            raise InputError(f"an image can't be looked at on a scale of {self.scale}")

    @property
    def name(self) -> str:
        """In words."""
        words = ["mirrored"] * self.flip + [f"scaled by {self.scale:g}"] * (self.scale != 1)
        return ", ".join(words) or "as it is"


plain = View()


def views(*, flip: bool = False, scales: Sequence[float] = (1.0,)) -> tuple[View, ...]:
    """All combinations, the plain view first.

    >>> [v.name for v in views(flip=True, scales=(1.0, 0.75))]
    ['as it is', 'scaled by 0.75', 'mirrored', 'mirrored, scaled by 0.75']
    """
    found = [View(f, float(s)) for f in ((False, True) if flip else (False,)) for s in scales]
    return (plain, *(v for v in found if v != plain))


def view_back(found: DetPrediction, view: View, width: int) -> DetPrediction:
    """Detections of a view in the coordinates of the image.

    Args:
        found: of the view, in its pixels.
        view: which one.
        width: of the image.

    >>> seen = DetPrediction(np.array([[0.0, 1, 4, 5]]), np.ones(1), np.zeros(1, int), 1,
    ...     box_aleatoric=np.array([[1.0, 2, 3, 4]]))
    >>> back = view_back(seen, View(flip=True), 10)
    >>> back.boxes.tolist(), back.box_aleatoric.tolist()
    ([[6.0, 1.0, 10.0, 5.0]], [[3.0, 2.0, 1.0, 4.0]])
    """
    if not view.flip:
        return found
    boxes = found.boxes[:, _MIRRORED]
    boxes[:, [0, 2]] = width - boxes[:, [0, 2]]
    sides = {k: getattr(found, k) for k in ("box_aleatoric", "box_epistemic")}
    turned: dict[str, Any] = {k: None if v is None else v[:, _MIRRORED] for k, v in sides.items()}
    return replace(found, boxes=boxes, **turned)


def merge_views(
    found: Sequence[DetPrediction], *, iou: float = 0.5, limit: int | None = 100
) -> DetPrediction:
    """What several views of an image say together; each view is one sample of the model.

    Detections of a class are joined one by one with the best overlapping detection of the views before,
    then corners and class scores are averaged. The law of total variance adds to the mean epistemic
    variance what the views differ by. A box that only some views see keeps its score times their share
    (as in Solovyev et al., *Weighted boxes fusion*, 2021).

    Args:
        found: one prediction per view, after suppression, in pixels of the image.
        iou: overlap from which two detections are of one object.
        limit: the most boxes; ``None``: all.

    Raises:
        InputError: no view, or views without class scores.
    """
    if not found or any(p.class_scores is None for p in found):
        raise InputError("views are merged by their class scores, which are missing")
    whole = _stacked(found)
    group = _groups(whole, np.repeat(np.arange(len(found)), [len(p) for p in found]), iou)
    count = np.bincount(group)
    mean = _Mean(group, count)
    boxes = mean(whole.boxes)
    spread = mean((whole.boxes - boxes[group]) ** 2)
    if whole.box_epistemic is not None:
        spread = spread + mean(whole.box_epistemic)
    assert whole.class_scores is not None
    scores = mean(whole.class_scores)
    varied = mean((whole.class_scores - scores[group]) ** 2)
    if whole.class_variance is not None:
        varied = varied + mean(whole.class_variance)
    entropy = whole.expected_entropy
    if entropy is None and whole.kind in ("sigmoid", "softmax"):
        entropy = class_entropy(whole.class_scores, whole.kind)
    first = np.zeros(len(count), np.int64)
    first[group[::-1]] = np.arange(len(group))[::-1]
    merged = DetPrediction(
        boxes,
        mean(whole.scores) * count / len(found),
        whole.classes[first],
        whole.n_classes,
        class_scores=scores,
        kind=whole.kind,
        box_aleatoric=None if whole.box_aleatoric is None else mean(whole.box_aleatoric),
        box_epistemic=spread,
        class_variance=varied,
        expected_entropy=None if entropy is None else mean(entropy),
        image_id=whole.image_id,
    )
    order = np.argsort(-merged.scores, kind="stable")
    return merged.take(order if limit is None else order[:limit])


class _Mean:
    """Means over groups of rows."""

    def __init__(self, group: npt.NDArray[np.int64], count: npt.NDArray[np.int64]) -> None:
        self.group, self.count = group, count

    def __call__(self, values: Floats) -> Floats:
        total = np.zeros((len(self.count), *values.shape[1:]))
        np.add.at(total, self.group, values)
        return total / self.count.reshape(-1, *[1] * (values.ndim - 1))


def _stacked(found: Sequence[DetPrediction]) -> DetPrediction:
    """All detections as one prediction; what one view lacks is left out."""

    def column(name: str) -> Floats | None:
        parts = [getattr(p, name) for p in found]
        return None if any(p is None for p in parts) else np.concatenate(parts)

    names = ("class_scores", "box_aleatoric", "box_epistemic", "class_variance", "expected_entropy")
    first = found[0]
    return DetPrediction(
        np.concatenate([p.boxes for p in found]),
        np.concatenate([p.scores for p in found]),
        np.concatenate([p.classes for p in found]),
        first.n_classes,
        kind=first.kind,
        image_id=first.image_id,
        **{name: column(name) for name in names},
    )


def _groups(whole: DetPrediction, view: npt.NDArray[np.int64], iou: float) -> npt.NDArray[np.int64]:
    """Number of the object of each detection: no object has two detections of one view."""
    group = np.full(len(whole), -1, np.int64)
    group[view == 0] = np.arange(int((view == 0).sum()))
    for number in range(1, int(view.max(initial=0)) + 1):
        old, new = np.flatnonzero(group >= 0), np.flatnonzero(view == number)
        overlap = _iou(whole.boxes[new], whole.boxes[old])
        overlap[whole.classes[new][:, None] != whole.classes[old]] = 0
        rows, columns = np.nonzero(overlap >= iou)
        taken: set[int] = set()
        # few pairs are left: a view holds one detection per object
        for k in np.argsort(-overlap[rows, columns], kind="stable").tolist():
            row, target = int(new[rows[k]]), int(group[old[columns[k]]])
            if group[row] < 0 and target not in taken:
                group[row] = target
                taken.add(target)
        alone = new[group[new] < 0]
        group[alone] = group.max(initial=-1) + 1 + np.arange(len(alone))
    return group


def _iou(a: Floats, b: Floats) -> Floats:
    side = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    both = np.clip(side, 0, None).prod(2)
    areas = [(x[:, 2:] - x[:, :2]).prod(1) for x in (a, b)]
    union = areas[0][:, None] + areas[1] - both
    return np.asarray(np.divide(both, union, out=np.zeros_like(both), where=union > 0))
