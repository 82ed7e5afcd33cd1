"""Methods of calibration by name: ours, and those of the published auto-labelling code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dubio.calibration.boxes.adaptive import AdaptiveSpread
from dubio.calibration.boxes.classes import ClassIsotonic, ClassTemperature
from dubio.calibration.boxes.confidence import IsotonicConfidence, LogisticConfidence
from dubio.calibration.boxes.rows import BoxRows
from dubio.calibration.boxes.spread import IsotonicSpread, ScaleSpread
from dubio.core.errors import InputError

SPREADS: dict[str, Callable[[], Any]] = {
    "adaptive": AdaptiveSpread,
    "adaptive-score": lambda: AdaptiveSpread(use_sigma=False),
    "scale": ScaleSpread,
    "scale-laplace": lambda: ScaleSpread("nll", "laplace"),
    "scale-student": lambda: ScaleSpread("nll", "student"),
    "scale-student-class": lambda: ScaleSpread("nll", "student", "class-coordinate"),
    "isotonic": lambda: IsotonicSpread("absolute", "student"),
    "isotonic-relative": lambda: IsotonicSpread("absolute", "student", relative=True),
    "isotonic-square": lambda: IsotonicSpread("square", "student"),
}
# As published (Kassem Sbeyti et al., ECML PKDD 2023), but for temperatures that reach their optimum.
PUBLISHED: dict[str, Callable[[], Any]] = {
    "ts_all": lambda: ScaleSpread("mae", pooling=0),
    "ts_percoo": lambda: ScaleSpread("mae", grouping="coordinate", pooling=0),
    "iso_all": lambda: _published("all"),
    "iso_percoo": lambda: _published("coordinate"),
    "iso_perclscoo": lambda: _published("class-coordinate"),
    "rel_iso_perclscoo": lambda: _published("class-coordinate", relative=True),
}
CLASSES: dict[str, Callable[[], Any]] = {
    "temperature": ClassTemperature,
    "temperature-per-class": lambda: ClassTemperature(per_class=True),
    "isotonic": ClassIsotonic,
    "isotonic-per-class": lambda: ClassIsotonic(per_class=True),
}
CONFIDENCES: dict[str, Callable[[], Any]] = {
    "isotonic": IsotonicConfidence,
    "isotonic-per-class": lambda: IsotonicConfidence(per_class=True),
    "logistic": lambda: LogisticConfidence(position=False),
    "logistic-position": LogisticConfidence,
}
# what needs no variances of the detector
WITHOUT_SIGMA = ("adaptive-score",)
# Fewer matched boxes than this don't feed the features of the adaptive one.
_ENOUGH = 150


def _published(grouping: Any, *, relative: bool = False) -> IsotonicSpread:
    return IsotonicSpread("absolute", "normal", grouping, relative=relative, rescale=False, pooling=0)


def default_spread(rows: BoxRows) -> str:
    """The method that is used unless another is named: by how much there is to learn from.

    >>> import numpy as np
    >>> few = BoxRows(np.zeros((9, 4)), np.ones((9, 4)), np.zeros(9, int), np.ones(9), np.ones((9, 2)), 1)
    >>> default_spread(few)
    'scale-student'
    """
    if rows.sigma is None:
        return "adaptive-score"
    return "adaptive" if len(rows) >= _ENOUGH else "scale-student"


def maker(table: dict[str, Callable[[], Any]], name: str, what: str) -> Callable[[], Any]:
    """A method of one of the tables.

    Raises:
        InputError: there is none of this name.
    """
    if name not in table:
        raise InputError(f"there is no calibration of {what} '{name}'", remedy=f"known: {', '.join(table)}")
    return table[name]
