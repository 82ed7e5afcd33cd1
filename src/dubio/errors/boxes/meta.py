"""Meta classification of boxes: is a detection a false positive, and how well does it meet its label?

The published idea for segments (Rottmann and Reese, 2023) on the same code: if the meta classifier, judging
by a detection's own features, is sure that it is right although no label meets it, the label is suspect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxDataset, DetPrediction
from dubio.errors.boxes.lesson import CALLS
from dubio.errors.boxes.scene import Floats, Ints
from dubio.errors.boxes.traits import BoxWork
from dubio.errors.found import Found
from dubio.errors.published import cross_fit
from dubio.errors.quality import Quality, reliability_bins
from dubio.errors.rows import image_folds, representatives
from dubio.regions.boxes.matching import match_boxes
from dubio.regions.boxes.table import box_features, box_table
from dubio.regions.meta import MetaClassifier, MetaRegressor
from dubio.regions.schema import column

# Fewer images or classes of detections can't be learned from.
_MIN_IMAGES = 2


@dataclass(frozen=True)
class BoxMeta:
    """Judged detections of a data set, each by models that didn't see its image.

    Attributes:
        image: ``(n,)`` number of the image among those given.
        place: ``(n,)`` position among the image's detections.
        false: ``(n,)`` whether no label of its class meets it (IoU 0.5, one to one).
        p_false: ``(n,)`` probability of that.
        iou: ``(n,)`` IoU with its label, 0 without one.
        estimated_iou: ``(n,)`` estimate of it.
        quality: how well both do.
    """

    image: Ints
    place: Ints
    false: npt.NDArray[np.bool_]
    p_false: Floats
    iou: Floats
    estimated_iou: Floats
    quality: Quality


def judge_detections(
    dataset: BoxDataset,
    predictions: Mapping[str, DetPrediction],
    *,
    folds: int = 5,
    seed: int = 0,
) -> BoxMeta | None:
    """Meta classification and regression of all detections, cross-fitted by image.

    Args:
        dataset: images with labelled boxes.
        predictions: detections by image id.
        folds: parts, by image.
        seed: seed.

    Returns:
        The judged detections, images by id; ``None`` with fewer than two images or without both right and
        false detections in all parts.
    """
    names = sorted(s.image_id for s in dataset if s.image_id in predictions)
    matches = {n: match_boxes(predictions[n], dataset.labels[n]) for n in names}
    table = box_table(dataset, {n: predictions[n] for n in names}, matches)
    seen = table.filter(column(table, "source") == "prediction")
    if len(names) < _MIN_IMAGES or not len(seen):
        return None
    x, features = box_features(table)
    number = {n: k for k, n in enumerate(names)}
    image = np.array([number[str(n)] for n in column(seen, "image_id")], np.int64)
    state = column(seen, "state")
    counted = state != "ignored"
    false = (state == "false") | (state == "wrong_class")
    iou = np.where(false, 0.0, np.nan_to_num(column(seen, "iou").astype(np.float64)))
    x, image, false, iou = x[counted], image[counted], false[counted], iou[counted]
    place = (column(seen, "region").astype(np.int64) - 1)[counted]
    fold = image_folds(names, min(folds, len(names)), seed)
    if any(len(np.unique(false[fold[image] != k])) < 2 for k in np.unique(fold)):
        return None
    p = cross_fit(x, false.astype(float), image, fold, lambda: MetaClassifier(seed=seed))
    estimated = np.clip(cross_fit(x, iou, image, fold, lambda: MetaRegressor(seed=seed)), 0, 1)
    quality = _quality(false, p, iou, estimated, x[:, features.index("score")])
    return BoxMeta(image, place, false, p, iou, estimated, quality)


def find_by_meta(
    dataset: BoxDataset,
    predictions: Mapping[str, DetPrediction],
    works: Sequence[BoxWork],
    *,
    folds: int = 5,
    seed: int = 0,
) -> Found:
    """Rank the unlabelled objects by the probability that their detection is right.

    Args:
        dataset: images with labelled boxes.
        predictions: detections by image id.
        works: candidates of the same (:func:`dubio.errors.boxes.audit.collect_boxes`).
        folds: parts, by image.
        seed: seed.

    Returns:
        The places, all of the kind ``missing``; scores are no calibrated probabilities of an error.
    """
    judged = judge_detections(dataset, predictions, folds=folds, seed=seed)
    if judged is None:
        none = np.zeros(0)
        ints = none.astype(np.int64)
        note = "too little to fit a meta classifier: it needs two images with right and false detections"
        return Found(ints, ints, none, none, none, None, None, note)
    number = {w.image_id: n for n, w in enumerate(works)}
    names = sorted(number)
    right = {
        (number[names[i]], int(k)): 1 - float(v)
        for i, k, v in zip(judged.image, judged.place, judged.p_false, strict=True)
        if names[i] in number
    }
    found = [row for n, work in enumerate(works) for row in _unmet(n, work, right)]
    if not found:
        found_image = found_candidate = np.zeros(0, np.int64)
        score = np.zeros(0)
    else:
        columns = list(zip(*found, strict=True))
        found_image, found_candidate = (np.array(c, np.int64) for c in columns[:2])
        score, group = np.array(columns[2], np.float64), np.array(columns[3], np.int64)
        kept = representatives(score, group + found_image * (int(group.max()) + 1))
        found_image, found_candidate, score = found_image[kept], found_candidate[kept], score[kept]
    kinds = np.tile(np.eye(len(CALLS))[CALLS.index("missing")], (len(score), 1))
    return Found(
        found_image, found_candidate, score, score, np.full(len(score), np.nan), None, judged.quality,
        kinds=kinds, calls=CALLS,
    )  # fmt: skip


def _unmet(n: int, work: BoxWork, right: Mapping[tuple[int, int], float]) -> list[tuple[Any, ...]]:
    """Image, candidate, score and place of an image's unlabelled objects."""
    where, seen = work.of.where, work.of.scene.seen
    rows = []
    for k in np.flatnonzero(work.places.row >= where.n_given):
        place = int(seen.place[where.seen[work.places.row[k]]])
        if (n, place) in right:
            rows.append((n, int(k), right[n, place], int(work.places.group[k])))
    return rows


def _quality(
    false: npt.NDArray[np.bool_], p: Floats, iou: Floats, estimated: Floats, score: Floats
) -> Quality:
    from sklearn.metrics import average_precision_score, r2_score, roc_auc_score

    def rank(value: Floats) -> dict[str, float]:
        return {
            "auroc": float(roc_auc_score(false, value)),
            "ap": float(average_precision_score(false, value)),
        }

    bins = reliability_bins(p, false, np.ones(len(p)))
    best = rank(p)
    naive = np.polyval(np.polyfit(score, iou, 1), score)
    return Quality(
        auroc=best["auroc"],
        ap=best["ap"],
        ece=sum(n * abs(a - b) for a, b, n in bins) / max(len(p), 1),
        brier=float(((p - false) ** 2).mean()),
        share=float(false.mean()),
        baselines={"low score": rank(-score)},
        reliability=bins,
        title="Meta classification: is a detection a false positive?",
        rows=[
            ("detections", float(len(p))),
            ("R² of the estimated IoU", float(r2_score(iou, estimated))),
            ("R² from the score alone", float(r2_score(iou, naive))),
        ],
    )
