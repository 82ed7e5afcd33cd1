"""Calibrators of class probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio.calibration.base import class_probabilities
from dubio.calibration.dirichlet import DirichletCalibration
from dubio.calibration.isotonic import IsotonicCalibration
from dubio.calibration.objective import quality
from dubio.core.errors import InputError

from .helpers import sample_of

MADE = [IsotonicCalibration(), IsotonicCalibration(top_label=True), DirichletCalibration()]
NAMES = ["isotonic", "top label", "dirichlet"]


@pytest.mark.parametrize("made", MADE, ids=NAMES)
@pytest.mark.parametrize("pairs", [None, (0, 0, 1, 2, 1), (0, 0, 1, -1, 1)])
def test_calibration_is_better_after_it(made, pairs):
    options = {} if pairs is None else {"pairs": pairs, "n_classes": max(pairs) + 1}
    sample = sample_of(20_000, t=3.0, **options)
    found = made.fit(sample)
    after = quality(found.apply(sample))
    assert after["ece"] < 0.5 * quality(sample)["ece"]
    assert after["nll"] < quality(sample)["nll"]


@pytest.mark.parametrize("made", MADE, ids=NAMES)
@pytest.mark.parametrize("pairs", [None, (0, 0, 1, -1, 1)])
def test_rows_maps_and_probabilities_agree(made, pairs):
    sample = sample_of(3000, pairs=pairs, n_classes=None if pairs is None else 2)
    found = made.fit(sample)
    stated = class_probabilities(sample.logits, sample.targets, sample.n_classes)
    rows = found.transform(stated)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-5)
    assert (rows >= 0).all()
    np.testing.assert_array_equal(rows, found.predict_proba(sample.logits))
    block = stated[:1000].T.reshape(-1, 20, 50)
    np.testing.assert_allclose(found.transform_map(block).reshape(len(block), -1).T, rows[:1000], rtol=1e-5)
    assert found.temperature_map(block) is None
    assert found.stage == "probabilities"


@given(st.integers(0, 500))
@settings(max_examples=15, deadline=None)
def test_top_label_keeps_the_order_of_the_classes(seed):
    sample = sample_of(400, t=3.0, seed=seed)
    found = IsotonicCalibration(top_label=True).fit(sample)
    before = class_probabilities(sample.logits, sample.targets, 5).astype(np.float64)
    after = found.transform(before.astype(np.float32)).astype(np.float64)
    order = before.argsort(axis=1)
    ranked = np.take_along_axis(after, order, axis=1)
    assert (np.diff(ranked, axis=1) >= -1e-7).all()


def test_top_label_states_the_observed_frequency():
    sample = sample_of(20_000, t=3.0)
    found = IsotonicCalibration(top_label=True).fit(sample)
    assert quality(found.apply(sample))["ece"] < 0.005


def test_isotonic_with_an_absent_class():
    sample = sample_of(2000)
    keep = sample.labels != 3
    found = IsotonicCalibration().fit(sample.logits[keep], sample.labels[keep])
    assert "1 of 5 classes" in found.describe()[1]
    np.testing.assert_array_equal(found.curves_[3][0], [0, 1])


def test_uniform_probabilities_are_no_fault():
    labels = np.arange(60) % 3
    for made in MADE:
        found = made.fit(np.zeros((60, 3), np.float32), labels)
        np.testing.assert_allclose(found.predict_proba(np.zeros((2, 3))), 1 / 3, atol=0.02)


def test_dirichlet_gradient_and_identity():
    found = DirichletCalibration()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 3)).astype(np.float32), rng.integers(0, 3, 50)
    at = rng.normal(size=12)
    _, gradient = found._loss(at, x, y)
    for i in range(12):
        step = np.eye(12)[i] * 1e-2
        slope = (found._loss(at + step, x, y)[0] - found._loss(at - step, x, y)[0]) / 2e-2
        assert gradient[i] == pytest.approx(slope, abs=2e-4)
    heavy = DirichletCalibration(penalty=1e6, bias_penalty=1e6).fit(sample_of(500))
    off = heavy.weights_ - np.diag(np.diag(heavy.weights_))
    assert np.abs(off).max() < 1e-3


def test_dirichlet_learns_from_part_of_many_pixels():
    found = DirichletCalibration(max_pixels=500).fit(sample_of(2000))
    assert "500 of 2000 pixels" in found.describe()[1]
    again = DirichletCalibration(max_pixels=500).fit(sample_of(2000))
    np.testing.assert_array_equal(found.weights_, again.weights_)


def test_other_label_spaces_are_refused():
    found = IsotonicCalibration().fit(sample_of(500)).name_classes("abcde")
    found.check_classes("abcde")
    for names in ("abcdx", "abcd"):
        with pytest.raises(InputError, match="other classes"):
            found.check_classes(names)
    with pytest.raises(InputError, match="5 classes, the sample has 2"):
        found.apply(sample_of(500, pairs=(0, 0, 1, 1, 1), n_classes=2))
    with pytest.raises(InputError, match="probabilities of 4 classes"):
        found.transform(np.full((2, 4), 0.25))
    with pytest.raises(InputError, match="3 names"):
        found.name_classes("abc")
    for bad in ({"penalty": -1}, {"max_pixels": 0}):
        with pytest.raises(InputError):
            DirichletCalibration(**bad).fit(sample_of(50))
