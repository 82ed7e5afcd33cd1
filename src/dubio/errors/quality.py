"""How well a ranking does on planted errors in images that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dubio.errors.feature_names import FEATURES
from dubio.errors.store import ImageWork

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
