"""From the outputs of a detector, as its card names them, to rows of class scores and box predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import Floats
from dubio.core.errors import InputError
from dubio.models.det.specs import OutputSpec, Size
from dubio.uncertainty.boxes.classes import probabilities

Array = npt.NDArray[Any]
Outputs = Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class RawHead:
    """What the head of a detector says of one image, before decoding; N candidates, T samples (1: none).

    Attributes:
        means: ``(T, N, 4)`` in the head's own space: deltas, distances or corners;
            ``(T, N, 4, B)`` distributions of distances.
        variances: ``(T, N, 4)`` of ``means``; ``None``: not predicted, or told by distributions.
        reference: ``(N, 4)`` anchors, xyxy, or ``(N, 3)`` points and the pixels of one unit, in pixels of the
            input; ``None``: the means need none.
        classes: ``(T, N, C)`` class outputs as they come, background still among them.
        objectness: ``(T, N)`` probabilities, or ``None``.
        size: height and width of the input.
    """

    means: Array
    variances: Array | None
    reference: Array | None
    classes: Array
    objectness: Array | None
    size: Size

    def __len__(self) -> int:
        return int(self.classes.shape[1])

    def take(self, rows: npt.NDArray[Any]) -> RawHead:
        """Candidates at these positions."""
        return replace(
            self,
            means=self.means[:, rows],
            variances=None if self.variances is None else self.variances[:, rows],
            reference=None if self.reference is None else self.reference[rows],
            classes=self.classes[:, rows],
            objectness=None if self.objectness is None else self.objectness[:, rows],
        )


def split_outputs(outputs: Outputs, spec: OutputSpec, size: Size) -> RawHead:
    """Sort the outputs for one image by what they are.

    Args:
        outputs: by name, without batch axis.
        spec: what they mean.
        size: height and width of the input.

    Raises:
        InputError: an output is missing, has another shape than the card says, or isn't finite.
    """
    missing = [name for name in spec.names if name not in outputs]
    if missing:
        remedy = "the file has " + ", ".join(outputs)
        raise InputError(f"the detector has no output '{missing[0]}'", remedy=remedy)
    for name in spec.names:
        if not np.isfinite(outputs[name]).all():
            raise InputError(
                f"the detector's output '{name}' holds values that aren't finite",
                remedy="check scale, mean and std of its card",
            )
    return _SPLITTERS[spec.coder](outputs, spec, size)


def class_probabilities(head: RawHead, spec: OutputSpec) -> Floats:
    """Probabilities ``(T, N, C)`` of the classes, objectness counted in, background left out."""
    raw = head.classes
    p = np.asarray(raw, np.float64) if spec.activated else probabilities(raw, spec.score_kind)
    p = np.clip(_foreground(p, spec), 0.0, 1.0)
    return p if head.objectness is None else p * head.objectness[..., None]


def promising(head: RawHead, spec: OutputSpec, floor: float) -> npt.NDArray[np.int64]:
    """Rows whose best class may reach the floor; cheap, and never leaves one out that does."""
    if spec.score is not None:
        return np.arange(len(head))
    best = _foreground(head.classes, spec).max(axis=2, initial=-np.inf)
    if not spec.activated:
        if spec.background is not None:
            # against the background alone, a class can only look better than it is
            best = best - head.classes[..., 0 if spec.background == "first" else -1]
        elif spec.score_kind == "softmax":
            return np.arange(len(head))
    limit = floor if spec.activated else _logit(floor)
    bound = best.max(axis=0)
    if head.objectness is not None and spec.activated:
        bound = (best * head.objectness).max(axis=0)
    # a hair below, for single precision
    return np.flatnonzero(bound >= limit - 1e-5 * max(1.0, abs(limit)))


def _foreground(scores: Array, spec: OutputSpec) -> Array:
    if spec.background is None:
        return scores
    return scores[..., 1:] if spec.background == "first" else scores[..., :-1]


def _logit(p: float) -> float:
    if p <= 0:
        return -1e30
    return math.log(p / (1 - p)) if p < 1 else 1e30


def _joined(outputs: Outputs, names: tuple[str, ...], spec: OutputSpec, what: str) -> Array:
    """Outputs of all levels as ``(T, N, K)``."""
    parts = []
    for name in names:
        part = outputs[name]
        if part.ndim != (3 if spec.samples else 2):
            shape = "(B, T, N, K)" if spec.samples else "(B, N, K)"
            raise InputError(f"the output '{name}' ({what}) has {part.ndim + 1} axes, its card says {shape}")
        part = part if spec.samples else part[None]
        parts.append(part.swapaxes(1, 2) if spec.transposed else part)
    try:
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    except ValueError:
        raise InputError(f"the outputs {', '.join(names)} ({what}) can't be joined") from None


def _check_rows(found: Array, n: int, columns: int | None, what: str) -> Array:
    if found.shape[-2] != n or (columns is not None and found.shape[-1] != columns):
        raise InputError(
            f"the detector's {what} have the shape {found.shape[-2:]}, not ({n}, {columns or 'K'})",
            remedy="does its card fit?",
        )
    return found


def _split_anchored(outputs: Outputs, spec: OutputSpec, size: Size) -> RawHead:
    """Deltas of anchors, or distances from points."""
    assert spec.logits is not None
    assert spec.reference is not None
    classes = _joined(outputs, spec.logits, spec, "class scores")
    n = classes.shape[1]
    means = _check_rows(_joined(outputs, spec.boxes, spec, "boxes"), n, 4, "boxes")
    variances = None
    if spec.log_variance is not None:
        log_variance = _joined(outputs, (spec.log_variance,), spec, "log variances")
        _check_rows(log_variance, n, 4, "log variances")
        variances = np.exp(np.asarray(log_variance, np.float64))
    width = 4 if spec.coder == "delta" else 3
    reference = _check_rows(outputs[spec.reference], n, width, "references")
    return RawHead(means, variances, reference, classes, None, size)


def _split_distribution(outputs: Outputs, spec: OutputSpec, size: Size) -> RawHead:
    assert spec.logits is not None
    classes = _joined(outputs, spec.logits, spec, "class scores")
    n = classes.shape[1]
    found = _check_rows(_joined(outputs, spec.boxes, spec, "distributions"), n, None, "distributions")
    if found.shape[2] % 4 or found.shape[2] < 8:
        raise InputError(f"distributions of four sides have {found.shape[2]} columns, no multiple of 4")
    cells = _grid(size, spec.strides, spec.offset)
    if len(cells) != n:
        raise InputError(
            f"the detector has {n} candidates, its card's strides give {len(cells)}",
            remedy="correct 'strides' in its card",
        )
    return RawHead(found.reshape(1, n, 4, -1), None, cells, classes, None, size)


def _split_yolox(outputs: Outputs, spec: OutputSpec, size: Size) -> RawHead:
    rows = _joined(outputs, spec.boxes, spec, "boxes")
    cells = _grid(size, spec.strides, 0.0)
    if len(cells) != rows.shape[1]:
        raise InputError(
            f"the detector has {rows.shape[1]} candidates, its card's strides give {len(cells)}",
            remedy="export it with decode_in_inference=False, or correct 'strides' in its card",
        )
    # x and y count from the cell's corner and sizes from the stride: anchors around corners of cells
    half = 0.5 * cells[:, 2:]
    anchors = np.hstack([cells[:, :2] - half, cells[:, :2] + half])
    return RawHead(rows[..., :4], None, anchors, rows[..., 5:], rows[..., 4], size)


def _split_fastestdet(outputs: Outputs, spec: OutputSpec, size: Size) -> RawHead:
    """A map ``(5 + C, H, W)``: objectness, x and y (tanh, in cells), width and height (sigmoid), classes."""
    field = outputs[spec.boxes[0]]
    if field.ndim != 3:
        raise InputError(
            f"the output '{spec.boxes[0]}' has {field.ndim + 1} axes, its card says (B, K, H, W)"
        )
    cells = _grid(size, spec.strides, 0.0)
    rows = np.asarray(field.reshape(len(field), -1).T, np.float64)
    _check_rows(rows, len(cells), None, "cells")
    centre = cells[:, :2] + np.tanh(rows[:, 1:3]) * cells[:, 2:]
    half = 0.5 / (1 + np.exp(-rows[:, 3:5])) * [size[1], size[0]]
    corners = np.hstack([centre - half, centre + half])
    return RawHead(corners[None], None, None, rows[None, :, 5:], rows[None, :, 0], size)


def _split_corners(outputs: Outputs, spec: OutputSpec, size: Size) -> RawHead:
    rows = _joined(outputs, spec.boxes, spec, "boxes")
    objectness = rows[..., 4] if spec.objectness else None
    if spec.logits is None:
        classes = rows[..., 5 if spec.objectness else 4 :]
    else:
        classes = _joined(outputs, spec.logits, spec, "class scores")
        _check_rows(rows, classes.shape[1], None, "boxes")
    if rows.shape[2] < 4 or not classes.shape[2]:
        raise InputError(f"the output '{spec.boxes[0]}' has {rows.shape[2]} columns: no box with classes")
    corners = np.asarray(rows[..., :4], np.float64)
    if spec.form == "cxcywh":
        half = 0.5 * np.abs(corners[..., 2:])
        corners = np.concatenate([corners[..., :2] - half, corners[..., :2] + half], axis=-1)
    if spec.unit == "relative":
        corners = corners * [size[1], size[0], size[1], size[0]]
    return RawHead(corners, None, None, classes, objectness, size)


@lru_cache(16)
def _grid(size: Size, strides: tuple[float, ...], offset: float) -> Floats:
    """Points of all cells, ``(N, 4)``: x, y, and the stride twice; level by level, row by row."""
    levels = []
    for stride in strides:
        high, wide = math.ceil(size[0] / stride), math.ceil(size[1] / stride)
        y, x = np.mgrid[:high, :wide].reshape(2, -1)
        levels.append(np.stack([x + offset, y + offset, np.ones(len(x)), np.ones(len(x))], axis=1) * stride)
    found = np.concatenate(levels)
    found.setflags(write=False)
    return found


_SPLITTERS: dict[str, Callable[[Outputs, OutputSpec, Size], RawHead]] = {
    "delta": _split_anchored,
    "distance": _split_anchored,
    "distribution": _split_distribution,
    "yolox": _split_yolox,
    "fastestdet": _split_fastestdet,
    "corners": _split_corners,
}
