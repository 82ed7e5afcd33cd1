"""numpy or torch, whichever the inputs are made of, in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from dubio.core.errors import InputError

Array = Any  # a numpy array or a torch tensor


class Library:
    """The array functions that fit the inputs.

    Args:
        inputs: arrays, tensors, numbers. One tensor among them makes it torch, on the first tensor's
            device; results then have its dtype. Otherwise it is numpy, and results are float64.

    Attributes:
        xp: ``numpy`` or ``torch``.
        special: ``scipy.special`` or ``torch.special``.
    """

    def __init__(self, *inputs: Array) -> None:
        self._like = next((x for x in inputs if is_tensor(x)), None)
        self.xp: Any = np
        self.special: Any = special
        if self._like is not None:
            import torch

            self.xp, self.special = torch, torch.special

    @property
    def is_numpy(self) -> bool:
        """Whether results are numpy arrays."""
        return self._like is None

    def take(self, values: Array) -> Array:
        """The values in double precision, on the device of the inputs."""
        if self._like is None:
            return np.asarray(values, np.float64)
        return self.xp.as_tensor(values, dtype=self.xp.float64, device=self._like.device)

    def on_host(self, *values: Array) -> tuple[Array, ...] | None:
        """The values as contiguous numpy arrays for compiled loops.

        ``None`` for tensors on another device, and for those that need gradients.
        """
        if not all(
            isinstance(x, np.ndarray) or (x.device.type == "cpu" and not x.requires_grad) for x in values
        ):
            return None
        return tuple(np.ascontiguousarray(x) for x in values)

    def give(self, values: Array) -> Array:
        """A result in the dtype of the inputs (torch; integers stay float64) or float64 (numpy)."""
        if self._like is None or not self._like.dtype.is_floating_point:
            return values
        return values.to(self._like.dtype)


def is_tensor(x: Array) -> bool:
    """Whether this is a torch tensor; doesn't import torch."""
    return any(c.__module__.split(".")[0] == "torch" and c.__name__ == "Tensor" for c in type(x).__mro__)


def rows_of_four(lib: Library, values: Array, what: str) -> Array:
    """The values as ``(N, 4)`` doubles.

    Raises:
        InputError: another shape.
    """
    found = lib.take(values)
    if found.ndim != 2 or found.shape[1] != 4:
        raise InputError(f"{what} must have shape (N, 4), not {tuple(found.shape)}")
    return found


def same_length(mean: Array, other: Array, what: str) -> None:
    """Check that two arrays describe as many boxes.

    Raises:
        InputError: they don't.
    """
    if len(mean) != len(other):
        raise InputError(f"there are {len(other)} {what} for {len(mean)} predictions")


def check_variance(variance: Array) -> None:
    """Check that variances are finite and not negative.

    Raises:
        InputError: some are not.
    """
    if not bool(((variance >= 0) & (variance < float("inf"))).all()):
        raise InputError(
            "a variance is negative, infinite or not a number",
            remedy="pass variances, not logarithms; clamp the head's log variance",
        )


def per_axis(lib: Library, values: Array, n: int, what: str) -> Array:
    """A number, ``(N,)``, ``(2,)`` or ``(N, 2)`` as ``(N, 2)`` doubles: one value for x, one for y.

    Raises:
        InputError: another shape, or a negative value.
    """
    found = lib.take(values)
    if found.ndim == 1 and len(found) == n and n != 2:
        found = found[:, None]
    if not bool((found >= 0).all()):
        raise InputError(f"{what} must not be negative")
    try:
        return lib.xp.broadcast_to(found, (n, 2))
    except (ValueError, RuntimeError):
        raise InputError(
            f"{what} must be a number or have shape (N,), (2,) or (N, 2), not {tuple(found.shape)}"
        ) from None
