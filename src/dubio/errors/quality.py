"""How well a ranking does on planted errors in images that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dubio.errors.traits import Work, traits_of

Floats = npt.NDArray[np.float64]


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


def measure(
    p: Floats,
    y: npt.NDArray[np.bool_],
    weight: Floats,
    x: Floats,
    works: Sequence[Work],
    *,
    kind: npt.NDArray[np.int8] | None = None,
    kinds: Floats | None = None,
) -> Quality:
    """Quality on planted errors, with simple scores beside it.

    Args:
        p: ``(n,)`` probability of an error of each place.
        y: ``(n,)`` whether one was planted.
        weight: ``(n,)``.
        x: ``(n, F)`` features.
        works: the images.
        kind: ``(n,)`` kind that was planted, -1: none.
        kinds: ``(n, K)`` probability of each kind, given an error.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    def rank(score: Floats) -> dict[str, float]:
        s = np.nan_to_num(score, nan=-np.inf, neginf=-1e30)
        return {
            "auroc": float(roc_auc_score(y, s, sample_weight=weight)),
            "ap": float(average_precision_score(y, s, sample_weight=weight)),
        }

    bins = reliability_bins(p, y, weight)
    total = weight.sum()
    best = rank(p)
    simple = {name: score(x) for name, score in traits_of(works).baselines.items()}
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
        rows=[] if kind is None or kinds is None else _by_kind(p, y, weight, kind, kinds, works),
    )


def _by_kind(
    p: Floats,
    y: npt.NDArray[np.bool_],
    weight: Floats,
    kind: npt.NDArray[np.int8],
    kinds: Floats,
    works: Sequence[Work],
) -> list[tuple[str, float]]:
    """Average precision of the list of each kind, and the share of errors that get the right name."""
    from sklearn.metrics import average_precision_score

    found = []
    for k, name in enumerate(traits_of(works).calls):
        mine = y & (kind == k)
        if mine.any():
            value = average_precision_score(mine, p * kinds[:, k], sample_weight=weight)
            found.append((f"average precision, {name.replace('_', ' ')}", float(value)))
    if found:
        right = kinds[y].argmax(1) == kind[y]
        found.append(("share of errors that get the right kind", float(np.average(right, weights=weight[y]))))
    return found


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
