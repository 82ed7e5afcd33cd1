"""Columns over the boxes of all images, and the list of what can't be used."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import Floats
from dubio.core.errors import InputError

PER_BOX = ("boxes", "classes", "ids", "crowd", "difficult", "occlusion", "truncation", "distance", "area")
Ints = npt.NDArray[np.int64]


@dataclass
class Columns:
    """Boxes of all images, one row each; ``None``: no box has it.

    Args:
        image: ``(N,)`` number of the sample.
        boxes: ``(N, 4)`` x1, y1, x2, y2 in pixels.
        classes: ``(N,)`` number in ``names``; -1: a class that the file doesn't list.
        names: names of the classes as the file says them.
        class_ids: their ids in the file; ``None``: numbered from 0.
        ids: names of the boxes.
        crowd: whether a box covers a group.
        difficult: whether evaluation should pass over it.
        occlusion: grade, NaN unknown.
        truncation: share or flag, NaN unknown.
        distance: metres, NaN unknown.
        area: square pixels of the objects, NaN: those of their boxes.
        ignore_image: ``(M,)`` number of the sample of each ignored region.
        ignore: ``(M, 4)`` ignored regions.
    """

    image: Ints
    boxes: Floats
    classes: Ints
    names: list[str]
    class_ids: list[int] | None = None
    ids: npt.NDArray[np.str_] | None = None
    crowd: npt.NDArray[np.bool_] | None = None
    difficult: npt.NDArray[np.bool_] | None = None
    occlusion: Floats | None = None
    truncation: Floats | None = None
    distance: Floats | None = None
    area: Floats | None = None
    ignore_image: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    ignore: Floats = field(default_factory=lambda: np.zeros((0, 4)))


@dataclass
class Faults:
    """Records that can't be used: listed and counted, or raised at once.

    Args:
        path: the file or folder being read.
        strict: raise at the first.
    """

    path: Path
    strict: bool = False
    said: list[str] = field(default_factory=list)

    def add(self, where: str, fault: object) -> None:
        """Put a record aside.

        Raises:
            InputError: ``strict``.
        """
        text = f"{where}: {' '.join(str(fault).split())}"
        if self.strict:
            raise InputError(text, path=self.path, remedy="mend it, or go on without --strict")
        self.said.append(text)
