"""A temperature for each image, from how sure the model is of the image as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from dubio.calibration.base import Array, Calibrator, as_map, as_sample, rows, take_rows
from dubio.calibration.files import Storage, array_of, positive_of
from dubio.calibration.objective import Problem
from dubio.calibration.temperature import fit_temperature, temperature_sentence
from dubio.core.errors import InputError
from dubio.data.logits import Floats, LogitSample

Wide = npt.NDArray[np.float64]
_FEATURES = ("mean confidence", "mean entropy", "log of the mean spread of the logits")
_PIXELS = 2000  # of a map, for its features: their error is then far below their differences


class AdaptiveTemperature(Calibrator):
    """One temperature per image: its logarithm is linear in features of the image's logits.

    A single temperature that is right for clear images is too small for foggy ones. What an image's logits
    look like as a whole tells which it is, without labels: mean largest probability, mean entropy, mean
    spread, and the square root of the mean probability of each channel (a network that is lost calls
    everything the same few classes). Fitted by mapped NLL with a ridge that draws towards one temperature
    for all; images far outside those that were fitted on are treated as the farthest of them. Teach it with
    corrupted copies of the calibration images, or it has nothing to learn from. (A smooth form of the
    clusters of de Jorge et al., CVPR 2023; attended temperatures of Mozafari et al., 2018, and
    sample-dependent ones of Joy et al., 2023, are relatives.)

    On CamVid, judged under a corruption that it was not taught, it left half the calibration error of one
    temperature (see the benchmarks).

    Args:
        ridge: weight of the squared slopes, in nats, against the mean NLL of the images.
        bounds: least and largest temperature.

    Attributes:
        weights_: ``(K + 4,)`` log temperature of a mean image, and slopes by standardised feature.
        shift_: ``(K + 3,)`` means of the features.
        scale_: ``(K + 3,)`` their standard deviations.
        limits_: ``(2, K + 3)`` least and largest standardised feature that was seen.

    >>> rng = np.random.default_rng(0)
    >>> z = rng.normal(0, 3, (400, 3)).astype(np.float32)
    >>> y = np.array([rng.choice(3, p=np.exp(r) / np.exp(r).sum()) for r in z.astype(float)])
    >>> bool(abs(AdaptiveTemperature().fit(z, y).weights_[0]) < 0.2)
    True
    """

    storage: ClassVar[Storage] = "npz"
    weights_: Wide
    shift_: Wide
    scale_: Wide
    limits_: Wide

    def __init__(self, ridge: float = 1e-3, bounds: tuple[float, float] = (0.05, 20.0)) -> None:
        self.ridge = ridge
        self.bounds = bounds

    def fit(self, sample: LogitSample | Array, labels: Array | None = None) -> Self:
        """Learn from sampled logits of many images; see :meth:`Calibrator.fit`.

        Raises:
            InputError: nothing labelled, or options out of range.
        """
        if not self.ridge >= 0 or not 0 < self.bounds[0] < self.bounds[1]:
            raise InputError("ridge must not be negative, and bounds be positive and rising")
        sample = as_sample(sample, labels)
        images = _images(sample)
        features = np.stack([i.features for i in images])
        self.shift_ = features.mean(axis=0)
        spread = features.std(axis=0)
        self.scale_ = np.where(spread > 1e-9, spread, 1.0)
        scaled = (features - self.shift_) / self.scale_
        self.limits_ = np.stack([scaled.min(axis=0), scaled.max(axis=0)])
        pooled, _ = fit_temperature(sample)
        self.weights_ = _minimise(images, scaled, float(np.log(pooled)), self.ridge, self.bounds)
        self.notes_ = [f"learned from {len(images)} images"]
        return self

    def image_temperature(self, logits: Array) -> float:
        """The temperature of an image, from ``(K, N)`` logits of all or some of its pixels."""
        self.check_fitted()
        if len(logits) != len(self.shift_) - len(_FEATURES):
            raise InputError(
                f"scores have {len(logits)} channels, the calibrator was fitted on "
                f"{len(self.shift_) - len(_FEATURES)}",
                remedy="use the calibrator with the model that it was fitted on",
            )
        scaled = (image_features(logits) - self.shift_) / self.scale_
        inside = np.clip(scaled, *self.limits_)
        return float(np.clip(np.exp(self.weights_[0] + inside @ self.weights_[1:]), *self.bounds))

    def transform(
        self, logits: Array, *, images: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Divide the rows of each image by its temperature."""
        found = rows(logits)
        owner = np.zeros(len(found), np.int64) if images is None else np.asarray(images)
        out = np.empty_like(found)
        for image in np.unique(owner):
            part = owner == image
            out[part] = found[part] * np.float32(1 / self.image_temperature(found[part].T))
        return out

    def transform_map(
        self, logits: Array, *, image: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Divide the image's logits by its temperature."""
        found = as_map(logits)
        return found * np.float32(1 / self._of_map(found))

    def temperature_map(
        self, logits: Array, *, image: Array | None = None, features: Array | None = None
    ) -> Floats:
        """The image's temperature at every pixel."""
        found = as_map(logits)
        return np.full(found.shape[1:], self._of_map(found), np.float32)

    def _of_map(self, logits: Floats) -> float:
        flat = logits.reshape(len(logits), -1)
        step = max(flat.shape[1] // _PIXELS, 1)
        return self.image_temperature(flat[:, step // 2 :: step])

    def describe(self) -> list[str]:
        """The temperature of a mean image, and which way it moves."""
        self.check_fitted()
        first = self.weights_[1 : len(_FEATURES) + 1]
        slopes = ", ".join(f"{n} {w:+.2f}" for n, w in zip(_FEATURES, first, strict=True))
        mean = f"of a mean image, {temperature_sentence(float(np.exp(self.weights_[0])))}"
        return [mean, f"change of log temperature per standard deviation: {slopes}", *self.notes_]

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Weights, scaling and limits."""
        names = ("weights", "shift", "scale", "limits")
        return {}, {name: getattr(self, f"{name}_") for name in names}

    def restore(self, data: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Take them up."""
        count = len(array_of(arrays, "shift", (None,)))
        self.weights_ = array_of(arrays, "weights", (count + 1,))
        self.shift_ = array_of(arrays, "shift", (count,))
        self.scale_ = positive_of(arrays, "scale", (count,))
        self.limits_ = array_of(arrays, "limits", (2, count))


def image_features(logits: Array) -> Wide:
    """Features ``(K + 3,)`` of ``(K, N)`` logits of an image; zeros without pixels."""
    z = np.asarray(logits, np.float64)
    if z.shape[1] == 0:
        return np.zeros(len(_FEATURES) + len(z))
    z = z - z.max(axis=0)
    p = np.exp(z)
    total = p.sum(axis=0)
    entropy = np.log(total) - (p * z).sum(axis=0) / total
    spread = float(z.std(axis=0).mean())
    known = [float((1 / total).mean()), float(entropy.mean()), float(np.log(max(spread, 1e-6)))]
    return np.concatenate([known, np.sqrt((p / total).mean(axis=1))])


@dataclass(frozen=True)
class _Image:
    features: Wide
    problem: Problem


def _images(sample: LogitSample) -> Sequence[_Image]:
    order = np.argsort(sample.image, kind="stable")
    edges = np.searchsorted(sample.image[order], np.arange(len(sample.image_ids) + 1))
    found = []
    for a, b in pairwise(edges):
        if b > a:
            part = take_rows(sample, order[a:b])
            found.append(_Image(image_features(part.logits.T), Problem.of(part)))
    return found


def _minimise(
    images: Sequence[_Image], scaled: Wide, start: float, ridge: float, bounds: tuple[float, float]
) -> Wide:
    """Weights of least mean NLL over pixels, plus the ridge."""
    from scipy.optimize import minimize

    design = np.column_stack([np.ones(len(scaled)), scaled])
    sizes = np.array([len(i.problem.labels) for i in images], np.float64)
    shares = sizes / max(float(sizes.sum()), 1.0)

    def loss(w: Wide) -> tuple[float, Wide]:
        logs = design @ w
        t = np.clip(np.exp(logs), *bounds)
        parts = np.array([i.problem.temperature(float(v)) for i, v in zip(images, t, strict=True)])
        inside = (np.exp(logs) > bounds[0]) & (np.exp(logs) < bounds[1])
        slopes = shares * parts[:, 1] * inside
        penalty = np.concatenate([[0.0], w[1:]])
        return float(
            shares @ parts[:, 0] + ridge * penalty @ penalty
        ), design.T @ slopes + 2 * ridge * penalty

    first = np.zeros(design.shape[1])
    first[0] = start
    found = minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": 60})
    return np.asarray(found.x if found.fun < loss(first)[0] else first, np.float64)
