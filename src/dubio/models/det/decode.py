"""From rows of a detector's head to candidates in the image: boxes, scores and both uncertainties."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import DetPrediction, Floats
from dubio.core.errors import InputError
from dubio.models.det.fit import Placed
from dubio.models.det.heads import RawHead, class_probabilities, promising
from dubio.models.det.specs import OutputSpec
from dubio.uncertainty.boxes.bins import DistributionCoder
from dubio.uncertainty.boxes.deltas import DeltaCoder
from dubio.uncertainty.boxes.methods import METHODS
from dubio.uncertainty.boxes.samples import merge_samples
from dubio.uncertainty.boxes.sides import DistanceCoder

# the law without a clamp on sizes may have no variance at all; a million pixels of deviation say as much
_MOST = 1e12
# decodings that carry means alone where no variances are predicted
EXACT = ("exact", "l-norm", "n-flow")


def decode_head(
    head: RawHead, spec: OutputSpec, *, method: str = "exact", n_samples: int = 100, seed: int = 0
) -> tuple[Floats, Floats | None]:
    """Corners in pixels of the network's input.

    Args:
        head: the candidates.
        spec: what its numbers mean.
        method: one of :data:`dubio.uncertainty.boxes.METHODS`, for heads that predict variances.
        n_samples: draws of ``sample``.
        seed: of ``sample``.

    Returns:
        Means and variances, both ``(T, N, 4)``; variances are ``None`` if the head has none.

    Raises:
        InputError: no such method, or one that this head has no use for.
    """
    if method not in METHODS:
        raise InputError(f"there is no decoding '{method}'", remedy=f"choose from {', '.join(METHODS)}")
    if method not in EXACT and head.variances is None:
        raise InputError(f"decoding '{method}' needs predicted variances, which this detector hasn't")
    shape = head.means.shape[:3]
    flat = head.means.reshape(-1, *head.means.shape[2:])
    if spec.coder in ("fastestdet", "corners"):
        return np.asarray(head.means, np.float64), None
    assert head.reference is not None
    reference = np.tile(np.asarray(head.reference, np.float64), (shape[0], 1))
    if spec.coder == "distribution":
        bins = DistributionCoder(probabilities=spec.probabilities)
        found = bins.decode(flat, reference[:, :2], reference[:, 2:])
        return found.mean.reshape(shape), found.variance.reshape(shape)
    if spec.coder == "distance":
        sides = DistanceCoder(spec.distances, spec.clamp if spec.distances == "exponential" else None)
        where = (reference[:, :2], reference[:, 2:])
        if head.variances is None:
            return sides.decode_point(flat, *where).reshape(shape), None
        noise = head.variances.reshape(-1, 4)
        found = sides.decode(flat, noise, *where, method=method, n_samples=n_samples, seed=seed)
    else:
        deltas = DeltaCoder(spec.weights, spec.clamp)
        if head.variances is None:
            return deltas.decode_point(flat, reference).reshape(shape), None
        noise = head.variances.reshape(-1, 4)
        found = deltas.decode(flat, noise, reference, method=method, n_samples=n_samples, seed=seed)
    return found.mean.reshape(shape), found.variance.reshape(shape)


def candidates(
    head: RawHead,
    spec: OutputSpec,
    placed: Placed,
    *,
    floor: float,
    method: str = "exact",
    n_samples: int = 100,
    seed: int = 0,
    image_id: str = "",
) -> DetPrediction:
    """Candidates of an image above a score, before suppression; only these are decoded.

    Args:
        head: what the network says.
        spec: what its numbers mean.
        placed: where the image lies in the network's input.
        floor: least score.
        method: how boxes are decoded (see :func:`decode_head`).
        n_samples: draws of ``sample``.
        seed: of ``sample``.
        image_id: the image.

    Returns:
        Boxes cut at the border of the image; those that lie outside are left out.
    """
    some = head.take(promising(head, spec, floor))
    sampled = class_probabilities(some, spec)
    scores = _confidence(some, sampled, spec)
    keep = np.flatnonzero(scores >= floor)
    some, sampled, scores = some.take(keep), sampled[:, keep], scores[keep]
    means, variances = decode_head(some, spec, method=method, n_samples=n_samples, seed=seed)
    merged = merge_samples(means, variances, sampled, kind=spec.score_kind)
    # heads may turn a box inside out; a mean box of samples then is a line
    low, high = np.split(merged.boxes, 2, axis=1)
    middle = 0.5 * (low + high)
    boxes = placed.boxes_back(np.hstack([np.minimum(low, middle), np.maximum(high, middle)]))
    found = DetPrediction(
        boxes,
        scores,
        merged.class_scores.argmax(axis=1) if len(keep) else np.zeros(0, np.int64),
        sampled.shape[2],
        class_scores=merged.class_scores,
        kind=spec.score_kind,
        box_aleatoric=_scaled(merged.aleatoric, placed),
        box_epistemic=_scaled(merged.epistemic, placed),
        class_variance=merged.class_variance,
        expected_entropy=merged.expected_entropy,
        image_id=image_id,
    )
    seen = np.asarray((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    return found if bool(seen.all()) else found.take(seen)


def _scaled(variances: Floats | None, placed: Placed) -> Floats | None:
    return None if variances is None else np.minimum(placed.variances_back(variances), _MOST)


def _confidence(head: RawHead, sampled: Floats, spec: OutputSpec) -> npt.NDArray[np.float64]:
    if spec.score is None or head.objectness is None:
        return np.asarray(sampled.mean(axis=0).max(axis=1, initial=0.0))
    power, class_power = spec.score
    best = np.clip(np.asarray(head.classes, np.float64), 0, 1).max(axis=2, initial=0.0)
    return np.asarray((head.objectness**power * best**class_power).mean(axis=0))
