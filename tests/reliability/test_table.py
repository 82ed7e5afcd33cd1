"""From states of images to the figures of a domain."""

from __future__ import annotations

import numpy as np
import pytest

from dubio.core.records import SegPrediction
from dubio.reliability.state import ReliabilityState
from dubio.reliability.table import DomainStates, cell_of


def image(seed: int) -> ReliabilityState:
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 3, (3, 12, 16)).astype(np.float32)
    state = ReliabilityState(3)
    state.update(SegPrediction(3, scores, "logits"), rng.integers(0, 3, (12, 16)))
    return state


@pytest.mark.parametrize("intervals", [True, False])
def test_images_are_kept_for_intervals_only_if_they_are_wanted(intervals):
    states = DomainStates("net", "day", intervals=intervals)
    for seed in range(4):
        states.add(f"i{seed}", image(seed))
    assert (states.bootstrap is not None) == intervals
    cell = cell_of(states, ("a", "b", "c"), replicates=50)
    assert bool(cell["intervals"]) == intervals
    assert cell["images"] == 4
    assert cell["pixels"] == 4 * 12 * 16


def test_a_domain_is_the_sum_of_its_images():
    states = DomainStates("net", "day")
    whole = ReliabilityState(3)
    for seed in range(3):
        states.add(f"i{seed}", image(seed))
        whole.merge(image(seed))
    found, cell = whole.compute(), cell_of(states, ("a", "b", "c"), replicates=0)
    for name in ("accuracy", "mean_iou", "ece", "ks", "nll", "brier"):
        assert cell["metrics"][name] == pytest.approx(found[name])
    assert cell["metrics"]["prr"] == pytest.approx(found["prr.max_prob"])
    assert [row["image_id"] for row in states.rows] == ["i0", "i1", "i2"]
