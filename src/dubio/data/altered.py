"""Chains of operations and augmented copies, in the form in which domains take corruptions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dubio.core.labelspace import IndexMap
from dubio.data.corrupt import Augmentation, Chain
from dubio.data.corrupt.arrays import Image


class Alteration(Protocol):
    """What a domain does to its images; a :class:`~dubio.data.corrupt.Corruption` is one."""

    @property
    def name(self) -> str:
        """What it is called in tables."""
        ...

    @property
    def severity(self) -> int:
        """How strong it is; 0 where that means nothing."""
        ...

    @property
    def geometric(self) -> bool:
        """Whether it may move pixels."""
        ...

    def apply(
        self, image: Image, label: IndexMap | None = None, *, seed: int, image_id: str, void: int
    ) -> tuple[Image, IndexMap | None]:
        """Alter an image, and its label if pixels move."""
        ...


@dataclass(frozen=True)
class Chained:
    """A chain of published operations as one alteration.

    Args:
        name: the text of the chain.
        chain: the operations.
    """

    name: str
    chain: Chain
    severity: int = 0
    geometric: bool = True

    def apply(
        self, image: Image, label: IndexMap | None = None, *, seed: int, image_id: str, void: int
    ) -> tuple[Image, IndexMap | None]:
        """Apply the operations in turn."""
        return self.chain.apply(image, label, seed=seed, image_id=image_id, void=void)


@dataclass(frozen=True)
class Copied:
    """One copy of the published augmentation of calibration sets.

    Args:
        augmentation: how copies are made.
        number: of the copy, from 0.
    """

    augmentation: Augmentation
    number: int
    name: str = "augmentation"
    severity: int = 0
    geometric: bool = False

    def apply(
        self, image: Image, label: IndexMap | None = None, *, seed: int, image_id: str, void: int
    ) -> tuple[Image, IndexMap | None]:
        """Make the copy; the label stays as it is."""
        return self.augmentation.apply(image, self.number, seed=seed, image_id=image_id), label
