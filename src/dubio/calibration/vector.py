"""One scale and one bias per channel."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from dubio.calibration.base import Array, Calibrator, as_map, as_sample, rows
from dubio.calibration.files import array_of
from dubio.calibration.objective import Problem, left_out_note
from dubio.core.errors import InputError
from dubio.data.logits import Floats, LogitSample


class VectorScaling(Calibrator):
    """Scale and shift every channel: ``scale * logits + bias`` (Guo et al., ICML 2017).

    Fitted by the mapped NLL with L-BFGS and its exact gradient, starting at the identity. Unlike a
    temperature it may change the most probable class.

    Args:
        penalty: weight of half the squared distance from the identity, added to the mean NLL (nats); keeps
            the bias of a class without labels finite.
        max_iter: most iterations.

    Attributes:
        scale_: ``(K,)`` float32.
        bias_: ``(K,)`` float32.

    >>> logits = np.array([[1.0, 0.0], [0.0, 1.0]] * 50)
    >>> found = VectorScaling().fit(logits, np.array([0, 1, 0, 0] * 25))
    >>> found.transform(logits[:2]).argmax(axis=1).tolist(), bool(found.bias_[0] > found.bias_[1])
    ([0, 0], True)
    """

    scale_: Floats
    bias_: Floats

    def __init__(self, penalty: float = 1e-4, max_iter: int = 200) -> None:
        self.penalty = penalty
        self.max_iter = max_iter

    def fit(self, sample: LogitSample | Array, labels: Array | None = None) -> Self:
        """Learn scales and biases; see :meth:`Calibrator.fit`."""
        from scipy.optimize import minimize

        if not self.penalty >= 0 or self.max_iter < 1:
            raise InputError("penalty must be at least 0 and max_iter at least 1")
        sample = as_sample(sample, labels)
        k = sample.logits.shape[1]
        problem = Problem.of(sample)
        start = np.concatenate([np.ones(k), np.zeros(k)])

        def loss(parameters: npt.NDArray[Any]) -> tuple[float, npt.NDArray[np.float64]]:
            value, gradient = problem.affine(parameters)
            away = parameters - start
            return value + self.penalty / 2 * float(away @ away), gradient + self.penalty * away

        self.notes_ = left_out_note(problem)
        best = start
        if len(problem.labels):
            found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": self.max_iter})
            best = found.x if found.fun < loss(start)[0] else start
        else:
            self.notes_.append("no pixel can be fitted; the logits stay as they are")
        self.scale_, self.bias_ = best.astype(np.float32).reshape(2, k)
        return self

    def transform(
        self, logits: Array, *, images: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Scale and shift the rows."""
        self.check_fitted()
        return rows(logits, len(self.scale_)) * self.scale_ + self.bias_

    def transform_map(
        self, logits: Array, *, image: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Scale and shift the map."""
        self.check_fitted()
        found = as_map(logits, len(self.scale_)) * self.scale_[:, None, None]
        found += self.bias_[:, None, None]
        return found

    def describe(self) -> list[str]:
        """The range of scales and biases."""
        self.check_fitted()
        s, b = self.scale_, self.bias_
        return [
            f"scales {s.min():.2f} … {s.max():.2f} and biases {b.min():+.2f} … {b.max():+.2f} "
            f"for {len(s)} channels",
            *self.notes_,
        ]

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Scales and biases."""
        return {}, {"scale": self.scale_, "bias": self.bias_}

    def restore(self, data: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Take up scales and biases."""
        self.scale_ = array_of(arrays, "scale", (None,)).astype(np.float32)
        self.bias_ = array_of(arrays, "bias", self.scale_.shape).astype(np.float32)
