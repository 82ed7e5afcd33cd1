"""Planted errors, put together: boxes as they become, and what was done to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from dubio.errors.boxes.scene import Flags, Floats, Given, Ints, starts_of

BoxErrorKind = Literal["drop", "swap", "location", "duplicate", "spurious", "merge", "split"]
KINDS: tuple[BoxErrorKind, ...] = get_args(BoxErrorKind)
NUMBER: dict[str, int] = {kind: k for k, kind in enumerate(KINDS)}
# What a finding of a planted error should be called.
CALLED = {
    "drop": "missing", "swap": "wrong_class", "location": "location", "duplicate": "duplicate",
    "spurious": "spurious", "merge": "location", "split": "location",
}  # fmt: skip


@dataclass(frozen=True)
class PlantedBoxes:
    """Labels with planted errors.

    Attributes:
        given: the labels with the errors; planted boxes have the label -1.
        error: ``(N,)`` number of the error that a box of ``given`` is, -1: none.
        source: ``(N,)`` position in the labels before that a box comes from, -1: none.
        kind: ``(E,)`` position in :data:`KINDS` of each error.
        image: ``(E,)`` number of its image.
        true_box: ``(E, 4)`` the box as it should be; of spurious ones and duplicates, the planted box.
        true_cls: ``(E,)`` its class.
        other_box: ``(E, 4)`` the second box of a merged pair; NaN otherwise.
        burst: ``(E,)`` whether it is one of many drops in an image.
    """

    given: Given
    error: Ints
    source: Ints
    kind: Ints
    image: Ints
    true_box: Floats
    true_cls: Ints
    other_box: Floats
    burst: Flags


@dataclass
class Plan:
    """Errors that are being put together: boxes as they become, errors and added boxes as lists of parts."""

    given: Given
    keep: Flags
    box: Floats
    cls: Ints
    error: Ints
    count: int = 0
    errors: list[tuple[Any, ...]] = field(default_factory=list)
    added: list[tuple[Any, ...]] = field(default_factory=list)

    def add(
        self, kind: str, image: Ints, box: Floats, cls: Ints, other: Floats | None = None, burst: bool = False
    ) -> Ints:
        """Number new errors of one kind."""
        n = len(image)
        numbers = np.arange(self.count, self.count + n)
        self.count += n
        other = np.full((n, 4), np.nan) if other is None else other
        kinds = np.full(n, NUMBER[kind])
        self.errors.append((kinds, image, box, cls, other, np.full(n, burst)))
        return numbers

    def befall(self, kind: str, rows: Ints, other: Floats | None = None, burst: bool = False) -> Ints:
        """Number errors of boxes that are there."""
        g = self.given
        return self.add(kind, g.image[rows], g.box[rows], g.cls[rows], other, burst)

    def append(self, box: Floats, cls: Ints, image: Ints, error: Ints, source: Ints) -> None:
        """Boxes that are added."""
        self.added.append((box, cls, image, error, source, np.full(len(box), -1)))


def assembled(plan: Plan, n_images: int) -> PlantedBoxes:
    """The labels with the errors."""
    g = plan.given
    kept = np.flatnonzero(plan.keep)
    stay = (plan.box[kept], plan.cls[kept], g.image[kept], plan.error[kept], kept, g.label[kept])
    columns = (np.concatenate(c) for c in zip(stay, *plan.added, strict=True))
    box, cls, image, error, source, label = columns
    order = np.argsort(image, kind="stable")
    source = source[order]

    def of(values: npt.NDArray[Any], otherwise: float | bool) -> npt.NDArray[Any]:
        """What belongs to the box that each comes from."""
        return np.asarray(np.append(values, np.array([otherwise], values.dtype))[source])

    start = starts_of(np.bincount(image, minlength=n_images))
    given = Given(
        box[order], cls[order], image[order], start, label[order], of(g.off, False), of(g.difficult, False),
        of(g.occlusion, np.nan), of(g.truncation, np.nan),
    )  # fmt: skip
    none = np.zeros(0, np.int64)
    nothing = (none, none, np.zeros((0, 4)), none, np.zeros((0, 4)), np.zeros(0, bool))
    return PlantedBoxes(
        given, error[order], source, *(np.concatenate(c) for c in zip(nothing, *plan.errors, strict=True))
    )
