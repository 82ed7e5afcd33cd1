"""Detections of other libraries as records, with the scores of all classes wherever they are there.

Nothing of these libraries is imported: arrays and tensors will do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxScoreKind, DetPrediction, Floats
from dubio.core.errors import InputError
from dubio.models.det.fit import place
from dubio.models.det.specs import InputSpec, Size
from dubio.uncertainty.boxes.arrays import Array, is_tensor
from dubio.uncertainty.boxes.classes import probabilities

_DICT_EXTRAS = ("box_aleatoric", "box_epistemic", "class_variance", "expected_entropy")


def from_torchvision(
    found: Mapping[str, Array], n_classes: int, *, first: int = 1, image_id: str = ""
) -> DetPrediction:
    """Detections of one image as torchvision's detectors give them.

    torchvision keeps only the score of the best class. Where ``class_scores`` ``(N, C)`` with
    ``class_scores_kind`` and the fields of :class:`~dubio.core.boxes.DetPrediction` stand in the same
    dictionary, they are taken over.

    Args:
        found: ``boxes`` ``(N, 4)`` xyxy pixels, ``scores`` ``(N,)``, ``labels`` ``(N,)``.
        n_classes: number of classes, background not counted.
        first: label of the first class; torchvision counts from 1, 0 is the background.
        image_id: the image.

    Raises:
        InputError: an entry is missing, a label lies beyond the classes, or the values make no prediction.

    >>> seen = {"boxes": np.array([[0, 0, 4, 4.0]]), "scores": np.array([0.5]), "labels": np.array([2])}
    >>> from_torchvision(seen, 3).classes.tolist()
    [1]
    """
    missing = [name for name in ("boxes", "scores", "labels") if name not in found]
    if missing:
        raise InputError(f"a detection of torchvision has no '{missing[0]}'")
    classes = np.asarray(_numpy(found["labels"]), np.int64) - first
    if len(classes) and not 0 <= classes.min() <= classes.max() < n_classes:
        raise InputError(
            f"labels go from {classes.min() + first} to {classes.max() + first}, not from {first} to "
            f"{first + n_classes - 1}",
            remedy="say which label the first class has, and how many classes there are",
        )
    extras: dict[str, Any] = {name: _floats(found[name]) for name in _DICT_EXTRAS if name in found}
    if "class_scores" in found:
        extras["class_scores"] = _floats(found["class_scores"])
        extras["kind"] = found.get("class_scores_kind", "sigmoid")
    boxes = _floats(found["boxes"]).reshape(-1, 4)
    return DetPrediction(boxes, _floats(found["scores"]), classes, n_classes, image_id=image_id, **extras)


def from_transformers(
    outputs: Any,
    sizes: Sequence[Size],
    n_classes: int,
    *,
    kind: BoxScoreKind | None = None,
    aleatoric: Array | None = None,
    score: float = 0.0,
    ids: Sequence[str] | None = None,
) -> list[DetPrediction]:
    """Detections of the DETR family of transformers (DETR, Deformable DETR, RT-DETR, D-FINE, YOLOS …).

    Args:
        outputs: has ``logits`` ``(B, N, K)`` and ``pred_boxes`` ``(B, N, 4)``, relative centre and size.
        sizes: height and width of each image.
        n_classes: number of classes ``C``. With K = C + 1 the last logit is "no object" and a softmax is
            taken, with K = C a sigmoid per class.
        kind: ``"softmax"`` or ``"sigmoid"`` in place of that rule.
        aleatoric: ``(B, N, 4)`` variances of x0, y0, x1, y1 in units of the image's width and height
            (squared), as from D-FINE's distributions.
        score: least score.
        ids: image ids.

    Returns:
        One prediction per image, with the probabilities of all classes.

    Raises:
        InputError: shapes that don't fit.
    """
    logits, boxes = _floats(outputs.logits), _floats(outputs.pred_boxes)
    if logits.ndim != 3 or boxes.shape != (*logits.shape[:2], 4) or len(sizes) != len(logits):
        raise InputError(f"logits {logits.shape} and boxes {boxes.shape} don't go with {len(sizes)} images")
    extra = logits.shape[2] - n_classes
    if extra not in (0, 1):
        raise InputError(f"there are logits of {logits.shape[2]} classes, not of {n_classes} or one more")
    link = kind or ("softmax" if extra else "sigmoid")
    # YOLOS and DETR leave unused numbers among the classes; they count as classes
    scores = probabilities(logits, link)[..., :n_classes]
    half = 0.5 * boxes[..., 2:]
    corners = np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], axis=-1)
    noise = None if aleatoric is None else _floats(aleatoric)
    if noise is not None and noise.shape != boxes.shape:
        raise InputError(f"variances have the shape {noise.shape}, boxes {boxes.shape}")
    done = []
    for k, (height, width) in enumerate(sizes):
        frame = np.array([width, height, width, height], np.float64)
        done.append(
            _candidates(
                np.clip(corners[k] * frame, 0, frame),
                scores[k],
                link,
                None if noise is None else noise[k] * frame**2,
                score,
                "" if ids is None else ids[k],
            )
        )
    return done


def from_ultralytics(
    found: Any,
    n_classes: int | None = None,
    *,
    input_size: Size | None = None,
    image_size: Size | None = None,
    score: float = 0.0,
    image_id: str = "",
) -> DetPrediction:
    """Detections of one image by an Ultralytics model (YOLOv8 and later).

    Args:
        found: a ``Results`` object, which knows the best class only; or the network's own output
            ``(4 + C, N)``: centre, size and the scores of all classes, before suppression.
        n_classes: number of classes; needed for ``Results`` without ``names``.
        input_size: height and width of the network's input; for the network's own output.
        image_size: height and width of the image, which lies in the middle of the input (letterbox).
        score: least score.
        image_id: the image.

    Raises:
        InputError: no such object, a missing size, or shapes that don't fit.

    >>> raw = np.array([[8.0], [8], [4], [4], [0.1], [0.7]])
    >>> seen = from_ultralytics(raw, input_size=(16, 16), image_size=(32, 32))
    >>> seen.boxes.tolist(), seen.class_scores.tolist()
    ([[12.0, 12.0, 20.0, 20.0]], [[0.1, 0.7]])
    """
    if getattr(found, "boxes", None) is not None:
        return _from_results(found, n_classes, score, image_id)
    raw = _floats(found)
    raw = raw[0] if raw.ndim == 3 and len(raw) == 1 else raw
    if raw.ndim != 2 or raw.shape[0] < 5:
        raise InputError(
            f"is neither Results nor an output (4 + C, N), but has the shape {raw.shape}",
            remedy="give one image's output before suppression",
        )
    if n_classes is not None and raw.shape[0] != 4 + n_classes:
        raise InputError(f"has {raw.shape[0]} rows, not 4 + {n_classes}", remedy="is it transposed?")
    if input_size is None or image_size is None:
        raise InputError("an output in pixels of the input needs input_size and image_size")
    placed = place(image_size, InputSpec(align="center"), input_size)[0]
    half = 0.5 * np.abs(raw[2:4].T)
    boxes = np.hstack([raw[:2].T - half, raw[:2].T + half])
    return _candidates(placed.boxes_back(boxes), raw[4:].T, "sigmoid", None, score, image_id)


def _from_results(found: Any, n_classes: int | None, score: float, image_id: str) -> DetPrediction:
    names = getattr(found, "names", None)
    count = n_classes if n_classes is not None else len(names) if names else 0
    if not count:
        raise InputError("Results don't say how many classes there are", remedy="give n_classes")
    seen = found.boxes
    values, scores = _floats(seen.xyxy).reshape(-1, 4), _floats(seen.conf)
    keep = scores >= score
    classes = np.asarray(_numpy(seen.cls), np.int64)
    return DetPrediction(values[keep], scores[keep], classes[keep], count, image_id=image_id)


def _candidates(
    boxes: Floats, scores: Floats, kind: BoxScoreKind, aleatoric: Floats | None, least: float, image_id: str
) -> DetPrediction:
    best = scores.max(axis=1, initial=0.0)
    keep = np.flatnonzero((best >= least) & (boxes[:, 2:] >= boxes[:, :2]).all(axis=1))
    return DetPrediction(
        boxes[keep],
        best[keep],
        scores[keep].argmax(axis=1),
        scores.shape[1],
        class_scores=scores[keep],
        kind=kind,
        box_aleatoric=None if aleatoric is None else aleatoric[keep],
        image_id=image_id,
    )


def _numpy(values: Array) -> npt.NDArray[Any]:
    return np.asarray(values.detach().cpu() if is_tensor(values) else values)


def _floats(values: Array) -> Floats:
    if is_tensor(values):
        # numpy has no bfloat16
        values = values.detach().double().cpu()
    return np.asarray(values, np.float64)
