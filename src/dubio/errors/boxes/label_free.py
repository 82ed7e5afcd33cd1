"""Suspicion of each kind without learning: where there is too little data, and as a feature and baseline.

Every bar is a rank among the labels as given, so that no fixed score decides: a detector that never says more
than 0.6 is as good as one that always says 0.99.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.errors.boxes.feature_names import FEATURES
from dubio.errors.boxes.scene import Flags, Floats

# The model confirms a box that it meets by this much.
_MET = 0.5
COLUMNS = tuple(name for name in FEATURES if name.startswith("suspect_"))
_PLACE = [FEATURES.index(name) for name in COLUMNS]
# An object that a better one overlaps may be the same seen twice: how much less it counts.
_SHADE = 0.5
# From an overlap of 1 - 1 / this on a box's place is less suspect.
_APART = 3.0


@dataclass(frozen=True)
class Usual:
    """What is usual among the labels as given, each sorted.

    Attributes:
        conf: confidence in boxes that the model confirms (in all, if it confirms none).
        iou: overlap with these.
        support: support of all boxes, by any class.
    """

    conf: Floats
    iou: Floats
    support: Floats

    @classmethod
    def of(cls, support: Mapping[str, Floats]) -> Usual:
        """Of the columns of the labelled boxes (:data:`~dubio.errors.boxes.passes.SUPPORT`)."""
        sure = (support["iou_same"] >= _MET) & (support["conf_same_50"] > 0)
        rows = sure if sure.any() else np.ones(len(sure), bool)
        return cls(
            np.sort(support["conf_same_50"][rows]),
            np.sort(support["iou_same"][rows]),
            np.sort(support["support_any"]),
        )


def suspicion(columns: Mapping[str, Floats], usual: Usual) -> dict[str, Floats]:
    """Suspicion of all candidates, 0 … 1, by name of the column.

    Args:
        columns: features by name.
        usual: what they are held against.
    """
    v = {name: np.nan_to_num(np.asarray(values, np.float64)) for name, values in columns.items()}
    first = v["source"] == 0
    clear = rank_of(v["conf"], usual.conf)
    # an object is missing if it is seen as clearly as labelled ones are, where no label is
    missing = clear * (1 - v["met_any"]) * (1 - _SHADE * v["under_iou"])
    # a box is spurious if it is confirmed less than nearly all others
    spurious = (1 - rank_of(v["support_any"], usual.support)) * (1 - v["iou_any"])
    wrong = rank_of(v["conf_other_50"], usual.conf) * v["iou_any"] * (1 - v["support_same"])
    wrong = np.where(v["conf_other_50"] > v["conf_same_50"], wrong, 0)
    shown = ~np.isnan(np.asarray(columns["off_most"], np.float64)) & (v["iou_same"] > 0)
    apart = np.minimum(_APART * (1 - v["iou_same"]), 1)  # less is no error, however well others are met
    location = np.where(shown, clear * apart * (1 - rank_of(v["iou_same"], usual.iou)), 0)
    twin = np.where(v["twin_same"] >= _MET, v["twin_same"], 0)
    applies: tuple[Flags, ...] = (~first, first, first, first, first)
    found = (missing, spurious, wrong, location, twin)
    return {n: np.where(a, value, 0.0) for n, a, value in zip(COLUMNS, applies, found, strict=True)}


def rank_of(values: Floats, known: Floats) -> Floats:
    """Share of some sorted values that each is above, ``(n,)``, drawn to a half where they are few.

    >>> rank_of(np.array([0.0, 2.0, 9.0]), np.array([1.0, 2.0, 3.0])).tolist()
    [0.125, 0.5, 0.875]
    """
    if not len(known):
        return np.full(len(values), 0.5)
    below, up_to = np.searchsorted(known, values, "left"), np.searchsorted(known, values, "right")
    return np.asarray((below + up_to + 1) / 2 / (len(known) + 1))


def kind_scores(x: npt.NDArray[Any]) -> Floats:
    """Suspicion of each kind, ``(n, 5)``: missing, spurious, wrong class, location, duplicate."""
    return np.asarray(x[:, _PLACE], np.float64)
