"""What the pages on detections have in common: rounded data and the notes of the run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dubio.report.run_notes import read_notes

_DIGITS = 5  # significant ones; the pages show three or four


def footer_of(folder: Path) -> dict[str, Any]:
    """Date of the run, and what the end of a page says of it."""
    notes = read_notes(folder)
    footer = {"version": notes.version, "options": notes.options, "command": notes.command}
    return {"date": notes.date, "footer": footer}


def rounded(value: Any) -> Any:
    """The same data with as many digits as a page needs; what is not finite becomes ``None``.

    >>> rounded({"a": [1 / 3, float("nan")]})
    {'a': [0.33333, None]}
    """
    if isinstance(value, Mapping):
        return {str(k): rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(v) for v in value]
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value
