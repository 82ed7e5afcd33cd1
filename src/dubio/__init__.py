"""dubio turns the uncertainty of segmentation and detection models into decisions about labels."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# name -> module; loaded at first use, so that ``import dubio`` stays light
_PUBLIC: dict[str, str] = {
    "LabelClass": "dubio.core.labelspace",
    "LabelSpace": "dubio.core.labelspace",
    "Encoding": "dubio.core.labelspace",
    "Sample": "dubio.core.records",
    "Dataset": "dubio.core.records",
    "SegPrediction": "dubio.core.records",
    "DubioError": "dubio.core.errors",
    "InputError": "dubio.core.errors",
}
__all__ = [  # noqa: PLE0604 - the names are computed
    "__version__",
    *sorted(_PUBLIC),
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'dubio' has no attribute '{name}'")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
