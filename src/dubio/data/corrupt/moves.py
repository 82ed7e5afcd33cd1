"""Where boxes go when a picture is turned, mirrored, resized, shifted or cropped."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dubio.core.boxes import BoxLabels, DetPrediction, Floats

Size = tuple[int, int]
# An object of which less than this can still be seen is passed over: nobody could find it.
LEAST_VISIBLE = 0.25


@dataclass(frozen=True)
class BoxMove:
    """A move of a picture that keeps its axes parallel: each new axis is an old one, scaled and shifted.

    Args:
        before: height and width of the picture.
        after: height and width of the moved one.
        axes: which old axis (0: x, 1: y) becomes x, and which y.
        gain: factors of the new x and y; negative: mirrored.
        shift: new x and y of the old origin, pixels.

    >>> flip = BoxMove((10, 20), (10, 20), gain=(-1.0, 1.0), shift=(20.0, 0.0))
    >>> flip.boxes(np.array([[1.0, 2, 5, 6]])).tolist(), flip.variances(np.array([[1.0, 2, 3, 4]])).tolist()
    ([[15.0, 2.0, 19.0, 6.0]], [[3.0, 2.0, 1.0, 4.0]])
    """

    before: Size
    after: Size
    axes: tuple[int, int] = (0, 1)
    gain: tuple[float, float] = (1.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def is_still(self) -> bool:
        """Whether nothing moves."""
        still = (self.axes, self.gain, self.shift) == ((0, 1), (1.0, 1.0), (0.0, 0.0))
        return still and self.before == self.after

    def boxes(self, boxes: npt.ArrayLike) -> Floats:
        """Moved boxes ``(N, 4)``; not cut at the border."""
        old = np.asarray(boxes, np.float64).reshape(-1, 4)
        return np.asarray(old[:, self._source] * np.tile(self.gain, 2) + np.tile(self.shift, 2))

    def variances(self, variances: npt.ArrayLike) -> Floats:
        """Variances ``(N, 4)`` of moved corners: mirroring swaps them, scaling squares its factor."""
        old = np.asarray(variances, np.float64).reshape(-1, 4)
        return np.asarray(old[:, self._source] * np.tile(self.gain, 2) ** 2)

    @property
    def _source(self) -> list[int]:
        """Which old coordinate becomes x0, y0, x1, y1."""
        low = [axis + (2 if gain < 0 else 0) for axis, gain in zip(self.axes, self.gain, strict=True)]
        return [*low, *((k + 2) % 4 for k in low)]

    def labels(self, labels: BoxLabels) -> BoxLabels:
        """Moved labels, cut at the border.

        What is out of the picture is gone. A box of which less than a quarter can still be seen counts as
        difficult. Truncation grows by what the border cuts off, where it is known or something is cut. Areas
        of objects shrink and grow as their boxes do.
        """
        if self.is_still:
            return labels
        moved = self.boxes(labels.boxes)
        cut = _cut(moved, self.after)
        # what had left the picture before the move is no loss of it
        whole = _areas(_cut(labels.boxes, self.before)) * abs(self.gain[0] * self.gain[1])
        visible = np.divide(_areas(cut), whole, out=(cut == moved).all(1).astype(float), where=whole > 0)
        seen = visible > 0
        truncation = labels.truncation
        lost = visible < 1 - 1e-9
        if lost.any() or truncation is not None:
            known = np.full(len(labels), np.nan) if truncation is None else truncation
            truncation = np.where(lost, np.maximum(np.nan_to_num(known), 1 - visible), known)
        ignore = _cut(self.boxes(labels.ignore), self.after)
        found = replace(
            labels,
            boxes=cut,
            truncation=truncation,
            area=_resized(labels, cut),
            difficult=labels.difficult | (visible < LEAST_VISIBLE),
            ignore=ignore[_areas(ignore) > 0],
        )
        return found.take(seen)

    def prediction(self, prediction: DetPrediction) -> DetPrediction:
        """Moved detections with their variances, cut at the border; those outside are left out."""
        if self.is_still:
            return prediction
        boxes = _cut(self.boxes(prediction.boxes), self.after)
        al, ep = prediction.box_aleatoric, prediction.box_epistemic
        moved = replace(
            prediction,
            boxes=boxes,
            box_aleatoric=None if al is None else self.variances(al),
            box_epistemic=None if ep is None else self.variances(ep),
        )
        return moved.take(_areas(boxes) > 0)


def _resized(labels: BoxLabels, boxes: Floats) -> Floats | None:
    if labels.area is None:
        return None
    # a box without area tells nothing of what becomes of its object
    gain = np.divide(_areas(boxes), labels.areas, out=np.full(len(boxes), np.nan), where=labels.areas > 0)
    return np.asarray(labels.area * gain, np.float64)


def _cut(boxes: Floats, size: Size) -> Floats:
    height, width = size
    return np.asarray(np.clip(boxes, 0, [width, height, width, height]), np.float64)


def _areas(boxes: Floats) -> Floats:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), np.float64)
