"""Scores of pixels against numpy and scipy in double precision."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.special import softmax as scipy_softmax

from dubio import InputError, SegPrediction, pixel_scores
from dubio.uncertainty.pixel import SCORES, score_columns


def double(logits):
    """All scores of ``(K, N)`` logits in float64."""
    z = np.asarray(logits, np.float64)
    p = scipy_softmax(z, axis=0)
    winner = z.argmax(0)
    others = np.where(np.arange(len(z))[:, None] == winner, -np.inf, z)
    lse = logsumexp(z, axis=0)
    rest = np.exp(logsumexp(others, axis=0) - lse) if len(z) > 1 else np.zeros(z.shape[1])
    runner_up = np.exp(others.max(0) - lse) if len(z) > 1 else np.zeros(z.shape[1])
    entropy = -(p * np.where(p > 0, np.log(np.maximum(p, 1e-320)), 0)).sum(0)
    return {
        "pred": winner,
        "doubt": rest,
        "entropy": entropy,
        "closeness": rest + runner_up,
        "square": (p**2).sum(0),
        "top": z.max(0),
        "lse": lse,
    }


@pytest.mark.parametrize("k", [1, 2, 3, 19, 150])
@pytest.mark.parametrize("spread", [0.1, 3.0, 12.0])
def test_logits_against_double_precision(k, spread):
    rng = np.random.default_rng(k)
    z = (rng.normal(size=(k, 5000)) * spread).astype(np.float32)
    found, wanted = score_columns(z, True, k), double(z)
    np.testing.assert_array_equal(found.pred, wanted["pred"])
    for name in ("top", "lse", "square"):
        np.testing.assert_allclose(getattr(found, name), wanted[name], rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(found.entropy, wanted["entropy"], rtol=1e-5, atol=1e-6)
    for name in ("doubt", "closeness"):
        value = getattr(found, name)
        np.testing.assert_allclose(value, wanted[name], rtol=2e-5, atol=1e-30)


@pytest.mark.parametrize("gap", [1.0, 10.0, 16.5, 17.5, 25.0, 40.0, 80.0])
def test_doubt_keeps_its_digits_where_confidence_rounds_to_one(gap):
    """1 - float32 of the largest probability is 0 from a gap of 17 on."""
    z = np.array([[gap], [0.0], [-0.5]], np.float32)
    found = score_columns(z, True, 3)
    wanted = double(z)
    assert found.doubt[0] == pytest.approx(wanted["doubt"][0], rel=2e-6)
    assert found.score("margin")[0] == pytest.approx(wanted["closeness"][0], rel=2e-6)
    assert found.doubt[0] > 0


def test_order_of_doubt_is_that_of_the_gap():
    gaps = np.linspace(0, 60, 2000, dtype=np.float32)
    found = score_columns(np.stack([gaps, np.zeros_like(gaps)]), True, 2)
    assert (np.diff(found.doubt) < 0).all()


def test_one_channel_leaves_no_doubt():
    found = score_columns(np.array([[3.0, -2.0]], np.float32), True, 1)
    for name in ("doubt", "entropy", "closeness"):
        np.testing.assert_array_equal(getattr(found, name), 0)
    np.testing.assert_array_equal(found.square, 1)


@pytest.mark.parametrize("k", [1, 2, 19, 150])
def test_probabilities_against_double_precision(k):
    rng = np.random.default_rng(k)
    p = rng.dirichlet(np.full(k, 0.3), 3000).T.astype(np.float32)
    found = score_columns(p, False, k)
    wide = p.astype(np.float64)
    order = np.sort(wide, axis=0)
    np.testing.assert_array_equal(found.pred, p.argmax(0))
    entropy = -(wide * np.log(np.maximum(wide, 1e-320))).sum(0)
    np.testing.assert_allclose(found.entropy, np.maximum(entropy, 0), rtol=1e-4, atol=2e-6)
    np.testing.assert_allclose(found.square, (wide**2).sum(0), rtol=1e-5)
    np.testing.assert_allclose(found.doubt, np.minimum(wide.sum(0) - order[-1], 1), rtol=1e-5, atol=1e-7)
    if k > 1:
        np.testing.assert_allclose(found.closeness, 1 - order[-1] + order[-2], rtol=1e-4, atol=1e-6)
    assert found.lse is None
    assert found.score("energy") is None
    assert found.score("max_logit") is None


def test_probabilities_that_do_not_sum_to_one_are_taken_as_they_are():
    found = score_columns(np.array([[0.9, 0.2, 0.0], [0.8, 0.1, 0.0]], np.float32), False, 2)
    np.testing.assert_allclose(found.doubt, [0.8, 0.1, 0.0], rtol=1e-6)
    np.testing.assert_allclose(found.top, [0.9, 0.2, 0.0], rtol=1e-6)
    assert (found.entropy >= 0).all()


def test_negative_and_empty_probabilities_give_numbers():
    found = score_columns(np.array([[-1e-7, 1.0], [1.0, 0.0]], np.float32), False, 2)
    for name in ("doubt", "entropy", "closeness", "square"):
        assert np.isfinite(getattr(found, name)).all(), name
    np.testing.assert_array_equal(found.doubt, 0)


@pytest.mark.parametrize("kind", ["logits", "probabilities"])
def test_half_precision_is_read_as_it_is(kind):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(5, 6, 7)).astype(np.float16)
    if kind == "probabilities":
        z = scipy_softmax(z.astype(np.float64), axis=0).astype(np.float16)
    half = pixel_scores(SegPrediction(5, z, kind))
    full = pixel_scores(SegPrediction(5, z.astype(np.float32), kind))
    for name in SCORES:
        one, other = half.score(name), full.score(name)
        if one is not None:
            np.testing.assert_array_equal(one, other)
    assert half.pred.shape == (6, 7)


def test_infinite_logits_of_impossible_classes():
    z = np.array([[2.0], [-np.inf], [1.0]], np.float32)
    found, wanted = score_columns(z, True, 3), double(z[[0, 2]])
    assert found.doubt[0] == pytest.approx(wanted["doubt"][0], rel=1e-6)
    assert np.isfinite(found.entropy[0])
    assert np.isfinite(found.lse[0])


def test_entropy_of_the_oracle(shared):
    with np.load(shared / "oracle/1_reliability/entropy_map.npz", allow_pickle=False) as data:
        p, wanted = data["probs"][0], data["entropy"][0]
    found = pixel_scores(SegPrediction(len(p), p, "probabilities"))
    np.testing.assert_allclose(found.entropy, wanted, atol=1e-6)
    logits = np.log(np.maximum(p, 1e-30)).astype(np.float32)
    found = pixel_scores(SegPrediction(len(p), logits, "logits"))
    np.testing.assert_allclose(found.entropy, wanted, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    k=st.integers(2, 30),
    shift=st.floats(-50, 50),
    spread=st.floats(0.01, 8),
)
def test_a_shift_of_all_logits_changes_energy_and_largest_logit_only(seed, k, shift, spread):
    # multiples of 1/64: shifted without rounding
    z = np.round(np.random.default_rng(seed).normal(size=(k, 40)) * spread * 64) / 64
    by = round(shift * 64) / 64
    one, other = (score_columns(v.astype(np.float32), True, k) for v in (z, z + by))
    for name in ("pred", "doubt", "entropy", "closeness", "square"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name in ("max_logit", "energy"):
        np.testing.assert_allclose(other.score(name), one.score(name) - by, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(2, 25), n=st.integers(1, 9000))
def test_channels_may_be_shuffled_and_pixels_cut(seed, k, n):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(k, n)).astype(np.float32) * 3
    order = rng.permutation(k)
    one, other = score_columns(z, True, k), score_columns(z[order], True, k)
    np.testing.assert_array_equal(order[other.pred], one.pred)
    np.testing.assert_allclose(other.doubt, one.doubt, rtol=1e-5)
    np.testing.assert_allclose(other.entropy, one.entropy, atol=1e-5)
    half = score_columns(z[:, n // 2 :], True, k)
    np.testing.assert_allclose(half.entropy, one.entropy[n // 2 :], atol=1e-6)


def test_all_scores_grow_with_doubt():
    sure, unsure = (np.array([[v], [0.0], [0.0]], np.float32) for v in (5.0, 1.0))
    for name in SCORES:
        one, other = (score_columns(z, True, 3).score(name)[0] for z in (sure, unsure))
        assert one < other, name


def test_what_can_not_be_scored_is_refused():
    with pytest.raises(InputError, match="label map without scores"):
        pixel_scores(SegPrediction(2, label_map=np.zeros((2, 2), np.uint8), image_id="a"))
    found = pixel_scores(SegPrediction(2, np.zeros((2, 1, 1), np.float32), "logits"))
    with pytest.raises(InputError, match="there is no score 'luck'"):
        found.score("luck")
