"""Chains of published operations, and the published way to augment a calibration set."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dubio.core.errors import InputError
from dubio.core.labelspace import IndexMap
from dubio.core.seeds import rng_for
from dubio.data.corrupt.arrays import Image
from dubio.data.corrupt.corruption import Corruption, load_corruption
from dubio.data.corrupt.published import OPERATIONS

_CODES = {operation.code: name for name, operation in OPERATIONS.items() if operation.code}
_LEVEL = re.compile(r"(?:l\d+_|l)?(\d+)")
_RANDOM = re.compile(r"random_(\d+)")
_POOL = ("identity", "RGB_rand", "brightness", "color", "contrast", "black_and_white")


@dataclass(frozen=True)
class Chain:
    """Published operations, one after the other; :func:`parse_chain` makes it from a text.

    Args:
        steps: the operations at their levels.
        random: or else a number of operations that are drawn anew for every image.
        pool: names of the operations to draw from.
    """

    steps: tuple[Corruption, ...] = ()
    random: int = 0
    pool: tuple[str, ...] = tuple(_CODES.values())

    def apply(
        self, image: Image, label: IndexMap | None = None, *, seed: int, image_id: str, void: int
    ) -> tuple[Image, IndexMap | None]:
        """Apply the operations in turn; see :meth:`Corruption.apply`."""
        steps = self.steps_for(seed=seed, image_id=image_id)
        for number, step in enumerate(steps):
            image, label = step.apply(image, label, seed=seed, image_id=f"{image_id}/{number}", void=void)
        return image, label

    def steps_for(self, *, seed: int, image_id: str) -> tuple[Corruption, ...]:
        """Which operations an image gets: drawn with replacement, each with a random level."""
        if not self.random:
            return self.steps
        rng = rng_for(seed, image_id, "chain")
        names = [self.pool[int(n)] for n in rng.integers(len(self.pool), size=self.random)]
        return tuple(_at(name, int(rng.integers(len(OPERATIONS[name].levels)))) for name in names)


def parse_chain(spec: str) -> Chain:
    """Read a chain: operations with their levels, separated by commas, or ``random_N``.

    An operation is a published code (``t0`` … ``t14``) or a name. A level is its position in the list,
    from 0: ``3``, ``l3``, or ``l1_3`` (the fourth of the list of ``t1``, as published). Operations
    without levels need none; without a level others take their first.

    Raises:
        InputError: an unknown operation, or a level that it lacks.

    >>> [(s.name, s.severity) for s in parse_chain("t1,l1_3,blur").steps]
    [('published-brightness', 3), ('published-blur', 0)]
    >>> parse_chain("random_3").random
    3
    """
    text = spec.strip()
    if (drawn := _RANDOM.fullmatch(text)) and int(drawn[1]) > 0:
        return Chain(random=int(drawn[1]))
    names: list[str] = []
    levels: list[int] = []
    for token in (part.strip() for part in text.split(",")):
        level = _LEVEL.fullmatch(token)
        if level and names:
            _check_list(token, names[-1])
            levels[-1] = int(level[1])
            continue
        name = _CODES.get(token, token)
        if name not in OPERATIONS:
            raise InputError(
                f"'{spec}' names no published operation '{token}'",
                remedy="known: " + ", ".join(f"{o.code or '-'} {n}" for n, o in OPERATIONS.items()),
            )
        names.append(name)
        levels.append(0)
    return Chain(tuple(_at(name, level) for name, level in zip(names, levels, strict=True)))


def _check_list(token: str, name: str) -> None:
    """Refuse a level of another operation's list: ``l4_3`` after ``t1``."""
    number = re.fullmatch(r"l(\d+)_\d+", token)
    if number and OPERATIONS[name].code != f"t{number[1]}":
        raise InputError(
            f"the level '{token}' isn't one of {OPERATIONS[name].code or name}",
            remedy=f"write l{OPERATIONS[name].code[1:]}_N or N",
        )


def _at(name: str, level: int) -> Corruption:
    return load_corruption(f"published-{name}:{level}")


@dataclass(frozen=True)
class Augmentation:
    """The published augmented calibration set: copies of each image under random operations.

    Args:
        copies: number of copies of each image.
        transforms: number of operations of each copy, drawn with replacement, at random levels.
        pool: names of the operations; all must leave the label where it is.

    Raises:
        InputError: no copies, an unknown operation, or one that moves pixels.

    Source: de Jorge et al., CVPR 2023.

    >>> import numpy as np
    >>> image = np.zeros((4, 6, 3), np.uint8)
    >>> len(list(Augmentation(copies=2).images(image, seed=0, image_id="a")))
    2
    """

    copies: int = 3
    transforms: int = 3
    pool: tuple[str, ...] = _POOL

    def __post_init__(self) -> None:
        if self.copies < 1 or self.transforms < 1 or not self.pool:
            raise InputError("an augmentation needs copies, transforms and a pool of at least one")
        for name in self.pool:
            if _at(name, 0).geometric:
                raise InputError(f"'{name}' moves pixels", remedy="augment with operations that keep labels")

    def apply(self, image: Image, copy: int, *, seed: int, image_id: str) -> Image:
        """Make one copy; it depends on the seed, the image id and the number of the copy alone.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            copy: number of the copy, from 0.
            seed: base seed.
            image_id: the image.
        """
        chain = Chain(random=self.transforms, pool=self.pool)
        return chain.apply(image, seed=seed, image_id=f"{image_id}/copy {copy}", void=0)[0]

    def images(self, image: Image, *, seed: int, image_id: str) -> Iterator[Image]:
        """Make all copies of an image, in order; the label of each is the image's."""
        return (self.apply(image, copy, seed=seed, image_id=image_id) for copy in range(self.copies))
