"""Fixtures that all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# The first call compiles; a busy machine is no fault of the code.
settings.register_profile("dubio", deadline=None)
settings.load_profile("dubio")

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and reference outputs beside the checkout; skips when absent."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared (real data and reference outputs)")
    return SHARED
