"""Histograms as small arrays for files: where they aren't zero, and what is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dubio.core.errors import InputError

Counts = npt.NDArray[np.int64]


def pack(name: str, counts: Counts) -> dict[str, npt.NDArray[Any]]:
    """Steps between the places that aren't zero, and the counts there, in the smallest integers.

    >>> {k: v.tolist() for k, v in pack("a", np.array([0, 0, 7, 0, 300])).items()}
    {'a.steps': [2, 2], 'a.counts': [7, 300]}
    """
    places = np.flatnonzero(counts)
    return {
        f"{name}.steps": _small(np.diff(places, prepend=0)),
        f"{name}.counts": _small(counts.reshape(-1)[places]),
    }


def unpack(arrays: Mapping[str, npt.NDArray[Any]], name: str, into: Counts) -> None:
    """Add what :func:`pack` made to ``into``.

    Raises:
        InputError: the arrays are missing or don't fit.
    """
    try:
        places = np.cumsum(arrays[f"{name}.steps"].astype(np.int64))
        into.reshape(-1)[places] += arrays[f"{name}.counts"].astype(np.int64)
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(
            f"the stored counts '{name}' are missing or damaged", remedy="make them again"
        ) from error


def _small(values: Counts) -> npt.NDArray[Any]:
    return values.astype(np.min_scalar_type(int(values.max()))) if values.size else values.astype(np.uint8)
