"""What is usual for a class in this data set, as features of a region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.errors.feature_names import FEATURES
from dubio.errors.store import ImageWork

Floats = npt.NDArray[np.float64]
CONTEXT = ("class_p", "class_confusion", "class_precision", "class_share")


@dataclass
class ClassContext:
    """What is usual for a class in this data set: pixel statistics of the labels as given."""

    p: Floats
    confusion: Floats
    precision: Floats
    share: Floats

    def rows(self, x: npt.NDArray[Any]) -> Floats:
        """Columns :data:`CONTEXT` for feature rows."""
        g = x[:, FEATURES.index("given")].astype(np.int64)
        c = x[:, FEATURES.index("proposed")].astype(np.int64)
        return np.column_stack([self.p[g], self.confusion[g, c], self.precision[c], self.share[g]])


def class_context(works: list[ImageWork]) -> ClassContext:
    """Mean probability of each class where it is labelled, confusion shares, precision, frequency."""
    n = len(works[0].p_sum) if works else 1
    confusion = sum((w.confusion for w in works), np.zeros((n, n + 1), np.int64)).astype(np.float64)
    total = confusion.sum(1)
    p = sum((w.p_sum for w in works), np.zeros(n)) / np.maximum(total, 1)
    predicted = np.maximum(confusion[:, :n].sum(0), 1)
    return ClassContext(
        p,
        confusion[:, :n] / np.maximum(total, 1)[:, None],
        np.diag(confusion[:, :n]) / predicted,
        total / max(total.sum(), 1),
    )
