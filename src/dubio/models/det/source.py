"""A detector as a source of detections in the label space of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dubio.core.boxes import DetPrediction
from dubio.core.errors import InputError
from dubio.core.labelspace import LabelSpace
from dubio.data.classmap import ClassMap, load_class_map
from dubio.models.det.base import DetModel, ViewingModel
from dubio.models.det.fit import Image

_MOST_NAMES = 12


class DetectionSource:
    """Detections in the classes of a data set.

    Classes are mapped before double detections are removed, so that a car and a truck that both count as a
    vehicle are one vehicle.

    Args:
        model: the detector.
        space: the label space of the detections; ``None``: the detector's own.
        class_map: from the detector's classes to ``space``: a map, its name or its file. ``None``: classes of
            equal name (in any case) meet, the others have no counterpart.

    Raises:
        InputError: no class has a counterpart, or the map can't be used.
    """

    def __init__(
        self,
        model: DetModel,
        space: LabelSpace | None = None,
        *,
        class_map: ClassMap | str | Path | None = None,
    ) -> None:
        self.model = model
        self.space = space or model.space
        self._assumed = False
        if isinstance(class_map, ClassMap):
            self.class_map = class_map
        else:
            self._assumed = class_map is None and _unnamed(model.space, self.space)
            self.class_map = match_classes(model.space, self.space, class_map)

    def predict(self, images: Sequence[Image], ids: Sequence[str]) -> list[DetPrediction]:
        """Detections of images ``(H, W, 3)`` uint8 RGB, best first."""
        if _is_identity(self.class_map):
            return self.model.detect(images, ids)
        mapped = partial(map_detections, class_map=self.class_map)
        if isinstance(self.model, ViewingModel):
            return self.model.detect_changed(images, ids, mapped)
        suppression = self.model.suppression
        return [suppression.apply(mapped(one)) for one in self.model.candidates(images, ids)]

    def describe(self) -> list[str]:
        """Sentences on the detector, the classes and the suppression."""
        mapping, ours = self.class_map, self.model.space
        lines = list(self.model.describe())
        if ours.names == self.space.names and not mapping.unmapped:
            return lines
        kept = len(ours) - len(mapping.unmapped)
        how = "by number (assumed: nobody has named them)" if self._assumed else "by name or map"
        lines.append(
            f"class map: {kept} of the {len(ours)} classes of '{ours.name}' count as "
            f"{len(set(mapping.pairs) - {-1})} of the {len(self.space)} of '{self.space.name}', {how}"
        )
        if mapping.uncovered:
            lines.append(f"the detector can't find: {_listed(self.space, mapping.uncovered)}")
        if mapping.unmapped:
            lines.append(f"left out, without a counterpart: {_listed(ours, mapping.unmapped)}")
        return lines

    def key(self) -> Any:
        """Plain data that changes whenever the detections may change."""
        return {
            "model": self.model.key(),
            "space": self.space.to_dict(),
            "map": list(self.class_map.pairs),
        }


def match_classes(source: LabelSpace, target: LabelSpace, class_map: str | Path | None = None) -> ClassMap:
    """Map of a detector's classes to those of a data set.

    Args:
        source: the detector's classes.
        target: the data set's.
        class_map: name or file of a map; ``None``: by equal names, in any case, whatever the ids are.
            Classes that nobody has named meet by their numbers, if there are as many.

    Raises:
        InputError: no such map, or no class has a counterpart.

    >>> from dubio.data.boxes.table import space_of
    >>> match_classes(space_of("a", ["cat", "Dog"]), space_of("b", ["cow", "dog", "cat"], [3, 7, 9])).pairs
    (2, 1)
    """
    if class_map is not None:
        return load_class_map(class_map, source, target)
    if _unnamed(source, target):
        return ClassMap(source, target, tuple(range(len(source))))
    there = {name.casefold(): t for t, name in enumerate(target.names)}
    pairs = tuple(there.get(name.casefold(), -1) for name in source.names)
    if max(pairs) < 0:
        raise InputError(
            f"no class of the detector ({_listed(source, range(len(source)))}) is a class of "
            f"'{target.name}' ({_listed(target, range(len(target)))})",
            remedy='give a class map: a TOML file with [map] and lines like "car" = "vehicle"',
        )
    return ClassMap(source, target, pairs)


def map_detections(prediction: DetPrediction, class_map: ClassMap) -> DetPrediction:
    """Bring detections into another label space, as if the detector knew no other classes.

    A box takes the best class that has a counterpart, and its score falls as the class score does. Without
    class scores, boxes whose class has no counterpart are left out. Scores of classes that meet are added
    (softmax; so are their variances, as if independent) or the largest counts (sigmoid, logits). The
    expected entropy is that of the old classes; it is dropped unless all of them are kept apart.

    Args:
        prediction: in the map's source space.
        class_map: the map.

    Raises:
        InputError: the prediction has another number of classes.
    """
    pairs, c = np.array(class_map.pairs), len(class_map.target)
    if prediction.n_classes != len(pairs):
        raise InputError(f"a detection has {prediction.n_classes} classes, its class map {len(pairs)}")
    if _is_identity(class_map):
        return prediction
    if prediction.class_scores is None:
        kept = prediction.take(pairs[prediction.classes] >= 0)
        return replace(kept, classes=pairs[kept.classes], n_classes=c)
    known = np.flatnonzero(pairs >= 0)
    scores, variance = _merged(prediction, known, pairs[known], c)
    best, before = scores.argmax(1), prediction.class_scores.max(1, initial=-np.inf)
    value = scores[np.arange(len(scores)), best]
    if prediction.kind == "logits":
        # no ratio of logits says anything; a box whose own class is gone can't be judged
        own = pairs[prediction.classes]
        found = replace(prediction, classes=np.maximum(own, 0), n_classes=c, class_scores=scores)
        return replace(found, class_variance=variance, expected_entropy=None).take(own >= 0)
    share = np.divide(value, before, out=np.zeros(len(best)), where=before > 0)
    lossless = len(np.unique(pairs)) == len(pairs) and pairs.min() >= 0
    return replace(
        prediction,
        scores=np.minimum(prediction.scores * share, 1.0),
        classes=best,
        n_classes=c,
        class_scores=scores,
        class_variance=variance,
        expected_entropy=prediction.expected_entropy if lossless else None,
    )


def _merged(prediction: DetPrediction, known: Any, goal: Any, c: int) -> tuple[Any, Any]:
    """Class scores ``(N, C)`` of the target space, and their variances if there are any."""
    old, spread = prediction.class_scores, prediction.class_variance
    assert old is not None
    nothing = np.nan if prediction.kind == "logits" else 0.0
    scores = np.full((len(old), c), nothing)
    variance = None if spread is None else np.zeros((len(old), c))
    for s, t in zip(known.tolist(), goal.tolist(), strict=True):
        column, noise = old[:, s], None if spread is None else spread[:, s]
        if prediction.kind == "softmax":
            scores[:, t] += column
            if variance is not None and noise is not None:
                variance[:, t] += noise
            continue
        higher = ~(scores[:, t] >= column)
        scores[higher, t] = column[higher]
        if variance is not None and noise is not None:
            variance[higher, t] = noise[higher]
    if prediction.kind == "logits":
        # a class that the detector doesn't know is never the best
        scores = np.where(np.isnan(scores), old.min(initial=0.0) - 20.0, scores)
    return scores, variance


def _is_identity(class_map: ClassMap) -> bool:
    return class_map.pairs == tuple(range(len(class_map.target)))


def _unnamed(source: LabelSpace, target: LabelSpace) -> bool:
    return source.name == "unnamed" and len(source) == len(target)


def _listed(space: LabelSpace, classes: Sequence[int]) -> str:
    names = [space.names[k] for k in classes[:_MOST_NAMES]]
    more = len(classes) - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")
