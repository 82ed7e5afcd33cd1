"""What calibration did to each domain, in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

# A change that nobody would act on.
_SAME_ECE = 0.002
_SAME_NLL = 0.005
# More digits than that tell nothing.
_LARGE = 1e4


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
        The best methods in the source and under shift first, then a sentence for each method that makes
        a domain worse.
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
    if _undefined(by_place[before, source]["nll"]):
        return f"No calibrator could be judged in {source}: no pixel has a label and a prediction."
    here = _least(by_place, before, methods, [source])
    if here is None:
        own = by_place[before, source]
        figures = f"ECE {_figure(own['ece'])}, NLL {_figure(own['nll'])}"
        text = f"By NLL no calibrator is better in {source} than the model as it is ({figures})"
    else:
        change = _change(*(_mean(by_place, m, [source]) for m in (before, here)))
        text = f"By NLL {here} is best in {source}: {change}"
    others = [d for d in domains[1:] if not _undefined(by_place[before, d]["nll"])]
    if not others:
        return f"{text}."
    there = _least(by_place, before, methods, others)
    if there is None:
        return f"{text}; under shift none is better on average."
    change = _change(*(_mean(by_place, m, others) for m in (before, there)))
    count = f"mean of {len(others)} domains" if len(others) > 1 else others[0]
    return f"{text}. Under shift ({count}) {there} is best: {change}."


def _mean(
    by_place: Mapping[tuple[str, str], Mapping[str, Any]], model: str, domains: Sequence[str]
) -> dict[str, float]:
    found = [by_place[model, d] for d in domains]
    return {name: sum(m[name] for m in found) / len(found) for name in ("ece", "nll")}


def _least(
    by_place: Mapping[tuple[str, str], Mapping[str, Any]],
    before: str,
    methods: Sequence[str],
    domains: Sequence[str],
) -> str | None:
    """The method of the least mean NLL among those judged in all domains; ``None`` if none improves."""
    means = {before: _mean(by_place, before, domains)["nll"]}
    for method in methods:
        if all((method, d) in by_place and not _undefined(by_place[method, d]["nll"]) for d in domains):
            means[method] = _mean(by_place, method, domains)["nll"]
    best = min(means, key=lambda m: means[m])
    return None if best == before else best


def _worse(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    if any(_undefined(m[name]) for m in (old, new) for name in ("ece", "nll")):
        return False
    ece, nll = new["ece"] - old["ece"], new["nll"] - old["nll"]
    return bool(ece > _SAME_ECE and nll > -_SAME_NLL) or bool(nll > _SAME_NLL and ece > -_SAME_ECE)


def _change(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    ece, nll = (" to ".join(_figure(m[name]) for m in (old, new)) for name in ("ece", "nll"))
    return f"ECE {ece}, NLL {nll}"


def _figure(value: float) -> str:
    return f"{value:.3f}" if value < _LARGE else f"{value:.1e}"


def _undefined(value: Any) -> bool:
    return value is None or math.isnan(value)
