"""Detections of many images, kept as columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxScoreKind, DetPrediction
from dubio.core.errors import InputError
from dubio.data.boxes.table import within_reach

# Detections that can't be used, and what to say of each by its place.
Bad = tuple[npt.NDArray[np.bool_], Callable[[int], str]]
_CHECKED = 65536  # detections at once: records hold them in double precision
_DOUBTS = ("class_scores", "box_aleatoric", "box_epistemic", "class_variance", "expected_entropy")
_SLACK = 1e-6  # single precision may end just above 1


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


def faults_of(columns: Mapping[str, npt.NDArray[Any]], kind: BoxScoreKind | None) -> list[Bad]:
    """Which detections can't be used, with what is said of each, the gravest fault first.

    A box that is no box, a score outside 0 to 1, a class below 0; of what else is said of a detection,
    numbers that aren't finite, negative variances and entropies, and probabilities outside 0 to 1.

    Args:
        columns: of :class:`~dubio.core.boxes.DetPrediction`; class -1 is unknown.
        kind: what the class scores are.
    """
    boxes, scores, classes = columns["boxes"], columns["scores"], columns["classes"]
    # NaN fails all comparisons
    sound = within_reach(boxes) & (boxes[:, 2:] >= boxes[:, :2]).all(1) & (scores >= 0) & (scores <= 1)
    found: list[Bad] = [
        (classes < 0, lambda _: "its class is unknown"),
        (~sound, lambda k: f"box {boxes[k].tolist()}, score {scores[k]}"),
    ]
    for name in (n for n in _DOUBTS if n in columns):
        low, top = 0.0, np.inf
        if name == "class_scores":
            # what an unknown kind may hold is not known
            low, top = (0.0, 1 + _SLACK) if kind in ("softmax", "sigmoid") else (-np.inf, np.inf)
        rows = columns[name].reshape(len(scores), -1)
        good = np.isfinite(rows) & (rows >= low) & (rows <= top)
        found.append((~good.all(axis=1), partial(_wrong, name, rows, good)))
    return found


def _wrong(name: str, rows: npt.NDArray[Any], good: npt.NDArray[np.bool_], k: int) -> str:
    return f"{name} {rows[k][~good[k]][0]:g}"


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
