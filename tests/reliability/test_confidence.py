"""Calibration on arrays and in streams."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio.core.errors import InputError
from dubio.core.records import SegPrediction
from dubio.reliability.classwise import ClasswiseState
from dubio.reliability.confidence import (
    brier_score,
    calibration_error,
    classwise_calibration_error,
    ks_error,
    negative_log_likelihood,
    reliability_curve,
)
from dubio.reliability.confidence_state import ConfidenceState, label_log_probability
from dubio.uncertainty.pixel import PixelScores, pixel_scores

from .helpers import scene, softmax

samples = st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=80)


def arrays(rows):
    return np.array([r[0] for r in rows], np.float32), np.array([r[1] for r in rows])


@given(samples)
@settings(deadline=None)
def test_no_sample_is_lost(rows):
    p, right = arrays(rows)
    for scheme in ("uniform", "population"):
        curve = reliability_curve(p, right, 15, scheme)
        assert curve.count.sum() == len(p)
        assert curve.right.sum() == right.sum()
        assert curve.doubt.sum() == pytest.approx((1 - p.astype(float)).sum())


@given(samples)
@settings(deadline=None)
def test_norms_are_ordered(rows):
    p, right = arrays(rows)
    l1, l2, largest = (calibration_error(p, right, norm=n) for n in ("l1", "l2", "max"))
    assert -1e-12 <= l1 <= l2 + 1e-12
    assert l2 <= largest + 1e-12
    assert largest <= 1 + 1e-12
    assert abs(p.astype(float).mean() - right.mean()) <= l1 + 1e-9, (
        "the overall gap is the least there can be"
    )
    assert abs(p.astype(float).mean() - right.mean()) <= ks_error(p, right) + 1e-9


@given(samples, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_samples_does_not_matter(rows, random):
    mixed = list(rows)
    random.shuffle(mixed)
    for function in (ks_error, calibration_error):
        assert function(*arrays(mixed)) == pytest.approx(function(*arrays(rows)), abs=1e-9)


def test_defect_bins_are_right_closed_and_hold_zero_and_one():
    """Zero fell in no bin; one fell in a bin of its own in others' code."""
    curve = reliability_curve([0.0, 0.2, 0.2000001, 1.0], [True] * 4, 5)
    assert curve.count.tolist() == [2, 1, 0, 0, 1]


def test_defect_equal_population_bins_keep_the_minimum():
    p = np.full(1000, 0.7)
    right = np.arange(1000) < 272
    assert calibration_error(p, right, scheme="population") == pytest.approx(0.428)  # published: 0.0


def test_defect_scores_above_one_are_refused_or_renormalised():
    """They fell in no bin and silently vanished."""
    with pytest.raises(InputError, match="outside 0"):
        calibration_error([0.9, 1.7], [True, True])
    with pytest.raises(InputError, match="outside 0"):
        ks_error([np.nan], [True])


def test_empty_is_undefined():
    assert np.isnan(calibration_error([], []))
    assert np.isnan(calibration_error([], [], scheme="population"))
    assert np.isnan(ks_error([], []))
    assert np.isnan(brier_score(np.zeros((0, 2)), []))
    assert np.isnan(negative_log_likelihood(np.zeros((1, 2)), [255]))
    with pytest.raises(InputError, match="no 'odd' bins"):
        calibration_error([0.5], [True], scheme="odd")
    with pytest.raises(InputError, match="2 confidences for 1"):
        calibration_error([0.5, 0.5], [True])
    with pytest.raises(InputError, match="1 labels"):
        brier_score([0.5, 0.5], [0])


def exact(prediction, label):
    p = softmax(np.moveaxis(prediction.scores, 0, -1)).reshape(-1, len(prediction.scores))
    y = label.reshape(-1)
    known = y < prediction.n_classes
    return p[known], y[known]


