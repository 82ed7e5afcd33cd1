"""More pixels than a float32 can count: 2^24 is where it stops."""

from __future__ import annotations

import numpy as np
import pytest

from dubio.reliability.accuracy import ConfusionState
from dubio.reliability.confidence_state import ConfidenceState
from dubio.reliability.outcome import judged
from dubio.reliability.ranking_state import RankingState
from dubio.uncertainty.pixel import PixelScores

SIDE, REPEATS = 1024, 20  # 21 million pixels, more than 2^24


def test_defect_counts_do_not_stop_at_16_million():
    """Float32 counters and sums stop at 2^24: a confidence of .9 that is right half the time had no error."""
    shape = (SIDE, SIDE)
    doubt = np.full(shape, 0.1, np.float32)
    zero = np.zeros(shape, np.float32)
    label = np.zeros(shape, np.uint8)
    label[: SIDE // 2] = 1
    scores = PixelScores(zero.astype(np.uint16), doubt, zero, doubt, zero, zero, zero, 2)
    confidence, confusion, ranking = ConfidenceState(2), ConfusionState(2), RankingState()
    outcome = judged(scores.pred, label, 2)
    for _ in range(REPEATS):
        confidence.add(scores, outcome)
        confusion.add(outcome)
        ranking.update(doubt, outcome.code)
    n = SIDE * SIDE * REPEATS
    assert n > 2**24
    assert confidence.pixels == confusion.pixels == n
    assert confidence.compute()["ece"] == pytest.approx(0.4, abs=1e-6)
    assert confidence.compute()["ks"] == pytest.approx(0.4, abs=1e-6)
    assert confusion.accuracy == 0.5
    errors = ranking.errors()
    assert errors.n_positive == n // 2
    assert errors.auroc == 0.5


def test_defect_of_torchmetrics_that_ours_does_not_have():
    """Their bins are float32: adding one to 2^24 changes nothing."""
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.classification.calibration_error")
    n = 2**24 + 2**22
    confidence = torch.full((n,), 0.9)
    right = torch.zeros(n)
    right[::2] = 1
    edges = torch.linspace(0, 1, 16)
    theirs = float(functional._ce_compute(confidence, right, edges, norm="l1"))
    assert abs(theirs - 0.4) > 0.02  # truth 0.4; if this fails, they fixed it: say so in the docs
