"""The two objectives of temperatures: mapped negative log-likelihood, and the published ECE grid.

With a class map the probability of a label is the sum of the softmax over the channels that count as it. The
NLL of a label without any channel is infinite at every temperature: such pixels can't be fitted and are left
out of it; for the ECE they are errors like others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.calibration import kernels
from dubio.calibration.base import take_rows
from dubio.data.logits import Floats, LogitSample

BINS = 15
# up to here the ECE of every temperature is computed on all pixels
EXACT_PIXELS = 100_000
_CELLS = 32_768  # groups that more pixels are reduced to
_STEP_IN = 0.05  # width in log T of the bracket around the coarse minimum


@dataclass(frozen=True)
class Problem:
    """A sample made ready for the kernels.

    Attributes:
        sample: the pixels that can be fitted.
        labels: ``(N,)`` int32.
        first: ``(C + 1,)`` where the channels of each class begin in ``channels``.
        channels: channels sorted by class.
        left_out: pixels whose class no channel stands for.
    """

    sample: LogitSample
    labels: npt.NDArray[np.int32]
    first: npt.NDArray[np.int32]
    channels: npt.NDArray[np.int32]
    left_out: int

    @classmethod
    def of(cls, sample: LogitSample) -> Problem:
        """Leave out what can't be fitted and list the channels of each class."""
        targets = sample.targets
        counts = np.bincount(targets, minlength=sample.n_classes + 1)[: sample.n_classes]
        known = counts[sample.labels] > 0
        left_out = int(len(known) - known.sum())
        kept = take_rows(sample, known) if left_out else sample
        first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        order = np.argsort(targets, kind="stable")[: first[-1]].astype(np.int32)
        return cls(kept, kept.labels.astype(np.int32), first, order, left_out)

    def temperature(self, t: float) -> tuple[float, float]:
        """Mean NLL at a temperature, and its derivative by log T."""
        n = max(len(self.labels), 1)
        loss, slope = kernels.temperature_loss(
            _solid(self.sample.logits), self.labels, self.first, self.channels, 1.0 / t
        )
        return float(loss) / n, float(slope) / n

    def affine(self, parameters: npt.NDArray[Any]) -> tuple[float, npt.NDArray[np.float64]]:
        """Mean NLL of ``scale * logits + bias`` and its gradient; parameters are scales, then biases."""
        k = self.sample.logits.shape[1]
        scale, bias = np.asarray(parameters, np.float32).reshape(2, k)
        gradient = np.zeros((2, k))
        loss = kernels.affine_loss(
            _solid(self.sample.logits), self.labels, self.first, self.channels, scale, bias, *gradient
        )
        n = max(len(self.labels), 1)
        return float(loss) / n, gradient.ravel() / n


def _solid(logits: Floats) -> Floats:
    return np.ascontiguousarray(logits, np.float32)


def best_temperature_nll(problem: Problem, bounds: tuple[float, float]) -> float:
    """Temperature of least mean NLL; 1 if none is better; a bound if the NLL still falls there.

    A bounded scalar search in log T finds the valley, the root of the derivative its bottom.
    """
    from scipy.optimize import brentq, minimize_scalar

    if not len(problem.labels):
        return 1.0
    low, high = np.log(bounds)
    found = minimize_scalar(
        lambda s: problem.temperature(float(np.exp(s)))[0],
        bounds=(low, high),
        method="bounded",
        options={"xatol": _STEP_IN / 5},
    )

    def slope(s: float) -> float:
        return problem.temperature(float(np.exp(s)))[1]

    a, b = max(found.x - _STEP_IN, low), min(found.x + _STEP_IN, high)
    at_a, at_b = slope(a), slope(b)
    inner = float(brentq(slope, a, b, xtol=1e-9)) if at_a < 0 < at_b else float(found.x)
    # a bound wins a tie: where the pixels are told apart perfectly, the NLL is flat to the last digit
    choices = [*bounds, float(np.exp(inner))]
    best = choices[int(np.argmin([problem.temperature(t)[0] for t in choices]))]
    return best if problem.temperature(best)[0] < problem.temperature(1.0)[0] else 1.0


def grid(step: float) -> npt.NDArray[np.float64]:
    """The published temperatures: 0.5 up to, not including, 10."""
    return np.arange(0.5, 10.0, step)


