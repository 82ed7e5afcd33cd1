"""A model on a domain, image by image: states on disk, so that a stopped run goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import dubio
from dubio.core.errors import InputError
from dubio.core.files import digest, fingerprint, write_npz
from dubio.core.records import PredictionSource, Sample, ScoreCalibrator, SegPrediction
from dubio.core.run import Run
from dubio.data.calibrated import CalibratedFiles
from dubio.data.domains import Domain, Item, read_item
from dubio.data.predictions import FilePredictions
from dubio.data.relabel import both_predictions
from dubio.engine.map import map_ordered
from dubio.jobs.candidates import Candidate, Uncovered, judged, predict_item, raw_scores
from dubio.models.source import ModelSource
from dubio.reliability.state import ReliabilityState
from dubio.uncertainty.pixel import pixel_scores

_LONGEST_NAME = 200


@dataclass(frozen=True)
class Variant:
    """A model as it is, or seen through a calibrator.

    Args:
        name: what it is called in tables.
        calibrator: ``None``: what the candidate itself says.
    """

    name: str
    calibrator: ScoreCalibrator | None = None


# Further scores of an image, by name, from the item and what the model says in its own channels.
ExtraScores = Callable[[Item, SegPrediction], Mapping[str, npt.NDArray[np.float32]]]
# What a variant says in the label space, and in the model's own channels.
Said = tuple[Variant, SegPrediction, SegPrediction]


@dataclass(frozen=True)
class Examined:
    """What became of one image: a shard per variant, or the fault that it has."""

    sample: Sample
    shards: Mapping[str, Path] = field(default_factory=dict)
    fault: str = ""
    found: bool = field(default=False, compare=False)


class Examination:
    """States of all images of a domain under one model and variants of it; the network runs once for all.

    Iterate over :meth:`work`; it yields one :class:`Examined` per image, in the order of the domain.

    Args:
        candidate: the model.
        domain: the domain.
        run: the run folder; shards lie in parts of it that depend on model, domain and options.
        variants: the model as it is, and seen through calibrators.
        scores: names of the uncertainty scores.
        bins: bins of the calibration error.
        confidence: score whose complement is the confidence that is calibrated.
        uncovered: classes that no channel of the model stands for are ``unknown`` objects, or ``wrong``.
        extra: further scores (see :mod:`dubio.jobs.detectors`), and plain data on which they depend.
        workers: images at once.
        strict: raise at the first image that can't be used.

    Raises:
        InputError: the model can't say anything on this domain, or ``strict`` and an image can't be used.
    """

    def __init__(
        self,
        candidate: Candidate,
        domain: Domain,
        run: Run,
        variants: tuple[Variant, ...],
        *,
        scores: tuple[str, ...],
        bins: int = 15,
        confidence: str = "max_prob",
        uncovered: Uncovered = "unknown",
        extra: tuple[ExtraScores, Any] | None = None,
        workers: int | None = None,
        strict: bool = False,
    ) -> None:
        self.candidate, self.variants = candidate, variants
        self.scores, self.bins, self.workers, self.strict = scores, bins, workers, strict
        self.extra, self.confidence = extra, confidence
        self.source: PredictionSource = candidate.source(domain)
        self.domain = domain = judged(self.source, domain) if uncovered == "unknown" else domain
        depends = {
            "source": self.source.key(),
            "domain": domain.key(),
            "scores": scores,
            "bins": bins,
            "confidence": confidence,
            "extra": None if extra is None else extra[1],
            "dubio": dubio.__version__,
        }
        self.parts = {v.name: run.part("examine", {**depends, "calibrator": _key(v)}) for v in variants}

    def shards(self, sample: Sample) -> dict[str, Path]:
        """Where the states of an image are kept, by variant."""
        mark = fingerprint([sample.image, sample.label])[:8]
        name = sample.image_id
        if len(os.fsencode(name)) > _LONGEST_NAME or ".." in Path(name).parts or Path(name).is_absolute():
            name = digest(name)
        return {variant: part / f"{name}.{mark}.npz" for variant, part in self.parts.items()}

    def work(self) -> Iterator[Examined]:
        """Examine what isn't finished."""
        for done in map_ordered(self._one, self.domain.dataset.samples, workers=self.workers):
            if done.fault and self.strict:
                raise InputError(done.fault)
            yield done

    def _one(self, sample: Sample) -> Examined:
        shards = self.shards(sample)
        missing = [v for v in self.variants if not _is_whole(shards[v.name])]
        if not missing:
            return Examined(sample, shards, found=True)
        try:
            for variant, state in self._states(sample, missing):
                write_state(shards[variant.name], state)
        except InputError as error:
            place = error.path or sample.image or sample.label
            return Examined(sample, {}, str(InputError(error.fault, path=place, remedy=error.remedy)))
        return Examined(sample, shards)

    def _states(self, sample: Sample, variants: list[Variant]) -> Iterator[tuple[Variant, ReliabilityState]]:
        item = read_item(self.domain, sample, with_image=self._wants_images(variants))
        for variant, prediction, own in predictions_of(self.source, item, variants):
            more = self.further(item, prediction, own)
            state = ReliabilityState(len(self.domain.dataset.space), self.scores, self.bins, self.confidence)
            state.update(prediction, item.label, unknown=item.unknown, extra=more)
            yield variant, state

    def further(
        self, item: Item, prediction: SegPrediction, own: SegPrediction
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Scores that the prediction itself does not tell: of hidden logits, and learned ones."""
        more = _hidden(prediction, own, self.scores)
        if self.extra is not None:
            more |= self.extra[0](item, own)
        return more

    def _wants_images(self, variants: list[Variant]) -> bool:
        if self.candidate.reads_images:
            return True
        return any(v.calibrator is not None and "image" in v.calibrator.needs for v in variants)


def predictions_of(source: PredictionSource, item: Item, variants: list[Variant]) -> Iterator[Said]:
    """What each variant of a model says of an item; the network runs once.

    Raises:
        InputError: the item can't be used, or there is no prediction of it.
    """
    missing = InputError(f"there is no prediction of '{item.sample.image_id}'")
    if not isinstance(source, ModelSource | FilePredictions | CalibratedFiles):
        if any(v.calibrator is not None for v in variants):
            raise InputError("this source of predictions does not give the scores that a calibrator wants")
        prediction = predict_item(source, item)
        if prediction is None:
            raise missing
        yield from ((v, prediction, prediction) for v in variants)
        return
    raw = raw_scores(source, item)
    if raw is None:
        raise missing
    own = getattr(source, "calibrator", None)
    features = None
    for variant in variants:
        calibrator = variant.calibrator or own
        if calibrator is not None and "features" in calibrator.needs and features is None:
            features = _features_of(source, item)
        name = item.sample.image_id
        both = both_predictions(
            raw, calibrator=calibrator, image=item.image, features=features, image_id=name
        )
        yield variant, *both


def _hidden(
    prediction: SegPrediction, own: SegPrediction, wanted: tuple[str, ...]
) -> dict[str, npt.NDArray[np.float32]]:
    """Scores of logits that a class map hides, from the model's own channels."""
    if own is prediction or own.kind != "logits":
        return {}
    scores = pixel_scores(own)
    found = {name: scores.score(name) for name in wanted if name in ("max_logit", "energy")}
    return {name: value for name, value in found.items() if value is not None}


def _features_of(source: PredictionSource, item: Item) -> npt.NDArray[np.float32]:
    if not isinstance(source, ModelSource) or item.image is None:
        raise InputError("the calibrator wants a network's features", remedy="give the model itself: --model")
    return source.image_features(item.image)


def _key(variant: Variant) -> Any:
    return None if variant.calibrator is None else variant.calibrator.key()


def write_state(path: Path, state: ReliabilityState) -> None:
    """Write a state as a compressed NPZ file."""
    write_npz(path, state.to_arrays())


def read_state(path: Path) -> ReliabilityState:
    """Read what :func:`write_state` wrote.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            return ReliabilityState.from_arrays({name: data[name] for name in data.files})
    except Exception as error:  # damaged archives fail in many ways
        raise InputError(
            "is damaged", path=path, remedy="delete it; the same command makes it again"
        ) from error


def _is_whole(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        read_state(path)
    except InputError:
        path.unlink(missing_ok=True)
        return False
    return True
