# mypy: allow-subclassing-any
"""What all calibrators share: the contract of scikit-learn, inputs, and application to whole maps.

A calibrator of the stage ``logits`` changes the logits of the model's own channels, before any class map, so
that it serves every label space. One of the stage ``probabilities`` changes class probabilities and belongs
to the label space that it was fitted on.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator

from dubio.calibration import files
from dubio.core.errors import InputError
from dubio.data.logits import Floats, LogitSample

Array = npt.NDArray[Any]
_NO_ROWS = "there are no labelled pixels to calibrate on"


class Calibrator(BaseEstimator):
    """Base of all calibrators.

    Subclasses learn in :meth:`fit` and keep what they learned in attributes with a trailing underscore.

    Attributes:
        stage: what is changed: ``logits`` of the model's channels, or ``probabilities`` of the classes.
        storage: how :meth:`save` writes.
        notes_: sentences on what the user should know of the fit.
    """

    stage: ClassVar[Literal["logits", "probabilities"]] = "logits"
    storage: ClassVar[files.Storage] = "json"
    notes_: list[str]

    @property
    def needs(self) -> frozenset[str]:
        """What application needs beside the scores: ``image``, ``features``, both or nothing."""
        return frozenset()

    @property
    def fitted(self) -> bool:
        """Whether there is something to apply."""
        return hasattr(self, "notes_")

    @abstractmethod
    def fit(self, sample: LogitSample | Array, labels: Array | None = None) -> Self:
        """Learn from sampled logits with labels.

        Args:
            sample: the sample; or ``(N, K)`` logits of one image.
            labels: ``(N,)`` class indices, for plain logits; negative ones and ``K`` and above are void.

        Raises:
            InputError: nothing labelled, scores that are no finite numbers, or options out of range.
        """

    @abstractmethod
    def transform(
        self, logits: Array, *, images: Array | None = None, features: Array | None = None
    ) -> Array:
        """Calibrate rows.

        Args:
            logits: ``(N, K)`` scores of the calibrator's stage, any float type.
            images: ``(N,)`` number of each row's image; ``None``: all of one image.
            features: ``(n_images, D)`` features of the images, if the calibrator needs them.

        Returns:
            ``(N, K)`` float32.

        Raises:
            InputError: not fitted, another number of channels, or missing features.
        """

    @abstractmethod
    def transform_map(
        self, logits: Array, *, image: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Calibrate all pixels of one image.

        Args:
            logits: ``(K, H, W)`` scores of the calibrator's stage, any float type.
            image: ``(H, W, 3)`` uint8 RGB, if the calibrator needs it.
            features: ``(D,)`` features of the image, if the calibrator needs them.

        Returns:
            ``(K, H, W)`` float32, a new array.

        Raises:
            InputError: not fitted, another number of channels, or something needed is missing.
        """

    def temperature_map(
        self, logits: Array, *, image: Array | None = None, features: Array | None = None
    ) -> Floats | None:
        """Temperature of each pixel, ``(H, W)`` float32; ``None`` if the calibrator isn't a temperature."""
        return None

    @abstractmethod
    def describe(self) -> list[str]:
        """Sentences on what was learned, for the user."""

    @abstractmethod
    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What was learned, as plain data and as arrays (for files)."""

    @abstractmethod
    def restore(self, data: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Take up what :meth:`state` gave; raises on anything that doesn't fit."""

    def predict_proba(
        self, logits: Array, *, images: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Calibrated probabilities of the rows ``(N, K)``; see :meth:`transform`."""
        return softmax(self.transform(logits, images=images, features=features))

    def predict(
        self, logits: Array, *, images: Array | None = None, features: Array | None = None
    ) -> npt.NDArray[np.int64]:
        """Most probable channel (or class, at the stage ``probabilities``) of each row, ``(N,)``."""
        found = self.predict_proba(logits, images=images, features=features)
        return np.asarray(found.argmax(axis=1), np.int64)

    def apply(self, sample: LogitSample) -> LogitSample:
        """The sample as the calibrated model would have given it: same pixels, same class map."""
        new = self.transform(sample.logits, images=sample.image, features=sample.features)
        return replace(sample, logits=new)

    def save(self, path: str | Path) -> None:
        """Write one file (JSON, NPZ or safetensors; never pickle); the same fit gives the same bytes.

        Raises:
            InputError: not fitted, or the file can't be written.
        """
        self.check_fitted()
        data, arrays = self.state()
        header = {"params": self.get_params(), "notes": self.notes_, "state": data}
        files.write(path, type(self).__name__, header, arrays, self.storage)

    def key(self) -> Any:
        """Plain data that changes with what the calibrator does (for resumed runs)."""
        self.check_fitted()
        data, arrays = self.state()
        sums = {name: sha256(np.ascontiguousarray(a).tobytes()).hexdigest() for name, a in arrays.items()}
        return {"kind": type(self).__name__, "params": self.get_params(), "state": data, "arrays": sums}

    def check_fitted(self) -> None:
        """Raise :class:`InputError` if there is nothing to apply yet."""
        if not self.fitted:
            raise InputError(f"{type(self).__name__} isn't fitted", remedy="call fit first")


def as_sample(sample: LogitSample | Array, labels: Array | None) -> LogitSample:
    """Logits and labels as a sample of finite numbers with at least one pixel.

    Raises:
        InputError: they can't be.
    """
    if not isinstance(sample, LogitSample):
        logits = rows(sample)
        if labels is None or np.shape(labels) != (len(logits),):
            raise InputError("plain logits need one label each", remedy="give labels of shape (N,)")
        given = np.asarray(labels)
        if given.dtype.kind not in "iu":
            raise InputError(f"labels are class indices, not {given.dtype}")
        keep = (given >= 0) & (given < logits.shape[1])
        sample = LogitSample(
            logits[keep],
            given[keep].astype(np.uint16),
            np.zeros(int(keep.sum()), np.int32),
            ("",),
            logits.shape[1],
        )
    if not len(sample):
        raise InputError(_NO_ROWS)
    if not np.isfinite(sample.logits).all():
        raise InputError("logits hold NaN or infinite values")
    return sample


def rows(logits: Array, channels: int | None = None) -> Floats:
    """Rows ``(N, K)`` as contiguous float32.

    Raises:
        InputError: another shape, another number of channels, or no floats.
    """
    return _scores(logits, 2, "(N, K)", 1, channels)


def as_map(logits: Array, channels: int | None = None) -> Floats:
    """A map ``(K, H, W)`` as contiguous float32; raises like :func:`rows`."""
    return _scores(logits, 3, "(K, H, W)", 0, channels)


def _scores(logits: Array, ndim: int, shape: str, axis: int, channels: int | None) -> Floats:
    found = np.asarray(logits)
    if found.ndim != ndim or found.dtype.kind != "f" or found.shape[axis] == 0:
        raise InputError(f"scores are floats of shape {shape}, not {found.dtype} of {found.shape}")
    if channels is not None and found.shape[axis] != channels:
        raise InputError(
            f"scores have {found.shape[axis]} channels, the calibrator was fitted on {channels}",
            remedy="use the calibrator with the model that it was fitted on",
        )
    return np.ascontiguousarray(found, np.float32)


def take_rows(sample: LogitSample, keep: Array) -> LogitSample:
    """Some pixels of a sample, by mask or by indices; the images stay listed."""
    return replace(sample, logits=sample.logits[keep], labels=sample.labels[keep], image=sample.image[keep])


def softmax(logits: Floats) -> Floats:
    """Probabilities of rows ``(N, K)``."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True), np.float32)


def class_probabilities(logits: Floats, targets: Sequence[int] | Array, n_classes: int) -> Floats:
    """Softmax of rows ``(N, K)``, summed by class.

    Args:
        logits: the rows.
        targets: ``(K,)`` class of each channel, ``n_classes`` for none.
        n_classes: number of classes.

    Returns:
        ``(N, C)``, or ``(N, C + 1)`` if a channel has no class.

    >>> class_probabilities(np.zeros((1, 4), np.float32), [0, 0, 1, 0], 2).tolist()
    [[0.75, 0.25]]
    """
    wanted = np.asarray(targets)
    p = softmax(logits)
    count = n_classes + int((wanted == n_classes).any())
    if len(wanted) == count and np.array_equal(wanted, np.arange(count)):
        return p
    out = np.zeros((len(p), count), np.float32)
    for channel, target in enumerate(wanted):
        out[:, target] += p[:, channel]
    return out


def check_choice(name: str, value: object, allowed: Sequence[str]) -> None:
    """Raise :class:`InputError` if an option isn't among its values."""
    if value not in allowed:
        raise InputError(f"there is no {name} '{value}'", remedy=f"choose from {', '.join(allowed)}")
