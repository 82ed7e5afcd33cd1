"""The figures in README and docs are those of the committed results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_pages_show_the_committed_results():
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks/claims.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
