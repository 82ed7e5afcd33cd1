"""Random numbers that belong to names, not to an order: any number of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.seeds import derive_seed

Floats = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]
_STEP = np.uint64(0x9E3779B97F4A7C15)
_A, _B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def image_keys(seed: int, image_ids: Sequence[str], purpose: str) -> Keys:
    """A key per image, from the seed, its name and the purpose."""
    return np.array([derive_seed(seed, name, purpose) for name in image_ids], np.uint64)


def row_keys(keys: Keys, number: npt.NDArray[Any]) -> Keys:
    """Keys of rows: of the image's key and the row's number in it."""
    return _mixed(keys + (number.astype(np.uint64) + np.uint64(1)) * _STEP)


def uniform(keys: Keys, stream: int) -> Floats:
    """One number per key, uniform in 0 … 1; other streams give independent ones (splitmix64).

    >>> keys = row_keys(image_keys(0, ["a", "b"], "demo"), np.array([0, 0]))
    >>> u = uniform(keys, 1)
    >>> bool((u >= 0).all() and (u < 1).all() and u[0] != u[1])
    True
    """
    mixed = _mixed(keys + np.array([stream + 1], np.uint64) * _STEP)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def between(keys: Keys, stream: int, low: float, high: float) -> Floats:
    """Uniform numbers in ``low … high``."""
    return low + (high - low) * uniform(keys, stream)


def choose(keys: Keys, stream: int, weights: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """One index per key, drawn by weights."""
    edges = np.cumsum(np.asarray(weights, np.float64))
    return np.searchsorted(edges / edges[-1], uniform(keys, stream), "right").clip(0, len(edges) - 1)


def _mixed(z: Keys) -> Keys:
    z = (z ^ (z >> np.uint64(30))) * _A
    z = (z ^ (z >> np.uint64(27))) * _B
    return np.asarray(z ^ (z >> np.uint64(31)), np.uint64)
