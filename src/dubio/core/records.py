"""The records that pass between the rooms: samples, data sets and predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.labelspace import IndexMap, LabelSpace

ScoreKind = Literal["logits", "probabilities"]


@dataclass(frozen=True)
class Sample:
    """One image of a data set, by its files; nothing is read until it is asked for.

    Args:
        image_id: unique within the data set; the file stem, or the path below the root.
        image: the picture, if there is one.
        label: the label mask, if there is one.
        split: ``"train"``, ``"val"`` … or ``None``.
        domain: tags such as condition or scene.
    """

    image_id: str
    image: Path | None = None
    label: Path | None = None
    split: str | None = None
    domain: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """A sequence of samples with a label space.

    Args:
        name: name of the layout or of the folder.
        space: the label space of the masks.
        samples: the samples, sorted by ``image_id``.
        encoding: name of the masks' encoding in ``space`` (``None``: class ids; ``"rgb"``: colours).
        root: the folder it was read from.
        notes: what the reader found and the user should know (unmatched files, …), in sentences.
    """

    name: str
    space: LabelSpace
    samples: tuple[Sample, ...]
    encoding: str | None = None
    root: Path | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for sample in self.samples:
            if sample.image_id in seen:
                raise InputError(f"data set '{self.name}' has the image id '{sample.image_id}' twice")
            seen.add(sample.image_id)

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)


@dataclass
class SegPrediction:
    """What a segmentation model says about one image.

    Args:
        scores: ``(K, H, W)``, any float type, memory-mapped or not; ``K >= C``: channels from ``C``
            on have no counterpart in the label space, and a pixel where such a channel wins is
            predicted void. ``None`` if only a label map is there.
        kind: what the scores are. Required with scores.
        label_map: ``(H, W)`` class indices (``C`` = void) if the prediction is a label map only.
        n_classes: the number ``C`` of classes of the label space.
        image_id: the image.

    Raises:
        InputError: neither or both of scores and label map, or a wrong shape or type.
    """

    n_classes: int
    scores: npt.NDArray[Any] | None = None
    kind: ScoreKind | None = None
    label_map: IndexMap | None = None
    image_id: str = ""

    def __post_init__(self) -> None:
        if (self.scores is None) == (self.label_map is None):
            raise InputError("a prediction has either scores or a label map")
        if self.scores is not None:
            if self.scores.ndim != 3 or self.scores.dtype.kind != "f":
                raise InputError(
                    f"scores have shape {self.scores.shape} and type {self.scores.dtype}",
                    remedy="scores are floats of shape (C, H, W)",
                )
            if self.scores.shape[0] < self.n_classes:
                raise InputError(
                    f"scores have {self.scores.shape[0]} channels for {self.n_classes} classes",
                    remedy="name the model's label space and a class map",
                )
            if self.kind not in ("logits", "probabilities"):
                raise InputError("scores need a kind: logits or probabilities")
        elif self.label_map is not None and self.label_map.ndim != 2:
            raise InputError(f"a label map has shape (H, W), not {self.label_map.shape}")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        array: npt.NDArray[Any] = self.scores if self.scores is not None else np.asarray(self.label_map)
        return int(array.shape[-2]), int(array.shape[-1])


@dataclass(frozen=True)
class RawScores:
    """What a model itself says of an image: its own channels, before any calibrator and class map.

    Args:
        scores: ``(K, H, W)`` floats.
        kind: what they are.
        pairs: class index that each channel counts as, -1 for none; ``None``: channel = class.
        n_classes: number of classes of the label space.
    """

    scores: npt.NDArray[Any]
    kind: ScoreKind
    pairs: tuple[int, ...] | None
    n_classes: int


class ScoreCalibrator(Protocol):
    """A fitted calibrator of class scores, as sources of predictions apply it."""

    @property
    def stage(self) -> str:
        """``"logits"``: works on the model's own channels; ``"probabilities"``: on the label space."""
        ...

    @property
    def needs(self) -> frozenset[str]:
        """What it wants beside scores: ``"image"``, ``"features"``."""
        ...

    def transform_map(
        self,
        logits: npt.NDArray[np.float32],
        *,
        image: npt.NDArray[np.uint8] | None = None,
        features: npt.NDArray[np.float32] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Calibrated ``(K, H, W)`` scores of its stage: logits of logits, probabilities of probabilities."""
        ...

    def describe(self) -> list[str]:
        """Sentences for the user."""
        ...

    def key(self) -> Any:
        """Plain data that changes with what it does."""
        ...


class PredictionSource(Protocol):
    """Anything that can say what a model thinks of an image: score files, a network, a past run."""

    def describe(self) -> list[str]:
        """Sentences on what was detected (format, kind, classes, map), for the user."""
        ...

    def key(self) -> Any:
        """Plain data that changes whenever the predictions may change (for resumed runs)."""
        ...

    def read(self, sample: Sample, size: tuple[int, int] | None) -> SegPrediction | None:
        """Predict one sample in the label space, at ``size`` (height, width) if given.

        Returns ``None`` if there is no prediction for this sample. Safe to call from threads.

        Raises:
            InputError: this sample's input can't be used; others may still be fine.
        """
        ...
