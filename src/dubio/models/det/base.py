"""What every detector looks like to the rest of the house."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from dubio.core.boxes import DetPrediction
from dubio.core.labelspace import LabelSpace
from dubio.models.det.card import DetectorCard
from dubio.models.det.fit import Image
from dubio.models.det.heads import RawHead
from dubio.models.det.specs import Size
from dubio.uncertainty.boxes.suppress import Suppression

# What is done to candidates before double ones are removed, such as a map of their classes.
Change = Callable[[DetPrediction], DetPrediction]


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


@runtime_checkable
class ViewingModel(Protocol):
    """A detector that may look at an image several times: doubles are removed in each look by itself."""

    def detect_changed(
        self, images: Sequence[Image], ids: Sequence[str], change: Change
    ) -> list[DetPrediction]:
        """Detections, with the candidates of each look changed before suppression."""
        ...


@runtime_checkable
class DecodableModel(Protocol):
    """A detector whose outputs can be had before they are decoded."""

    @property
    def card(self) -> DetectorCard:
        """What its outputs mean."""
        ...

    @property
    def size(self) -> Size:
        """Height and width of its input."""
        ...

    @property
    def space(self) -> LabelSpace:
        """Classes of its predictions."""
        ...

    @property
    def path(self) -> Path | None:
        """Its file or folder, for messages."""
        ...

    def raw(self, image: Image) -> RawHead:
        """What the network says of an image ``(H, W, 3)`` uint8 RGB before decoding, all candidates."""
        ...
