"""The same figures from sampled scores: what calibrators are compared on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.records import ScoreKind, SegPrediction
from dubio.reliability.state import ReliabilityState
from dubio.uncertainty.pixel import SCORES

_BLOCK = 1 << 16
# log-probability, against the most probable, of a class that no channel stands for
_NEVER = -87.0


def evaluate(
    scores: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    n_classes: int,
    *,
    targets: Sequence[int] | npt.NDArray[Any] | None = None,
    kind: ScoreKind = "logits",
    leave_out: Collection[int] = (),
) -> dict[str, Any]:
    """All metrics of :meth:`~dubio.reliability.state.ReliabilityState.compute` for sampled pixels.

    Args:
        scores: ``(N, K)`` logits, or probabilities, of the model's channels.
        labels: ``(N,)`` class indices; ``n_classes`` and above: void, left out.
        n_classes: number of classes ``C`` of the labels.
        targets: ``(K,)`` class that each channel counts as, ``C`` for none
            (:attr:`dubio.data.logits.LogitSample.targets`); default: channel number = class number.
        kind: what the scores are.
        leave_out: classes that don't count in mean IoU and mean accuracy.

    Returns:
        Plain floats by name, and ``reasons``. Equal-population bins and rankings have the resolution of the
        histograms (0.4 %); all else is exact.

    Raises:
        InputError: shapes that contradict each other.

    >>> z = np.array([[2.0, 0.0], [0.0, 1.0], [0.5, 0.0]], np.float32)
    >>> round(evaluate(z, np.array([0, 1, 1]), 2)["accuracy"], 4)
    0.6667
    """
    return state_of(scores, labels, n_classes, targets=targets, kind=kind).compute(leave_out)


def state_of(
    scores: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    n_classes: int,
    *,
    targets: Sequence[int] | npt.NDArray[Any] | None = None,
    kind: ScoreKind = "logits",
    unknown: npt.NDArray[np.bool_] | None = None,
    extra: Mapping[str, npt.NDArray[Any]] | None = None,
    names: Sequence[str] = SCORES,
    bins: int = 15,
) -> ReliabilityState:
    """The state of sampled pixels, counted as one image; arguments as for :func:`evaluate`.

    Args:
        scores: ``(N, K)``.
        labels: ``(N,)``.
        n_classes: number of classes.
        targets: ``(K,)`` or ``None``.
        kind: what the scores are.
        unknown: ``(N,)`` pixels of classes that the model doesn't know.
        extra: more scores ``(N,)`` by name.
        names: scores of ours that are ranked.
        bins: bins of the reliability diagrams.
    """
    values, given = np.asarray(scores), np.asarray(labels)
    if values.ndim != 2 or given.shape != values.shape[:1]:
        raise InputError(f"{given.shape} labels don't fit scores of shape {values.shape}")
    state = ReliabilityState(n_classes, names, bins)
    for start in range(0, len(values), _BLOCK):
        part = slice(start, start + _BLOCK)
        by_class = class_scores(values[part], n_classes, targets, kind)
        prediction = SegPrediction(n_classes, np.ascontiguousarray(by_class.T)[:, None], kind)
        state.update(
            prediction,
            given[part][None],
            None if unknown is None else unknown[part][None],
            {name: value[part][None] for name, value in (extra or {}).items()},
        )
    state.images = 1
    return state


def class_scores(
    scores: npt.NDArray[Any],
    n_classes: int,
    targets: Sequence[int] | npt.NDArray[Any] | None = None,
    kind: ScoreKind = "logits",
) -> npt.NDArray[np.float32]:
    """Scores of the classes of a label space from those of a model's channels.

    The probability of a class is the sum over the channels that count as it; those of logits are summed as
    exponentials, so that the energy stays the same. Channels without a class make one channel at the end.

    Args:
        scores: ``(N, K)``.
        n_classes: number of classes ``C``.
        targets: ``(K,)`` class of each channel, ``C`` for none.
        kind: what the scores are.

    Returns:
        ``(N, C)`` or ``(N, C + 1)`` float32.

    Raises:
        InputError: the class map has another length.

    >>> class_scores(np.array([[0.5, 0.2, 0.3]]), 2, [0, 0, 1], "probabilities").round(3).tolist()
    [[0.699999988079071, 0.30000001192092896]]
    """
    values = np.asarray(scores, np.float32)
    to = np.arange(values.shape[1]) if targets is None else np.asarray(targets)
    if len(to) != values.shape[1]:
        raise InputError(f"a class map of {len(to)} channels for scores of {values.shape[1]}")
    if len(to) >= n_classes and np.array_equal(to, np.arange(len(to))):
        return values
    to = np.where((to < 0) | (to > n_classes), n_classes, to)
    width = max(n_classes, int(to.max(initial=0)) + 1)
    logits = kind == "logits"
    best = values.max(1, keepdims=True) if logits else np.zeros((len(values), 1), np.float32)
    summed = np.zeros((len(values), width), np.float32)
    terms = np.exp(values - best) if logits else values
    for channel, c in enumerate(to):
        summed[:, c] += terms[:, channel]
    if not logits:
        return summed
    with np.errstate(divide="ignore"):
        return np.asarray(best + np.maximum(np.log(summed), np.float32(_NEVER)))
