"""The figures of one score: errors and unknown classes, by name."""

from __future__ import annotations

import numpy as np

from dubio.reliability.accuracy import NO_PIXELS
from dubio.reliability.ranking_state import RankingState

RISK, COVERAGE = 0.05, 0.8
ERROR_METRICS = (
    "auroc", "prr", "aupr", "aupr_rest", "fpr95", "aurc", "excess_aurc",
    "coverage_at_risk_5", "risk_at_coverage_80",
)  # fmt: skip
OOD_METRICS = {"ood_auroc": "auroc", "ood_aupr_out": "aupr", "ood_aupr_in": "aupr_rest", "ood_fpr95": "fpr95"}


def score_metrics(name: str, state: RankingState, pixels: int) -> tuple[dict[str, float], dict[str, str]]:
    """Metrics of a score as ``metric.score``, and why some are undefined.

    Args:
        name: the score.
        state: its histogram.
        pixels: number of pixels of known classes; the score must have been given for all of them.

    Returns:
        ``auroc``, ``prr``, ``aupr`` (finding errors), ``aupr_rest`` (finding right pixels), ``fpr95``,
        ``aurc``, ``excess_aurc``, ``coverage_at_risk_5`` (coverage at an error rate of 5 %) and
        ``risk_at_coverage_80`` (error rate of the least doubtful 80 %); ``ood_auroc``, ``ood_aupr_out``
        (finding unknown pixels), ``ood_aupr_in`` and ``ood_fpr95``. The second: name to reason.
    """
    seen = int(state.counts[:2].sum())
    if seen < pixels:
        why = (
            f"the predictions don't tell the score '{name}'"
            if seen == 0
            else f"the score '{name}' is there for {seen} of {pixels} pixels only"
        )
        keys = [f"{metric}.{name}" for metric in (*ERROR_METRICS, *OOD_METRICS)]
        return dict.fromkeys(keys, float("nan")), dict.fromkeys(keys, why)
    errors, unknowns = state.errors(), state.unknowns()
    found = errors.compute()
    found["coverage_at_risk_5"] = errors.coverage_at_risk(RISK)
    found["risk_at_coverage_80"] = errors.risk_at_coverage(COVERAGE)
    reasons = {k: NO_PIXELS for k, v in found.items() if np.isnan(v)} | errors.reasons()
    ood, ood_why = unknowns.compute(), unknowns.reasons()
    found |= {key: ood[metric] for key, metric in OOD_METRICS.items()}
    reasons |= {key: ood_why[metric] for key, metric in OOD_METRICS.items() if metric in ood_why}
    return {f"{k}.{name}": v for k, v in found.items()}, {f"{k}.{name}": v for k, v in reasons.items()}
