"""What became of each pixel: right, wrong, unknown or ignored; judged once, used by every metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.reliability import kernels

_NONE = np.zeros(0, np.bool_)


@dataclass(frozen=True)
class Outcome:
    """The judged pixels of one image, flattened row by row.

    Attributes:
        code: ``(N,)`` uint8: 0 right, 1 wrong, 2 of an unknown class, 3 ignored (void).
        label: ``(N,)`` uint16 class indices; ``C`` = void.
        confusion: ``(C, C + 1)`` int64 counts of known pixels; the last column: predicted void.
    """

    code: npt.NDArray[np.uint8]
    label: npt.NDArray[np.uint16]
    confusion: npt.NDArray[np.int64]


def judged(
    pred: npt.ArrayLike, label: npt.ArrayLike, n_classes: int, unknown: npt.ArrayLike | None = None
) -> Outcome:
    """Judge the pixels of an image.

    Args:
        pred: class indices; ``n_classes`` and above is predicted void, which is wrong.
        label: class indices of the same shape; ``n_classes`` and above, or negative, is void: ignored.
        n_classes: number of classes.
        unknown: bool, same shape: pixels that show a class the model doesn't know, whatever their label.

    Raises:
        InputError: the shapes differ.

    >>> judged([0, 1, 1, 1], [0, 0, 9, 9], 2, [False, False, True, False]).code.tolist()
    [0, 1, 2, 3]
    """
    guess, given = np.asarray(pred), np.asarray(label)
    marked = _NONE if unknown is None else np.asarray(unknown, np.bool_)
    if guess.shape != given.shape or (unknown is not None and marked.shape != given.shape):
        other = marked if guess.shape == given.shape else guess
        raise InputError(f"labels of shape {given.shape} don't fit pixels of shape {other.shape}")
    indices = _indices(given, n_classes)
    code = np.empty(indices.size, np.uint8)
    confusion = np.zeros((n_classes, n_classes + 1), np.int64)
    kernels.judge(
        _indices(guess, n_classes), indices, np.ascontiguousarray(marked.reshape(-1)), code, confusion
    )
    return Outcome(code, indices, confusion)


def _indices(values: npt.NDArray[Any], n_classes: int) -> npt.NDArray[np.uint16]:
    """Class indices as uint16 with every void value ``n_classes``."""
    if values.dtype.kind not in "iu":
        raise InputError(f"class indices have type {values.dtype}", remedy="give integers")
    values = values.reshape(-1)
    if values.dtype.kind == "i":
        values = np.where(values < 0, n_classes, values)
    return np.asarray(np.minimum(values, n_classes), np.uint16)
