"""The finder: a classifier that learned from planted errors, applied to the labels as given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.seeds import derive_seed
from dubio.engine.map import map_ordered
from dubio.errors.features import FEATURES
from dubio.errors.prior import Evidence, error_probability, expit, platt
from dubio.errors.store import ImageWork
from dubio.regions.boosting import BoostedTrees

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# Fewer planted errors among the candidates, or fewer images, teach nothing.
MIN_POSITIVES, MIN_IMAGES = 25, 3
CONTEXT = ("class_p", "class_confusion", "class_precision", "class_share")


@dataclass
class Quality:
    """How well the finder does on planted errors in images that it has not seen.

    ``auroc`` and ``ap`` are over places (overlapping candidates count once); ``baselines`` holds the
    same for simple scores; ``ece`` is the calibration error of the probability (15 equal-population
    bins); ``reliability`` its bins: mean probability, share of planted, number. ``title`` says what was
    measured, ``rows`` holds further figures.
    """

    auroc: float = float("nan")
    ap: float = float("nan")
    ece: float = float("nan")
    brier: float = float("nan")
    share: float = float("nan")
    planted: int = 0
    met: int = 0
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    reliability: list[tuple[float, float, int]] = field(default_factory=list)
    title: str = "Planted errors in unseen images"
    rows: list[tuple[str, float]] = field(default_factory=list)


@dataclass
class Found:
    """Places of the given labels with their probability, in order of images and candidates.

    Attributes:
        image: ``(n,)`` position of the image in the list given.
        candidate: ``(n,)`` position of the place's best candidate within the image.
        score: ``(n,)`` the classifier's calibrated probability of a planted error.
        probability: ``(n,)`` probability of an error in the given labels.
        odds: ``(n,)`` likelihood ratio of an error against all places.
        evidence: what the share of errors is estimated from; ``None`` if nothing is calibrated.
        quality: measured on planted errors; ``None`` for the label-free ranking.
        note: why the label-free ranking was used, or empty.
    """

    image: Ints
    candidate: Ints
    score: Floats
    probability: Floats
    odds: Floats
    evidence: Evidence | None
    quality: Quality | None
    note: str = ""


def find(
    works: list[ImageWork],
    *,
    folds: int = 5,
    seed: int = 0,
    error_rate: float | None = None,
    workers: int | None = None,
) -> Found:
    """Score all places of the given labels, each by a model that never saw its image.

    Args:
        works: the images' candidates.
        folds: number of parts for cross-fitting; an image's part depends on its id and the seed.
        seed: seed.
        error_rate: errors per label region to assume; ``None`` estimates it.
        workers: models fitted at once; default: all processors.
        workers: models fitted at once; default: all processors.

    Returns:
        The places; by a label-free ranking if there is too little to learn from.
    """
    given = _stack([w.places.x for w in works])
    image = np.repeat(np.arange(len(works)), [len(w.places.x) for w in works])
    context = class_context(works)
    given = np.column_stack([given, context.rows(given)])
    group = _groups(works, [w.places.group for w in works])
    y = np.concatenate([w.planting.y for w in works]) if works else np.zeros(0, np.int8)
    if len(works) < MIN_IMAGES or (y == 1).sum() < MIN_POSITIVES:
        return _label_free(works, int((y == 1).sum()))
    learn = _stack([w.planting.x for w in works])
    learn = np.column_stack([learn, context.rows(learn)])
    weight = np.concatenate([w.planting.weight for w in works]).astype(np.float64)
    learn_image = np.repeat(np.arange(len(works)), [len(w.planting.x) for w in works])
    fold = image_folds([w.image_id for w in works], min(folds, len(works)), seed)
    z_given, z_learn = np.full(len(given), np.nan), np.full(len(learn), np.nan)
    if any(len(np.unique(y[(fold[learn_image] != k) & (y >= 0)])) < 2 for k in np.unique(fold)):
        return _label_free(works, int((y == 1).sum()))

    def fit_fold(k: int) -> BoostedTrees:
        rows = (fold[learn_image] != k) & (y >= 0)
        return BoostedTrees(seed=seed % 2**31).fit(learn[rows], y[rows], weight[rows])

    parts = [int(k) for k in np.unique(fold)]
    for k, model in zip(parts, map_ordered(fit_fold, parts, workers=workers), strict=True):
        z_given[fold[image] == k] = model.decision(given[fold[image] == k])
        mine = fold[learn_image] == k
        z_learn[mine] = model.decision(learn[mine])
    learn_group = _groups(works, [w.planting.group for w in works])
    best = representatives(z_learn, learn_group)
    best = best[y[best] >= 0]
    a, b = platt(z_learn[best], y[best] == 1, weight[best])
    learned = float((weight[best] * y[best]).sum() / weight[best].sum())
    kept = representatives(z_given, group)
    score = expit(a * z_given[kept] + b)
    known = best[y[best] == 1]
    evidence = Evidence.collect(z_learn[known], learn_image[known], z_given[kept], image[kept], len(works))
    if error_rate is not None:
        regions = sum(int(w.regions.sum()) for w in works)
        evidence = replace(evidence, fixed=min(error_rate * regions / max(len(score), 1), 1.0))
    odds = score / (1 - score) * (1 - learned) / learned
    quality = measure(expit(a * z_learn[best] + b), y[best] == 1, weight[best], learn[best], works)
    first = np.searchsorted(image, np.arange(len(works)))
    return Found(
        image[kept], kept - first[image[kept]], score, error_probability(odds, evidence.share()), odds,
        evidence, quality,
    )  # fmt: skip


def image_folds(image_ids: list[str], folds: int, seed: int) -> Ints:
    """Part of each image, ``0 … folds - 1``, balanced in size, by hash of id and seed.

    >>> sorted(image_folds(["a", "b", "c", "d"], 2, 0).tolist())
    [0, 0, 1, 1]
    """
    order = sorted(range(len(image_ids)), key=lambda i: derive_seed(seed, image_ids[i], "fold"))
    part = np.zeros(len(image_ids), np.int64)
    part[order] = np.arange(len(image_ids)) % folds
    return part


def representatives(z: Floats, group: Ints) -> Ints:
    """Position of the highest value of each group, ascending."""
    order = np.lexsort((z, group))
    last = np.append(group[order][1:] != group[order][:-1], True) if len(group) else np.zeros(0, bool)
    return np.sort(order[last])


@dataclass
class ClassContext:
    """What is usual for a class in this data set: pixel statistics of the labels as given."""

    p: Floats
    confusion: Floats
    precision: Floats
    share: Floats

    def rows(self, x: npt.NDArray[Any]) -> Floats:
        """Columns :data:`CONTEXT` for feature rows."""
        g = x[:, FEATURES.index("given")].astype(np.int64)
        c = x[:, FEATURES.index("proposed")].astype(np.int64)
        return np.column_stack([self.p[g], self.confusion[g, c], self.precision[c], self.share[g]])


def class_context(works: list[ImageWork]) -> ClassContext:
    """Mean probability of each class where it is labelled, confusion shares, precision, frequency."""
    n = len(works[0].p_sum) if works else 1
    confusion = sum((w.confusion for w in works), np.zeros((n, n + 1), np.int64)).astype(np.float64)
    total = confusion.sum(1)
    p = sum((w.p_sum for w in works), np.zeros(n)) / np.maximum(total, 1)
    predicted = np.maximum(confusion[:, :n].sum(0), 1)
    return ClassContext(
        p,
        confusion[:, :n] / np.maximum(total, 1)[:, None],
        np.diag(confusion[:, :n]) / predicted,
        total / max(total.sum(), 1),
    )


def _stack(parts: list[npt.NDArray[np.float32]]) -> Floats:
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros((0, len(FEATURES)))


def _groups(works: list[ImageWork], parts: list[npt.NDArray[np.int32]]) -> Ints:
    shifted, base = [], 0
    for part in parts:
        shifted.append(part.astype(np.int64) + base)
        base += int(part.max(initial=-1)) + 1
    return np.concatenate(shifted) if works else np.zeros(0, np.int64)


def _label_free(works: list[ImageWork], positives: int) -> Found:
    note = (
        f"too little to learn from ({len(works)} images, {positives} planted errors among the candidates): "
        "places are ranked by one minus the mean probability of the given label, which is not a calibrated "
        "probability of an error"
    )
    return rank_by(works, lambda x: 1 - x[:, FEATURES.index("p_given")], note)


def rank_by(works: list[ImageWork], score: Callable[[Floats], Floats], note: str = "") -> Found:
    """Rank places by a simple score of their features, clipped to 0 … 1; a baseline, not calibrated.

    Args:
        works: the images' candidates.
        score: from features ``(n, len(FEATURES))`` to ``(n,)``, high = suspect.
        note: goes into the result.
    """
    given = _stack([w.places.x for w in works])
    image = np.repeat(np.arange(len(works)), [len(w.places.x) for w in works])
    values = np.nan_to_num(score(given), nan=0.0)
    kept = representatives(values, _groups(works, [w.places.group for w in works]))
    first = np.searchsorted(image, np.arange(len(works)))
    s = np.clip(values[kept], 0, 1)
    return Found(image[kept], kept - first[image[kept]], s, s, np.full(len(s), np.nan), None, None, note)


def measure(
    p: Floats, y: npt.NDArray[np.bool_], weight: Floats, x: Floats, works: list[ImageWork]
) -> Quality:
    """Quality on planted errors, with simple scores beside it."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    def rank(score: Floats) -> dict[str, float]:
        s = np.nan_to_num(score, nan=-np.inf, neginf=-1e30)
        return {
            "auroc": float(roc_auc_score(y, s, sample_weight=weight)),
            "ap": float(average_precision_score(y, s, sample_weight=weight)),
        }

    def of(name: str) -> Floats:
        return np.asarray(x[:, FEATURES.index(name)])

    bins = reliability_bins(p, y, weight)
    total = weight.sum()
    best = rank(p)
    simple = {
        "1 - probability of the label": 1 - of("p_given"),
        "certainty (1 - entropy)": 1 - of("entropy"),
        "size": of("log_size"),
    }
    return Quality(
        auroc=best["auroc"],
        ap=best["ap"],
        ece=sum(n * abs(a - b) for a, b, n in bins) / max(sum(n for *_, n in bins), 1),
        brier=float((weight * (p - y) ** 2).sum() / total),
        share=float((weight * y).sum() / total),
        planted=sum(w.planting.planted for w in works),
        met=sum(w.planting.found for w in works),
        baselines={name: rank(s) for name, s in simple.items() if not np.isnan(s).all()},
        reliability=bins,
    )


def reliability_bins(
    p: Floats, y: npt.NDArray[np.bool_], weight: Floats, bins: int = 15
) -> list[tuple[float, float, int]]:
    """Mean probability, share of positives and number of rows in bins of equal population."""
    order = np.argsort(p, kind="stable")
    found = []
    for part in np.array_split(order, min(bins, max(len(p), 1))):
        if len(part):
            w = weight[part]
            mean, share = (w * p[part]).sum() / w.sum(), (w * y[part]).sum() / w.sum()
            found.append((float(mean), float(share), len(part)))
    return found
