"""Rankings against scikit-learn, brute force and the definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from dubio.core.errors import InputError
from dubio.reliability.binning import REAL, UNIT, bin_of, values_of
from dubio.reliability.ranking import Ranking
from dubio.reliability.ranking_state import RankingState

worlds = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: 0 < sum(r[1] for r in rows) < len(rows)
)


def split(rows):
    score, wrong = np.array([r[0] for r in rows], float), np.array([r[1] for r in rows])
    return score, wrong, Ranking.of(score, wrong)


@given(worlds)
@settings(max_examples=60, deadline=None)
def test_like_scikit_learn(rows):
    score, wrong, r = split(rows)
    assert r.auroc == pytest.approx(roc_auc_score(wrong, score), abs=1e-12)
    assert r.aupr == pytest.approx(average_precision_score(wrong, score), abs=1e-12)
    assert r.aupr_rest == pytest.approx(average_precision_score(~wrong, -score), abs=1e-12)
    fpr, tpr, _ = roc_curve(wrong, score, drop_intermediate=False)
    assert r.fpr95 == pytest.approx(fpr[tpr >= 0.95 - 1e-12].min(), abs=1e-12)


@given(worlds, st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_aurc_is_the_mean_over_random_orders_of_ties(rows, seed):
    score, wrong, r = split(rows)
    rng = np.random.default_rng(seed)
    n = np.arange(1, len(score) + 1)
    areas = []
    for _ in range(400):
        order = np.lexsort((rng.random(len(score)), score))
        areas.append((np.cumsum(wrong[order]) / n).mean())
    assert r.aurc == pytest.approx(np.mean(areas), abs=5 * np.std(areas) / 20 + 1e-9)
    best = (np.cumsum(np.sort(wrong)) / n).mean()
    assert r.excess_aurc == pytest.approx(r.aurc - best, abs=1e-12)
    assert r.excess_aurc >= -1e-12


@given(worlds)
@settings(max_examples=40, deadline=None)
def test_only_the_order_of_scores_matters(rows):
    score, wrong, r = split(rows)
    other = Ranking.of(np.exp(score) * 3 - 1, wrong)
    assert other.compute() == pytest.approx(r.compute(), nan_ok=True)
    turned = Ranking.of(-score, wrong)
    assert turned.auroc == pytest.approx(1 - r.auroc, abs=1e-12)


def test_rejection_ratio_is_the_ratio_of_areas():
    """Malinin's definition, with the oracle drawn right: areas between rejection curves."""
    rng = np.random.default_rng(0)
    n = 20000
    score = rng.random(n)
    wrong = rng.random(n) < score**2
    order = np.argsort(-score)  # the most doubtful are rejected first
    e = wrong.mean()
    left = (wrong.sum() - np.cumsum(wrong[order])) / n
    area, random, perfect = left.mean(), e / 2, e**2 / 2
    assert Ranking.of(score, wrong).prr == pytest.approx((random - area) / (random - perfect), abs=1e-3)


def test_defect_ties_have_no_order():
    """An unstable sort ordered equal confidences at random; a constant score ranks nothing."""
    rng = np.random.default_rng(3)
    score, wrong = rng.integers(0, 3, 500), rng.random(500) < 0.3
    r = Ranking.of(score, wrong)
    for _ in range(3):
        mixed = rng.permutation(500)
        assert Ranking.of(score[mixed], wrong[mixed]).compute() == r.compute()
    constant = Ranking.of(np.ones(500), wrong)
    assert constant.prr == 0.0
    assert constant.aurc == pytest.approx(wrong.mean())


def test_coverage_and_risk():
    r = Ranking.of([0.1, 0.2, 0.3, 0.4, 0.4, 0.9], [False, False, True, False, False, True])
    assert r.coverage_at_risk(0.0) == pytest.approx(2 / 6)
    assert r.coverage_at_risk(0.2) == pytest.approx(5 / 6)
    assert r.threshold_at_risk(0.2) == 0.4
    assert r.risk_at_coverage(0.5) == pytest.approx(1 / 3)
    assert r.risk_at_coverage(0.6) == pytest.approx(1 / 5), "ties come together"
    assert Ranking.of([0.5], [True]).coverage_at_risk(0.1) == 0.0
    coverage, risk = r.risk_coverage()
    np.testing.assert_allclose(coverage, [1 / 6, 2 / 6, 3 / 6, 5 / 6, 1])
    np.testing.assert_allclose(risk, [0, 0, 1 / 3, 1 / 5, 1 / 3])