@pytest.mark.parametrize("channels", [None, 7])
def test_stream_is_exact_where_bins_are(channels):
    prediction, label = scene(3, channels=channels)
    scores = pixel_scores(prediction)
    state = ConfidenceState(5)
    state.update(scores, label, label_log_probability(prediction, label, scores))
    p, y = exact(prediction, label)
    conf, right = p.max(1), p.argmax(1) == y
    found = state.compute()
    assert state.pixels == len(y)
    assert found["ece"] == pytest.approx(calibration_error(conf, right), abs=1e-6)
    assert found["mce"] == pytest.approx(calibration_error(conf, right, norm="max"), abs=1e-6)
    assert found["rmsce"] == pytest.approx(calibration_error(conf, right, norm="l2"), abs=1e-6)
    assert found["mean_confidence"] == pytest.approx(conf.mean(), abs=1e-6)
    assert found["ks"] == pytest.approx(ks_error(conf, right), abs=2e-3)
    assert found["nll"] == pytest.approx(negative_log_likelihood(np.log(p), y), rel=1e-5)
    truth = np.eye(p.shape[1])[y]
    assert found["brier"] == pytest.approx(((p - truth) ** 2).sum(1).mean(), rel=1e-5)
    if channels is None:
        assert found["brier"] == pytest.approx(brier_score(p, y), rel=1e-5)


def test_classwise_stream():
    prediction, label = scene(4)
    state = ClasswiseState(5)
    state.update(prediction, label, pixel_scores(prediction))
    p, y = exact(prediction, label)
    np.testing.assert_allclose(state.errors(), classwise_calibration_error(p, y), atol=1e-6)
    probabilities = np.moveaxis(softmax(np.moveaxis(prediction.scores, 0, -1)), -1, 0).astype(np.float32)
    other = ClasswiseState(5)
    made = SegPrediction(5, probabilities, "probabilities")
    other.update(made, label, pixel_scores(made))
    np.testing.assert_allclose(other.errors(), state.errors(), atol=1e-6)


@pytest.mark.parametrize("name", ["entropy", "margin"])
def test_any_score_gives_a_confidence(name):
    prediction, label = scene(5)
    state = ConfidenceState(5, score=name)
    state.update(pixel_scores(prediction), label)
    p, y = exact(prediction, label)
    ordered = np.sort(p, 1)
    doubt = {
        "entropy": -(p * np.log(p)).sum(1) / np.log(5),
        "margin": 1 - (ordered[:, -1] - ordered[:, -2]),
    }[name]
    found = state.compute()
    assert found["ece"] == pytest.approx(calibration_error(1 - doubt, p.argmax(1) == y), abs=1e-6)
    assert np.isnan(found["nll"])
    assert "not given" in state.reasons()["nll"]
    with pytest.raises(InputError, match="can't be merged"):
        state.merge(ConfidenceState(5))
    with pytest.raises(InputError, match="gives no confidence"):
        ConfidenceState(5, score="energy")


def test_doubt_is_exact_near_certainty():
    """A confidence of 1 - 1e-9 rounds to one in single precision; the doubt doesn't."""
    doubt = np.full((10, 10), 1e-9, np.float32)
    zeros = np.zeros_like(doubt)
    made = PixelScores(zeros.astype(np.uint16), doubt, zeros, doubt, zeros + 1, zeros, zeros, 2)
    state = ConfidenceState(2)
    state.update(made, np.zeros((10, 10), np.uint8))
    assert state.compute()["ece"] == pytest.approx(1e-9, rel=1e-6)
    assert state.compute()["ks"] == pytest.approx(1e-9, rel=1e-6)


def test_half_precision_scores_and_void():
    prediction, label = scene(6)
    half = SegPrediction(5, prediction.scores.astype(np.float16), "logits")
    single = SegPrediction(5, half.scores.astype(np.float32), "logits")
    results = []
    for each in (half, single):
        logs = label_log_probability(each, label, pixel_scores(each))
        assert np.isnan(logs[label == 255]).all()
        assert np.isfinite(logs[label < 5]).all()
        results.append(logs)
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)
    with pytest.raises(InputError, match="same size"):
        label_log_probability(half, label[:-1], pixel_scores(half))
