"""The finder: a classifier that learned from planted errors, applied to the labels as given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.engine.map import map_ordered
from dubio.errors.found import Found, Interval, part_of
from dubio.errors.judge import Judge
from dubio.errors.kind_odds import KindOdds, guilty, kind_odds, planted_shares, posterior
from dubio.errors.kind_shares import KindEvidence
from dubio.errors.kinds import KindHead
from dubio.errors.odds import expit, logit, platt
from dubio.errors.prior import Evidence, error_probability
from dubio.errors.quality import measure
from dubio.errors.reviewed import Reviewed, place_verdicts
from dubio.errors.rows import (
    Rows,
    from_reviewed,
    given_rows,
    groups,
    image_folds,
    learn_rows,
    representatives,
    stack,
)
from dubio.errors.traits import Score, Traits, Work, traits_of

__all__ = ["Found", "Interval", "find", "image_folds", "rank_by", "representatives"]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
# Probability of a place that a reviewer found wrong (and one minus it, of one found fine).
CERTAIN = 0.99
# Fewer planted errors among the candidates, or fewer images, teach nothing.
MIN_POSITIVES, MIN_IMAGES = 25, 3
_TINY = 1e-12
# Thresholds at which the share of a kind may be read off.
_KIND_BINS = 200


def find(
    works: Sequence[Work],
    *,
    folds: int = 5,
    seed: int = 0,
    error_rate: float | None = None,
    workers: int | None = None,
    reviewed: Reviewed | None = None,
) -> Found:
    """Score all places of the given labels, each by a model that never saw its image.

    Args:
        works: the images' candidates, of masks or of boxes.
        folds: number of parts for cross-fitting; an image's part depends on its id and the seed.
        seed: seed.
        error_rate: errors per label region to assume; ``None`` estimates it.
        workers: models fitted at once; default: all processors.
        reviewed: what reviewers decided before: rows to learn from, and a check of the probabilities.

    Returns:
        The places; by a label-free ranking if there is too little to learn from.
    """
    traits = traits_of(works)
    decided = [dict[int, bool]() for _ in works] if reviewed is None else place_verdicts(reviewed, works)
    context = None if traits.context is None else traits.context(works)
    given = given_rows(works, traits, context)
    learn = learn_rows(works, traits, context, decided)
    fold = image_folds([w.image_id for w in works], min(folds, len(works)), seed) if works else given.image
    if not _teachable(learn, fold, len(works)):
        return _label_free(works, int((learn.y == 1).sum()))
    extra = from_reviewed(reviewed, works, traits, context, float((learn.y == 1).sum()))
    fitted = _cross_fit(given, learn, extra, fold, seed, workers, traits)
    best = representatives(fitted.z_learn, learn.group)
    best = best[learn.y[best] >= 0]
    if traits.usual is not None:
        best = best[traits.usual(works)[best]]
    wrong, weight = learn.y[best] == 1, learn.weight[best]
    a, b = platt(fitted.z_learn[best], wrong, weight)
    share = float(weight[wrong].sum() / weight.sum())
    kept = representatives(fitted.z_given, given.group)
    score = expit(a * fitted.z_given[kept] + b)
    first = np.searchsorted(given.image, np.arange(len(works)))
    verdict = _verdicts(works, given, kept, first, decided)
    odds = score / (1 - score) * (1 - share) / share
    regions = sum(w.n_regions for w in works)
    fixed = None if error_rate is None else min(error_rate * regions / max(len(score), 1), 1.0)
    learned = expit(a * fitted.z_learn[best] + b)
    scores = _Scores(
        part_of(given.image[kept]), part_of(learn.image[best]), fitted.z_given[kept], fitted.z_learn[best],
        int(part_of(np.arange(len(works))).max()) + 1, verdict,
    )  # fmt: skip
    kinds, kinds_learned = fitted.kinds(given, kept, fold), fitted.kinds(learn, best, fold)
    evidence: Evidence | KindEvidence
    if traits.calls:
        shares = planted_shares(learn, best, wrong, len(traits.calls))
        kinds = guilty(traits, given.x[kept], kinds)
        prior = float(logit(share))
        z = kind_odds(
            traits,
            (logit(score) - prior, kinds, given.x[kept]),
            (logit(learned) - prior, kinds_learned, learn.x[best]),
            np.where(wrong, learn.kind[best], -1).astype(np.int8), weight, shares,
        )  # fmt: skip
        odds = np.exp(z.given)
        evidence = scores.by_kind(wrong, z, learn.kind[best], shares)
        evidence = evidence if fixed is None else evidence.assume(fixed)
        p = error_probability(odds, evidence.share())
        kinds = posterior(odds * evidence.share(), kinds)
        as_planted = np.exp(z.learned) * shares
        kinds_learned = posterior(as_planted, kinds_learned)
        learned = expit(np.log(np.maximum(as_planted.sum(1), _TINY)) + prior)
    else:
        evidence = replace(scores.evidence(wrong), fixed=fixed)
        p = error_probability(odds, evidence.share())
    # what a person has seen is as good as known
    p[verdict > 0], p[verdict < 0] = CERTAIN, 1 - CERTAIN
    quality = measure(
        learned, wrong, weight, learn.x[best], works, kind=learn.kind[best], kinds=kinds_learned
    )
    return Found(
        given.image[kept], kept - first[given.image[kept]], score, p, odds, evidence, quality,
        verdict=verdict, kinds=kinds, calls=traits.calls,
    )  # fmt: skip


def _verdicts(
    works: Sequence[Work], given: Rows, kept: Ints, first: Ints, decided: list[dict[int, bool]]
) -> npt.NDArray[np.int8]:
    """1 accepted, -1 rejected, 0 not judged, per kept place."""
    out = np.zeros(len(kept), np.int8)
    if not any(decided):
        return out
    for n, row in enumerate(kept):
        image = int(given.image[row])
        verdict = decided[image].get(int(works[image].places.group[row - first[image]]))
        out[n] = 0 if verdict is None else (1 if verdict else -1)
    return out


@dataclass(frozen=True)
class _Scores:
    """Log odds of places as given and of planted ones, with their part of the evidence."""

    part: Ints
    part_learned: Ints
    z: Floats
    z_learned: Floats
    parts: int
    verdict: npt.NDArray[np.int8]

    def evidence(self, wrong: Flags, **options: Any) -> Evidence:
        """Of these errors."""
        return Evidence.collect(
            self.z_learned[wrong], self.part_learned[wrong], self.z, self.part, self.parts,
            verdict=self.verdict, **options,
        )  # fmt: skip

    def by_kind(self, wrong: Flags, z: KindOdds, kind: npt.NDArray[np.int8], planted: Floats) -> KindEvidence:
        """Of each kind by itself; verdicts count for the kind that a place looks like."""
        found = []
        looks = z.given.argmax(1)
        for k in range(len(planted)):
            mine = replace(
                self,
                z=z.given[:, k],
                z_learned=z.learned[:, k],
                verdict=np.where(looks == k, self.verdict, 0).astype(np.int8),
            )
            found.append(mine.evidence(wrong & (kind == k), bins=_KIND_BINS, of_known=True))
        return KindEvidence(tuple(found), planted)


def _teachable(learn: Rows, fold: Ints, n_images: int) -> bool:
    if n_images < MIN_IMAGES or (learn.y == 1).sum() < MIN_POSITIVES:
        return False
    others = ((fold[learn.image] != k) & (learn.y >= 0) for k in np.unique(fold))
    return all(len(np.unique(learn.y[rows])) == 2 for rows in others)


class _Fitted:
    """Cross-fitted log odds, and the heads that tell kinds apart, by fold."""

    def __init__(self, n_given: int, n_learn: int, traits: Traits) -> None:
        self.z_given, self.z_learn = np.full(n_given, np.nan), np.full(n_learn, np.nan)
        self.heads: dict[int, KindHead] = {}
        self.traits = traits

    def kinds(self, rows: Rows, chosen: Ints, fold: Ints) -> Floats:
        """Probability of each kind of some rows, by heads that didn't see their images."""
        out = np.zeros((len(chosen), len(self.traits.calls)))
        part = fold[rows.image[chosen]]
        for k, head in self.heads.items():
            mine = part == k
            if mine.any():
                out[mine] = head.predict(rows.x, chosen[mine])
        return out


