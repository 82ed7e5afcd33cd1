"""Models under test: each opens as a source of predictions for every domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from dubio.core.errors import InputError
from dubio.core.labelspace import LabelSpace
from dubio.core.records import PredictionSource, RawScores, ScoreCalibrator, SegPrediction
from dubio.data.calibrated import CalibratedFiles
from dubio.data.domains import Domain, Item, without
from dubio.data.predictions import FilePredictions, open_predictions
from dubio.models.base import Network
from dubio.models.source import ModelSource

# What pixels are whose class no channel of a model stands for.
Uncovered = Literal["unknown", "wrong"]


class Candidate(Protocol):
    """A model under test."""

    @property
    def name(self) -> str:
        """What it is called in tables."""
        ...

    @property
    def calibrator(self) -> ScoreCalibrator | None:
        """Applied to its scores."""
        ...

    @property
    def reads_images(self) -> bool:
        """Whether it looks at images (a network), or its scores were written before (files)."""
        ...

    def source(self, domain: Domain) -> PredictionSource:
        """Predictions for a domain.

        Raises:
            InputError: it can't say anything on this domain.
        """
        ...

    def describe(self) -> list[str]:
        """Sentences for the user."""
        ...


@dataclass(frozen=True)
class NetworkCandidate:
    """A network, opened once for all domains.

    Args:
        name: what it is called.
        model: the network.
        class_map: from its classes to those of domains that have others and name no map; ``None``: by
            name, or a built-in map.
        calibrator: applied to its scores.
        window: sliding window.
        overlap: of windows.
        amp: mixed precision on a GPU.
    """

    name: str
    model: Network
    class_map: str | Path | None = None
    calibrator: ScoreCalibrator | None = None
    window: tuple[int, int] | None = None
    overlap: float | None = None
    amp: bool = False
    reads_images: bool = True

    def source(self, domain: Domain) -> ModelSource:
        """The network in the label space of the domain."""
        space = domain.dataset.space
        check_calibrator(self.calibrator, space)
        return ModelSource(
            self.model,
            space,
            class_map=None if _same_classes(self.model.space, space) else domain.class_map or self.class_map,
            window=self.window,
            overlap=self.overlap,
            amp=self.amp,
            calibrator=self.calibrator,
        )

    def describe(self) -> list[str]:
        """Sentences on the network and its calibrator."""
        lines = [f"{self.name}: {line}" for line in self.model.describe()]
        if self.calibrator is not None:
            lines += [f"{self.name}: calibrated: {line}" for line in self.calibrator.describe()]
        return lines


@dataclass(frozen=True)
class FileCandidate:
    """Scores in files, one folder per domain.

    Args:
        name: what it is called.
        folders: folder of scores by name of the domain.
        options: further arguments of :func:`dubio.open_predictions`, by name of the domain.
        calibrator: applied to the scores.
    """

    name: str
    folders: Mapping[str, Path]
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    calibrator: ScoreCalibrator | None = None
    reads_images: bool = False

    def source(self, domain: Domain) -> FilePredictions | CalibratedFiles:
        """The files for the domain."""
        if domain.corruption is not None:
            raise InputError(
                f"scores in files can't be corrupted ('{domain.name}')",
                remedy="give the model itself: --model",
            )
        # parts of a data set read the whole set's folder
        name = next((n for n in (domain.name, domain.of) if n in self.folders), None)
        if name is None:
            raise InputError(
                f"there are no scores of '{self.name}' for '{domain.name}'",
                remedy=f"add --scores {domain.name}=FOLDER",
            )
        check_calibrator(self.calibrator, domain.dataset.space)
        options = dict(self.options.get(name, {}))
        if domain.class_map is not None and options.get("class_map") is None:
            options["class_map"] = domain.class_map
        files = open_predictions(domain.dataset, scores=self.folders[name], **options)
        return files if self.calibrator is None else CalibratedFiles(files, self.calibrator)

    def describe(self) -> list[str]:
        """Sentences on the folders."""
        places = ", ".join(f"{name}: {folder}" for name, folder in self.folders.items())
        lines = [f"{self.name}: scores in files ({places})"]
        if self.calibrator is not None:
            lines += [f"{self.name}: calibrated: {line}" for line in self.calibrator.describe()]
        return lines


def open_calibrator(path: str | Path | None, space: LabelSpace | None = None) -> ScoreCalibrator | None:
    """Read a calibrator, if one is named, and check that it serves a label space.

    Raises:
        InputError: the file can't be used, or the calibrator was fitted on other classes.
    """
    if path is None:
        return None
    from dubio.calibration.files import load_calibrator

    found = load_calibrator(path)
    if space is not None:
        check_calibrator(found, space)
    return found


def check_calibrator(calibrator: ScoreCalibrator | None, space: LabelSpace) -> None:
    """Make sure that a calibrator of class probabilities knows the classes of a label space.

    Raises:
        InputError: it was fitted on others.
    """
    if calibrator is None or calibrator.stage == "logits":
        return
    from dubio.calibration.probabilities import ProbabilityCalibrator

    if isinstance(calibrator, ProbabilityCalibrator):
        calibrator.check_classes(space.names)


def check_names(what: str, names: Sequence[str]) -> None:
    """Make sure that things have names of their own: figures are kept by them.

    Raises:
        InputError: two have the same.
    """
    double = next((n for n in names if names.count(n) > 1), None)
    if double is not None:
        raise InputError(f"two {what} are called '{double}'", remedy="give one of them another name")


def _same_classes(one: LabelSpace | None, other: LabelSpace) -> bool:
    return one is not None and [n.casefold() for n in one.names] == [n.casefold() for n in other.names]


def judged(source: PredictionSource, domain: Domain) -> Domain:
    """The domain as this source can be judged on it: classes that no channel stands for are unknown to it."""
    class_map = getattr(source, "class_map", None)
    if class_map is None and isinstance(source, CalibratedFiles):
        class_map = source.files.class_map
    return domain if class_map is None else without(domain, class_map.uncovered)


def raw_scores(source: PredictionSource, item: Item) -> RawScores | None:
    """What the model itself says of an item, at the label's size; ``None`` if it says nothing.

    Raises:
        InputError: the item can't be used, or the source can't give its own scores.
    """
    size = (int(item.label.shape[0]), int(item.label.shape[1]))
    if isinstance(source, ModelSource):
        if item.image is None:
            raise InputError(f"'{item.sample.image_id}' has no image")
        return source.raw([item.image], [size])[0]
    if isinstance(source, FilePredictions | CalibratedFiles):
        return source.read_raw(item.sample, size)
    raise InputError("this source of predictions does not give the model's own scores")


def predict_item(source: PredictionSource, item: Item) -> SegPrediction | None:
    """The prediction of an item, at the label's size; ``None`` if there is none.

    Raises:
        InputError: the item can't be used.
    """
    size = (int(item.label.shape[0]), int(item.label.shape[1]))
    if isinstance(source, ModelSource):
        if item.image is None:
            raise InputError(f"'{item.sample.image_id}' has no image")
        return source.predict([item.sample.image_id], [item.image], [size])[0]
    return source.read(item.sample, size)
