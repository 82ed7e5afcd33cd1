from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from dubio.calibration.base import take_rows
from dubio.calibration.objective import EXACT_PIXELS, Problem, best_temperature_ece, grid, quality
from dubio.calibration.temperature import Identity, TemperatureScaling
from dubio.core.errors import InputError
from dubio.data.logits import LogitSample

from .helpers import draw, sample_of, shuffled


@given(st.floats(0.3, 6.0), st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_a_known_temperature_is_found(t, seed):
    found = TemperatureScaling().fit(sample_of(20_000, t=t, seed=seed)).temperature_
    assert found == pytest.approx(t, rel=0.08)


@given(st.floats(0.2, 5.0))
@settings(max_examples=20, deadline=None)
def test_scaled_logits_scale_the_temperature(a):
    sample = sample_of(2000)
    first = TemperatureScaling().fit(sample.logits, sample.labels).temperature_
    second = TemperatureScaling().fit(sample.logits * np.float32(a), sample.labels).temperature_
    assert second == pytest.approx(a * first, rel=1e-4)


@given(st.integers(0, 100))
@settings(max_examples=10, deadline=None)
def test_order_of_pixels_and_images_does_not_matter(seed):
    sample = sample_of(1500)
    found = TemperatureScaling().fit(shuffled(sample, seed)).temperature_
    assert found == pytest.approx(TemperatureScaling().fit(sample).temperature_, rel=1e-6)


@given(st.integers(0, 100), st.sampled_from(["nll", "ece"]))
@settings(max_examples=10, deadline=None)
def test_winner_and_ranking_of_a_pixel_stay(seed, objective):
    sample = sample_of(300, t=3.0, seed=seed)
    new = TemperatureScaling(objective, step=0.1).fit(sample).transform(sample.logits)
    np.testing.assert_array_equal(new.argsort(axis=1), sample.logits.argsort(axis=1))


def test_the_temperature_is_the_least_nll():
    problem = Problem.of(sample_of(3000))
    found = TemperatureScaling().fit(problem.sample).temperature_
    least = problem.temperature(found)[0]
    assert all(problem.temperature(found * f)[0] > least for f in (0.99, 1.01, 0.5, 2.0))


def test_derivative_is_that_of_the_loss():
    for pairs in (None, (0, 0, 1, -1, 1)):
        problem = Problem.of(sample_of(500, pairs=pairs, n_classes=None if pairs is None else 2))
        up, down = (problem.temperature(2.0 * np.exp(e))[0] for e in (1e-3, -1e-3))
        assert problem.temperature(2.0)[1] == pytest.approx((up - down) / 2e-3, abs=1e-4)


def test_mapped_nll_sums_the_channels_of_a_class():
    sample = sample_of(200, pairs=(0, 0, 1, -1, 1), n_classes=2)
    e = np.exp(sample.logits.astype(float))
    mass = np.where(sample.labels == 0, e[:, :2].sum(axis=1), e[:, [2, 4]].sum(axis=1))
    assert quality(sample)["nll"] == pytest.approx(-np.log(mass / e.sum(axis=1)).mean(), rel=1e-5)


def test_temperature_through_a_class_map():
    sample = sample_of(40_000, t=2.0, pairs=(0, 0, 1, 2, 1), n_classes=3)
    assert TemperatureScaling().fit(sample).temperature_ == pytest.approx(2.0, rel=0.1)


def test_classes_without_a_channel_are_left_out_and_said():
    sample = sample_of(2000)
    wider = LogitSample(
        np.vstack([sample.logits, sample.logits[:500]]),
        np.concatenate([sample.labels, np.full(500, 5, np.uint16)]),
        np.zeros(2500, np.int32), ("a",), 6, (0, 1, 2, 3, 4),
    )  # fmt: skip
    plain, wide = TemperatureScaling().fit(sample), TemperatureScaling().fit(wider)
    assert wide.temperature_ == plain.temperature_
    assert "20.0%" in wide.describe()[1]
    assert quality(wider)["left_out"] == 500
    only = take_rows(wider, wider.labels == 5)
    assert TemperatureScaling().fit(only).temperature_ == 1.0
    assert np.isnan(quality(only)["nll"])


def test_separable_pixels_end_at_the_bound_and_say_so():
    logits = np.eye(4, dtype=np.float32)[np.arange(400) % 4] * 5
    found = TemperatureScaling().fit(logits, np.arange(400) % 4)
    assert found.temperature_ == 0.05
    assert "bound" in found.describe()[1]


def test_constant_logits_leave_one():
    found = TemperatureScaling().fit(np.zeros((50, 3), np.float32), np.arange(50) % 3)
    assert found.temperature_ == 1.0


def test_noise_ends_at_the_upper_bound():
    rng = np.random.default_rng(0)
    found = TemperatureScaling().fit(rng.normal(size=(300, 3)), rng.permutation(np.arange(300) % 3))
    assert 5 < found.temperature_ <= 20


@pytest.mark.parametrize("n", [1, 2, 3])
def test_tiny_samples(n):
    logits = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])[:n]
    for objective in ("nll", "ece"):
        found = TemperatureScaling(objective).fit(logits, np.array([0, 0, 1])[:n])
        assert 0.05 <= found.temperature_ <= 20


