"""What every detector looks like to the rest of the house."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from dubio.core.boxes import DetPrediction
from dubio.core.labelspace import LabelSpace
from dubio.models.det.fit import Image
from dubio.uncertainty.boxes.suppress import Suppression


class DetModel(Protocol):
    """A detector; anything of this form can be run by dubio."""

    @property
    def space(self) -> LabelSpace:
        """Classes of its predictions."""
        ...

    @property
    def suppression(self) -> Suppression:
        """How :meth:`detect` removes double detections."""
        ...

    def describe(self) -> list[str]:
        """Sentences on what was detected and assumed."""
        ...

    def key(self) -> Any:
        """Plain data that changes whenever the predictions may change."""
        ...

    def candidates(self, images: Sequence[Image], ids: Sequence[str]) -> list[DetPrediction]:
        """All boxes from the suppression's least score on; images are ``(H, W, 3)`` uint8 RGB.

        Needed where classes are mapped into others: that has to happen before suppression.
        """
        ...

    def detect(self, images: Sequence[Image], ids: Sequence[str]) -> list[DetPrediction]:
        """Detections of images ``(H, W, 3)`` uint8 RGB, double ones removed, best first."""
        ...
