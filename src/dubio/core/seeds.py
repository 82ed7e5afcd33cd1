"""Random seeds that depend on names, never on order or on the number of workers."""

from __future__ import annotations

import hashlib

import numpy as np


def derive_seed(seed: int, *names: str) -> int:
    """Derive a 63-bit seed from a base seed and names (image id, purpose).

    The same names give the same seed in any process and in any order of work.

    >>> derive_seed(1, "frankfurt_000", "plant") == derive_seed(1, "frankfurt_000", "plant")
    True
    >>> derive_seed(1, "a", "bc") == derive_seed(1, "ab", "c")
    False
    """
    digest = hashlib.sha256("\x1f".join([str(seed), *names]).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def rng_for(seed: int, *names: str) -> np.random.Generator:
    """Return a numpy generator seeded by :func:`derive_seed`."""
    return np.random.default_rng(derive_seed(seed, *names))