def test_half_precision_and_whole_maps():
    sample = sample_of(1000)
    half = sample.logits.astype(np.float16)
    found = TemperatureScaling().fit(half, sample.labels)
    assert found.temperature_ == pytest.approx(TemperatureScaling().fit(sample).temperature_, rel=1e-2)
    new = found.transform_map(half.T.reshape(5, 25, 40))
    assert new.dtype == np.float32
    np.testing.assert_allclose(new.reshape(5, -1).T, found.transform(half))
    np.testing.assert_array_equal(
        found.temperature_map(new), np.full((25, 40), found.temperature_, np.float32)
    )


def test_void_of_plain_labels_is_left_out():
    sample = sample_of(500)
    logits = np.vstack([sample.logits, sample.logits[:2]])
    found = TemperatureScaling().fit(logits, np.concatenate([sample.labels, [255, 255]]).astype(np.int64))
    assert found.temperature_ == TemperatureScaling().fit(sample.logits, sample.labels).temperature_


def test_bad_input_is_refused():
    good = np.zeros((3, 2))
    for logits, labels in [
        (good, None), (good, np.zeros(2, int)), (good, np.full(3, 9)), (good * np.nan, np.zeros(3, int)),
        (good.astype(int), np.zeros(3, int)), (np.zeros((3, 0)), np.zeros(3, int)), (good, np.zeros(3)),
    ]:  # fmt: skip
        with pytest.raises(InputError):
            TemperatureScaling().fit(logits, labels)
    for options in ({"objective": "mse"}, {"bounds": (2.0, 3.0)}, {"bins": 0}, {"step": 0.0}):
        with pytest.raises(InputError):
            TemperatureScaling(**options).fit(good, np.zeros(3, int))
    with pytest.raises(InputError, match="isn't fitted"):
        TemperatureScaling().transform(good)


def test_contract_of_scikit_learn():
    found = TemperatureScaling("ece", bins=10).fit(sample_of(500))
    again = clone(found)
    assert again.get_params() == found.get_params()
    assert not again.fitted
    assert again.set_params(bins=12).bins == 12
    p = found.predict_proba(sample_of(50).logits)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(found.predict(sample_of(50).logits), p.argmax(axis=1))


def test_identity_changes_nothing():
    sample = sample_of(100)
    found = Identity().fit(sample)
    np.testing.assert_array_equal(found.apply(sample).logits, sample.logits)
    assert found.describe() == ["no calibration"]
    assert (found.temperature_map(np.zeros((3, 4, 5), np.float32)) == 1).all()


def test_defect_temperature_by_nll_is_not_a_grid():
    """Spec 2.1 item 9: the published aim is a grid of the very metric that is reported."""
    found = TemperatureScaling().fit(sample_of(3000, t=1.777))
    assert not np.isclose(grid(0.01), found.temperature_, atol=1e-6).any()


def test_many_pixels_are_reduced_for_the_ece():
    rng = np.random.default_rng(0)
    true = (rng.normal(size=(EXACT_PIXELS + 50_000, 4)) * 2).astype(np.float32)
    sample = LogitSample(
        true * np.float32(2.2), draw(true, rng).astype(np.uint16), np.zeros(len(true), np.int32), ("a",), 4
    )
    steps = np.arange(1.5, 3.0, 0.1)
    found, exact = best_temperature_ece(sample, steps, 15)
    assert not exact
    by_nll = quality(TemperatureScaling().fit(sample).apply(sample))["ece"]
    scaled = LogitSample(sample.logits / np.float32(found), sample.labels, sample.image, ("a",), 4)
    assert quality(scaled)["ece"] < by_nll + 2e-3
    assert "representatives" in TemperatureScaling("ece", step=0.5).fit(sample).describe()[1]
