"""Merging samples of a model (dropout, ensemble, augmented copies): one prediction, two uncertainties."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxScoreKind, Floats
from dubio.core.errors import InputError
from dubio.uncertainty.boxes.arrays import Array, is_tensor
from dubio.uncertainty.boxes.classes import expected_entropy


@dataclass(frozen=True)
class MergedSamples:
    """What T samples of a model say together of N boxes; numpy, float64.

    Attributes:
        boxes: ``(N, 4)`` mean corners, pixels.
        class_scores: ``(N, C)`` mean scores.
        aleatoric: ``(N, 4)`` mean of the samples' variances, square pixels; ``None`` if they have none.
        epistemic: ``(N, 4)`` variance of the samples' corners; ``None`` for a single sample, which
            knows nothing of it.
        class_variance: ``(N, C)`` variance of the samples' scores; ``None`` likewise.
        expected_entropy: ``(N,)`` mean of the samples' class entropies, nats; ``None`` for a single sample
            and for logits.
    """

    boxes: Floats
    class_scores: Floats
    aleatoric: Floats | None
    epistemic: Floats | None
    class_variance: Floats | None
    expected_entropy: Floats | None

    @property
    def total(self) -> Floats | None:
        """``(N, 4)`` variance in all: the law of total variance. ``None`` if no part is known."""
        parts = [v for v in (self.aleatoric, self.epistemic) if v is not None]
        return np.sum(parts, axis=0) if parts else None


def merge_samples(
    means: Array,
    variances: Array | None,
    class_scores: Array,
    *,
    kind: BoxScoreKind,
    published: bool = False,
) -> MergedSamples:
    """Merge T samples of a model whose boxes correspond one by one (before suppression).

    Args:
        means: ``(T, N, 4)`` decoded corners, pixels.
        variances: ``(T, N, 4)`` decoded variances, square pixels; ``None``: the model predicts none.
        class_scores: ``(T, N, C)``.
        kind: what they are. Probabilities are averaged as such; logits as logits.
        published: take the square of the mean standard deviation as aleatoric variance, as the reference
            of Kassem Sbeyti et al. (ECML PKDD 2023) does; it is too small. For comparison only.

    Returns:
        Population variances (divided by T).

    Raises:
        InputError: shapes that don't fit, or no sample.

    >>> means = np.array([[[0, 0, 10, 10]], [[2, 0, 10, 10]]])
    >>> found = merge_samples(means, np.full((2, 1, 4), 3.0), np.array([[[0.4]], [[0.8]]]), kind="sigmoid")
    >>> found.boxes.tolist(), found.epistemic.tolist(), found.total.tolist()
    ([[1.0, 0.0, 10.0, 10.0]], [[1.0, 0.0, 0.0, 0.0]], [[4.0, 3.0, 3.0, 3.0]])
    """
    corners, scores = _numpy(means), _numpy(class_scores)
    if corners.ndim != 3 or corners.shape[2] != 4:
        raise InputError(f"sampled boxes have the shape (T, N, 4), not {corners.shape}")
    n_samples, n = corners.shape[:2]
    if n_samples == 0:
        raise InputError("there are no samples to merge")
    if scores.ndim != 3 or scores.shape[:2] != (n_samples, n):
        raise InputError(f"class scores have the shape {scores.shape}, not ({n_samples}, {n}, C)")
    noise = None if variances is None else _numpy(variances)
    if noise is not None and noise.shape != corners.shape:
        raise InputError(f"variances have the shape {noise.shape}, boxes {corners.shape}")
    box, epistemic = _moments(corners)
    mean_scores, score_variance = _moments(scores)
    aleatoric = None if noise is None else _mean(noise, np.sqrt if published else None)
    if aleatoric is not None and published:
        aleatoric = aleatoric**2
    several = n_samples > 1
    return MergedSamples(
        boxes=box,
        class_scores=mean_scores,
        aleatoric=aleatoric,
        epistemic=epistemic if several else None,
        class_variance=score_variance if several else None,
        expected_entropy=expected_entropy(scores, kind) if several and kind != "logits" else None,
    )


def _numpy(values: Array) -> npt.NDArray[Any]:
    return np.asarray(values.detach().cpu() if is_tensor(values) else values)


# Sample by sample, so that no copy of all of them in double precision is made.
def _mean(
    samples: Iterable[npt.NDArray[Any]], change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] | None = None
) -> Floats:
    total: Any = 0.0
    count = 0
    for sample in samples:
        values = sample.astype(np.float64)
        total = total + (values if change is None else change(values))
        count += 1
    return np.asarray(total / count)


def _moments(samples: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """Mean and population variance over the first axis."""
    mean = _mean(samples)
    return mean, _mean(samples, lambda x: (x - mean) ** 2)
