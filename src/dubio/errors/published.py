"""The published method: a meta classifier on predicted segments (Rottmann and Reese, 2023).

A predicted segment that doesn't overlap the label of its class at all should be a false positive.
If the meta classifier, judging by the segment's uncertainty alone, is sure that it is none, the label
is suspect. Unlike the released code, every image is searched, by a model that never saw it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from dubio.core.labelspace import LabelSpace
from dubio.errors.audit import AuditOptions, Collected
from dubio.errors.candidates import SOURCES
from dubio.errors.feature_names import FEATURES
from dubio.errors.finder import Found, image_folds
from dubio.errors.quality import Quality, reliability_bins
from dubio.errors.store import ImageWork
from dubio.regions.meta import MetaClassifier, MetaRegressor
from dubio.regions.schema import column, feature_matrix

Floats = npt.NDArray[np.float64]


def cross_fit(
    x: Floats, y: Floats, image: npt.NDArray[np.int64], fold: npt.NDArray[np.int64], make: Any
) -> Floats:
    """Predictions for all rows, each by a model fitted on the other folds' images."""
    out = np.full(len(y), np.nan)
    for k in np.unique(fold):
        test = fold[image] == k
        if test.any():
            out[test] = make().fit(x[~test], y[~test], groups=image[~test]).predict(x[test])
    return out


def find_by_meta(kept: Collected, space: LabelSpace, options: AuditOptions) -> Found:
    """Score the candidates by the published method.

    A candidate's score is the probability, by the cross-fitted meta classifier, that the predicted
    segment behind it is a true object although the label denies it (IoU = 0). Candidates are the
    regions of disagreement that make up most of such a segment.

    Returns:
        The places; with the meta models' quality.
    """
    table = pq.ParquetDataset([str(p) for p in kept.tables]).read()
    ours = column(table, "source") == "prediction"
    table = table.filter(ours)
    names = column(table, "image_id")
    order = {w.image_id: i for i, w in enumerate(kept.works)}
    image = np.array([order[str(name)] for name in names], np.int64)
    x, columns = feature_matrix(table)
    iou, iou0 = column(table, "iou_adj").astype(float), column(table, "iou0").astype(bool)
    if len(kept.works) < 2 or len(np.unique(iou0)) < 2:
        return _nothing(
            "too little to fit a meta classifier: it needs two images with true and false segments"
        )
    fold = image_folds([w.image_id for w in kept.works], min(options.folds, len(kept.works)), options.seed)
    zero = cross_fit(x, iou0.astype(float), image, fold, lambda: MetaClassifier("l1", seed=options.seed))
    boosted = cross_fit(x, iou0.astype(float), image, fold, lambda: MetaClassifier(seed=options.seed))
    estimated = cross_fit(x, iou, image, fold, lambda: MetaRegressor(seed=options.seed))
    quality = _quality(iou0, iou, zero, boosted, estimated, x, columns)
    images, candidates, score = _to_candidates(kept.works, image, table, zero)
    return Found(images, candidates, score, score, np.full(len(score), np.nan), None, quality)


def _nothing(note: str) -> Found:
    empty = np.zeros(0)
    ints = empty.astype(np.int64)
    return Found(ints, ints, empty, empty, empty, None, None, note)


def _to_candidates(
    works: list[ImageWork], image: npt.NDArray[np.int64], table: Any, zero: Floats
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """Hand each denied segment's score to the disagreement candidate with the same box and class."""
    boxes = np.column_stack([column(table, name) for name in ("x0", "y0", "x1", "y1")])
    classes, denied = column(table, "class"), column(table, "iou0").astype(bool)
    source = SOURCES.index("disagreement")
    found: list[tuple[int, int, float]] = []
    for n, work in enumerate(works):
        rows = np.flatnonzero((image == n) & denied)
        score = {(*boxes[r], classes[r]): 1 - zero[r] for r in rows}
        x = work.places.x
        proposed = x[:, FEATURES.index("proposed")].astype(int)
        for k in np.flatnonzero(x[:, 0] == source):
            key = (*work.places.box[k], proposed[k])
            if key in score:
                found.append((n, int(k), float(score[key])))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    images, candidates, scores = zip(*found, strict=True)
    return np.array(images, np.int64), np.array(candidates, np.int64), np.array(scores)


def _quality(
    iou0: npt.NDArray[np.bool_],
    iou: Floats,
    zero: Floats,
    boosted: Floats,
    estimated: Floats,
    x: Floats,
    columns: list[str],
) -> Quality:
    """AUROC and AP of the meta classifiers, R² of the regression, with naive baselines beside them."""
    from sklearn.metrics import average_precision_score, r2_score, roc_auc_score

    def rank(score: Floats) -> dict[str, float]:
        return {
            "auroc": float(roc_auc_score(iou0, score)),
            "ap": float(average_precision_score(iou0, score)),
        }

    bins = reliability_bins(zero, iou0, np.ones(len(zero)))
    best = rank(zero)
    baselines = {
        "gradient boosting": rank(boosted),
        "mean entropy": rank(x[:, columns.index("entropy")]),
        "small size": rank(-x[:, columns.index("size")]),
    }
    entropy = x[:, columns.index("entropy")]
    naive = np.polyval(np.polyfit(entropy, iou, 1), entropy)
    return Quality(
        auroc=best["auroc"],
        ap=best["ap"],
        ece=sum(n * abs(a - b) for a, b, n in bins) / max(len(zero), 1),
        brier=float(((zero - iou0) ** 2).mean()),
        share=float(iou0.mean()),
        baselines=baselines,
        reliability=bins,
        title="Meta classification: is a predicted segment a false positive?",
        rows=[
            ("segments", float(len(iou))),
            ("R² of the estimated IoU", float(r2_score(iou, estimated))),
            (
                "R² from mean entropy alone",
                float(r2_score(iou, naive)),
            ),
        ],
    )
