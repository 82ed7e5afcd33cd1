"""Boxes at the border to other tools: pandas tables and objects like ``supervision.Detections``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxDataset, BoxLabels, BoxScoreKind, DetPrediction
from dubio.core.errors import InputError, MissingExtraError
from dubio.core.labelspace import LabelSpace
from dubio.data.boxes.results import EXTRAS, KIND
from dubio.data.boxes.table import columns_of

_CORNERS = ("x1", "y1", "x2", "y2")


def to_pandas(dataset: BoxDataset) -> Any:
    """Table (``pandas.DataFrame``) of all labelled boxes.

    Columns: image_id, class, class_index, the corners in pixels, and what is known else.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    image, columns = columns_of(dataset)
    names = np.array(dataset.space.names, object)
    classes = np.asarray(columns["classes"], np.int64)
    data: dict[str, Any] = {
        "image_id": np.array([s.image_id for s in dataset], object)[image],
        "class": names[classes],
        "class_index": classes,
        **_by_corner(np.asarray(columns["boxes"]), ""),
    }
    rest = ("ids", "crowd", "difficult", "occlusion", "truncation", "distance")
    return _frame({**data, **{k: columns[k] for k in rest if columns[k] is not None}})


def detections_to_pandas(predictions: Mapping[str, DetPrediction], space: LabelSpace) -> Any:
    """Table (``pandas.DataFrame``) of all detections, with variances and class scores if they are there.

    Columns: image_id, class, class_index, score, the corners in pixels. Class scores stand in
    ``score_<class>``, variances of class scores in ``variance_<class>``, those of corners in
    ``aleatoric_x1`` … and ``epistemic_x1`` ….

    Raises:
        MissingExtraError: pandas is not installed.
        InputError: some images have class scores or variances and others haven't.
    """
    seen = list(predictions.items())
    classes = np.concatenate([p.classes for _, p in seen] or [np.zeros(0, np.int64)])
    data: dict[str, Any] = {
        "image_id": np.repeat(np.array([k for k, _ in seen], object), [len(p) for _, p in seen]),
        "class": np.array(space.names, object)[classes],
        "class_index": classes,
        "score": np.concatenate([p.scores for _, p in seen] or [np.zeros(0)]),
        **_by_corner(np.concatenate([p.boxes for _, p in seen] or [np.zeros((0, 4))]), ""),
    }
    for name in EXTRAS:
        found = [getattr(p, name) for _, p in seen if len(p)]
        if all(v is None for v in found):
            continue
        if any(v is None for v in found):
            raise InputError(f"only some images have {name}")
        values = np.concatenate(found)
        if name.startswith("box_"):
            data |= _by_corner(values, name.removeprefix("box_") + "_")
        else:
            word = "score" if name == "class_scores" else "variance"
            data |= {f"{word}_{c}": values[:, k] for k, c in enumerate(space.names)}
    return _frame(data)


def from_detections(found: Any, n_classes: int, *, image_id: str = "") -> DetPrediction:
    """Make a prediction of an object like ``supervision.Detections``.

    Args:
        found: has ``xyxy`` ``(N, 4)``, ``confidence`` ``(N,)``, ``class_id`` ``(N,)`` and perhaps ``data``, a
            dictionary that may hold ``class_scores`` with ``class_scores_kind``, ``box_aleatoric``,
            ``box_epistemic``, ``class_variance``.
        n_classes: number of classes.
        image_id: the image.

    Raises:
        InputError: an attribute is missing, or the values make no prediction.
    """
    boxes, classes = _boxes_of(found)
    if getattr(found, "confidence", None) is None:
        raise InputError("detections have no confidence", remedy="labels go through labels_from_detections")
    data = getattr(found, "data", None) or {}
    own = {name: np.asarray(data[name]) for name in EXTRAS if name in data}
    kind = data.get(KIND)
    if isinstance(kind, np.ndarray | list):
        kind = str(kind[0]) if len(kind) else "logits"
    scores = np.asarray(found.confidence, np.float64)
    said = cast(BoxScoreKind | None, kind)
    return DetPrediction(boxes, scores, classes, n_classes, kind=said, image_id=image_id, **own)


def labels_from_detections(found: Any) -> BoxLabels:
    """Make labels of an object like ``supervision.Detections``; its confidence plays no part.

    Raises:
        InputError: an attribute is missing, or the values make no boxes.
    """
    boxes, classes = _boxes_of(found)
    return BoxLabels(boxes, classes)


def _boxes_of(found: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    boxes, classes = getattr(found, "xyxy", None), getattr(found, "class_id", None)
    if boxes is None or classes is None:
        missing = "xyxy" if boxes is None else "class_id"
        raise InputError(f"detections have no {missing}", remedy="give an object like supervision.Detections")
    return np.asarray(boxes, np.float64).reshape(-1, 4), np.asarray(classes)


def _by_corner(values: npt.NDArray[Any], prefix: str) -> dict[str, npt.NDArray[Any]]:
    return {prefix + corner: values[:, k] for k, corner in enumerate(_CORNERS)}


def _frame(data: dict[str, Any]) -> Any:
    try:
        pandas = import_module("pandas")
    except ImportError as error:
        raise MissingExtraError("a table for pandas", "explore") from error
    return pandas.DataFrame(data)
