"""The finder: a classifier that learned from planted errors, applied to the labels as given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from dubio.core.seeds import derive_seed
from dubio.engine.map import map_ordered
from dubio.errors.context import ClassContext, class_context
from dubio.errors.feature_names import FEATURES
from dubio.errors.odds import expit, platt
from dubio.errors.prior import Evidence, error_probability, expected_errors
from dubio.errors.quality import Quality, measure
from dubio.errors.reviewed import Reviewed, place_verdicts, row_weight, wrong_rows
from dubio.errors.store import ImageWork
from dubio.regions.boosting import BoostedTrees

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Interval = tuple[float, float, float]
# Probability of a place that a reviewer found wrong (and one minus it, of one found fine).
CERTAIN = 0.99
# Fewer planted errors among the candidates, or fewer images, teach nothing.
MIN_POSITIVES, MIN_IMAGES = 25, 3


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
        verdict: ``(n,)`` int8: 1 found wrong by a reviewer before, -1 found fine, 0 not judged.
    """

    image: Ints
    candidate: Ints
    score: Floats
    probability: Floats
    odds: Floats
    evidence: Evidence | None
    quality: Quality | None
    note: str = ""
    verdict: npt.NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))

    def __post_init__(self) -> None:
        if len(self.verdict) != len(self.image):
            self.verdict = np.zeros(len(self.image), np.int8)

    def expected(self, chosen: npt.NDArray[np.bool_] | None = None, *, seed: int = 0) -> Interval:
        """Expected number of errors among the chosen places (default: all) with a 90 % interval.

        Raises:
            ValueError: nothing is calibrated.
        """
        if self.evidence is None:
            raise ValueError("the ranking is not calibrated")
        mine = np.ones(len(self.image), bool) if chosen is None else chosen
        return expected_errors(
            self.odds[mine], self.image[mine], self.evidence, seed=seed, verdict=self.verdict[mine]
        )


@dataclass
class _Rows:
    """Rows of features with their image and place; ``y`` is 1 wrong, 0 fine, -1 neither."""

    x: Floats
    image: Ints
    group: Ints
    y: npt.NDArray[np.int8]
    weight: Floats


def find(
    works: list[ImageWork],
    *,
    folds: int = 5,
    seed: int = 0,
    error_rate: float | None = None,
    workers: int | None = None,
    reviewed: Reviewed | None = None,
) -> Found:
    """Score all places of the given labels, each by a model that never saw its image.

    Args:
        works: the images' candidates.
        folds: number of parts for cross-fitting; an image's part depends on its id and the seed.
        seed: seed.
        error_rate: errors per label region to assume; ``None`` estimates it.
        workers: models fitted at once; default: all processors.
        reviewed: what reviewers decided before: rows to learn from, and a check of the probabilities.

    Returns:
        The places; by a label-free ranking if there is too little to learn from.
    """
    decided = [dict[int, bool]() for _ in works] if reviewed is None else place_verdicts(reviewed, works)
    context = class_context(works)
    given = _given_rows(works, context)
    learn = _learn_rows(works, context, decided)
    fold = image_folds([w.image_id for w in works], min(folds, len(works)), seed) if works else given.image
    if not _teachable(learn, fold, len(works)):
        return _label_free(works, int((learn.y == 1).sum()))
    extra = _reviewed_rows(reviewed, works, context, float((learn.y == 1).sum()))
    z_given, z_learn = _cross_fit(given, learn, extra, fold, seed, workers)
    best = representatives(z_learn, learn.group)
    best = best[learn.y[best] >= 0]
    wrong, weight = learn.y[best] == 1, learn.weight[best]
    a, b = platt(z_learn[best], wrong, weight)
    share = float(weight[wrong].sum() / weight.sum())
    kept = representatives(z_given, given.group)
    score = expit(a * z_given[kept] + b)
    known = best[wrong]
    first = np.searchsorted(given.image, np.arange(len(works)))
    verdict = _verdicts(works, given, kept, first, decided)
    evidence = Evidence.collect(
        z_learn[known], learn.image[known], z_given[kept], given.image[kept], len(works), verdict=verdict
    )
    if error_rate is not None:
        regions = sum(int(w.regions.sum()) for w in works)
        evidence = replace(evidence, fixed=min(error_rate * regions / max(len(score), 1), 1.0))
    odds = score / (1 - score) * (1 - share) / share
    p = error_probability(odds, evidence.share())
    # what a person has seen is as good as known
    p[verdict > 0], p[verdict < 0] = CERTAIN, 1 - CERTAIN
    return Found(
        given.image[kept], kept - first[given.image[kept]], score, p, odds, evidence,
        measure(expit(a * z_learn[best] + b), wrong, weight, learn.x[best], works),
        verdict=verdict,
    )  # fmt: skip


