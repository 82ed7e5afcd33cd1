"""Faults of a whole label: most objects missing, shifted or mirrored against the image, classes mixed up.

They are too large for candidates of regions. As with regions, copies of the label get such faults on
purpose, and a classifier learns from measures of the image as a whole (:mod:`dubio.errors.image_scores`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from dubio.core.labelspace import IndexMap
from dubio.core.seeds import rng_for
from dubio.errors.shift import Spectra, best_shift
from dubio.errors.view import View
from dubio.regions.extract import components
from dubio.regions.fill import fill_from_surroundings

Floats = npt.NDArray[np.float64]
FaultKind = Literal["unlabelled", "shifted", "mirrored", "renamed"]
FAULTS: tuple[FaultKind, ...] = get_args(FaultKind)
# A fault that changes less of the label than this isn't one of the whole image.
_LEAST = 0.02
# Share of the components that an unlabelled copy loses, and of the side that a shifted one moves.
_LOST, _MOVED = (0.4, 1.0), (0.03, 0.15)
# Larger components (as a share of the image) are what remains when objects are not labelled.
_OBJECT = 0.25
# Half of a region is enough to say that it has a counterpart.
_MET = 0.5

FEATURES = (
    "disagree",  # share of the pixels where prediction and label differ
    "doubt",  # 1 - mean probability of the label
    "class_disagree",  # disagreement, mean over the given classes
    "class_worst",  # … of the worst given class with a fair share of the image
    "unmet_predicted",  # share of the predicted components without a label
    "unmet_certain",  # … weighted by the certainty of their class
    "unmet_given",  # share of the label components that the model denies
    "fewer",  # log of predicted components over label components
    "less",  # largest share of the image by which a predicted class exceeds its label
    "shift_gain",  # agreement won by moving the label, over the disagreement at rest
    "shift_size",  # length of that move / side
    "entropy",  # mean entropy: hard images disagree without a fault
    "edges_given",  # edge strength of the picture under the label's outlines, over that under the model's
    "log_regions",  # log of the number of predicted components
)


@dataclass(frozen=True)
class WholeImage:
    """Measures of one label, and of faulty copies of it.

    Attributes:
        x: ``(len(FEATURES),)`` float64 measures of the label as given.
        faulty: ``(n, len(FEATURES))`` measures of the copies.
        kinds: ``(n,)`` position in :data:`FAULTS` of each copy's fault.
        shift: ``(dy, dx)`` pixels by which the label would have to move to fit best.
        specks: number of label components of a few pixels, and of their pixels.
    """

    x: Floats
    faulty: Floats
    kinds: npt.NDArray[np.int64]
    shift: tuple[int, int]
    specks: tuple[int, int]

    def shown(self) -> npt.NDArray[np.bool_] | None:
        """``(1 + n, faults)``: whether the measures of the label, and of each copy, can show each fault.

        ``None`` for masks: all their faults are judged together.
        """
        return None


def measure_whole(
    view: View, label: IndexMap, image_id: str, *, min_size: int, seed: int, speck: int, faults: bool = True
) -> WholeImage:
    """Measure a label and its faulty copies (one of each kind where the image has room for it).

    Args:
        view: the image's prediction.
        label: ``(H, W)`` class indices, ``C`` = void.
        image_id: the image; its faults depend on it and the seed alone.
        min_size: smaller components are not counted, pixels.
        seed: seed.
        speck: components of fewer pixels are counted as specks.
        faults: plant faults at all.
    """
    spectra = Spectra.of(view.pred, view.n_classes)
    x, shift = features(view, label, min_size, spectra)
    rows, kinds = [], []
    rng = rng_for(seed, image_id, "whole image")
    for number, kind in enumerate(FAULTS if faults else ()):
        faulty = plant_fault(kind, label, view.n_classes, min_size, rng)
        if faulty is not None:
            rows.append(features(view, faulty, min_size, spectra)[0])
            kinds.append(number)
    faulty_rows = np.array(rows).reshape(-1, len(FEATURES))
    return WholeImage(x, faulty_rows, np.array(kinds, np.int64), shift, specks(label, view.n_classes, speck))


def specks(label: IndexMap, n_classes: int, size: int) -> tuple[int, int]:
    """Number of label components smaller than ``size`` pixels, and of their pixels; void is none.

    Holes of a pixel in an object and lone pixels beside it are slips of an annotation tool.
    """
    ids, n = components(label, n_classes)
    pixels = np.bincount(ids.ravel(), minlength=n + 1)[1:]
    small = pixels[(pixels > 0) & (pixels < size)]
    return len(small), int(small.sum())


def plant_fault(
    kind: FaultKind, label: IndexMap, n_classes: int, min_size: int, rng: np.random.Generator
) -> IndexMap | None:
    """A copy of the label with a fault of the whole image, or ``None`` if it would hardly differ.

    Void pixels stay void, except that they move with a shifted or mirrored label.
    """
    if kind == "unlabelled":
        new = _unlabelled(label, n_classes, min_size, rng)
    elif kind == "shifted":
        new = _moved(label, rng)
    elif kind == "mirrored":
        new = np.ascontiguousarray(label[:, ::-1])
    else:
        new = _renamed(label, n_classes, rng)
    known = label < n_classes
    if new is None or not known.any() or (new != label)[known].mean() < _LEAST:
        return None
    return new


def _unlabelled(label: IndexMap, n_classes: int, min_size: int, rng: np.random.Generator) -> IndexMap | None:
    ids, n = components(label, n_classes)
    size = np.bincount(ids.ravel(), minlength=n + 1)
    objects = np.flatnonzero((size >= min_size) & (size <= _OBJECT * label.size))
    objects = objects[objects > 0]
    if len(objects) < 3:
        return None
    lost = rng.permutation(objects)[: max(2, round(rng.uniform(*_LOST) * len(objects)))]
    gone = np.zeros(n + 1, bool)
    gone[lost] = True
    return fill_from_surroundings(label, gone[ids], n_classes)


def _moved(label: IndexMap, rng: np.random.Generator) -> IndexMap:
    h, w = label.shape
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(*_MOVED) * min(h, w)
    dy, dx = round(length * np.sin(angle)), round(length * np.cos(angle))
    yy = np.clip(np.arange(h) - dy, 0, h - 1)
    xx = np.clip(np.arange(w) - dx, 0, w - 1)
    return np.ascontiguousarray(label[yy][:, xx])


def _renamed(label: IndexMap, n_classes: int, rng: np.random.Generator) -> IndexMap | None:
    """One class takes the name of another; both ways if the image has both."""
    present = np.flatnonzero(np.bincount(label.ravel(), minlength=n_classes + 1)[:n_classes])
    if n_classes < 2 or not len(present):
        return None
    a = int(rng.choice(present))
    b = int(rng.choice(np.delete(np.arange(n_classes), a)))
    table = np.arange(n_classes + 1, dtype=label.dtype)
    table[[a, b]] = table[[b, a]]
    return np.asarray(table[np.minimum(label, n_classes)])


def features(
    view: View, label: IndexMap, min_size: int, spectra: Spectra | None = None
) -> tuple[Floats, tuple[int, int]]:
    """Measures :data:`FEATURES` of a label, and its best shift in pixels; NaN where something isn't there."""
    c = view.n_classes
    known = (label < c) & (view.pred < c)
    total = max(int(known.sum()), 1)
    wrong = known & (view.pred != label)
    cells = np.bincount(label[known].astype(np.int64) * c + view.pred[known], minlength=c * c).reshape(c, c)
    given, predicted = cells.sum(1), cells.sum(0)
    denied = 1 - np.diag(cells) / np.maximum(given, 1)
    fair = given >= 0.01 * total
    ids, n = components(label, c)
    by_label = _counts(ids, n, wrong, known, min_size)
    by_pred = _counts(view.pred_ids, view.n_pred, wrong, known, min_size)
    unmet = by_pred.unmet
    gain, shift = best_shift(spectra or Spectra.of(view.pred, c), label, c)
    entropy = view.maps.entropy
    values: dict[str, float] = {
        "disagree": float(wrong.sum() / total),
        "doubt": float(1 - view.probability_of(label)[known].mean()) if known.any() else np.nan,
        "class_disagree": float(denied[given > 0].mean()) if (given > 0).any() else np.nan,
        "class_worst": float(denied[fair].max()) if fair.any() else np.nan,
        "unmet_predicted": float(unmet.mean()) if len(unmet) else 0.0,
        "unmet_certain": _certain(view, by_pred),
        "unmet_given": float(by_label.unmet.mean()) if len(by_label.unmet) else 0.0,
        "fewer": float(np.log((len(unmet) + 1) / (len(by_label.unmet) + 1))),
        "less": float((predicted - given).max() / total),
        "shift_gain": gain,
        "shift_size": float(np.hypot(*shift) / min(label.shape)),
        "entropy": float(entropy.mean()) if entropy is not None else np.nan,
        "edges_given": _edges(view, label),
        "log_regions": float(np.log1p(len(unmet))),
    }
    return np.array([values[name] for name in FEATURES]), shift


