"""Unknown objects as components: sIoU, PPV and mean F1.

Chan et al., "SegmentMeIfYouCan", NeurIPS Datasets 2021: a component of the ground truth is found if enough
of it is covered by the prediction; pixels of the union that belong to other true components don't count
against it (sIoU). A predicted component is right if enough of it lies on the truth (PPV). F1 is averaged over
the thresholds 0.25, 0.30, …, 0.75 of both.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.regions.extract import components

Counts = npt.NDArray[np.int64]
TAUS = np.linspace(0.25, 0.75, 11)
# values that differ from a threshold by rounding only count as equal to it
_SLACK = 1e-12


@dataclass
class ComponentState:
    """Sums over the components of any number of images.

    Args:
        min_true: true components of fewer pixels are ignored, as void.
        min_predicted: predicted components of fewer pixels are taken away.

    Attributes:
        n: number of true and of predicted components.
        sums: sums of sIoU over the true and of PPV over the predicted components.
        found: ``(11,)`` true components with sIoU above each threshold.
        false: ``(11,)`` predicted components with PPV not above it.

    >>> state = ComponentState()
    >>> state.update(np.array([[True, True, False, True]]), np.array([[1, 1, 0, 0]]))
    >>> found = state.compute()
    >>> found["siou"], found["ppv"], round(found["mean_f1"], 3)
    (1.0, 0.5, 0.667)
    """

    min_true: int = 0
    min_predicted: int = 0
    n: Counts = field(default_factory=lambda: np.zeros(2, np.int64))
    sums: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    found: Counts = field(default_factory=lambda: np.zeros(len(TAUS), np.int64))
    false: Counts = field(default_factory=lambda: np.zeros(len(TAUS), np.int64))

    def update(
        self, predicted: npt.ArrayLike, truth: npt.ArrayLike, ignore: npt.ArrayLike | None = None
    ) -> None:
        """Add an image.

        Args:
            predicted: ``(H, W)`` bool, pixels called unknown: a score at or above a threshold, such as that
                of the best pixel F1 (:meth:`dubio.reliability.ranking.Ranking.best_f1`).
            truth: ``(H, W)`` bool, pixels of unknown objects.
            ignore: ``(H, W)`` bool, void pixels: outside the region of interest, in no component.

        Raises:
            InputError: the shapes differ.
        """
        said, real = np.asarray(predicted, np.bool_), np.asarray(truth, np.bool_)
        void = np.zeros_like(real) if ignore is None else np.asarray(ignore, np.bool_)
        if not said.shape == real.shape == void.shape or real.ndim != 2:
            raise InputError(f"prediction {said.shape}, truth {real.shape} and void {void.shape} differ")
        true_ids = _sized(real & ~void, 0)
        if self.min_true:
            small = np.bincount(true_ids.reshape(-1))[true_ids] < self.min_true
            void = void | (small & (true_ids > 0))
            true_ids = _sized(real & ~void, 0)
        said_ids = _sized(said & ~void, self.min_predicted)
        siou, ppv = component_scores(said_ids, true_ids)
        self.n += [len(siou), len(ppv)]
        self.sums += [siou.sum(), ppv.sum()]
        self.found += (siou[:, None] > TAUS + _SLACK).sum(0)
        self.false += (ppv[:, None] <= TAUS + _SLACK).sum(0)

    def merge(self, other: ComponentState) -> None:
        """Add what another state saw.

        Raises:
            InputError: it ignores other sizes.
        """
        if (other.min_true, other.min_predicted) != (self.min_true, self.min_predicted):
            raise InputError("component states of different smallest sizes can't be merged")
        self.n += other.n
        self.sums += other.sums
        self.found += other.found
        self.false += other.false

    @property
    def f1(self) -> npt.NDArray[np.float64]:
        """``(11,)`` F1 at each threshold; NaN without any component."""
        missed = self.n[0] - self.found
        whole = 2 * self.found + missed + self.false
        return np.asarray(np.divide(2 * self.found, whole, out=np.full(len(TAUS), np.nan), where=whole > 0))

    def compute(self) -> dict[str, float]:
        """``siou``, ``ppv`` and ``mean_f1``, NaN where undefined."""
        siou, ppv = (float(s / n) if n else float("nan") for s, n in zip(self.sums, self.n, strict=True))
        return {"siou": siou, "ppv": ppv, "mean_f1": float(self.f1.mean())}

    def reasons(self) -> dict[str, str]:
        """Why each of the results that is NaN is undefined."""
        why = {
            "siou": "there is no unknown object",
            "ppv": "no pixel is called unknown",
            "mean_f1": "there is no unknown object, and none is predicted",
        }
        return {name: why[name] for name, value in self.compute().items() if np.isnan(value)}


def component_scores(
    predicted: npt.NDArray[np.int32], truth: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """SIoU of every true component and PPV of every predicted one.

    Args:
        predicted: ``(H, W)`` numbers of predicted components, 1 … m, 0: none.
        truth: the same of the true ones, 1 … n.

    Returns:
        ``(n,)`` sIoU and ``(m,)`` PPV.
    """
    n, m = int(truth.max(initial=0)), int(predicted.max(initial=0))
    both = truth.astype(np.int64) * (m + 1) + predicted
    pairs, sizes = np.unique(both, return_counts=True)
    t, p = np.divmod(pairs, m + 1)
    size_t, size_p = np.bincount(t, sizes, n + 1), np.bincount(p, sizes, m + 1)
    hit = np.bincount(t[p > 0], sizes[p > 0], n + 1)  # of a true component: covered by any prediction
    right = np.bincount(p[t > 0], sizes[t > 0], m + 1)  # of a predicted one: on any true component
    # predicted components that touch a true one reach beyond it; what lies on other true ones is excused
    touch = (p > 0) & (t > 0)
    beyond = np.bincount(t[touch], (size_p - right)[p[touch]], n + 1)
    siou = hit[1:] / np.maximum(size_t + beyond, 1)[1:]
    return siou, right[1:] / np.maximum(size_p, 1)[1:]


def _sized(mask: npt.NDArray[np.bool_], least: int) -> npt.NDArray[np.int32]:
    """Numbers of the 8-connected components of at least some pixels."""
    ids, n = components(np.where(mask, 0, 1).astype(np.uint8), 1)
    if least <= 1 or n == 0:
        return ids
    sizes = np.bincount(ids.reshape(-1), minlength=n + 1)
    keep = sizes >= least
    keep[0] = False
    new = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    return np.asarray(new[ids])
