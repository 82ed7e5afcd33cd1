"""Probabilities and numbers of errors from scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio.errors.odds import expit, logit, platt
from dubio.errors.prior import Evidence, error_probability, estimate_share, expected_errors

GAP, N_KNOWN, N_IMAGES = 4.0, 1500, 100


def places(share, n, seed):
    """Scores of known errors, of all places, which of these are errors, and their true odds."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < share
    z = rng.normal(np.where(y, GAP, 0.0), 1.0)
    known = rng.normal(GAP, 1.0, N_KNOWN)
    odds = 1 / (share + (1 - share) * np.exp(GAP * (GAP / 2 - z)))
    return known, z, y, odds


def evidence(known, z, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, N_IMAGES, len(z))
    return Evidence.collect(known, rng.integers(0, N_IMAGES, len(known)), z, image, N_IMAGES), image


@pytest.mark.parametrize("share", [0.005, 0.03, 0.2])
def test_share_of_errors_is_recovered_from_errors_and_mixture_alone(share):
    known, z, y, odds = places(share, 20_000, 1)
    found = estimate_share(known, z)
    assert found == pytest.approx(y.mean(), rel=0.25)
    p = error_probability(odds, found)
    top = p > 0.5
    assert p[top].mean() == pytest.approx(y[top].mean(), abs=0.12)


def test_clean_labels_are_nearly_clean():
    known, z, _, _ = places(0.0, 10_000, 2)
    assert estimate_share(known, z) < 2e-3


def test_nothing_is_known_without_scores():
    assert np.isnan(estimate_share([], [1.0]))
    assert np.isnan(estimate_share([1.0], []))


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=20), st.floats(0, 1))
def test_probabilities_keep_the_order_of_the_odds(odds, share):
    p = error_probability(odds, share)
    order = np.argsort(odds, kind="stable")
    assert (np.diff(p[order]) >= 0).all()
    assert p.min() >= 0
    assert p.max() <= 0.99


def test_interval_holds_the_truth_about_as_often_as_it_says():
    inside = 0
    for seed in range(30):
        known, z, y, odds = places(0.02, 4000, seed)
        proof, image = evidence(known, z, seed)
        expected, low, high = expected_errors(odds, image, proof, level=0.9, seed=seed, draws=100)
        assert low <= expected <= high
        inside += low <= y.sum() <= high
    assert inside >= 22


def test_a_given_rate_is_kept():
    known, z, _, odds = places(0.02, 2000, 3)
    proof, image = evidence(known, z)
    fixed = Evidence(proof.positive, proof.every, fixed=0.01)
    expected, _, _ = expected_errors(odds, image, fixed)
    assert expected == pytest.approx(error_probability(odds, 0.01).sum())


def test_no_places_no_errors():
    proof, _ = evidence(*places(0.1, 100, 0)[:2])
    assert expected_errors(np.zeros(0), np.zeros(0, int), proof) == (0, 0, 0)


def test_platt_calibrates_and_keeps_the_ranking():
    rng = np.random.default_rng(3)
    y = rng.random(20_000) < 0.2
    z = rng.normal(np.where(y, 1.5, -1.5), 1.7)
    honest = 3 * z / 1.7**2 + logit(0.2)
    a, b = platt(3 * honest + 1, y, np.ones(len(y)))
    assert a == pytest.approx(1 / 3, rel=0.1)
    assert expit(a * (3 * honest + 1) + b).mean() == pytest.approx(y.mean(), abs=0.01)
