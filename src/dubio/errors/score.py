"""How well a ranked list finds known errors, in brief.

:func:`dubio.errors.bench.scoring.score` says more: intervals, effort, kinds, classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dubio.errors.bench.matching import MATCH_IOU, best_overlap
from dubio.errors.findings import Finding


@dataclass(frozen=True)
class ListScore:
    """Precision and recall of a ranked list against known errors.

    Attributes:
        n_errors: number of known errors.
        n_listed: number of findings.
        hits: ``hits[i]``: number of the error that finding ``i`` is the first to meet, or 0.
        precision: share of hits among the first ``n_errors`` findings.
        recall: share of the errors met by those.
        recall_all: share of the errors met by the whole list.
        ap: average precision over the list.
    """

    n_errors: int
    n_listed: int
    hits: tuple[int, ...]
    precision: float
    recall: float
    recall_all: float
    ap: float


def score_list(
    findings: Sequence[Finding],
    truth: Mapping[str, npt.NDArray[np.int32]],
    *,
    match_iou: float = MATCH_IOU,
) -> ListScore:
    """Score findings, best first, against maps of known errors.

    Each error counts once, for the first finding that meets it; a later one on the same error counts as
    false.

    Args:
        findings: the ranked list.
        truth: image id -> ``(H, W)`` int32, number of the error (1 …) on its pixels, else 0. Images that
            are not named have no errors.
        match_iou: IoU from which a finding meets an error.
    """
    seen: set[tuple[str, int]] = set()
    areas = {name: np.bincount(m.ravel()) for name, m in truth.items()}
    total = int(sum((a[1:] > 0).sum() for a in areas.values()))
    hits = []
    for finding in findings:
        error = _met(finding, truth.get(finding.image_id), areas.get(finding.image_id), match_iou)
        fresh = error > 0 and (finding.image_id, error) not in seen
        seen.add((finding.image_id, error))
        hits.append(error if fresh else 0)
    right = np.array([h > 0 for h in hits], float)
    cumulative = np.cumsum(right)
    precision = cumulative / np.arange(1, len(right) + 1)
    top = min(total, len(right))
    return ListScore(
        n_errors=total,
        n_listed=len(right),
        hits=tuple(hits),
        precision=float(precision[top - 1]) if top else float("nan"),
        recall=float(cumulative[top - 1] / total) if top else (0.0 if total else float("nan")),
        recall_all=float(right.sum() / total) if total else float("nan"),
        ap=float((precision * right).sum() / total) if total else float("nan"),
    )


def _met(
    finding: Finding,
    truth: npt.NDArray[np.int32] | None,
    area: npt.NDArray[np.int64] | None,
    match_iou: float,
) -> int:
    if truth is None or area is None:
        return 0
    error, iou = best_overlap(finding, truth.ravel(), area)
    return error if iou >= match_iou else 0