def best_temperature_ece(
    sample: LogitSample, temperatures: npt.NDArray[np.float64], bins: int
) -> tuple[float, bool]:
    """Temperature of the grid with the least ECE, 1 if none is below that of 1; and whether it is exact.

    Up to :data:`EXACT_PIXELS` pixels every temperature sees all of them. More are first reduced to weighted
    representatives: pixels of equal correctness, sorted by confidence at T = 1 and again, in runs, at T = 4,
    are cut into groups of equal size, and the middle one stands for its group. The cost no longer grows with
    the number of pixels; the ECE is then approximate (groups hold 1/32768 of the pixels).
    """
    exact = len(sample) <= EXACT_PIXELS
    weights = np.ones(len(sample))
    if not exact:
        sample, weights = _representatives(sample)
    best, least = 1.0, _ece_at(sample, weights, 1.0, bins)
    for t in temperatures:
        value = _ece_at(sample, weights, float(t), bins)
        if value < least:
            best, least = float(t), value
    return best, exact


def _representatives(sample: LogitSample) -> tuple[LogitSample, npt.NDArray[np.float64]]:
    at_one, right = confidence(sample)
    at_four, _ = confidence(sample, 4.0)
    order = np.lexsort((at_one, right))
    runs = np.array_split(order, int(np.sqrt(_CELLS)))
    order = np.concatenate([run[np.lexsort((at_four[run], right[run]))] for run in runs])
    groups = [part for run in np.array_split(order, int(np.sqrt(_CELLS))) for part in _cut(run, right)]
    middles = np.array([part[len(part) // 2] for part in groups])
    return take_rows(sample, middles), np.array([len(part) for part in groups], np.float64)


def _cut(run: npt.NDArray[np.int64], right: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.int64]]:
    count = max(int(np.sqrt(_CELLS)), 1)
    whole = [run[~right[run]], run[right[run]]]
    return [part for side in whole for part in np.array_split(side, count) if len(part)]


def confidence(sample: LogitSample, t: float = 1.0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Largest class probability of each pixel after the class map, and whether that class is the label."""
    found, right = np.empty(len(sample), np.float32), np.empty(len(sample), np.bool_)
    kernels.confidence_rows(
        _solid(sample.logits),
        sample.labels.astype(np.int32),
        sample.targets.astype(np.int32),
        sample.n_classes,
        1.0 / t,
        found,
        right,
    )
    return found, right


def _ece_at(sample: LogitSample, weights: npt.NDArray[np.float64], t: float, bins: int) -> float:
    return _ece(*confidence(sample, t), weights, bins)


def _ece(
    found: npt.NDArray[np.float32],
    right: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.float64],
    bins: int,
) -> float:
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    which = np.searchsorted(edges, found, side="left")  # bins are closed on the right
    gap = np.bincount(which, weights * (found.astype(np.float64) - right), minlength=bins)
    return float(np.abs(gap).sum() / weights.sum())


def quality(sample: LogitSample, bins: int = BINS) -> dict[str, float]:
    """Mean mapped NLL (nats) and ECE of a sample as it is; NaN without pixels.

    Pixels of classes that no channel stands for count in the ECE only; ``left_out`` is their number.

    >>> sample = LogitSample(np.zeros((4, 2), np.float32), np.array([0, 0, 1, 1], np.uint16),
    ...                      np.zeros(4, np.int32), ("a",), 2)
    >>> {name: round(value, 4) for name, value in quality(sample).items()}
    {'nll': 0.6931, 'ece': 0.0, 'left_out': 0}
    """
    problem = Problem.of(sample)
    some = len(problem.labels) > 0
    return {
        "nll": problem.temperature(1.0)[0] if some else float("nan"),
        "ece": _ece_at(sample, np.ones(len(sample)), 1.0, bins) if len(sample) else float("nan"),
        "left_out": problem.left_out,
    }


def left_out_note(problem: Problem) -> list[str]:
    """A sentence on the pixels that no temperature can fit, if there are some."""
    if not problem.left_out:
        return []
    share = problem.left_out / (problem.left_out + len(problem.labels))
    return [f"{share:.1%} of the pixels are of classes that the model can't predict; the fit leaves them out"]
