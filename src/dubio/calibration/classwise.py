"""One temperature per predicted class."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from dubio.calibration.base import Array, Calibrator, as_map, as_sample, rows, take_rows
from dubio.calibration.files import positive_of
from dubio.calibration.kernels import divide_by_winner
from dubio.calibration.objective import BINS
from dubio.calibration.temperature import Objective, fit_temperature, temperature_sentence
from dubio.core.errors import InputError
from dubio.data.logits import Floats, LogitSample


class ClasswiseTemperature(Calibrator):
    """Divide the logits of each pixel by the temperature of the channel that wins there.

    All channels of a pixel share its temperature, so that the winner never changes. (The published code
    meant this and scaled each channel by its own temperature instead, which changed predictions.)

    Args:
        objective: see :class:`~dubio.calibration.temperature.TemperatureScaling`.
        bounds: least and largest temperature for ``nll``.
        bins: equal-width bins of the ECE.
        step: step of the grid for ``ece``.
        min_pixels: a channel that wins on fewer pixels of the sample (or on none) takes the temperature of
            all pixels together.

    Attributes:
        temperatures_: ``(K,)`` float64.
        pooled_: temperature of all pixels together.

    >>> logits = np.array([[3.0, 0.0]] * 4 + [[0.0, 1.0]] * 4)
    >>> found = ClasswiseTemperature(min_pixels=1).fit(logits, np.array([0, 0, 0, 1, 1, 1, 1, 0]))
    >>> found.temperatures_.round(2).tolist()
    [2.73, 0.91]
    """

    temperatures_: npt.NDArray[np.float64]
    pooled_: float

    def __init__(
        self,
        objective: Objective = "nll",
        bounds: tuple[float, float] = (0.05, 20.0),
        bins: int = BINS,
        step: float = 0.01,
        min_pixels: int = 1000,
    ) -> None:
        self.objective = objective
        self.bounds = bounds
        self.bins = bins
        self.step = step
        self.min_pixels = min_pixels

    def fit(self, sample: LogitSample | Array, labels: Array | None = None) -> Self:
        """Learn the temperatures; see :meth:`Calibrator.fit`."""
        sample = as_sample(sample, labels)
        options = (self.objective, self.bounds, self.bins, self.step)
        self.pooled_, notes = fit_temperature(sample, *options)
        self.temperatures_, few = fit_channels(sample, self.pooled_, self.min_pixels, options)
        if few:
            notes.append(
                f"{few} of {len(self.temperatures_)} channels win on fewer than {self.min_pixels} pixels "
                f"and take the temperature of all, {self.pooled_:.2f}"
            )
        self.notes_ = notes
        return self

    def transform(
        self, logits: Array, *, images: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Divide each row by the temperature of its winning channel."""
        self.check_fitted()
        found = rows(logits, len(self.temperatures_))
        return found / self.temperatures_.astype(np.float32)[found.argmax(axis=1), None]

    def transform_map(
        self, logits: Array, *, image: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Divide each pixel by the temperature of its winning channel."""
        self.check_fitted()
        return by_winner(logits, self.temperatures_)[0]

    def temperature_map(
        self, logits: Array, *, image: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Temperature of the channel that wins at each pixel."""
        self.check_fitted()
        return by_winner(logits, self.temperatures_)[1]

    def describe(self) -> list[str]:
        """The range of the temperatures."""
        self.check_fitted()
        t = self.temperatures_
        return [
            f"temperatures {t.min():.2f} … {t.max():.2f} by predicted class; "
            f"all together: {temperature_sentence(self.pooled_)}",
            *self.notes_,
        ]

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """The temperatures."""
        return {"pooled": self.pooled_}, {"temperatures": self.temperatures_}

    def restore(self, data: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Take up the temperatures."""
        self.temperatures_ = positive_of(arrays, "temperatures", (None,)).astype(np.float64)
        self.pooled_ = float(data["pooled"])
        self.bounds = (float(self.bounds[0]), float(self.bounds[1]))


def fit_channels(
    sample: LogitSample, pooled: float, min_pixels: int, options: tuple[Any, ...]
) -> tuple[npt.NDArray[np.float64], int]:
    """Temperature of each predicted channel, and how many channels fell back to ``pooled``.

    Raises:
        InputError: ``min_pixels`` is below 1.
    """
    if min_pixels < 1:
        raise InputError(f"min_pixels={min_pixels} is below 1")
    k = sample.logits.shape[1]
    winner = sample.logits.argmax(axis=1)
    found = np.full(k, pooled)
    counts = np.bincount(winner, minlength=k)
    for channel in np.flatnonzero(counts >= min_pixels):
        found[channel] = fit_temperature(take_rows(sample, winner == channel), *options)[0]
    return found, int((counts < min_pixels).sum())


def by_winner(logits: Array, temperatures: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """A map divided by the temperature of each pixel's winner, and those temperatures ``(H, W)``."""
    found = as_map(logits, len(temperatures))
    k, h, w = found.shape
    out, used = np.empty((k, h * w), np.float32), np.empty(h * w, np.float32)
    divide_by_winner(found.reshape(k, -1), np.asarray(temperatures, np.float32), out, used)
    return out.reshape(k, h, w), used.reshape(h, w)
