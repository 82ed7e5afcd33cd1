"""A score per image: whole-image faults first, then images whose regions hold errors, then slips.

The table ``images.parquet`` (format 1), most suspect image first:

===================  ==================================================================
``image_id``         image
``score``            suspicion, 0 … 1. From 0.5 on the label looks more like one with a fault of the whole
                     than like the others; below, it is half the probability that a region or a slip
                     of a few pixels is wrong
``fault``            probability of a fault of the whole label; null if nothing was learned
``fault_kind``       what it looks like: ``unlabelled``, ``shifted``, ``mirrored``, ``renamed``; of boxes also
                     ``class_unlabelled``
``expected_errors``  expected number of wrong regions
``disagree``         share of pixels where model and label differ
``doubt``            one minus the mean probability of the label
``shift_y shift_x``  pixels by which the label would have to move to fit best
``specks``           label components of a few pixels; ``speck_pixels`` their pixels
``findings``         findings of the list that lie in it
``reason``           the reason in words
``picture``          path of the picture below the run folder, of the first dozen
===================  ==================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dubio.errors.finder import Found, image_folds
from dubio.errors.findings import Finding
from dubio.errors.odds import expit, platt
from dubio.errors.prior import Evidence, error_probability
from dubio.errors.traits import Work, traits_of
from dubio.regions.boosting import BoostedTrees

Floats = npt.NDArray[np.float64]
FORMAT = 1
# Fewer images teach nothing about images.
MIN_IMAGES = 12
# So many faulty copies are enough, however many images there are.
_ENOUGH = 1000
# A slip of a few pixels makes a label wrong, but not worth a look before a region does: k specks count
# as an error of probability _SPECK * k / (k + _SPECKS).
_SPECK, _SPECKS = 0.3, 3.0
# From this score on a label looks more like a faulty copy than like the labels as given.
_LIKE = 0.5
# Shares of the planted faults at which the share of real ones is read off. They are told apart so well that
# a threshold most of them pass is still a high one; real faults are often milder than planted ones.
_LEVELS = (0.5, 0.7, 0.8, 0.9)
# From this probability on a fault of the whole label is said in words.
SHOWN_FAULT = 0.2


@dataclass(frozen=True)
class ImageScores:
    """Scores of all images, in the order of the works.

    Attributes:
        score: ``(n,)`` suspicion: 0.5 … 1 faults of the whole, below half the probability of another error.
        fault: ``(n,)`` probability of a whole-image fault; NaN if nothing was learned.
        kind: ``(n,)`` position in the faults of the fault that it looks most like.
        expected: ``(n,)`` expected number of wrong regions; NaN where probabilities aren't calibrated.
        quality: AUROC and average precision on planted faults in unseen images; empty if not learned.
    """

    score: Floats
    fault: Floats
    kind: npt.NDArray[np.int64]
    expected: Floats
    quality: dict[str, float]


def score_images(works: Sequence[Work], found: Found, *, folds: int = 5, seed: int = 0) -> ImageScores:
    """Score the labels of whole images.

    Each image's fault probability comes from a classifier that learned from faulty copies of the other
    images' labels; its regions' probabilities come from the finder. An image is suspect by either.

    Args:
        works: the images' measures.
        found: the finder's places.
        folds: parts for cross-fitting.
        seed: seed.
    """
    n = len(works)
    like, fault, kind, quality = _faults(works, folds, seed)
    clean, expected = np.zeros(n), np.zeros(n)
    p = np.clip(np.nan_to_num(found.probability), 0, 0.999)
    np.add.at(clean, found.image, np.log1p(-p))
    np.add.at(expected, found.image, p)
    specks = np.array([w.whole.specks[0] for w in works], np.float64)
    slip = _SPECK * specks / (specks + _SPECKS)
    other = 1 - np.exp(clean) * (1 - slip)
    score = np.where(np.nan_to_num(like) >= _LIKE, _LIKE + (1 - _LIKE) * like, _LIKE * other)
    if found.evidence is None:
        # nothing is calibrated: the mean doubt ranks images, as the label-free ranking does regions
        doubt = traits_of(works).whole.features.index("doubt")
        score = np.array([np.nan_to_num(w.whole.x[doubt]) for w in works])
        expected = np.full(n, np.nan)
    return ImageScores(score, fault, kind, expected, quality)


def _faults(
    works: Sequence[Work], folds: int, seed: int
) -> tuple[Floats, Floats, npt.NDArray[np.int64], dict[str, float]]:
    """Score of a planted fault, probability of a real one, kind that it looks like, quality."""
    n = len(works)
    nothing = np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, np.int64), dict[str, float]()
    counts = Counter(int(k) for w in works for k in w.whole.kinds)
    if n < MIN_IMAGES or sum(counts.values()) < min(n, _ENOUGH):
        return nothing
    given = np.array([w.whole.x for w in works])
    faulty = np.concatenate([w.whole.faulty for w in works])
    owner = np.repeat(np.arange(n), [len(w.whole.faulty) for w in works])
    kinds = np.concatenate([w.whole.kinds for w in works])
    fold = image_folds([w.image_id for w in works], min(folds, n), seed)
    x = np.concatenate([given, faulty])
    y = np.arange(len(x)) >= n
    image = np.concatenate([np.arange(n), owner])
    # the copies of an image weigh together what its own label weighs
    weight = np.where(y, 1 / np.maximum(np.bincount(owner, minlength=n)[image], 1), 1.0)
    bins = traits_of(works).whole.max_bins
    z, looks = np.zeros(len(x)), np.zeros((n, len(traits_of(works).whole.faults)))
    for k in np.unique(fold):
        learn, mine = fold[image] != k, fold[image] == k
        model = _trees(seed, bins).fit(x[learn], y[learn], weight[learn])
        z[mine] = model.decision(x[mine])
        for number in counts:
            rows = learn & y
            target = np.concatenate([np.zeros(n, bool), kinds == number])[rows]
            if 0 < target.sum() < len(target):
                here = mine & ~y
                looks[here[:n], number] = _trees(seed, bins, 0.2, 40).fit(x[rows], target).decision(x[here])
    a, b = platt(z, y, weight)
    score = expit(a * z + b)
    odds = score[:n] / (1 - score[:n]) * float(weight[~y].sum() / weight[y].sum())
    evidence = Evidence.collect(z[y], owner, z[:n], np.arange(n), n)
    fault = error_probability(odds, evidence.share(levels=_LEVELS))
    return score[:n], fault, looks.argmax(1), _quality(score, y, weight)


def _trees(seed: int, bins: int, rate: float = 0.08, rounds: int = 120) -> BoostedTrees:
    """Small: a few hundred rows of a dozen measures; to name a fault, fewer rounds do."""
    return BoostedTrees(
        max_iter=rounds,
        learning_rate=rate,
        max_leaf_nodes=6,
        min_samples_leaf=8,
        seed=seed % 2**31,
        max_bins=bins,
    )


def _quality(score: Floats, y: npt.NDArray[np.bool_], weight: Floats) -> dict[str, float]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    return {
        "auroc": float(roc_auc_score(y, score, sample_weight=weight)),
        "ap": float(average_precision_score(y, score, sample_weight=weight)),
        "planted": float(y.sum()),
    }


def image_table(works: Sequence[Work], scores: ImageScores, findings: Sequence[Finding]) -> pa.Table:
    """The table of images (see the module), most suspect first; ties by image id."""
    listed = Counter(f.image_id for f in findings)
    order = sorted(range(len(works)), key=lambda i: (-scores.score[i], works[i].image_id))
    rows: list[dict[str, Any]] = []
    known = traits_of(works).whole
    faults, disagree, doubt = list(known.faults), *map(known.features.index, ("disagree", "doubt"))
    for i in order:
        work = works[i]
        fault, expected = float(scores.fault[i]), float(scores.expected[i])
        rows.append(
            {
                "image_id": work.image_id,
                "score": float(scores.score[i]),
                "fault": fault if np.isfinite(fault) else None,
                "fault_kind": faults[int(scores.kind[i])] if np.isfinite(fault) else None,
                "expected_errors": expected if np.isfinite(expected) else None,
                "disagree": float(work.whole.x[disagree]),
                "doubt": float(work.whole.x[doubt]),
                "shift_y": work.whole.shift[0],
                "shift_x": work.whole.shift[1],
                "specks": work.whole.specks[0],
                "speck_pixels": work.whole.specks[1],
                "findings": listed[work.image_id],
                "reason": reason(work, fault, int(scores.kind[i]), expected),
            }
        )
    kept = pa.schema(
        [
            ("image_id", pa.string()),
            ("score", pa.float64()),
            ("fault", pa.float64()),
            ("fault_kind", pa.string()),
            ("expected_errors", pa.float64()),
            ("disagree", pa.float64()),
            ("doubt", pa.float64()),
            *((name, pa.int32()) for name in ("shift_y", "shift_x", "specks", "speck_pixels", "findings")),
            ("reason", pa.string()),
        ],
        metadata={b"dubio.format": str(FORMAT).encode()},
    )
    return pa.Table.from_pylist(rows, schema=kept)


def reason(work: Work, fault: float, kind: int, expected: float) -> str:
    """Why an image is suspect, in words."""
    known = work.traits.whole
    words = []
    if fault >= SHOWN_FAULT:
        name, looks = list(known.faults.items())[kind]
        words.append(looks if name != "shifted" else _moved(work, looks))
    if words and known.extent is not None:
        words.append(known.extent(work.whole.x))
    elif expected >= 0.05:
        words.append(f"about {expected:.1f} wrong {known.noun} expected")
    elif not words:
        words.append(known.disagreement(work.whole.x))
    count, pixels = work.whole.specks
    if count:
        words.append(f"{count} {known.slips[count > 1]} of {pixels} pixels in all")
    text = "; ".join(words)
    return text[0].upper() + text[1:] + "."


def _moved(work: Work, otherwise: str) -> str:
    y, x = work.whole.shift
    if not (y or x):
        return otherwise
    ways = [f"{abs(x)} px {'right' if x > 0 else 'left'}"] * bool(x)
    ways += [f"{abs(y)} px {'down' if y > 0 else 'up'}"] * bool(y)
    return f"the label looks shifted: it would fit best moved {' and '.join(ways)}"
