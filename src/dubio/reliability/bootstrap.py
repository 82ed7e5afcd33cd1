"""Intervals by bootstrap over images: the pixels of one image are no independent samples.

Efron, Annals of Statistics 1979. Images are drawn with replacement, as many as there are; since all metrics
come from counts that add up, a draw is a sum of counts weighted by how often each image was drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.seeds import rng_for
from dubio.reliability.binning import whole_bins
from dubio.reliability.replicate import PLAIN, RANKED, Floats
from dubio.reliability.state import ReliabilityState
from dubio.reliability.summary import OOD_METRICS

# fine histograms are summed into about this many bins of equal mass
COARSE = 512
# draws that are computed at once
_BLOCK = 200
MAIN_SCORE = "max_prob"
DEFAULT = (
    "accuracy", "mean_iou", "mean_accuracy", "ece", "rmsce", "ks", "nll", "brier", "mean_confidence",
    "prr", "auroc", "aupr", "fpr95", "aurc", "coverage_at_risk_5",
)  # fmt: skip


@dataclass(frozen=True)
class Interval:
    """A value with its percentile interval.

    Args:
        value: of all images.
        low: lower end; NaN where the value is undefined.
        high: upper end.
    """

    value: float
    low: float
    high: float


class _Sparse(NamedTuple):
    """A histogram of one image: bins that aren't zero, and what they hold."""

    places: npt.NDArray[np.uint16]
    values: npt.NDArray[np.float32]


class Bootstrap:
    """What has to be kept of each image: about 0.1 MB for large ones.

    Args:
        metrics: names from :meth:`~dubio.reliability.state.ReliabilityState.compute`; those of rankings
            without a score (``prr``) are of ``max_prob``. Not offered: ``adaptive_ece``, ``classwise_ece``.
        leave_out: classes that don't count in mean IoU and mean accuracy.

    Raises:
        InputError: there is no such metric.

    >>> boot = Bootstrap(["accuracy"])
    >>> for right in (0, 1):
    ...     state = ReliabilityState(2)
    ...     state.confusion.update(np.array([right]), np.array([1]))
    ...     boot.add(state)
    >>> boot.intervals()
    {'accuracy': (0.0, 1.0)}
    """

    def __init__(self, metrics: Sequence[str] = DEFAULT, *, leave_out: Collection[int] = ()) -> None:
        self.metrics, self.leave_out = tuple(metrics), tuple(leave_out)
        self._group = {name: _group_of(name) for name in metrics}
        self._rows: dict[str, list[Any]] = {group: [] for group in self._group.values()}
        self._bins: dict[str, int] = {}

    def __len__(self) -> int:
        return max((len(rows) for rows in self._rows.values()), default=0)

    def add(self, state: ReliabilityState) -> None:
        """Add one image; the order of the images decides the draws."""
        for group, rows in self._rows.items():
            kind, _, score = group.partition(".")
            if kind == "dense":
                rows.append(_DENSE[score](state))
                continue
            sides = _histograms(kind, score, state)
            self._bins[group] = max(self._bins.get(group, 0), len(sides[0]))
            rows.append([_sparse(side) for side in sides])

    def intervals(
        self, *, replicates: int = 1000, level: float = 0.9, seed: int = 0
    ) -> dict[str, tuple[float, float]]:
        """Percentile interval of each metric that is defined; see :meth:`summary`."""
        found = self.summary(replicates=replicates, level=level, seed=seed)
        return {name: (i.low, i.high) for name, i in found.items() if not np.isnan(i.low)}

    def summary(self, *, replicates: int = 1000, level: float = 0.9, seed: int = 0) -> dict[str, Interval]:
        """Value and interval of each metric.

        Args:
            replicates: number of draws.
            level: share of the draws inside the interval.
            seed: the seed.

        Returns:
            By name. Rankings and KS are drawn on 512 bins of equal mass, then shifted by the difference that
            this makes for all images. Draws in which a metric is undefined are left out.

        Raises:
            InputError: there are no images.
        """
        n = len(self)
        if n == 0:
            raise InputError("there are no images to draw from")
        share = np.full(n, 1 / n)
        weights = rng_for(seed, "bootstrap").multinomial(n, share, size=replicates).astype(np.float64)
        found: dict[str, Interval] = {}
        for group in self._rows:
            whole, parts = self._table(group)
            for name in (m for m in self.metrics if self._group[m] == group):
                metric = self._metric(name)
                value = float(metric(whole)[0])
                offset = float(metric([p.sum(0, keepdims=True) for p in parts])[0]) - value
                found[name] = _interval(value, _draw(metric, parts, weights) - offset, level)
        return {name: found[name] for name in self.metrics}

    def _table(self, group: str) -> tuple[list[Floats], list[Floats]]:
        """Counts of all images ``(1, …)`` in full, and of each ``(n, …)`` on coarse bins."""
        rows = self._rows[group]
        if group.startswith("dense."):
            parts = [np.stack(p).astype(np.float64) for p in zip(*rows, strict=True)]
            return [p.sum(0, keepdims=True) for p in parts], parts
        bins = self._bins[group]
        sides = list(zip(*rows, strict=True))
        whole = [_pooled(side, bins) for side in sides]
        coarse = _coarse_bins(whole)
        size = int(coarse[-1]) + 1
        parts = [np.stack([np.bincount(coarse[s.places], s.values, size) for s in side]) for side in sides]
        return [w[None] for w in whole], parts

    def _metric(self, name: str) -> Callable[[list[Floats]], Floats]:
        if name in PLAIN:
            plain = PLAIN[name][1]
            return lambda counts: plain(counts, self.leave_out)
        kind = name.partition(".")[0]
        ranked = RANKED[OOD_METRICS.get(kind, kind)]
        return lambda counts: ranked(counts[0], counts[1])


