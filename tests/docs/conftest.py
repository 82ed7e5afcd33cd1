"""One set of files for all pages, and an audit of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from .runner import dubio
from .world import make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    """A folder that pages are run in copies of."""
    pytest.importorskip("onnx")
    root = make_world(tmp_path_factory.mktemp("docs") / "world")
    dubio(
        "audit", "--labels", root / "masks", "--images", root / "pictures", "--scores", root / "scores",
        "--label-space", root / "yard.toml", "--out", root / "run",
    )  # fmt: skip
    return root
