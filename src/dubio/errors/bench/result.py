"""The score of a list, as records and as plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

FORMAT = 1


@dataclass(frozen=True)
class Estimate:
    """A measure with its 90 % interval; NaN where it is not defined."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Point:
    """A place in the list: after a budget of findings, or down to a probability.

    Attributes:
        what: ``budget`` or ``threshold``.
        at: the number of findings or the probability.
        read: findings down to there.
        hits: errors found by them (an expected number if the budget ends among equal probabilities).
        precision: share of hits.
        recall: share of the errors found.
        f1: harmonic mean of the two.
    """

    what: Literal["budget", "threshold"]
    at: float
    read: float
    hits: float
    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True)
class Effort:
    """Expected number of findings to read until ``share`` of the errors is found; infinite if never."""

    share: float
    findings: Estimate


@dataclass(frozen=True)
class KindScore:
    """How well planted errors of one kind are found.

    Attributes:
        kind: the kind.
        errors: number of errors.
        recall_at_errors: share found by as many findings as there are errors of all kinds.
        recall: share found by the whole list.
        ap: average precision of the list of that kind, where there is one (boxes).
    """

    kind: str
    errors: int
    recall_at_errors: Estimate
    recall: Estimate
    ap: Estimate = Estimate(math.nan)


@dataclass(frozen=True)
class ClassScore:
    """How well the errors in the labels of one class are found.

    Attributes:
        name: class name.
        index: class index.
        errors: number of errors that concern it.
        ap: average precision of the findings that meet them, among these and the false findings that
            concern the class.
        recall: share found by the whole list.
    """

    name: str
    index: int
    errors: int
    ap: Estimate
    recall: Estimate


@dataclass(frozen=True)
class Score:
    """How well a ranked list finds known errors.

    Attributes:
        images: number of images.
        errors: number of known errors.
        listed: number of findings scored.
        outside: number of findings left out because the truth doesn't know their image.
        match_iou: IoU from which a finding meets an error.
        draws: bootstrap draws behind the intervals.
        ap: average precision.
        auc_published: the published area, for comparison (:mod:`dubio.errors.bench.published_auc`).
        recall: share of the errors that the whole list finds.
        best_f1: highest F1 over all thresholds.
        best_threshold: probability from which on it is reached.
        points: budgets (the number of errors among them), then thresholds.
        effort: expected effort for a quarter, half and three quarters of the errors.
        kinds: by kind of planted error.
        classes: by class with errors or findings.
        hits: for each finding in the order given, the position in ``truth.errors`` of the error that it is
            the first to meet, else -1; int64.
        curve: columns of the precision-recall curve, one entry per distinct probability.
    """

    images: int
    errors: int
    listed: int
    outside: int
    match_iou: float
    draws: int
    ap: Estimate
    auc_published: Estimate
    recall: Estimate
    best_f1: Estimate
    best_threshold: float
    points: tuple[Point, ...]
    effort: tuple[Effort, ...]
    kinds: tuple[KindScore, ...]
    classes: tuple[ClassScore, ...]
    hits: npt.NDArray[np.int64] = field(repr=False)
    curve: dict[str, npt.NDArray[np.float64]] = field(repr=False)

    @property
    def at_errors(self) -> Point | None:
        """The point after as many findings as there are errors; ``None`` if there are none."""
        return next((p for p in self.points if p.what == "budget" and p.at == self.errors), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; what is not defined, or infinite, is ``None``."""
        parts = {k: v for k, v in asdict(self).items() if k not in ("hits", "curve")}
        return {"format": FORMAT, **{k: plain(v) for k, v in parts.items()}}

    def curve_rows(self) -> list[Sequence[float]]:
        """Rows of ``curve.csv``, falling in probability."""
        return [tuple(row) for row in np.column_stack(list(self.curve.values())).tolist()]


def plain(value: Any) -> Any:
    """Replace numbers that JSON doesn't know by ``None``, at any depth.

    >>> plain({"a": float("nan"), "b": (1, float("inf"))})
    {'a': None, 'b': [1, None]}
    """
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