def _verdicts(
    works: list[ImageWork], given: _Rows, kept: Ints, first: Ints, decided: list[dict[int, bool]]
) -> npt.NDArray[np.int8]:
    """1 accepted, -1 rejected, 0 not judged, per kept place."""
    out = np.zeros(len(kept), np.int8)
    for n, row in enumerate(kept):
        image = int(given.image[row])
        verdict = decided[image].get(int(works[image].places.group[row - first[image]]))
        out[n] = 0 if verdict is None else (1 if verdict else -1)
    return out


def _given_rows(works: list[ImageWork], context: ClassContext) -> _Rows:
    x = _stack([w.places.x for w in works])
    image = np.repeat(np.arange(len(works)), [len(w.places.x) for w in works])
    group = _groups(works, [w.places.group for w in works])
    nothing = np.full(len(x), -1, np.int8)
    return _Rows(np.column_stack([x, context.rows(x)]), image, group, nothing, np.ones(len(x)))


def _learn_rows(works: list[ImageWork], context: ClassContext, decided: list[dict[int, bool]]) -> _Rows:
    """Rows of the planted copies; places whose label was found wrong don't pass for good ones."""
    x = _stack([w.planting.x for w in works])
    marks = []
    for work, known in zip(works, decided, strict=True):
        y = work.planting.y.copy()
        if any(known.values()):
            y[(y == 0) & wrong_rows(work, known)] = -1
        marks.append(y)
    weights = [w.planting.weight for w in works]
    return _Rows(
        np.column_stack([x, context.rows(x)]),
        np.repeat(np.arange(len(works)), [len(w.planting.x) for w in works]),
        _groups(works, [w.planting.group for w in works]),
        np.concatenate(marks) if works else np.zeros(0, np.int8),
        np.concatenate(weights).astype(np.float64) if works else np.zeros(0),
    )


def _reviewed_rows(
    reviewed: Reviewed | None, works: list[ImageWork], context: ClassContext, planted: float
) -> _Rows | None:
    """Rows of judged regions; those of images that are not in this audit belong to image -1."""
    if reviewed is None:
        return None
    told = np.isfinite(reviewed.x[:, FEATURES.index("given")])
    classes = len(context.p)
    for name in ("given", "proposed"):
        told &= np.nan_to_num(reviewed.x[:, FEATURES.index(name)]) < classes
    if not told.any():
        return None
    x = reviewed.x[told].astype(np.float64)
    number = {w.image_id: n for n, w in enumerate(works)}
    image = np.array([number.get(name, -1) for name in np.array(reviewed.image_id)[told]], np.int64)
    y = reviewed.accepted[told].astype(np.int8)
    weight = np.full(len(x), row_weight(len(x), planted))
    return _Rows(np.column_stack([x, context.rows(x)]), image, np.arange(len(x)), y, weight)


def _teachable(learn: _Rows, fold: Ints, n_images: int) -> bool:
    if n_images < MIN_IMAGES or (learn.y == 1).sum() < MIN_POSITIVES:
        return False
    others = ((fold[learn.image] != k) & (learn.y >= 0) for k in np.unique(fold))
    return all(len(np.unique(learn.y[rows])) == 2 for rows in others)


def _cross_fit(
    given: _Rows, learn: _Rows, extra: _Rows | None, fold: Ints, seed: int, workers: int | None
) -> tuple[Floats, Floats]:
    """Log odds of the given and of the planted rows, by models that saw neither's image."""
    z_given, z_learn = np.full(len(given.x), np.nan), np.full(len(learn.x), np.nan)

    def fit(k: int) -> BoostedTrees:
        rows = (fold[learn.image] != k) & (learn.y >= 0)
        x, y, weight = learn.x[rows], learn.y[rows], learn.weight[rows]
        if extra is not None:
            other = (extra.image < 0) | (fold[extra.image] != k)
            x, y = np.concatenate([x, extra.x[other]]), np.concatenate([y, extra.y[other]])
            weight = np.concatenate([weight, extra.weight[other]])
        return BoostedTrees(seed=seed % 2**31).fit(x, y, weight)

    parts = [int(k) for k in np.unique(fold)]
    for k, model in zip(parts, map_ordered(fit, parts, workers=workers), strict=True):
        here, mine = fold[given.image] == k, fold[learn.image] == k
        z_given[here], z_learn[mine] = model.decision(given.x[here]), model.decision(learn.x[mine])
    return z_given, z_learn


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
