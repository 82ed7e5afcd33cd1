"""What calibration did to each domain, in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

# A change that nobody would act on.
_SAME_ECE = 0.002
_SAME_NLL = 0.005


def judge(
    cells: Sequence[Mapping[str, Any]], before: str, methods: Sequence[str], domains: Sequence[str]
) -> list[str]:
    """Say where calibration helps and where it makes things worse.

    A domain is worse if both its calibration error and its negative log-likelihood grew, and the worse for
    it if either did so markedly.

    Args:
        cells: figures by model and domain.
        before: name of the model as it is.
        methods: names of the calibrated variants.
        domains: in the order of the tables; the first is the source.

    Returns:
        The best method first, then a sentence for each domain that a method makes worse.
    """
    by_place = {(c["model"], c["domain"]): c["metrics"] for c in cells}
    sentences = [_best(by_place, before, methods, domains)]
    for method in methods:
        judged = [d for d in domains if (method, d) in by_place]
        worse = [d for d in judged if _worse(by_place[before, d], by_place[method, d])]
        if worse:
            parts = [f"{d} ({_change(by_place[before, d], by_place[method, d])})" for d in worse]
            sentences.append(f"{method} makes calibration worse in {', '.join(parts)}.")
    return sentences


def _best(
    by_place: Mapping[tuple[str, str], Mapping[str, Any]],
    before: str,
    methods: Sequence[str],
    domains: Sequence[str],
) -> str:
    source = domains[0]
    known = [m for m in methods if not _undefined(by_place[m, source]["nll"])]
    if not known or _undefined(by_place[before, source]["nll"]):
        return f"No calibrator could be judged in {source}: no image of it was examined."
    best = min(known, key=lambda m: by_place[m, source]["nll"])
    old, new = by_place[before, source], by_place[best, source]
    if new["nll"] >= old["nll"]:
        return f"No calibrator is better than the model as it is in {source} (ECE {old['ece']:.3f})."
    text = f"By NLL {best} is best in {source}: {_change(old, new)}"
    judged = [d for d in domains[1:] if (best, d) in by_place]
    others = [d for d in judged if not _undefined(by_place[best, d]["ece"])]
    if others:
        ratio = sum(by_place[best, d]["ece"] for d in others) / max(
            sum(by_place[before, d]["ece"] for d in others), 1e-12
        )
        text += f"; under shift the calibration error is {ratio:.2f} times as large as before"
    return f"{text}."


def _worse(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    if any(_undefined(m[name]) for m in (old, new) for name in ("ece", "nll")):
        return False
    ece, nll = new["ece"] - old["ece"], new["nll"] - old["nll"]
    return bool(ece > _SAME_ECE and nll > -_SAME_NLL) or bool(nll > _SAME_NLL and ece > -_SAME_ECE)


def _change(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    return f"ECE {old['ece']:.3f} to {new['ece']:.3f}, NLL {old['nll']:.3f} to {new['nll']:.3f}"


def _undefined(value: Any) -> bool:
    return value is None or math.isnan(value)
