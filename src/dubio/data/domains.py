"""Domains: labelled images under one condition, as a model meets them.

A domain is a data set, a part of one (a condition, a scene), or another domain seen through a corruption.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError
from dubio.core.labelspace import IndexMap
from dubio.core.records import Dataset, Sample
from dubio.data.images import read_image
from dubio.data.masks import read_mask
from dubio.data.protocols import unknown_mask
from dubio.data.resize import ASPECT_TOLERANCE, check_aspect

if TYPE_CHECKING:
    from dubio.data.altered import Alteration


@dataclass(frozen=True)
class Domain:
    """Labelled images under one condition.

    Args:
        name: what it is called in tables.
        dataset: the images; those without labels are left out.
        corruption: applied to every image (and moves its label, if it is geometric).
        of: name of the domain that is corrupted.
        unknown: class indices that nobody has told the model of; their pixels count for the detection of
            unknown objects only, and are void for everything else.
        protocol: a published protocol whose unknown classes count as such (see
            :func:`dubio.data.protocols.unknown_mask`); ``None``: none.
        leave_out: class indices that are left out of the mean IoU and mean class accuracy.
        seed: seed of the corruption.
        class_map: a map, its name or file, for models of other classes; ``None``: by name, or built in.

    Raises:
        InputError: no image has a label.
    """

    name: str
    dataset: Dataset
    corruption: Alteration | None = None
    of: str | None = None
    unknown: tuple[int, ...] = ()
    protocol: str | None = None
    leave_out: tuple[int, ...] = ()
    seed: int = 0
    class_map: str | Path | None = None

    def __post_init__(self) -> None:
        labelled = tuple(s for s in self.dataset if s.label is not None)
        if not labelled:
            raise InputError(
                f"no image of '{self.name}' has a label",
                path=self.dataset.root,
                remedy="give labelled images",
            )
        if len(labelled) < len(self.dataset):
            object.__setattr__(self, "dataset", replace(self.dataset, samples=labelled))

    def __len__(self) -> int:
        return len(self.dataset)

    def describe(self) -> str:
        """A sentence for the user."""
        space = self.dataset.space
        text = f"{self.name}: {len(self)} images, classes of '{space.name}'"
        if self.corruption is not None:
            strength = f" of severity {self.corruption.severity}" if self.corruption.severity else ""
            text += f", {self.of} under {self.corruption.name}{strength}"
        if self.unknown:
            text += f"; unknown: {', '.join(space.names[i] for i in self.unknown)}"
        if self.leave_out:
            text += f"; not counted: {', '.join(space.names[i] for i in self.leave_out)}"
        return text

    def key(self) -> Any:
        """Plain data on which what is read depends, beside the files."""
        return {
            "space": self.dataset.space.to_dict(),
            "encoding": self.dataset.encoding,
            "corruption": None if self.corruption is None else repr(self.corruption),
            "unknown": self.unknown,
            "protocol": self.protocol,
            "leave_out": self.leave_out,
            "seed": self.seed if self.corruption is not None else None,
        }


@dataclass(frozen=True)
class Item:
    """One image of a domain, read.

    Args:
        sample: which.
        label: ``(H, W)`` class indices, unknown classes already void.
        unknown: ``(H, W)`` bool, pixels of unknown classes; ``None`` if the domain has none.
        image: ``(H', W', 3)`` uint8, as the model sees it; ``None`` if it was not asked for.
    """

    sample: Sample
    label: IndexMap
    unknown: npt.NDArray[np.bool_] | None = None
    image: npt.NDArray[np.uint8] | None = None


def read_item(domain: Domain, sample: Sample, *, with_image: bool) -> Item:
    """Read one image and its label as the domain shows them.

    Args:
        domain: the domain.
        sample: one of its samples.
        with_image: whether the image is wanted; corrupted domains always read it.

    Raises:
        InputError: a file can't be used, the image is missing, or it has other proportions than the label.
    """
    if sample.label is None:
        raise InputError(f"'{sample.image_id}' has no label")
    space = domain.dataset.space
    label = read_mask(sample.label, space, domain.dataset.encoding)
    image = None
    if with_image or domain.corruption is not None:
        if sample.image is None:
            raise InputError(f"'{sample.image_id}' has no image", remedy="give the images too")
        image = read_image(sample.image)
        try:
            check_aspect(image.shape[:2], label.shape, ASPECT_TOLERANCE, what="the image")
        except InputError as error:
            raise InputError(error.fault, path=sample.image, remedy=error.remedy) from error
    unknown: npt.NDArray[np.bool_] | None = None
    if domain.protocol is not None:
        unknown = unknown_mask(sample.label, domain.protocol)
    if domain.corruption is not None and image is not None:
        if unknown is not None and domain.corruption.geometric:
            # moved along as a class of its own
            label = np.where(unknown, space.void_index + 1, label)
        image, moved = domain.corruption.apply(
            image, label, seed=domain.seed, image_id=sample.image_id, void=space.void_index
        )
        label = label if moved is None else moved
        if unknown is not None and domain.corruption.geometric:
            unknown = label == space.void_index + 1
    if domain.unknown:
        marked = np.isin(label, np.array(domain.unknown, label.dtype))
        unknown = marked if unknown is None else marked | unknown
    if unknown is not None:
        label = np.where(unknown, space.void_index, label).astype(space.dtype)
    return Item(sample, label, unknown, image)


def without(domain: Domain, classes: Sequence[int]) -> Domain:
    """The domain with further classes unknown, such as those that a model has no channel for."""
    more = tuple(sorted(set(domain.unknown) | set(classes)))
    return domain if more == domain.unknown else replace(domain, unknown=more)


def corrupted(domain: Domain, corruptions: Sequence[Alteration], *, seed: int = 0) -> list[Domain]:
    """The domain seen through each of the corruptions."""
    return [
        replace(domain, name=f"{domain.name} {title_of(c)}", corruption=c, of=domain.name, seed=seed)
        for c in corruptions
    ]


def title_of(corruption: Alteration) -> str:
    """Name and severity of a corruption, for tables."""
    return f"{corruption.name} {corruption.severity}" if corruption.severity else corruption.name
