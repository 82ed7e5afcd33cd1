"""What the calibrators of class probabilities share: they belong to one label space."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from dubio.calibration.base import Array, Calibrator, as_map, as_sample, class_probabilities, rows
from dubio.calibration.files import Storage
from dubio.core.errors import InputError
from dubio.data.logits import Floats, LogitSample, log_scores


class ProbabilityCalibrator(Calibrator):
    """Base of calibrators that change class probabilities after the class map.

    ``transform`` and ``transform_map`` take and give probabilities: ``C`` classes, then one column for
    channels without a class if the sample had such. ``predict_proba`` takes the model's logits and maps them
    itself. Another number of classes is refused.

    Attributes:
        n_classes_: number ``C`` of classes.
        targets_: ``(K,)`` class of each channel of the model; ``C`` for none.
        n_columns_: ``C``, or ``C + 1`` with a column for no class.
        class_names_: names of the classes, if :meth:`name_classes` was told.
    """

    stage: ClassVar[Literal["logits", "probabilities"]] = "probabilities"
    storage: ClassVar[Storage] = "npz"
    n_classes_: int
    targets_: npt.NDArray[np.int64]
    n_columns_: int
    class_names_: tuple[str, ...]

    def fit(self, sample: LogitSample | Array, labels: Array | None = None) -> Self:
        """Learn from sampled logits, mapped to classes; see :meth:`Calibrator.fit`."""
        sample = as_sample(sample, labels)
        probabilities = class_probabilities(sample.logits, sample.targets, sample.n_classes)
        notes = self._learn(probabilities, sample.labels.astype(np.int64), sample.n_classes)
        self.n_classes_, self.targets_ = sample.n_classes, sample.targets
        self.n_columns_, self.class_names_, self.notes_ = probabilities.shape[1], (), notes
        return self

    @abstractmethod
    def _learn(self, probabilities: Floats, labels: npt.NDArray[np.int64], n_classes: int) -> list[str]:
        """Learn from ``(N, L)`` probabilities; returns notes."""

    @abstractmethod
    def _adjust(self, columns: Floats) -> Floats:
        """Calibrated ``(L, N)`` probabilities; sum to one."""

    def name_classes(self, names: Sequence[str]) -> Self:
        """Keep the names of the classes, so that a label space of other names is refused.

        Raises:
            InputError: another number of names than classes.
        """
        self.check_fitted()
        if len(names) != self.n_classes_:
            raise InputError(f"{len(names)} names for {self.n_classes_} classes")
        self.class_names_ = tuple(names)
        return self

    def check_classes(self, names: Sequence[str]) -> None:
        """Check that a label space is the one of the fit, by number and, where known, by names.

        Raises:
            InputError: it isn't.
        """
        self.check_fitted()
        if len(names) != self.n_classes_ or (self.class_names_ and tuple(names) != self.class_names_):
            raise InputError(
                f"the calibrator was fitted on {self.n_classes_} other classes than these {len(names)}",
                remedy="fit one on this label space, or use a temperature, which serves any",
            )

    def transform(
        self, logits: Array, *, images: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Calibrate class probabilities ``(N, L)``."""
        self.check_fitted()
        found = rows(logits)
        self._check_columns(found.shape[1])
        return np.ascontiguousarray(self._adjust(np.ascontiguousarray(found.T)).T)

    def transform_map(
        self, logits: Array, *, image: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Calibrate class probabilities ``(L, H, W)``."""
        self.check_fitted()
        found = as_map(logits)
        self._check_columns(len(found))
        return self._adjust(found.reshape(len(found), -1)).reshape(found.shape)

    def _check_columns(self, count: int) -> None:
        if count != self.n_columns_:
            raise InputError(
                f"probabilities of {count} classes, the calibrator was fitted on {self.n_columns_}",
                remedy="use it in the label space that it was fitted on",
            )

    def predict_proba(
        self, logits: Array, *, images: Array | None = None, features: Array | None = None
    ) -> Floats:
        """Calibrated class probabilities ``(N, L)`` from the model's logits ``(N, K)``."""
        self.check_fitted()
        found = rows(logits, len(self.targets_))
        return self.transform(class_probabilities(found, self.targets_, self.n_classes_))

    def apply(self, sample: LogitSample) -> LogitSample:
        """The sample with logarithms of calibrated class probabilities as its logits.

        Raises:
            InputError: the sample is of another label space.
        """
        self.check_fitted()
        if sample.n_classes != self.n_classes_:
            raise InputError(
                f"the calibrator was fitted on {self.n_classes_} classes, the sample has {sample.n_classes}",
                remedy="fit one on this label space",
            )
        found = class_probabilities(sample.logits, sample.targets, sample.n_classes)
        new = log_scores(self.transform(found), "probabilities")
        none = (-1,) * (self.n_columns_ - self.n_classes_)
        return replace(sample, logits=new, pairs=(*range(self.n_classes_), *none) if none else None)

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """The label space; subclasses add what they learned."""
        data = {
            "n_classes": self.n_classes_,
            "n_columns": self.n_columns_,
            "class_names": list(self.class_names_),
        }
        return data, {"targets": self.targets_}

    def restore(self, data: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Take up the label space."""
        self.n_classes_, self.n_columns_ = int(data["n_classes"]), int(data["n_columns"])
        self.class_names_ = tuple(str(n) for n in data["class_names"])
        self.targets_ = arrays["targets"].astype(np.int64)
        extra = int((self.targets_ == self.n_classes_).any())
        if self.targets_.ndim != 1 or self.n_columns_ != self.n_classes_ + extra:
            raise ValueError("classes and columns don't fit")
