"""Plain sentences on a model in a domain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# A ratio of errors that nobody would call a change.
_SAME = 1.15


def say_domain(cell: Mapping[str, Any], source: Mapping[str, Any] | None, *, under: str | None = None) -> str:
    """What to expect of a model in a domain, in one or two sentences.

    Args:
        cell: its figures: ``metrics``, ``stated``, ``domain``.
        source: those of the source domain; ``None`` for the source itself.
        under: the condition, such as ``"fog 3"``, where the domain is one.

    >>> cell = {"domain": "fog", "metrics": {"ece": 0.19, "accuracy": 0.7, "mean_confidence": 0.89},
    ...         "stated": {"0.9": 0.71}}
    >>> say_domain(cell, None)
    'In fog a stated 0.9 is right 0.71 of the time; the model is overconfident by 0.19 on average.'
    """
    metrics = cell["metrics"]
    place = f"Under {under}" if under else f"In {cell['domain']}"
    stated = cell["stated"].get("0.9")
    ece = _number(metrics.get("ece"))
    if ece is None:
        return f"{place} nothing could be judged: no pixel has a label and a prediction."
    parts = []
    if stated is not None:
        parts.append(f"a stated 0.9 is right {stated:.2f} of the time")
    gap = (_number(metrics.get("mean_confidence")) or 0.0) - (_number(metrics.get("accuracy")) or 0.0)
    parts.append(_bias(gap, ece))
    text = f"{place} {'; '.join(parts)}."
    return text if source is None else f"{text} {_against(metrics, source['metrics'])}".rstrip()


def _bias(gap: float, ece: float) -> str:
    if abs(gap) < 0.005 and ece < 0.02:
        return "on average the model is as sure as it is right"
    way = "overconfident" if gap > 0 else "underconfident"
    if abs(gap) < ece / 2:
        return f"stated and true rates differ by {ece:.2g} on average, both ways"
    return f"the model is {way} by {abs(gap):.2g} on average"


def _against(metrics: Mapping[str, Any], source: Mapping[str, Any]) -> str:
    """How the errors compare with the source domain."""
    parts = []
    wrong = _ratio(metrics, source, "accuracy", complement=True)
    if wrong is not None:
        same = 1 / _SAME <= wrong <= _SAME
        parts.append(f"{'about' if same else _times(wrong)} as many pixels are wrong as in the source")
    off = _ratio(metrics, source, "ece")
    if off is not None:
        parts.append(f"the calibration error is {_times(off)} as large" if off > _SAME else _smaller(off))
    prr, before = _number(metrics.get("prr")), _number(source.get("prr"))
    if prr is not None and before is not None and prr < before - 0.05:
        parts.append(f"errors are harder to tell by doubt (PRR {prr:.2f} after {before:.2f})")
    if not parts:
        return ""
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _smaller(ratio: float) -> str:
    if ratio >= 1 / _SAME:
        return "the calibration error is about the same"
    return f"the calibration error is {ratio:.2f} times as large"


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio < 10 else f"{ratio:.0f} times"


def relative(metrics: Mapping[str, Any], source: Mapping[str, Any]) -> dict[str, float | None]:
    """Errors as multiples of those in the source domain; ``None`` where one is undefined or nought.

    ``error`` is the share of wrong pixels, ``mean_iou_error`` one minus the mean IoU, as in the figure of
    de Jorge et al. (CVPR 2023); ``ece``, ``nll`` and ``brier`` are themselves errors.
    """
    found = {
        "error": _ratio(metrics, source, "accuracy", complement=True),
        "mean_iou_error": _ratio(metrics, source, "mean_iou", complement=True),
    }
    return found | {name: _ratio(metrics, source, name) for name in ("ece", "ks", "nll", "brier")}


def _ratio(
    one: Mapping[str, Any], other: Mapping[str, Any], name: str, *, complement: bool = False
) -> float | None:
    a, b = _number(one.get(name)), _number(other.get(name))
    if a is None or b is None:
        return None
    if complement:
        a, b = 1 - a, 1 - b
    return a / b if b > 0 else None


def _number(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)
