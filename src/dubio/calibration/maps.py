"""Whole maps of scores with labels, read when they are needed and thinned to a lattice of pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.calibration.base import as_map
from dubio.core.errors import InputError

_LARGEST_HALF = 65504.0


@dataclass(frozen=True)
class MapItem:
    """One image for :meth:`~dubio.calibration.local.LocalTemperature.fit_maps`.

    Attributes:
        logits: ``(K, H, W)`` float16 or float32, before any class map.
        label: ``(H, W)`` class indices; ``C`` and above is void.
        image: ``(H, W, 3)`` uint8 RGB, or ``None``.
    """

    logits: npt.NDArray[Any]
    label: npt.NDArray[Any]
    image: npt.NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Thinned:
    """An item on its lattice.

    Attributes:
        logits: ``(K, h, w)`` float16.
        label: ``(h, w)`` int64; -1 is void or a class that no channel stands for.
        image: ``(h, w, 3)`` uint8, or ``None``.
    """

    logits: npt.NDArray[np.float16]
    label: npt.NDArray[np.int64]
    image: npt.NDArray[np.uint8] | None

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return self.logits.nbytes + self.label.nbytes + (0 if self.image is None else self.image.nbytes)


def lattice(length: int, stride: int) -> npt.NDArray[np.int64]:
    """Every ``stride``-th place of a side, centred; at least one.

    >>> lattice(10, 4).tolist(), lattice(1, 4).tolist()
    ([2, 6], [0])
    """
    found = np.arange(stride // 2, length, stride)
    return found if len(found) else np.array([length // 2])


def thin(logits: npt.NDArray[Any], stride: int) -> npt.NDArray[Any]:
    """``(..., H, W)`` at the places of the lattice."""
    h, w = logits.shape[-2:]
    return logits[..., lattice(h, stride)[:, None], lattice(w, stride)]


class Items:
    """Items on their lattices by number; what fits into ``cache`` bytes is read once only.

    Args:
        read: one callable per image.
        targets: ``(K,)`` class of each channel, ``n_classes`` for none; ``None``: channel = class.
        n_classes: number of classes.
        stride: distance of the lattice's pixels.
        image_branch: whether images are needed.
        cache: bytes.
    """

    def __init__(
        self,
        read: Sequence[Callable[[], MapItem]],
        targets: npt.NDArray[np.int64] | None,
        n_classes: int,
        stride: int,
        image_branch: bool,
        cache: int,
    ) -> None:
        self._read, self._targets, self._n_classes = read, targets, n_classes
        self._stride, self._image_branch, self._room = stride, image_branch, cache
        self._kept: dict[int, Thinned] = {}

    def __len__(self) -> int:
        return len(self._read)

    def __getitem__(self, number: int) -> Thinned:
        """Read an item.

        Raises:
            InputError: shapes that don't belong together, scores that are no numbers, or no image.
        """
        if number in self._kept:
            return self._kept[number]
        found = self._thinned(self._read[number]())
        if found.nbytes <= self._room:
            self._room -= found.nbytes
            self._kept[number] = found
        return found

    def _thinned(self, item: MapItem) -> Thinned:
        if np.ndim(item.logits) != 3 or np.shape(item.label) != item.logits.shape[1:]:
            raise InputError(
                f"scores of shape {np.shape(item.logits)} and a label of shape {np.shape(item.label)}",
                remedy="give (K, H, W) and (H, W)",
            )
        logits = as_map(
            thin(item.logits, self._stride), None if self._targets is None else len(self._targets)
        )
        if not np.isfinite(logits).all():
            raise InputError("logits hold NaN or infinite values")
        label = thin(np.asarray(item.label), self._stride).astype(np.int64)
        targets = np.arange(len(logits)) if self._targets is None else self._targets
        known = np.zeros(max(self._n_classes, int(label.max()) + 1) + 1, np.bool_)
        known[targets[targets < self._n_classes]] = True
        image = None
        if self._image_branch:
            image = thin(check_image(item.image, item.label.shape).transpose(2, 0, 1), self._stride)
            image = np.ascontiguousarray(image.transpose(1, 2, 0))
        half = np.clip(logits, -_LARGEST_HALF, _LARGEST_HALF).astype(np.float16)
        return Thinned(half, np.where((label >= 0) & known[label], label, -1), image)


def check_image(image: npt.NDArray[Any] | None, size: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """The image, if it is one of this size.

    Raises:
        InputError: it isn't.
    """
    if image is None:
        raise InputError(
            "the local temperature needs the image", remedy="give it, or fit with image_branch=False"
        )
    if image.dtype != np.uint8 or image.shape != (*size, 3):
        raise InputError(f"an image of {image.dtype} {image.shape} for scores of {size[0]} x {size[1]}")
    return image