def bootstrap(
    states: Iterable[ReliabilityState],
    metrics: Sequence[str] = DEFAULT,
    *,
    whole: ReliabilityState | None = None,
    n: int = 1000,
    level: float = 0.9,
    seed: int = 0,
    leave_out: Collection[int] = (),
) -> dict[str, Interval]:
    """Intervals from states of images, which may be read one by one; see :meth:`Bootstrap.summary`.

    Args:
        states: one per image.
        metrics: names of metrics.
        whole: their sum, if it is there; then values are taken from it.
        n: number of draws.
        level: share of the draws inside the interval.
        seed: the seed.
        leave_out: classes that don't count in mean IoU and mean accuracy.
    """
    boot = Bootstrap(metrics, leave_out=leave_out)
    for state in states:
        boot.add(state)
    found = boot.summary(replicates=n, level=level, seed=seed)
    if whole is None:
        return found
    values = whole.compute(leave_out)
    named = {m: m if m in PLAIN or "." in m else f"{m}.{MAIN_SCORE}" for m in metrics}
    return {m: replace(i, value=float(values.get(named[m], i.value))) for m, i in found.items()}


def _group_of(name: str) -> str:
    """The counts that a metric is made of."""
    if name in PLAIN:
        return PLAIN[name][0]
    kind, _, score = name.partition(".")
    if kind not in RANKED and kind not in OOD_METRICS:
        raise InputError(
            f"there is no interval for '{name}'", remedy=f"choose from {', '.join((*PLAIN, *RANKED))} …"
        )
    return f"{'ood' if kind in OOD_METRICS else 'errors'}.{score or MAIN_SCORE}"


def _histograms(kind: str, score: str, state: ReliabilityState) -> list[npt.NDArray[Any]]:
    if kind == "gaps":
        count, right, low = state.confidence.fine
        # by falling doubt: the running sums of KS start at the least confident
        gaps = ((count - right) - whole_bins(low, count))[::-1]
        return [gaps, np.append(np.zeros(len(gaps) - 1), state.confidence.pixels)]
    if score not in state.rankings:
        return [np.zeros(1), np.zeros(1)]
    right, wrong, unknown = state.rankings[score].counts
    return [unknown, right + wrong] if kind == "ood" else [wrong, right]


def _classes(state: ReliabilityState) -> tuple[Any, ...]:
    counts = state.confusion.counts
    return state.confusion.right, counts.sum(1), counts[:, :-1].sum(0)


def _diagram(state: ReliabilityState) -> tuple[Any, ...]:
    count, right = state.confidence.uniform
    return count.copy(), count - right, state.confidence.doubt_sums.copy()


_DENSE: dict[str, Callable[[ReliabilityState], tuple[Any, ...]]] = {
    "classes": _classes,
    "diagram": _diagram,
    "losses": lambda state: (state.confidence.losses.copy(),),
}


def _sparse(histogram: npt.NDArray[Any]) -> _Sparse:
    places = np.flatnonzero(histogram)
    return _Sparse(places.astype(np.uint16), histogram[places].astype(np.float32))


def _pooled(side: Iterable[_Sparse], bins: int) -> Floats:
    total = np.zeros(bins)
    for part in side:
        total[part.places] += part.values
    return total


def _coarse_bins(whole: list[Floats]) -> npt.NDArray[np.int64]:
    """``(bins,)`` number of the coarse bin of each fine one; every kind of count weighs alike."""
    shares = [np.abs(w) / max(float(np.abs(w).sum()), 1e-300) for w in whole]
    level = np.cumsum(np.sum(shares, axis=0))
    step = np.floor(level / max(float(level[-1]), 1e-300) * COARSE * (1 - 1e-12))
    return np.asarray(np.unique(step, return_inverse=True)[1], np.int64)


def _draw(metric: Callable[[list[Floats]], Floats], parts: list[Floats], weights: Floats) -> Floats:
    """Values of a metric in every draw, some draws at a time."""
    found = [
        metric([np.tensordot(weights[start : start + _BLOCK], p, 1) for p in parts])
        for start in range(0, len(weights), _BLOCK)
    ]
    return np.concatenate(found)


def _interval(value: float, draws: Floats, level: float) -> Interval:
    kept = draws[~np.isnan(draws)]
    if not kept.size or np.isnan(value):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))
