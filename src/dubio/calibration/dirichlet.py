"""Dirichlet calibration: multinomial logistic regression on log probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.calibration.base import Array
from dubio.calibration.files import array_of
from dubio.calibration.probabilities import ProbabilityCalibrator
from dubio.core.errors import InputError
from dubio.core.seeds import rng_for
from dubio.data.logits import Floats, log_scores


class DirichletCalibration(ProbabilityCalibrator):
    """``softmax(weights @ log p + bias)`` (Kull et al., NeurIPS 2019).

    Weights off the diagonal and biases are penalised (the paper's ODIR), and the search starts at the
    identity, so that few pixels leave the probabilities nearly as they are. scikit-learn's logistic
    regression draws all weights to zero instead, that is to equal probabilities, and isn't used. May change
    the winner.

    Args:
        penalty: weight of the mean squared off-diagonal weight, beside the mean NLL (nats).
        bias_penalty: weight of the mean squared bias.
        max_pixels: most pixels to learn from, chosen at random.
        max_iter: most iterations of L-BFGS.
        seed: seed of that choice.

    Attributes:
        weights_: ``(L, L)`` float32.
        bias_: ``(L,)`` float32.

    >>> logits = np.array([[2.0, 0.0], [0.0, 2.0]] * 50)
    >>> found = DirichletCalibration().fit(logits, np.array([0, 1, 0, 0, 0, 0, 0, 0, 0, 0] * 10))
    >>> found.predict_proba(logits[:2]).argmax(axis=1).tolist()
    [0, 0]
    """

    weights_: Floats
    bias_: Floats

    def __init__(
        self,
        penalty: float = 1e-3,
        bias_penalty: float = 1e-3,
        max_pixels: int = 50_000,
        max_iter: int = 100,
        seed: int = 0,
    ) -> None:
        self.penalty = penalty
        self.bias_penalty = bias_penalty
        self.max_pixels = max_pixels
        self.max_iter = max_iter
        self.seed = seed

    def _learn(self, probabilities: Floats, labels: npt.NDArray[np.int64], n_classes: int) -> list[str]:
        from scipy.optimize import minimize
        from threadpoolctl import threadpool_limits

        if not (self.penalty >= 0 and self.bias_penalty >= 0) or self.max_pixels < 1 or self.max_iter < 1:
            raise InputError("penalties can't be below 0, max_pixels and max_iter not below 1")
        notes = []
        if len(labels) > self.max_pixels:
            chosen = rng_for(self.seed, "dirichlet").choice(len(labels), self.max_pixels, replace=False)
            notes.append(f"learned from {self.max_pixels} of {len(labels)} pixels")
            probabilities, labels = probabilities[chosen], labels[chosen]
        size = probabilities.shape[1]
        x = log_scores(probabilities, "probabilities")
        start = np.vstack([np.eye(size), np.zeros(size)]).ravel()

        def loss(parameters: npt.NDArray[Any]) -> tuple[float, npt.NDArray[np.float64]]:
            return self._loss(parameters, x, labels)

        # products of tall matrices spend their time waiting when several threads share few cores
        with threadpool_limits(1, user_api="blas"):
            found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": self.max_iter})
        best = found.x if found.fun < loss(start)[0] else start
        both = best.astype(np.float32).reshape(size + 1, size)
        self.weights_, self.bias_ = np.ascontiguousarray(both[:-1].T), both[-1].copy()
        return notes

    def _loss(
        self, parameters: npt.NDArray[Any], x: Floats, labels: npt.NDArray[np.int64]
    ) -> tuple[float, npt.NDArray[np.float64]]:
        n, size = x.shape
        both = parameters.reshape(size + 1, size)
        u = x @ both[:-1].astype(np.float32) + both[-1].astype(np.float32)
        u -= u.max(axis=1, keepdims=True)
        index = np.arange(n)
        own = u[index, labels].astype(np.float64)
        p = np.exp(u)
        total = p.sum(axis=1, keepdims=True)
        value = float(np.mean(np.log(total[:, 0], dtype=np.float64) - own))
        p /= total
        p[index, labels] -= 1
        gradient = np.vstack([x.T @ p, p.sum(axis=0)]).astype(np.float64) / n
        off = both[:-1] * (1 - np.eye(size))
        pairs = max(size * (size - 1), 1)
        value += self.penalty * float((off**2).sum()) / pairs
        value += self.bias_penalty * float((both[-1] ** 2).sum()) / size
        gradient[:-1] += 2 * self.penalty / pairs * off
        gradient[-1] += 2 * self.bias_penalty / size * both[-1]
        return value, gradient.ravel()

    def _adjust(self, columns: Floats) -> Floats:
        found = self.weights_ @ log_scores(columns, "probabilities")
        found += self.bias_[:, None]
        found -= found.max(axis=0)
        np.exp(found, out=found)
        found /= found.sum(axis=0)
        return found

    def describe(self) -> list[str]:
        """The range of the diagonal and of the biases."""
        self.check_fitted()
        d, b = np.diag(self.weights_), self.bias_
        return [
            f"Dirichlet map of {len(b)} classes: diagonal {d.min():.2f} … {d.max():.2f}, "
            f"biases {b.min():+.2f} … {b.max():+.2f}",
            *self.notes_,
        ]

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Weights and biases."""
        data, arrays = super().state()
        return data, {**arrays, "weights": self.weights_, "bias": self.bias_}

    def restore(self, data: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Take up weights and biases."""
        super().restore(data, arrays)
        self.weights_ = array_of(arrays, "weights", (self.n_columns_,) * 2).astype(np.float32)
        self.bias_ = array_of(arrays, "bias", (self.n_columns_,)).astype(np.float32)
