"""Probabilities and numbers of errors from scores."""

from __future__ import annotations

from dataclasses import replace

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
    fixed = replace(proof, fixed=0.01)
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


def evidence_with_verdicts(share, seed, budget, *, factor=1.0):
    """Evidence of a data set whose best places were judged rightly; known errors score ``factor`` higher."""
    known, z, y, odds = places(share, 20000, seed)
    order = np.argsort(-z)
    verdict = np.zeros(len(z), np.int8)
    verdict[order[:budget]] = np.where(y[order[:budget]], 1, -1)
    image = np.arange(len(z)) % N_IMAGES
    evidence = Evidence.collect(
        known * factor, np.arange(len(known)) % N_IMAGES, z, image, N_IMAGES, verdict=verdict
    )
    return evidence, odds, image, y, verdict


@pytest.mark.parametrize("share", [0.01, 0.03])
@pytest.mark.parametrize("budget", [30, 150])
def test_verdicts_tell_the_number_of_errors(share, budget):
    evidence, odds, image, y, verdict = evidence_with_verdicts(share, 5, budget)
    mean, low, high = expected_errors(odds / odds.mean(), image, evidence, verdict=verdict)
    assert low <= y.sum() <= high
    assert y.sum() / 1.35 <= mean <= y.sum() * 1.35


def test_verdicts_outweigh_a_wrong_estimate():
    # known errors that are too easy to find: without verdicts the count is far too low
    evidence, _, _, y, _ = evidence_with_verdicts(0.02, 3, 300, factor=1.25)
    alone = Evidence(evidence.positive, evidence.every, 0 * evidence.judged, 0 * evidence.wrong)
    before = alone.share()
    after = evidence.share()
    assert before < 0.8 * y.mean()
    assert abs(after - y.mean()) < abs(before - y.mean())


def test_few_verdicts_change_little_and_a_fixed_rate_nothing():
    evidence, *_ = evidence_with_verdicts(0.02, 4, 2)
    alone = Evidence(evidence.positive, evidence.every, 0 * evidence.judged, 0 * evidence.wrong)
    assert 0.6 < evidence.share() / alone.share() < 4
    fixed = Evidence(evidence.positive, evidence.every, evidence.judged, evidence.wrong, fixed=0.25)
    assert fixed.share() == 0.25


def test_all_found_fine_lowers_the_number():
    known, z, _, _ = places(0.02, 20000, 6)
    verdict = np.zeros(len(z), np.int8)
    verdict[np.argsort(-z)[:200]] = -1
    image = np.arange(len(z)) % N_IMAGES
    evidence = Evidence.collect(known, np.arange(len(known)) % N_IMAGES, z, image, N_IMAGES, verdict=verdict)
    assert evidence.share() * len(z) < 10
