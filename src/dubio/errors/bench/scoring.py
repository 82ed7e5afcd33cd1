"""How well a ranked list of findings finds known errors, with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.seeds import rng_for
from dubio.errors.bench import tally as count
from dubio.errors.bench.matching import MATCH_IOU, Rows, match
from dubio.errors.bench.parts import Known, Measures, Sums, by_class, by_kind
from dubio.errors.bench.result import ClassScore, Effort, Estimate, KindScore, Point, Score
from dubio.errors.bench.truth import Truth
from dubio.errors.findings import Finding

Floats = npt.NDArray[np.float64]
BUDGETS = (10, 20, 50, 100, 200, 500)
THRESHOLDS = tuple(round(0.05 * k, 2) for k in range(21))
SHARES = (0.25, 0.5, 0.75)
# 90 % intervals, like those of the audit.
_TAILS = (0.05, 0.95)
# Numbers per array while draws are counted: 32 MB.
_CELLS = 1 << 22


def score(
    findings: Sequence[Finding],
    truth: Truth,
    *,
    match_iou: float = MATCH_IOU,
    draws: int = 1000,
    seed: int = 0,
    budgets: Sequence[int] = BUDGETS,
    thresholds: Sequence[float] = THRESHOLDS,
    workers: int | None = None,
) -> Score:
    """Score a ranked list against known errors.

    Findings and errors are matched one to one down the list (see
    :func:`dubio.errors.bench.matching.match`), each error by its own region: errors that touch stay two.
    Intervals are 90 % percentile intervals of a bootstrap over images: each draw takes as many images as
    there are, with repetition, and measures on their matched findings. Errors that the labels had before any
    were planted count as false findings: a score on real labels is a lower bound.

    Args:
        findings: the list; its order is that of the probabilities, whatever the order given.
        truth: the known errors.
        match_iou: IoU from which a finding meets an error; 0.25 as published.
        draws: bootstrap draws; 0: no intervals.
        seed: seed of the draws.
        budgets: numbers of findings to read; the number of errors is added.
        thresholds: probabilities, each with all findings at or above it.
        workers: images at once; default: all processors.

    Returns:
        The score. With no errors every share of them is NaN; an empty list has an average precision of 0.

    Raises:
        InputError: a truth without images, bad options, or findings that don't fit the truth.
    """
    _check(truth, draws, budgets, thresholds)
    rows = match(findings, truth, match_iou=match_iou, workers=workers)
    return score_rows(
        rows, truth, len(findings), match_iou=match_iou, draws=draws, seed=seed, budgets=budgets,
        thresholds=thresholds,
    )  # fmt: skip


def _check(truth: Known, draws: int, budgets: Sequence[int], thresholds: Sequence[float]) -> None:
    if not truth.shapes:
        raise InputError("the truth has no images", path=truth.folder)
    if draws < 0 or any(b < 1 for b in budgets) or any(not 0 <= t <= 1 for t in thresholds):
        raise InputError("draws and budgets are whole numbers, thresholds lie in 0 … 1")


def score_rows(
    rows: Rows,
    truth: Known,
    listed: int,
    *,
    match_iou: float,
    draws: int,
    seed: int,
    budgets: Sequence[int],
    thresholds: Sequence[float],
    lists: Mapping[str, Rows] | None = None,
) -> Score:
    """Score findings that are matched already (see :func:`score`).

    Args:
        rows: the matched findings.
        truth: the known errors, of masks or of boxes.
        listed: findings in the list as it was given.
        match_iou: as in :func:`score`, like what follows.
        draws: bootstrap draws.
        seed: seed of the draws.
        budgets: numbers of findings to read.
        thresholds: probabilities.
        lists: a list of each kind, matched; ``None``: kinds have no average precision.
    """
    _check(truth, draws, budgets, thresholds)
    sums = _sums(rows, truth, budgets, thresholds, lists or {})
    point = _measure(sums, np.ones((1, len(truth.shapes))))
    low, high = _interval(sums, len(truth.shapes), draws, seed)

    def estimate(name: str, k: int = 0) -> Estimate:
        return Estimate(float(point[name][0, k]), float(low[name][k]), float(high[name][k]))

    hits = np.full(listed, -1, np.int64)
    hits[rows.place] = rows.error
    return Score(
        images=len(truth.shapes),
        errors=len(truth.errors),
        listed=len(rows),
        outside=len(rows.outside),
        match_iou=match_iou,
        draws=draws,
        **{name: estimate(name) for name in ("ap", "auc_published", "recall", "best_f1")},
        best_threshold=float(point["best_threshold"][0, 0]),
        points=tuple(
            Point(
                "budget" if k < len(sums.budgets) else "threshold",
                float(at),
                float(point["read"][0, k]),
                float(point["hits"][0, k]),
                estimate("precision_at", k),
                estimate("recall_at", k),
                estimate("f1_at", k),
            )
            for k, at in enumerate((*sums.budgets, *sums.thresholds))
        ),
        effort=tuple(Effort(share, estimate("effort", k)) for k, share in enumerate(SHARES)),
        kinds=tuple(
            KindScore(
                kind,
                int((sums.kind_of == k).sum()),
                estimate("kind_recall_at", k),
                estimate("kind_recall", k),
                estimate("kind_ap", k),
            )
            for k, kind in enumerate(sums.kinds)
        ),
        classes=tuple(
            ClassScore(
                truth.space.name_of(index), index, int((sums.class_of == index).sum()),
                estimate("class_ap", k), estimate("class_recall", k),
            )
            for k, index in enumerate(sums.classes)
        ),
        hits=hits,
        curve=_curve(sums),
    )  # fmt: skip


def _sums(
    rows: Rows,
    truth: Known,
    budgets: Iterable[int],
    thresholds: Iterable[float],
    lists: Mapping[str, Rows],
) -> Sums:
    position = {name: i for i, name in enumerate(sorted(truth.shapes))}
    kinds = tuple(sorted({e.called for e in truth.errors}))
    image_of = np.array([position[e.image_id] for e in truth.errors], np.int64)
    class_of = np.array([e.concerned for e in truth.errors], np.int64)
    return Sums(
        rows,
        np.bincount(image_of, minlength=len(position)).astype(float),
        image_of,
        np.array([kinds.index(e.called) for e in truth.errors], np.int64),
        class_of,
        kinds,
        tuple(sorted({*class_of.tolist(), *rows.concerned.tolist()})),
        tuple(sorted({*budgets, len(truth.errors)} - {0})) if truth.errors else tuple(sorted(set(budgets))),
        tuple(thresholds),
        lists,
    )


def _interval(sums: Sums, n_images: int, draws: int, seed: int) -> tuple[Measures, Measures]:
    """Both ends of the intervals of all measures; NaN without draws or with a single image."""
    parts: list[Measures] = []
    if n_images > 1:
        rng = rng_for(seed, "benchmark score", "bootstrap")
        step = max(1, _CELLS // max(len(sums.rows), n_images, 1))
        even = np.full(n_images, 1 / n_images)
        for start in range(0, draws, step):
            size = min(step, draws - start)
            parts.append(_measure(sums, rng.multinomial(n_images, even, size=size).astype(float)))
    if not parts:
        parts = [{k: np.full_like(v, np.nan) for k, v in _measure(sums, np.ones((1, n_images))).items()}]
    drawn = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    low = {name: _quantile(values, _TAILS[0], "lower") for name, values in drawn.items()}
    return low, {name: _quantile(values, _TAILS[1], "higher") for name, values in drawn.items()}


def _quantile(values: Floats, q: float, method: str) -> Floats:
    """Quantile of each column over its defined values; an actual value, since some are infinite."""
    ordered = np.sort(values, axis=0)  # NaN last
    defined = (~np.isnan(values)).sum(0)
    place = (np.floor if method == "lower" else np.ceil)(q * np.maximum(defined - 1, 0)).astype(int)
    return np.asarray(np.take_along_axis(ordered, place[None], axis=0)[0])


def _measure(sums: Sums, weights: Floats) -> Measures:
    """All measures of each draw, each ``(D, K)``."""
    rows = sums.rows
    hit = rows.error >= 0
    t = count.tally(rows.probability, rows.image, hit, sums.errors_of, weights)
    budget = np.array(sums.budgets, float)
    # The number of errors is another one in each draw.
    wanted = np.where(budget == len(sums.image_of), t.errors[:, None], budget)
    read_b, hits_b = count.at_budget(t, wanted)
    read_t, hits_t = count.at_threshold(t, sums.thresholds)
    read, hits = np.concatenate([read_b, read_t], 1), np.concatenate([hits_b, hits_t], 1)
    precision, recall, f1 = count.rates(read, hits, t.errors)
    best, threshold = count.best_f1(t)
    single = {
        "ap": count.average_precision(t), "auc_published": count.published_auc_of(t),
        "recall": count.recall(t), "best_f1": best, "best_threshold": threshold,
    }  # fmt: skip
    return {
        **{name: values[:, None] for name, values in single.items()},
        "read": read, "hits": hits, "precision_at": precision, "recall_at": recall, "f1_at": f1,
        "effort": count.effort(t, SHARES),
        **by_kind(sums, t, weights), **by_class(sums, weights),
    }  # fmt: skip


def _curve(sums: Sums) -> dict[str, Floats]:
    rows = sums.rows
    t = count.tally(
        rows.probability, rows.image, rows.error >= 0, sums.errors_of, np.ones((1, len(sums.errors_of)))
    )
    precision, recall, f1 = count.rates(t.read, t.hits, t.errors)
    names = ("probability", "read", "hits", "precision", "recall", "f1")
    columns = (t.level, t.read[0], t.hits[0], precision[0], recall[0], f1[0])
    return dict(zip(names, columns, strict=True))
