"""From states of images to the figures of a domain: one cell of the table of models and domains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dubio.reliability.bootstrap import Bootstrap
from dubio.reliability.state import ReliabilityState

# Figures of the main score that the table of domains shows.
PLAIN = (
    "accuracy", "mean_iou", "mean_accuracy", "ece", "adaptive_ece", "mce", "rmsce", "ks", "nll", "brier",
    "mean_confidence", "classwise_ece",
)  # fmt: skip
OF_ERRORS = ("prr", "auroc", "aupr", "fpr95", "aurc", "coverage_at_risk_5")
_INTERVALS = (
    "accuracy", "mean_iou", "ece", "ks", "nll", "brier", "prr", "auroc", "fpr95", "coverage_at_risk_5",
)  # fmt: skip
_SCORE_FIGURES = ("auroc", "prr", "aupr", "aupr_rest", "fpr95", "aurc", "excess_aurc", "coverage_at_risk_5")
_OOD = {"auroc": "ood_auroc", "aupr": "ood_aupr_out", "aupr_rest": "ood_aupr_in", "fpr95": "ood_fpr95"}
# "About 0.9" is what lies between these.
_STATED = {"0.5": (0.45, 0.55), "0.7": (0.65, 0.75), "0.9": (0.85, 0.95), "0.99": (0.98, 1.0)}
_POINTS = 60  # of a curve: the page holds one for every score, model and domain
_ENOUGH = 100  # pixels, for a share to be said
MAIN_SCORE = "max_prob"


@dataclass
class DomainStates:
    """One model on one domain: everything added up, and what is kept of each image.

    Args:
        model: name of the model.
        domain: name of the domain.
        leave_out: classes that do not count in means over classes.
        intervals: keep what intervals need: some 65 kB of each image.

    Attributes:
        total: the sum of all images.
        rows: one row per image.
        means: image id -> mean of each score.
    """

    model: str
    domain: str
    leave_out: tuple[int, ...] = ()
    intervals: bool = True
    total: ReliabilityState | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    means: dict[str, dict[str, float]] = field(default_factory=dict)
    bootstrap: Bootstrap | None = field(default=None, repr=False)

    def add(self, image_id: str, state: ReliabilityState) -> None:
        """Add an image."""
        found = state.compute(self.leave_out)
        row = {"model": self.model, "domain": self.domain, "image_id": image_id, "pixels": found["pixels"]}
        row |= {name: found.get(name, float("nan")) for name in PLAIN}
        row |= {name: found.get(f"{name}.{MAIN_SCORE}", float("nan")) for name in ("prr", "auroc")}
        self.means[image_id] = state.mean_scores()
        row |= {f"mean_{name}": value for name, value in self.means[image_id].items()}
        self.rows.append(row)
        if self.intervals:
            if self.bootstrap is None:
                self.bootstrap = Bootstrap(_INTERVALS, leave_out=self.leave_out)
            self.bootstrap.add(state)
        if self.total is None:
            self.total = state
        else:
            self.total.merge(state)


def cell_of(
    states: DomainStates, class_names: Sequence[str], *, replicates: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """All figures of a model in a domain, as plain data; NaN is ``None``.

    Args:
        states: the images.
        class_names: names of the classes.
        replicates: of the bootstrap over images.
        seed: its seed.
    """
    total = states.total
    if total is None:
        return _empty(states)
    found = total.compute(states.leave_out)
    metrics = {name: found[name] for name in PLAIN if name in found}
    metrics |= {name: found.get(f"{name}.{MAIN_SCORE}", float("nan")) for name in OF_ERRORS}
    reasons: Mapping[str, str] = found["reasons"]
    why = {name: text for name, text in reasons.items() if "." not in name}
    why |= {n: reasons[f"{n}.{MAIN_SCORE}"] for n in OF_ERRORS if f"{n}.{MAIN_SCORE}" in reasons}
    names = list(total.rankings)
    return {
        "model": states.model,
        "domain": states.domain,
        "images": total.images,
        "pixels": total.pixels,
        "metrics": metrics,
        "intervals": _intervals(states, replicates, seed),
        "relative": None,
        "reasons": why,
        "stated": _stated(total),
        "sentence": "",
        "reliability": _diagram(total),
        "misclassification": {
            n: {f: found.get(f"{f}.{n}", float("nan")) for f in _SCORE_FIGURES} for n in names
        },
        "risk_coverage": {n: _curve(total, n) for n in names},
        "ood_images": None,
        "ood_pixels": _ood_pixels(found, names),
        "components": None,
        "classes": _classes(total, found, class_names),
        "worst": [],
    }


def _intervals(states: DomainStates, replicates: int, seed: int) -> dict[str, list[float]]:
    if not replicates or states.bootstrap is None or len(states.bootstrap) < 2:
        return {}
    found = states.bootstrap.intervals(replicates=replicates, seed=seed)
    return {name: list(ends) for name, ends in found.items()}


def _empty(states: DomainStates) -> dict[str, Any]:
    why = "no image could be examined"
    return {
        "model": states.model, "domain": states.domain, "images": 0, "pixels": 0,
        "metrics": dict.fromkeys((*PLAIN, *OF_ERRORS)), "intervals": {}, "relative": None,
        "reasons": dict.fromkeys((*PLAIN, *OF_ERRORS), why), "stated": dict.fromkeys(_STATED), "sentence": "",
        "reliability": [], "misclassification": {}, "risk_coverage": {}, "ood_images": None,
        "ood_pixels": None, "components": None, "classes": [], "worst": [],
    }  # fmt: skip


def _stated(total: ReliabilityState) -> dict[str, float | None]:
    """Share right among the pixels whose stated confidence is about so much."""
    found: dict[str, float | None] = {}
    for name, (low, high) in _STATED.items():
        count, right = total.confidence.between(low, high)
        found[name] = right / count if count >= _ENOUGH else None
    return found


def _diagram(total: ReliabilityState) -> list[list[float]]:
    bins = total.confidence.bins()
    keep = np.flatnonzero(bins.count)
    columns = (bins.confidence[keep], bins.accuracy[keep], bins.count[keep])
    return [[float(a), float(b), int(n)] for a, b, n in zip(*columns, strict=True)]


def _curve(total: ReliabilityState, name: str) -> list[list[float]]:
    if int(total.rankings[name].counts[:2].sum()) < total.pixels:
        return []
    coverage, risk = total.rankings[name].errors().risk_coverage(_POINTS)
    return [[round(float(c), 5), round(float(r), 6)] for c, r in zip(coverage, risk, strict=True)]


def _ood_pixels(found: Mapping[str, Any], names: Iterable[str]) -> dict[str, dict[str, float]] | None:
    if not found["unknown_pixels"]:
        return None
    nan = float("nan")
    return {n: {f: found.get(f"{key}.{n}", nan) for f, key in _OOD.items()} for n in names}


def _classes(
    total: ReliabilityState, found: Mapping[str, Any], class_names: Sequence[str]
) -> list[dict[str, Any]]:
    sizes = total.confusion.counts.sum(1)
    columns = (class_names, found["iou"], found["class_accuracy"], sizes, total.classwise.errors())
    return [
        {"name": n, "iou": iou, "accuracy": acc, "pixels": int(size), "ece": ece}
        for n, iou, acc, size, ece in zip(*columns, strict=True)
    ]


def compare_images(source: DomainStates, other: DomainStates) -> dict[str, dict[str, float]]:
    """Are whole images of another domain told from those of the source by their mean doubt?

    Each score's mean over the pixels that are not void; unknown images are the positives.
    """
    from dubio.reliability.ood import image_ood  # takes seconds to load, and boxes need none of it

    names = list(source.total.rankings) if source.total is not None else []
    found = {}
    for name in names:
        inside = _finite(m.get(name, float("nan")) for m in source.means.values())
        outside = _finite(m.get(name, float("nan")) for m in other.means.values())
        if len(inside) and len(outside):
            found[name] = {k: v for k, v in image_ood(inside, outside).items() if k in _OOD}
    return found


def _finite(values: Iterable[float]) -> list[float]:
    return [v for v in values if np.isfinite(v)]


def plain(value: Any) -> Any:
    """The same data with ``None`` in place of NaN, and plain numbers, as JSON wants them."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
