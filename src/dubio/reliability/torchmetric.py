"""The metrics as ``torchmetrics.Metric``: states of fixed size that are summed across processes.

>>> import torch
>>> metric = ReliabilityMetric(2, metrics=("accuracy", "ece"))
>>> logits = torch.tensor([[[[4.0, 0.0]], [[0.0, 3.0]]]])
>>> metric(logits, torch.tensor([[[0, 0]]]))["accuracy"].item()
0.5
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dubio.core.errors import InputError, MissingExtraError
from dubio.core.records import ScoreKind, SegPrediction
from dubio.reliability.state import ReliabilityState
from dubio.uncertainty.pixel import SCORES

try:
    import torch
    from torchmetrics import Metric
except ImportError as error:
    raise MissingExtraError("metrics of torchmetrics", "torch") from error


class ReliabilityMetric(Metric):
    """All of :class:`~dubio.reliability.state.ReliabilityState` for batches of torch tensors.

    Args:
        n_classes: number of classes.
        metrics: names from :meth:`~dubio.reliability.state.ReliabilityState.compute` to return.
        kind: what the scores are.
        ignore_index: label value that is void, beside all values from ``n_classes`` on and below 0.
        scores: scores that are ranked.
        bins: bins of the reliability diagrams.
        **options: of ``torchmetrics.Metric``.
    """

    full_state_update = False
    is_differentiable = False
    totals: torch.Tensor

    def __init__(
        self,
        n_classes: int,
        *,
        metrics: tuple[str, ...] = ("accuracy", "mean_iou", "ece", "ks", "prr.max_prob", "auroc.max_prob"),
        kind: ScoreKind = "logits",
        ignore_index: int = 255,
        scores: tuple[str, ...] = SCORES,
        bins: int = 15,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.n_classes, self.metrics, self.kind = n_classes, metrics, kind
        self.ignore_index, self.score_names, self.n_bins = ignore_index, scores, bins
        empty = self._empty()
        for name, value in empty.live_arrays().items():
            self.add_state(_slot(name), torch.from_numpy(value), dist_reduce_fx="sum")
        totals = torch.zeros(len(scores) + 2, dtype=torch.float64)
        self.add_state("totals", totals, dist_reduce_fx="sum")

    def update(self, preds: torch.Tensor, target: torch.Tensor) -> None:
        """Add a batch: scores ``(B, K, H, W)``, labels ``(B, H, W)``.

        Raises:
            InputError: the shapes don't fit.
        """
        if preds.ndim != 4 or target.shape != (preds.shape[0], *preds.shape[2:]):
            raise InputError(f"scores {tuple(preds.shape)} and labels {tuple(target.shape)} don't fit")
        state = self._empty()
        values = preds.detach().cpu()
        values = values.float() if values.dtype is torch.bfloat16 else values
        given = target.detach().cpu().numpy()
        labels = np.where(given == self.ignore_index, self.n_classes, given)
        for scores, label in zip(values.numpy(), labels, strict=True):
            state.update(SegPrediction(self.n_classes, scores, self.kind), label)
        for name, value in state.live_arrays().items():
            mine: torch.Tensor = getattr(self, _slot(name))
            mine += torch.from_numpy(value).to(mine.device)
        totals = [*(state.score_sums[name] for name in state.scores), state.images, state.renormalised]
        self.totals += torch.tensor(totals, dtype=torch.float64).to(self.totals.device)

    def compute(self) -> dict[str, torch.Tensor]:
        """The chosen metrics as float64 scalars, NaN where undefined."""
        found = self.state().compute()
        return {name: torch.tensor(found[name], dtype=torch.float64) for name in self.metrics}

    def state(self) -> ReliabilityState:
        """All that was counted, for anything else that it tells."""
        state = self._empty()
        for name, value in state.live_arrays().items():
            np.add(value, getattr(self, _slot(name)).cpu().numpy(), out=value)
        *sums, images, renormalised = self.totals.cpu().tolist()
        state.score_sums |= dict(zip(state.scores, sums, strict=True))
        state.images, state.renormalised = int(images), int(renormalised)
        return state

    def _empty(self) -> ReliabilityState:
        return ReliabilityState(self.n_classes, self.score_names, self.n_bins)


def _slot(name: str) -> str:
    """Name of a state, which must be an attribute's."""
    return "counts_" + name.replace(".", "_")
