"""One temperature for all pixels, and none at all."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np

from dubio.calibration.base import Array, Calibrator, as_map, as_sample, check_choice, rows
from dubio.calibration.objective import (
    BINS,
    Problem,
    best_temperature_ece,
    best_temperature_nll,
    grid,
    left_out_note,
)
from dubio.core.errors import InputError
from dubio.data.logits import Floats, LogitSample

Objective = Literal["nll", "ece"]
_NEAR_ONE = 0.02


class Identity(Calibrator):
    """No calibration, so that "before" is a calibrator too.

    >>> Identity().transform(np.array([[1.0, 2.0]])).tolist()
    [[1.0, 2.0]]
    """

    def __init__(self) -> None:
        self.notes_ = []

    def fit(self, sample: LogitSample | Array, labels: Array | None = None) -> Self:
        """Check the input; there is nothing to learn."""
        as_sample(sample, labels)
        return self

    def transform(
        self, logits: Array, *, images: Array | None = None, features: Array | None = None
    ) -> Floats:
        """The rows as float32."""
        return rows(logits).copy()

    def transform_map(
        self, logits: Array, *, image: Array | None = None, features: Array | None = None
    ) -> Floats:
        """The map as float32."""
        return as_map(logits).copy()

    def temperature_map(
        self, logits: Array, *, image: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Ones."""
        return np.ones(np.shape(logits)[1:], np.float32)

    def describe(self) -> list[str]:
        """One sentence."""
        return ["no calibration"]

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Nothing."""
        return {}, {}

    def restore(self, data: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Nothing to take up."""


class TemperatureScaling(Calibrator):
    """Divide all logits by one number (Guo et al., ICML 2017).

    The most probable class never changes, nor the order of the classes inside a pixel.

    Args:
        objective: ``nll``: least mean negative log-likelihood, by a bounded search in log T on all pixels of
            the sample. ``ece``: least expected calibration error on a grid, as published with *Reliability
            in Semantic Segmentation* (CVPR 2023); exact up to 100 000 pixels, from weighted
            representatives above. The ECE is not smooth and biased as an aim; prefer ``nll``.
        bounds: least and largest temperature for ``nll``. Separable data end at the lower bound.
        bins: equal-width bins of the ECE.
        step: step of the grid 0.5 … 10 for ``ece``.

    Attributes:
        temperature_: the temperature; 1 if nothing is better.

    >>> logits = np.array([[3.0, 0.0]] * 4)
    >>> found = TemperatureScaling().fit(logits, np.array([0, 0, 0, 1]))
    >>> found.describe()
    ['temperature 2.73: the model was overconfident']
    >>> found.predict_proba(logits[:1]).round(2).tolist()
    [[0.75, 0.25]]
    """

    temperature_: float

    def __init__(
        self,
        objective: Objective = "nll",
        bounds: tuple[float, float] = (0.05, 20.0),
        bins: int = BINS,
        step: float = 0.01,
    ) -> None:
        self.objective = objective
        self.bounds = bounds
        self.bins = bins
        self.step = step

    def fit(self, sample: LogitSample | Array, labels: Array | None = None) -> Self:
        """Learn the temperature; see :meth:`Calibrator.fit`."""
        sample = as_sample(sample, labels)
        self.temperature_, self.notes_ = fit_temperature(
            sample, self.objective, self.bounds, self.bins, self.step
        )
        return self

    def transform(
        self, logits: Array, *, images: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Divide the rows by the temperature; any number of channels."""
        self.check_fitted()
        return rows(logits) * np.float32(1 / self.temperature_)

    def transform_map(
        self, logits: Array, *, image: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Divide the map by the temperature."""
        self.check_fitted()
        return as_map(logits) * np.float32(1 / self.temperature_)

    def temperature_map(
        self, logits: Array, *, image: Array | None = None, features: Array | None = None
    ) -> Floats:
        """The same temperature everywhere."""
        self.check_fitted()
        return np.full(np.shape(logits)[1:], self.temperature_, np.float32)

    def describe(self) -> list[str]:
        """The temperature and what it means."""
        self.check_fitted()
        return [temperature_sentence(self.temperature_), *self.notes_]

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """The temperature."""
        return {"temperature": self.temperature_}, {}

    def restore(self, data: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Take up the temperature."""
        t = float(data["temperature"])
        if not 0 < t < np.inf:
            raise ValueError("a temperature is above zero")
        self.temperature_, self.bounds = t, (float(self.bounds[0]), float(self.bounds[1]))


def fit_temperature(
    sample: LogitSample,
    objective: Objective = "nll",
    bounds: tuple[float, float] = (0.05, 20.0),
    bins: int = BINS,
    step: float = 0.01,
) -> tuple[float, list[str]]:
    """Best temperature of a sample by either objective, with notes for the user.

    Raises:
        InputError: options out of range.
    """
    check_objective(objective, bounds, bins, step)
    if objective == "ece":
        t, exact = best_temperature_ece(sample, grid(step), bins)
        return t, [] if exact else ["the least ECE was sought on weighted representatives of the pixels"]
    problem = Problem.of(sample)
    t = best_temperature_nll(problem, bounds)
    notes = left_out_note(problem)
    if not len(problem.labels):
        notes.append("no pixel can be fitted; the temperature stays 1")
    elif t in bounds:
        notes.append(f"the temperature is at its bound {t:g}: the pixels can't tell it any better")
    return t, notes


def check_objective(objective: str, bounds: tuple[float, float], bins: int, step: float) -> None:
    """Check the options of temperature-like calibrators.

    Raises:
        InputError: one is out of range.
    """
    check_choice("objective", objective, ("nll", "ece"))
    if not (len(bounds) == 2 and 0 < bounds[0] <= 1 <= bounds[1] < np.inf):
        raise InputError(f"temperatures can't be sought in {bounds}", remedy="give bounds around 1")
    if bins < 1 or not 0 < step <= 9:
        raise InputError(f"{bins} bins and a step of {step} are no grid", remedy="say bins=15, step=0.01")


def temperature_sentence(t: float) -> str:
    """What a temperature says of the model.

    >>> temperature_sentence(0.8)
    'temperature 0.80: the model was underconfident'
    """
    if abs(t - 1) < _NEAR_ONE:
        return f"temperature {t:.2f}: the model's confidence was about right"
    return f"temperature {t:.2f}: the model was {'over' if t > 1 else 'under'}confident"