def test_curves_are_thinned():
    rng = np.random.default_rng(1)
    r = Ranking.of(rng.random(5000), rng.random(5000) < 0.2)
    coverage, risk = r.risk_coverage(200)
    assert 150 < len(coverage) <= 200
    assert coverage[-1] == 1
    assert risk[-1] == pytest.approx(r.n_positive / 5000)
    assert (np.diff(coverage) > 0).all()


def test_best_f1():
    r = Ranking.of([0.1, 0.2, 0.8, 0.9], [False, True, True, True])
    assert r.best_f1() == (0.2, 1.0)
    assert np.isnan(Ranking.of([0.1], [False]).best_f1()[0])


def test_undefined_says_why():
    none = Ranking.of([], [])
    assert all(np.isnan(v) for v in none.compute().values())
    assert none.reasons()["auroc"] == "there is no error and no right sample"
    right = Ranking.of([0.2, 0.3], [False, False])
    assert right.aurc == 0.0
    assert np.isnan(right.fpr95)
    assert right.reasons()["fpr95"] == "there is no error"
    with pytest.raises(InputError, match="not a number"):
        Ranking.of([np.nan], [True])
    with pytest.raises(InputError, match="2 scores for 1"):
        Ranking.of([0.1, 0.2], [True])


@given(st.lists(st.floats(-1e9, 1e9, width=32), min_size=1, max_size=50))
def test_bins_keep_the_order(values):
    v = np.sort(np.array(values, np.float32))
    for binning in (REAL, UNIT):
        b = bin_of(v, binning)
        assert (np.diff(b) >= 0).all()
        assert b.min() >= 0
        assert b.max() < binning.bins


@given(st.floats(2.0**-23, 1e6, width=32))
def test_bins_stand_for_values_within_a_share(value):
    centre = values_of(REAL)
    assert centre[bin_of(value, REAL)] == pytest.approx(value, rel=1 / 400)
    assert centre[bin_of(-value, REAL)] == pytest.approx(-value, rel=1 / 400)
    if value < 1:
        assert values_of(UNIT)[bin_of(value, UNIT)] == pytest.approx(value, rel=1 / 400)


@pytest.mark.parametrize("binning", [UNIT, REAL])
def test_bins_cover_their_edges(binning):
    edges = binning.edges
    assert len(edges) == binning.bins == len(values_of(binning))
    assert (np.diff(edges) > 0).all()
    inner = edges[1:-1].astype(np.float32)
    np.testing.assert_array_equal(bin_of(inner, binning), np.arange(1, binning.bins - 1))
    assert (np.diff(values_of(binning)) >= 0).all()


@pytest.mark.parametrize("binning", [UNIT, REAL])
def test_a_histogram_ranks_nearly_as_well(binning):
    rng = np.random.default_rng(2)
    score = rng.random(20000) ** 4 if binning is UNIT else rng.normal(-12, 4, 20000)
    score = score.astype(np.float32)
    wrong = rng.random(20000) < 0.1 + 0.5 * (score > np.median(score))
    state, half = RankingState(binning), RankingState(binning)
    state.update(score[:7000], wrong[:7000].astype(np.uint8))
    half.update(score[7000:], wrong[7000:].astype(np.uint8))
    state.merge(half)
    exact = Ranking.of(score, wrong).compute()
    assert state.errors().compute() == pytest.approx(exact, abs=2e-3)


def test_unknown_pixels_are_positives_of_their_own():
    state = RankingState(REAL)
    state.update(np.float32([-2, -1, 3, 4, 9]), np.uint8([0, 1, 0, 2, 3]))
    assert (state.unknowns().n_positive, state.unknowns().n_negative) == (1, 3)
    assert state.unknowns().auroc == 1.0
    assert (state.errors().n_positive, state.errors().n_negative) == (1, 2)
    with pytest.raises(InputError, match="can't be merged"):
        state.merge(RankingState(UNIT))
    with pytest.raises(InputError, match="2 scores for 1"):
        state.update(np.float32([1, 2]), np.uint8([0]))
