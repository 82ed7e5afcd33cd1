"""Candidate regions: where a label could be wrong.

Three families, because no single one holds every kind of error: components of the *label* (wrong
class, spurious), components of the *disagreement* between prediction and label (missing objects),
and *cores* of the disagreement after thin seams are removed (missing objects that hang on the
frayed outlines of others).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dubio.core.labelspace import IndexMap
from dubio.errors import kernels
from dubio.errors.view import View
from dubio.regions.extract import components

Ids = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]
SOURCES = ("label", "disagreement", "core")
# A label component that the model confirms on more than this share is no candidate.
_CONFIRMED = 0.95


@dataclass
class Family:
    """Candidates of one source in one image, numbered 1 … n; arrays have ``n + 1`` entries.

    Attributes:
        source: position in :data:`SOURCES`.
        ids: ``(H, W)`` int32 number of the candidate, 0 = none.
        n: number of candidates.
        given: class that the label has there (most of it).
        proposed: class that the model proposes (``given`` if it confirms the label).
    """

    source: int
    ids: Ids
    n: int
    given: Ints
    proposed: Ints


def find_candidates(view: View, label: IndexMap, *, min_size: int) -> list[Family]:
    """Candidates of all families.

    Args:
        view: the image's prediction.
        label: ``(H, W)`` class indices, ``C`` = void; void is in no candidate.
        min_size: smaller regions are left out, pixels.

    Returns:
        One :class:`Family` per source, possibly empty.
    """
    c = view.n_classes
    pred = view.pred
    known = (label < c) & (pred < c)
    denied = np.where(known & (pred != label), pred, c).astype(pred.dtype)
    label_ids, n_label = components(label, c)
    families = [_family(0, label_ids, n_label, label, pred, c, min_size)]
    ids, n = components(denied, c)
    families.append(_family(1, ids, n, label, pred, c, min_size))
    core = kernels.square_opening(denied, c)  # without seams up to two pixels wide
    ids, n = components(core, c)
    families.append(_family(2, ids, n, label, pred, c, min_size))
    return families


def _family(source: int, ids: Ids, n: int, label: IndexMap, pred: IndexMap, c: int, min_size: int) -> Family:
    flat = ids.ravel()
    size = np.bincount(flat, minlength=n + 1)
    labels = _votes(flat, label.ravel(), n, c)
    preds = _votes(flat, pred.ravel(), n, c)
    given = labels[:, :c].argmax(1)
    if source == 0:
        rows = np.arange(n + 1)
        confirmed = preds[rows, given] > _CONFIRMED * size
        others = preds[:, :c].copy()
        others[rows, given] = 0
        proposed = np.where(others.max(1) > 0, others.argmax(1), given)
    else:
        confirmed = np.zeros(n + 1, bool)
        proposed = preds[:, :c].argmax(1)
    keep = (size >= min_size) & ~confirmed
    keep[0] = False
    number = np.zeros(n + 1, np.int32)
    number[keep] = np.arange(1, keep.sum() + 1)
    pick = np.concatenate([[0], np.flatnonzero(keep)])
    return Family(source, number[ids], int(keep.sum()), given[pick], proposed[pick])


def _votes(ids: npt.NDArray[np.int32], classes: npt.NDArray[np.generic], n: int, c: int) -> Ints:
    cells = np.bincount(
        ids.astype(np.int64) * (c + 1) + classes.astype(np.int64), minlength=(n + 1) * (c + 1)
    )
    return cells.reshape(n + 1, c + 1)


def default_min_size(shape: tuple[int, int]) -> int:
    """100 pixels on a 2048x1024 image, as published; in proportion elsewhere, but at least 16.

    >>> default_min_size((1024, 2048)), default_min_size((360, 480))
    (100, 16)
    """
    return max(16, round(100 * shape[0] * shape[1] / (1024 * 2048)))
