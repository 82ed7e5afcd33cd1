"""Probabilities follow the share of errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio.errors.prior import estimate_prior, expected_interval, expit, logit, platt, shift_prior


def sample(share, n, seed, learned=0.2):
    """Probabilities of a classifier that was calibrated at the share ``learned``."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < share
    z = rng.normal(np.where(y, 1.5, -1.5), 1.7)
    return expit(3 * z / 1.7**2 + logit(learned)), y


@pytest.mark.parametrize("share", [0.01, 0.05, 0.3])
def test_share_is_recovered(share):
    p, y = sample(share, 40_000, 1)
    found = estimate_prior(p, 0.2)
    assert found == pytest.approx(y.mean(), rel=0.2)
    shifted = shift_prior(p, 0.2, found)
    top = shifted > np.quantile(shifted, 0.9)
    assert shifted[top].mean() == pytest.approx(y[top].mean(), rel=0.15)


def test_clean_data_is_hardly_any_but_not_none():
    p, _ = sample(0.0, 5000, 2)
    assert 0 < estimate_prior(p, 0.2) < 0.015
    assert np.isnan(estimate_prior([], 0.2))


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=20), st.floats(0.01, 0.9), st.floats(0.01, 0.9))
def test_shifting_keeps_the_order_and_can_be_undone(p, a, b):
    there = shift_prior(p, a, b)
    np.testing.assert_array_equal(np.argsort(there, kind="stable"), np.argsort(p, kind="stable"))
    np.testing.assert_allclose(shift_prior(there, b, a), p, atol=1e-6)


def test_platt_calibrates_and_keeps_the_ranking():
    p, y = sample(0.2, 20_000, 3)
    bold = 3 * logit(p) + 1
    a, b = platt(bold, y, np.ones(len(y)))
    assert a > 0
    calibrated = expit(a * bold + b)
    assert calibrated.mean() == pytest.approx(y.mean(), abs=0.01)
    assert a == pytest.approx(1 / 3, rel=0.1)


def test_interval_holds_the_truth_about_as_often_as_it_says():
    inside = 0
    for seed in range(30):
        p, y = sample(0.03, 3000, seed)
        _, low, high = expected_interval(p, np.arange(3000) // 30, 0.2, level=0.9, seed=seed, draws=100)
        inside += low <= y.sum() <= high
    assert inside >= 22


def test_interval_without_places():
    assert expected_interval(np.zeros(0), np.zeros(0, int), 0.1) == (0, 0, 0)
