"""Boxes gathered one by one, for formats whose files are text or XML."""

from __future__ import annotations

import math

import numpy as np

from dubio.core.boxes import BoxSample
from dubio.data.boxes.columns import Columns

_NAN = math.nan


class Gather:
    """Images and boxes in the order in which they are met."""

    def __init__(self) -> None:
        self.samples: list[BoxSample] = []
        self._image: list[int] = []
        self._box: list[tuple[float, float, float, float]] = []
        self._class: list[int] = []
        self._names: dict[str, int] = {}
        self._ids: list[str] = []
        self._flags: list[tuple[bool, bool]] = []
        self._grades: list[tuple[float, float, float]] = []
        self._ignore_image: list[int] = []
        self._ignore: list[tuple[float, float, float, float]] = []

    def image(self, sample: BoxSample) -> None:
        """Start an image; the boxes that follow are its."""
        self.samples.append(sample)

    def box(
        self,
        corners: tuple[float, float, float, float],
        name: str,
        *,
        box_id: str = "",
        crowd: bool = False,
        difficult: bool = False,
        occlusion: float = _NAN,
        truncation: float = _NAN,
        distance: float = _NAN,
    ) -> None:
        """Add a box of the current image; see :class:`~dubio.core.boxes.BoxLabels`."""
        self._image.append(len(self.samples) - 1)
        self._box.append(corners)
        self._class.append(self._names.setdefault(name, len(self._names)))
        self._ids.append(box_id)
        self._flags.append((crowd, difficult))
        self._grades.append((occlusion, truncation, distance))

    def ignore(self, corners: tuple[float, float, float, float]) -> None:
        """Add an ignored region of the current image."""
        self._ignore_image.append(len(self.samples) - 1)
        self._ignore.append(corners)

    def columns(self, names: list[str] | None = None) -> Columns:
        """All that was gathered.

        Args:
            names: names of classes in the order wanted; further ones follow, sorted. ``None``: all sorted.
        """
        met = list(self._names)
        first = list(names or ())
        listed = first + sorted(set(met) - set(first))
        place = {name: k for k, name in enumerate(listed)}
        index = np.array([place[name] for name in met] or [0], np.int64)
        flags = np.array(self._flags, bool).reshape(-1, 2)
        grades = np.array(self._grades, np.float64).reshape(-1, 3)
        known = [bool(np.isfinite(grades[:, k]).any()) for k in range(3)]
        return Columns(
            image=np.array(self._image, np.int64),
            boxes=np.array(self._box, np.float64).reshape(-1, 4),
            classes=index[np.array(self._class, np.int64)],
            names=listed,
            ids=np.array(self._ids, np.str_) if any(self._ids) else None,
            crowd=flags[:, 0],
            difficult=flags[:, 1],
            occlusion=grades[:, 0] if known[0] else None,
            truncation=grades[:, 1] if known[1] else None,
            distance=grades[:, 2] if known[2] else None,
            ignore_image=np.array(self._ignore_image, np.int64),
            ignore=np.array(self._ignore, np.float64).reshape(-1, 4),
        )


def flag(value: object) -> float:
    """Read a flag as labelling tools store it: 1 or 0; NaN for what says neither.

    >>> [flag(v) for v in (True, "false", 1, "0", None)]
    [1.0, 0.0, 1.0, 0.0, nan]
    """
    text = str(value).strip().casefold()
    if text in ("true", "1", "1.0", "yes"):
        return 1.0
    return 0.0 if text in ("false", "0", "0.0", "no") else _NAN
