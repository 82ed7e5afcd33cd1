"""Metrics of many draws at once, from counts ``(draws, …)``; NaN where undefined."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.reliability import rank_metrics
from dubio.reliability.summary import COVERAGE, RISK

Floats = npt.NDArray[np.float64]


def _share(part: Floats, whole: npt.NDArray[Any]) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0))


def _class_mean(values: Floats, leave_out: Collection[int]) -> Floats:
    kept = np.delete(values, list(leave_out), axis=-1)
    return _share(np.nansum(kept, -1), (~np.isnan(kept)).sum(-1))


def _calibration(counts: list[Floats], norm: str) -> Floats:
    count, wrong, doubt = counts
    gap, n = np.abs(wrong - doubt), count.sum(-1)
    if norm == "l1":
        return _share(gap.sum(-1), n)
    by_bin = np.nan_to_num(_share(gap, count))
    if norm == "l2":
        return np.asarray(np.sqrt(_share((by_bin**2 * count).sum(-1), n)))
    return np.where(n > 0, by_bin.max(-1), np.nan)


def _ks(counts: list[Floats], _: Collection[int]) -> Floats:
    gaps, pixels = counts
    return _share(np.abs(np.cumsum(gaps, -1)).max(-1), pixels.sum(-1))


def _iou(counts: list[Floats]) -> Floats:
    right, label, pred = counts
    return _share(right, label + pred - right)


# name: the counts that a metric is made of, and how; classes: right, labelled, predicted of each class;
# diagram: pixels, wrong ones and sums of doubt of each bin; losses: sums of two losses and pixels;
# gaps: wrong pixels minus sums of doubt by falling doubt, and pixels
PLAIN: dict[str, tuple[str, Callable[[list[Floats], Collection[int]], Floats]]] = {
    "accuracy": ("dense.classes", lambda c, _: _share(c[0].sum(-1), c[1].sum(-1))),
    "mean_accuracy": ("dense.classes", lambda c, out: _class_mean(_share(c[0], c[1]), out)),
    "mean_iou": ("dense.classes", lambda c, out: _class_mean(_iou(c), out)),
    "ece": ("dense.diagram", lambda c, _: _calibration(c, "l1")),
    "rmsce": ("dense.diagram", lambda c, _: _calibration(c, "l2")),
    "mce": ("dense.diagram", lambda c, _: _calibration(c, "max")),
    "mean_confidence": ("dense.diagram", lambda c, _: 1 - _share(c[2].sum(-1), c[0].sum(-1))),
    "nll": ("dense.losses", lambda c, _: _share(c[0][..., 0], c[0][..., 2])),
    "brier": ("dense.losses", lambda c, _: _share(c[0][..., 1], c[0][..., 2])),
    "ks": ("gaps.", _ks),
}
RANKED: dict[str, Callable[[Floats, Floats], Floats]] = {
    "auroc": rank_metrics.auroc,
    "prr": lambda pos, neg: 2 * rank_metrics.auroc(pos, neg) - 1,
    "aupr": rank_metrics.average_precision,
    "aupr_rest": lambda pos, neg: rank_metrics.average_precision(neg[..., ::-1], pos[..., ::-1]),
    "fpr95": rank_metrics.false_positive_rate,
    "aurc": rank_metrics.aurc,
    "excess_aurc": lambda pos, neg: rank_metrics.aurc(pos, neg) - rank_metrics.best_aurc(pos, neg),
    "coverage_at_risk_5": lambda pos, neg: rank_metrics.coverage_at_risk(pos, neg, RISK),
    "risk_at_coverage_80": lambda pos, neg: rank_metrics.risk_at_coverage(pos, neg, COVERAGE),
}
