"""The published benchmark of label-error proposals: maps, matching and area, for old results.

What Automatic-Label-Error-Detection (Rottmann and Reese, 2023) stores and counts, so that its figures can
be compared. Our own score (:mod:`dubio.errors.bench.scoring`) stays the measure to use, because here

* proposals that touch become one segment, also across errors: two right ones may count as a single one;
* sizes are judged before segments are cut by class, and never again after;
* found errors are counted among errors, false proposals among proposals: the same overlap may be a hit on
  one side and a false proposal on the other;
* scores have 8 bits, and the area is none of precision and recall
  (:mod:`dubio.errors.bench.published_auc`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dubio.core.errors import InputError
from dubio.engine.map import map_ordered
from dubio.errors.bench.adjusted import adjusted_ious
from dubio.errors.bench.matching import MATCH_IOU
from dubio.errors.bench.published_auc import auc_of_counts

NONE = -1
_EIGHT = np.ones((3, 3), np.int8)
Floats = npt.NDArray[np.float64]
ClassIds = npt.NDArray[np.int32]
Proposals = tuple[Floats, ClassIds]


@dataclass(frozen=True)
class PublishedCurve:
    """Counts at rising thresholds.

    Attributes:
        thresholds: ``(T,)``; a proposal counts if its 8-bit score is above.
        classes: ``(K,)`` class ids.
        tp: ``(T, K)`` error segments that are found.
        fp: ``(T, K)`` proposed segments that meet no error well enough.
        fn: ``(T, K)`` error segments that are not found.
    """

    thresholds: Floats
    classes: tuple[int, ...]
    tp: npt.NDArray[np.int64]
    fp: npt.NDArray[np.int64]
    fn: npt.NDArray[np.int64]

    @property
    def pooled(self) -> npt.NDArray[np.int64]:
        """``(T, 3)``: TP, FP and FN over all classes."""
        return np.stack([self.tp.sum(1), self.fp.sum(1), self.fn.sum(1)], axis=1)


def diff_mask(clean: npt.ArrayLike, perturbed: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """1 where two masks differ, else 0.

    Raises:
        InputError: masks of unequal shape.
    """
    one, two = np.asarray(clean), np.asarray(perturbed)
    if one.shape != two.shape:
        raise InputError(f"the masks have the shapes {one.shape} and {two.shape}")
    changed: npt.NDArray[np.uint8] = (one != two).astype(np.uint8)
    return changed


def label_errors(diff: npt.ArrayLike, clean: npt.NDArray[np.integer], min_size: int) -> ClassIds:
    """The clean class id on error segments, -1 elsewhere.

    As published, segments of the difference are 8-connected, whatever their classes, and those smaller
    than ``min_size`` are dropped. Unlike there, class id 0 may be an error: nothing is marked by -1.
    """
    large = without_small(np.asarray(diff) != 0, min_size)
    return np.where(large, clean.astype(np.int32), np.int32(NONE))


def proposals_png(
    score_by_component: Mapping[int, float] | Floats,
    components: npt.NDArray[np.integer],
    classes: npt.NDArray[np.integer],
    *,
    min_size: int = 0,
) -> npt.NDArray[np.uint8]:
    """Scores and classes as the colours of the published picture.

    Red is the score cut to 8 bits, ``int(255 p)``; proposals below 1/255 vanish. Connected blobs of red,
    whatever their classes, are dropped if they are smaller than ``min_size``. Green is the predicted class
    id, blue is 0.

    Args:
        score_by_component: score of each proposed component by its number; others are not proposed.
        components: ``(H, W)`` component numbers; a negative number is its boundary, 0 is none.
        classes: ``(H, W)`` predicted class ids.
        min_size: pixels.

    Returns:
        ``(H, W, 3)`` uint8.

    Raises:
        InputError: a class id that 8 bits can't hold, or a score outside 0 … 1.
    """
    if classes.size and (int(classes.min()) < 0 or int(classes.max()) > 255):
        raise InputError(f"class id {int(classes.max())} doesn't fit the published pictures (0 to 255)")
    ids = np.abs(components)
    table = np.zeros(int(ids.max(initial=0)) + 1, np.uint8)
    pairs = (
        score_by_component.items()
        if isinstance(score_by_component, Mapping)
        else enumerate(np.asarray(score_by_component))
    )
    for number, p in pairs:
        if not 0 <= p <= 1:
            raise InputError(f"component {number} has the score {p}, not one in 0 … 1")
        if 0 < number < len(table):
            table[number] = int(255 * p)
    red = table[ids]
    red[~without_small(red > 0, min_size)] = 0
    return np.stack([red, classes.astype(np.uint8), np.zeros_like(red)], axis=-1)


def without_small(mask: npt.NDArray[np.bool_], min_size: int) -> npt.NDArray[np.bool_]:
    """Drop 8-connected segments of fewer pixels.

    >>> without_small(np.array([[True, False, True, True]]), 2).tolist()
    [[False, False, True, True]]
    """
    ids, _ = ndimage.label(mask, structure=_EIGHT)
    keep = np.bincount(ids.ravel()) >= min_size
    keep[0] = False
    return np.asarray(keep[ids])


def published_curve(
    errors: Iterable[ClassIds],
    proposals: Iterable[Proposals],
    classes: Sequence[int],
    thresholds: npt.ArrayLike | None = None,
    *,
    match_iou: float = MATCH_IOU,
    workers: int | None = None,
) -> PublishedCurve:
    """Count as the published benchmark does.

    Args:
        errors: per image ``(H, W)`` class id on errors, -1 elsewhere.
        proposals: per image, in the same order, scores 0 … 1 and predicted class ids, both ``(H, W)``;
            scores are cut to 8 bits.
        classes: class ids to count.
        thresholds: rising; default: 21 from 0 to 1.
        match_iou: adjusted IoU from which an error is found, or a proposal is right.
        workers: images at once; default: all processors.

    Raises:
        InputError: unequal numbers of maps, or unequal shapes.
    """
    steps = np.linspace(0, 1, 21) if thresholds is None else np.asarray(thresholds, np.float64)
    counts = np.zeros((3, len(steps), len(classes)), np.int64)

    def job(pair: tuple[ClassIds, Proposals]) -> npt.NDArray[np.int64]:
        return _count_image(pair[0], pair[1], classes, steps, match_iou)

    try:
        for part in map_ordered(job, zip(errors, proposals, strict=True), workers=workers):
            counts += part
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"errors and proposals don't go together ({error})") from error
    return PublishedCurve(steps, tuple(classes), counts[0], counts[1], counts[2])


def published_auc(curve: PublishedCurve) -> float:
    """The published area of the pooled counts (what is wrong with it: ``published_auc`` module)."""
    tp, fp, fn = curve.pooled.T
    return auc_of_counts(tp, fp, fn)


def best_point(curve: PublishedCurve) -> dict[str, float]:
    """Pooled counts, precision, recall and F1 at the threshold of the best F1 (the lowest if several).

    As published, what is not defined counts as 0.
    """
    tp, fp, fn = curve.pooled.T
    f1 = 2 * tp / np.maximum(2 * tp + fp + fn, 1)
    k = int(f1.argmax())
    return {
        "threshold": float(curve.thresholds[k]),
        "tp": int(tp[k]),
        "fp": int(fp[k]),
        "fn": int(fn[k]),
        "precision": float(tp[k] / max(tp[k] + fp[k], 1)),
        "recall": float(tp[k] / max(tp[k] + fn[k], 1)),
        "f1": float(f1[k]),
    }


def _count_image(
    errors: ClassIds, proposals: Proposals, classes: Sequence[int], steps: Floats, match_iou: float
) -> npt.NDArray[np.int64]:
    scores, predicted = proposals
    if not errors.shape == scores.shape == predicted.shape:
        raise InputError(f"maps of one image have the shapes {errors.shape} and {scores.shape}")
    # What was stored as R / 255 is R again; rounding errors are far below a step.
    level = np.floor(scores * 255 + 1e-9)
    out = np.zeros((3, len(steps), len(classes)), np.int64)
    for k, class_id in enumerate(classes):
        wrong, mine = errors == class_id, predicted == class_id
        anywhere = wrong | (mine & (level > 255 * steps.min(initial=1)))
        if not anywhere.any():
            continue
        rows, columns = np.flatnonzero(anywhere.any(1)), np.flatnonzero(anywhere.any(0))
        window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        out[:, :, k] = _count_class(wrong[window], np.where(mine, level, -1)[window], steps, match_iou)
    return out


def _count_class(
    wrong: npt.NDArray[np.bool_], level: Floats, steps: Floats, match_iou: float
) -> npt.NDArray[np.int64]:
    out = np.zeros((3, len(steps)), np.int64)
    known: dict[int, tuple[int, int, int]] = {}
    for i, step in enumerate(steps):
        proposed = level > 255 * step
        size = int(proposed.sum())  # falls with the threshold: equal sizes are equal sets
        if size not in known:
            of_errors, of_proposals = adjusted_ious(wrong, proposed)
            found = int((of_errors >= match_iou).sum())
            false = int((of_proposals < match_iou).sum())
            known[size] = (found, false, len(of_errors) - found)
        out[:, i] = known[size]
    return out
