"""Calibrators with a number for each channel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio.calibration.classwise import ClasswiseTemperature
from dubio.calibration.objective import Problem, quality
from dubio.calibration.temperature import TemperatureScaling
from dubio.calibration.vector import VectorScaling
from dubio.core.errors import InputError

from .helpers import draw, sample_of, shuffled


def test_vector_finds_scales_and_biases():
    rng = np.random.default_rng(0)
    logits = (rng.normal(size=(40_000, 4)) * 2).astype(np.float32)
    scale, bias = np.array([0.5, 1.0, 1.5, 0.8]), np.array([1.0, -1.0, 0.0, 0.0])
    found = VectorScaling().fit(logits, draw(logits * scale + bias, rng))
    np.testing.assert_allclose(found.scale_, scale, atol=0.06)
    np.testing.assert_allclose(found.bias_ - found.bias_.mean(), bias - bias.mean(), atol=0.1)


@pytest.mark.parametrize("pairs", [None, (0, 1, 1, -1, 0)])
def test_vector_gradient_is_that_of_the_loss(pairs):
    problem = Problem.of(sample_of(300, pairs=pairs, n_classes=None if pairs is None else 2))
    at = np.concatenate([np.full(5, 0.7), np.linspace(-1, 1, 5)])
    _, gradient = problem.affine(at)
    for i in range(10):
        step = np.eye(10)[i] * 1e-2
        slope = (problem.affine(at + step)[0] - problem.affine(at - step)[0]) / 2e-2
        assert gradient[i] == pytest.approx(slope, abs=2e-4)


def test_vector_is_never_worse_than_nothing_on_its_sample():
    for seed in range(3):
        sample = sample_of(400, t=2.0, seed=seed)
        assert quality(VectorScaling().fit(sample).apply(sample))["nll"] < quality(sample)["nll"]


def test_vector_with_an_absent_class_and_maps():
    sample = sample_of(2000)
    keep = sample.labels != 3
    found = VectorScaling().fit(sample.logits[keep], sample.labels[keep])
    assert np.isfinite(found.bias_).all()
    assert found.bias_[3] == found.bias_.min()
    block = sample.logits[:600].T.reshape(5, 20, 30)
    np.testing.assert_allclose(
        found.transform_map(block).reshape(5, -1).T, found.transform(sample.logits[:600]), rtol=1e-6
    )
    assert found.temperature_map(block) is None
    with pytest.raises(InputError, match="4 channels"):
        found.transform(np.zeros((2, 4)))


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_defect_classwise_temperature_is_really_applied_and_keeps_winners(seed):
    """Spec 2.1 item 6: it became per-channel scaling, which flipped winners."""
    sample = sample_of(600, t=3.0, seed=seed)
    found = ClasswiseTemperature(min_pixels=20).fit(sample)
    new = found.transform(sample.logits)
    winner = sample.logits.argmax(axis=1)
    np.testing.assert_array_equal(new.argsort(axis=1), sample.logits.argsort(axis=1))
    np.testing.assert_allclose(new * found.temperatures_[winner][:, None], sample.logits, rtol=1e-5)
    assert len(set(found.temperatures_)) > 1


def test_classwise_maps_equal_rows():
    sample = sample_of(6000)
    found = ClasswiseTemperature(min_pixels=50).fit(sample)
    block = sample.logits.T.reshape(5, 60, 100)
    new = found.transform_map(block.astype(np.float16).astype(np.float32))
    rows = found.transform(sample.logits.astype(np.float16))
    np.testing.assert_allclose(new.reshape(5, -1).T, rows, rtol=1e-5)
    used = found.temperature_map(block)
    np.testing.assert_allclose(used.ravel(), found.temperatures_[sample.logits.argmax(axis=1)], rtol=1e-6)


def test_rare_and_absent_channels_take_the_pooled_temperature():
    sample = sample_of(2000)
    logits = np.column_stack([sample.logits, np.full(2000, -50.0)]).astype(np.float32)
    found = ClasswiseTemperature(min_pixels=100).fit(logits, sample.labels)
    assert found.temperatures_[5] == found.pooled_
    assert "1 of 6" in found.describe()[1]
    alone = ClasswiseTemperature(min_pixels=10_000).fit(sample)
    assert (alone.temperatures_ == TemperatureScaling().fit(sample).temperature_).all()


def test_classwise_does_not_depend_on_order():
    sample = sample_of(3000)
    a, b = (ClasswiseTemperature(min_pixels=50).fit(s).temperatures_ for s in (sample, shuffled(sample)))
    np.testing.assert_allclose(a, b, rtol=1e-6)


def test_options_out_of_range():
    sample = sample_of(50)
    for bad in (VectorScaling(penalty=-1), VectorScaling(max_iter=0), ClasswiseTemperature(min_pixels=0)):
        with pytest.raises(InputError):
            bad.fit(sample)
