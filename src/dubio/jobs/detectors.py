"""Detectors of unknown things that learn what is known: standardised logits, and features of the network.

They learn on images of the source domain. Images of the source are scored by detectors that learned on the
other half of it, all others by detectors that learned on both halves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.files import fingerprint
from dubio.core.records import PredictionSource, Sample, SegPrediction
from dubio.core.seeds import derive_seed, rng_for
from dubio.data.domains import Domain, Item, read_item
from dubio.engine.map import Progress, map_ordered, silent
from dubio.jobs.candidates import Candidate, judged
from dubio.jobs.examine import Variant, predictions_of
from dubio.models.features import FeatureExtractor
from dubio.models.source import ModelSource
from dubio.reliability.ood import KNNScore, MahalanobisScore, StandardizedMaxLogit
from dubio.uncertainty.pixel import pixel_scores

Floats = npt.NDArray[np.float32]
LOGIT_SCORES = ("standardized_max_logit",)
FEATURE_SCORES = ("mahalanobis", "knn")
# Enough for means and a covariance; every image adds little after that.
_IMAGES = 60
_PIXELS = 2000
_VECTORS = 150
_BANK = 6000


@dataclass
class _Known:
    """What one half of the source taught."""

    logits: list[Floats] = field(default_factory=list)
    classes: list[npt.NDArray[np.int64]] = field(default_factory=list)
    vectors: list[Floats] = field(default_factory=list)
    owners: list[npt.NDArray[np.int64]] = field(default_factory=list)


@dataclass(frozen=True)
class _Fitted:
    standard: StandardizedMaxLogit | None
    mahalanobis: MahalanobisScore | None
    knn: KNNScore | None


class Detectors:
    """Fitted detectors for one model.

    Args:
        candidate: the model.
        source: the domain in which everything is known; at most 60 of its images are learned from.
        features: also learn on the network's features.
        layer: the layer; ``None``: the last stage of the backbone.
        seed: seed of the choice of images and pixels.
        workers: images at once.

    Raises:
        InputError: no image could be learned from, or the model has no features.
    """

    def __init__(
        self,
        candidate: Candidate,
        source: Domain,
        *,
        features: bool = False,
        layer: str | None = None,
        seed: int = 0,
        workers: int | None = None,
        progress: Progress = silent,
    ) -> None:
        self._predictions: PredictionSource = candidate.source(source)
        self.seed, self.source = seed, judged(self._predictions, source)
        self._members = self._halves()
        self._reads = candidate.reads_images
        self._extractor = _extractor(self._predictions, layer) if features else None
        self._channels = 0
        self._fitted = self._fit(workers, progress)

    def _halves(self) -> dict[str, int]:
        """Half of each image, drawn by name; as many in each."""
        ids = sorted(s.image_id for s in self.source.dataset)
        drawn = sorted(ids, key=lambda name: derive_seed(self.seed, name, "half"))
        return {name: n % 2 for n, name in enumerate(drawn)}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the scores that were learned."""
        found: tuple[str, ...] = ()
        if self._fitted[2].standard is not None:
            found += LOGIT_SCORES
        if self._fitted[2].mahalanobis is not None:
            found += FEATURE_SCORES
        return found

    def key(self) -> Any:
        """Plain data on which the scores depend."""
        return {
            "source": self._predictions.key(),
            "domain": self.source.key(),
            "ids": sorted(self._members),
            "learned": fingerprint(p for s in self._chosen() for p in (s.image, s.label)),
            "features": None if self._extractor is None else self._extractor.key(),
            "seed": self.seed,
        }

    def for_domain(self, domain: Domain) -> Callable[[Item, SegPrediction], Mapping[str, Floats]]:
        """Scores of images of a domain: ``{name: (H, W) float32}``."""
        inside = self.source.name in (domain.name, domain.of)

        def scores(item: Item, own: SegPrediction) -> Mapping[str, Floats]:
            half = self._members.get(item.sample.image_id) if inside else None
            return self._scores(item, own, self._fitted[2 if half is None else 1 - half])

        return scores

    def _scores(self, item: Item, own: SegPrediction, fitted: _Fitted) -> dict[str, Floats]:
        found: dict[str, Floats] = {}
        if fitted.standard is not None and own.kind == "logits":
            pixel = pixel_scores(own)
            found["standardized_max_logit"] = fitted.standard.score_samples(pixel.top, pixel.pred)
        if fitted.mahalanobis is not None and fitted.knn is not None and self._extractor is not None:
            if item.image is None:
                raise InputError(f"'{item.sample.image_id}' has no image")
            feature_map = self._extractor.maps([item.image])[0]
            d, h, w = feature_map.shape
            vectors = feature_map.reshape(d, -1).T
            for name, values in (
                ("mahalanobis", fitted.mahalanobis.score_samples(vectors)),
                ("knn", fitted.knn.score_samples(vectors)),
            ):
                found[name] = _enlarged(values.reshape(h, w), item.label.shape)
        return found

    def _fit(self, workers: int | None, progress: Progress) -> tuple[_Fitted, _Fitted, _Fitted]:
        chosen = self._chosen()
        parts = map_ordered(self._look, chosen, workers=workers)
        steps = progress(parts, len(chosen), "learning what is known")
        halves = (_Known(), _Known())
        for sample, known in zip(chosen, steps, strict=True):
            for name in ("logits", "classes", "vectors", "owners"):
                getattr(halves[self._members[sample.image_id]], name).extend(getattr(known, name))
        both = _Known(*(getattr(halves[0], n) + getattr(halves[1], n) for n in vars(halves[0])))
        return self._learn(halves[0]), self._learn(halves[1]), self._learn(both)

    def _chosen(self) -> Sequence[Sample]:
        """As many images of each half, drawn by name."""
        ordered = sorted(self.source.dataset, key=lambda s: derive_seed(self.seed, s.image_id, "learn"))
        halves = [[s for s in ordered if self._members[s.image_id] == half] for half in (0, 1)]
        if not all(halves):
            raise InputError(
                f"'{self.source.name}' has too few images to learn what is known", remedy="give at least 10"
            )
        return [s for half in halves for s in half[: _IMAGES // 2]]

    def _look(self, sample: Sample) -> _Known:
        known = _Known()
        try:
            item = read_item(self.source, sample, with_image=self._reads)
            _, prediction, own = next(iter(predictions_of(self._predictions, item, [Variant("known")])))
        except InputError:
            return known  # named when it is examined
        self._channels = own.n_classes
        rng = rng_for(self.seed, sample.image_id, "known")
        valid = np.flatnonzero(item.label.reshape(-1) < prediction.n_classes)
        if own.kind == "logits" and valid.size:
            pixel = pixel_scores(own)
            places = rng.choice(valid, min(_PIXELS, valid.size), replace=False)
            known.logits.append(pixel.top.reshape(-1)[places])
            known.classes.append(pixel.pred.reshape(-1)[places].astype(np.int64))
        if self._extractor is not None and item.image is not None:
            self._look_at_features(known, item, prediction.n_classes, rng)
        return known

    def _look_at_features(self, known: _Known, item: Item, void: int, rng: np.random.Generator) -> None:
        assert self._extractor is not None and item.image is not None  # noqa: PT018
        feature_map = self._extractor.maps([item.image])[0]
        d, h, w = feature_map.shape
        rows = ((np.arange(h) + 0.5) * item.label.shape[0] / h).astype(int)
        columns = ((np.arange(w) + 0.5) * item.label.shape[1] / w).astype(int)
        owner = item.label[np.ix_(rows, columns)].reshape(-1).astype(np.int64)
        valid = np.flatnonzero(owner < void)
        places = rng.choice(valid, min(_VECTORS, valid.size), replace=False)
        known.vectors.append(feature_map.reshape(d, -1).T[places])
        known.owners.append(owner[places])

    def _learn(self, known: _Known) -> _Fitted:
        standard = mahalanobis = knn = None
        if known.logits:
            classes = np.concatenate(known.classes)
            standard = StandardizedMaxLogit(self._channels).fit(np.concatenate(known.logits), classes)
        if known.vectors:
            vectors, owners = np.concatenate(known.vectors), np.concatenate(known.owners)
            mahalanobis = MahalanobisScore().fit(vectors, owners)
            bank = vectors
            if len(bank) > _BANK:
                bank = bank[rng_for(self.seed, "bank").choice(len(bank), _BANK, replace=False)]
            knn = KNNScore(k=min(10, len(bank))).fit(bank)
        return _Fitted(standard, mahalanobis, knn)


def _extractor(source: PredictionSource, layer: str | None) -> FeatureExtractor:
    from dubio.models.base import Network

    if not isinstance(source, ModelSource) or not isinstance(source.model, Network):
        raise InputError("scores in files have no features", remedy="give the model itself: --model")
    return FeatureExtractor(source.model, layer)


def _enlarged(values: npt.NDArray[Any], size: tuple[int, ...]) -> Floats:
    from dubio.models.pixels import resize_channels

    found: Floats = resize_channels(values.astype(np.float32)[None], (size[0], size[1]))[0]
    return found


def lines(detectors: Iterable[Detectors]) -> Iterator[str]:
    """Sentences on what was learned."""
    for each in detectors:
        if each.names:
            yield f"learned on '{each.source.name}': {', '.join(each.names)}"