def _cross_fit(
    given: Rows,
    learn: Rows,
    extra: Rows | None,
    fold: Ints,
    seed: int,
    workers: int | None,
    traits: Traits,
) -> _Fitted:
    """Log odds of the given and of the planted rows, by models that saw neither's image."""
    out = _Fitted(len(given.x), len(learn.x), traits)

    def fit(k: int) -> tuple[Judge, KindHead]:
        rows = np.flatnonzero((fold[learn.image] != k) & (learn.y >= 0))
        x, y, weight = learn.x[rows], learn.y[rows], learn.weight[rows]
        if extra is not None:
            other = (extra.image < 0) | (fold[extra.image] != k)
            x, y = np.concatenate([x, extra.x[other]]), np.concatenate([y, extra.y[other]])
            weight = np.concatenate([weight, extra.weight[other]])
        model = Judge(traits, seed % 2**31).fit(x, y, weight)
        return model, KindHead(traits, seed % 2**31).fit(learn, rows)

    parts = [int(k) for k in np.unique(fold)]
    for k, (model, head) in zip(parts, map_ordered(fit, parts, workers=workers), strict=True):
        here, mine = np.flatnonzero(fold[given.image] == k), np.flatnonzero(fold[learn.image] == k)
        out.z_given[here] = model.decision(given.x, here)
        out.z_learn[mine] = model.decision(learn.x, mine)
        if traits.calls:
            out.heads[k] = head
    return out


def _label_free(works: Sequence[Work], positives: int) -> Found:
    traits = traits_of(works)
    note = (
        f"too little to learn from ({len(works)} images, {positives} planted errors among the candidates): "
        f"places are ranked by {traits.free_words}, which is not a calibrated probability of an error"
    )
    return rank_by(works, traits.free, note)


def rank_by(works: Sequence[Work], score: Score, note: str = "") -> Found:
    """Rank places by a simple score of their features, clipped to 0 … 1; a baseline, not calibrated.

    Args:
        works: the images' candidates.
        score: from features ``(n, F)`` to ``(n,)``, high = suspect, or to ``(n, K)`` by kind: then the
            highest counts.
        note: goes into the result.
    """
    traits = traits_of(works)
    given = stack([w.places.x for w in works], traits).astype(np.float64)
    image = np.repeat(np.arange(len(works)), [len(w.places.x) for w in works])
    values = np.nan_to_num(score(given), nan=0.0)
    kinds = np.zeros((len(values), 0))
    if values.ndim == 2:
        values = guilty(traits, given, values)
        total = values.sum(1, keepdims=True)
        kinds = np.divide(values, total, out=np.full_like(values, 1 / values.shape[1]), where=total > 0)
        values = values.max(1, initial=0.0)
    kept = representatives(values, groups([w.places.group for w in works]))
    first = np.searchsorted(image, np.arange(len(works)))
    s = np.clip(values[kept], 0, 1)
    return Found(
        image[kept], kept - first[image[kept]], s, s, np.full(len(s), np.nan), None, None, note,
        kinds=kinds[kept], calls=traits.calls if kinds.shape[1] else (),
    )  # fmt: skip