@dataclass(frozen=True)
class _Counted:
    kept: npt.NDArray[np.int64]
    unmet: npt.NDArray[np.bool_]


def _counts(
    ids: npt.NDArray[np.int32],
    n: int,
    wrong: npt.NDArray[np.bool_],
    known: npt.NDArray[np.bool_],
    min_size: int,
) -> _Counted:
    """Components with enough known pixels, and which of them the other side denies for the most part."""
    size = np.bincount(ids[known], minlength=n + 1)
    against = np.bincount(ids[wrong], minlength=n + 1)
    size[0] = 0
    kept = np.flatnonzero(size >= min_size)
    return _Counted(kept, against[kept] > _MET * size[kept])


def _certain(view: View, counted: _Counted) -> float:
    """Share of the unmet predicted components, weighted by their mean largest probability."""
    if not len(counted.kept):
        return 0.0
    scores = view.maps.variation
    if scores is None:
        return float(counted.unmet.mean())
    size = np.bincount(view.pred_ids.ravel(), minlength=view.n_pred + 1)
    doubt = np.bincount(view.pred_ids.ravel(), weights=scores.ravel(), minlength=view.n_pred + 1)
    weight = 1 - doubt[counted.kept] / np.maximum(size[counted.kept], 1)
    return float((weight * counted.unmet).sum() / max(weight.sum(), 1e-9))


def _edges(view: View, label: IndexMap) -> float:
    """Mean edge strength under the label's outlines over that under the prediction's."""
    if view.gradient is None:
        return np.nan
    means = []
    for classes in (label, view.pred):
        line = np.zeros(classes.shape, bool)
        line[:, 1:] |= classes[:, 1:] != classes[:, :-1]
        line[1:] |= classes[1:] != classes[:-1]
        means.append(float(view.gradient[line].mean()) if line.any() else np.nan)
    return means[0] / max(means[1], 1e-6) if np.isfinite(means).all() else np.nan
