"""Detections of many images, kept as columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxScoreKind, DetPrediction
from dubio.core.errors import InputError

_CHECKED = 65536  # detections at once: records hold them in double precision


class PackedDetections(Mapping[str, DetPrediction]):
    """Detections by image id, kept as columns; a record is made when it is asked for.

    Args:
        ids: image ids.
        columns: ``boxes``, ``scores``, ``classes`` and the extras, sorted by image.
        starts: ``(images + 1,)`` where each image's detections start.
        n_classes: number of classes.
        kind: what the class scores are.
    """

    def __init__(
        self,
        ids: Sequence[str],
        columns: Mapping[str, npt.NDArray[Any]],
        starts: npt.NDArray[np.int64],
        n_classes: int,
        kind: Any = None,
    ) -> None:
        self._number = {name: k for k, name in enumerate(ids)}
        self._columns, self._starts, self._n, self._kind = columns, starts, n_classes, kind

    def __getitem__(self, image_id: str) -> DetPrediction:
        k = self._number[image_id]
        part = slice(self._starts[k], self._starts[k + 1])
        own = {name: values[part] for name, values in self._columns.items()}
        return DetPrediction(**own, n_classes=self._n, kind=self._kind, image_id=image_id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._number)

    def __len__(self) -> int:
        return len(self._number)


def check_columns(
    table: Mapping[str, npt.NDArray[Any]], n_classes: int, kind: BoxScoreKind | None, path: Path
) -> None:
    """Check all detections now, so that no image raises later.

    Args:
        table: columns of :class:`~dubio.core.boxes.DetPrediction`.
        n_classes: number of classes.
        kind: what the class scores are.
        path: the file, for errors.

    Raises:
        InputError: a value is impossible.
    """
    for start in range(0, len(table["boxes"]), _CHECKED):
        part: dict[str, Any] = {k: v[start : start + _CHECKED] for k, v in table.items()}
        try:
            DetPrediction(**part, n_classes=n_classes, kind=kind)
        except InputError as error:
            remedy = error.remedy or "leave those detections out, or write the file again"
            raise InputError(error.fault, path=path, remedy=remedy) from error
