from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio.calibration.assign import logit_features, sample_features
from dubio.calibration.classwise import ClasswiseTemperature
from dubio.calibration.clustered import ClusteredTemperature
from dubio.calibration.objective import quality
from dubio.calibration.temperature import TemperatureScaling
from dubio.core.errors import InputError

from .helpers import sample_of, shuffled

KINDS = np.arange(12) % 2


def two_kinds(features=True, **options):
    """Twelve images of two kinds: T = 1 and T = 4; the features tell the kind."""
    rng = np.random.default_rng(3)
    told = (KINDS[:, None] * 10 + rng.normal(size=(12, 3))).astype(np.float32) if features else None
    return sample_of(24_000, t=np.where(KINDS, 4.0, 1.0), images=12, features=told, **options)


@given(st.integers(0, 200), st.sampled_from(["nll", "ece"]), st.sampled_from(["hard", "soft"]))
@settings(max_examples=10, deadline=None)
def test_one_cluster_is_plain_temperature(seed, objective, assignment):
    sample = sample_of(1500, seed=seed)
    one = ClusteredTemperature(1, objective=objective, assignment=assignment, step=0.1).fit(sample)
    plain = TemperatureScaling(objective, step=0.1).fit(sample)
    assert one.temperatures_[0] == pytest.approx(plain.temperature_, rel=1e-6)
    assert one.needs == frozenset()
    np.testing.assert_allclose(one.transform(sample.logits), plain.transform(sample.logits), rtol=1e-6)
    assert one.describe()[0] == plain.describe()[0]


def test_one_cluster_per_class_is_classwise_temperature():
    sample = sample_of(3000)
    one = ClusteredTemperature(1, per_class=True, min_pixels=50).fit(sample)
    same = ClasswiseTemperature(min_pixels=50).fit(sample)
    np.testing.assert_allclose(one.transform(sample.logits), same.transform(sample.logits), rtol=1e-6)


@pytest.mark.parametrize("method", ["kmeans", "gmm"])
@pytest.mark.parametrize("assignment", ["hard", "soft"])
@pytest.mark.parametrize("features", [True, False])
def test_two_kinds_of_images_get_their_temperatures(method, assignment, features):
    sample = two_kinds(features)
    options = {"method": method, "assignment": assignment, "shrinkage": 0.0}
    found = ClusteredTemperature(2, **options).fit(sample)
    assert sorted(found.temperatures_) == pytest.approx([1.0, 4.0], rel=0.15)
    assert found.needs == (frozenset({"features"}) if features else frozenset())
    plain = TemperatureScaling().fit(sample)
    assert quality(found.apply(sample))["nll"] < quality(plain.apply(sample))["nll"]


@pytest.mark.parametrize("features", [True, False])
@pytest.mark.parametrize("per_class", [True, False])
def test_maps_equal_rows(features, per_class):
    sample = two_kinds(features)
    found = ClusteredTemperature(2, assignment="soft", per_class=per_class, min_pixels=200).fit(sample)
    rows = found.apply(sample).logits
    for i in (0, 1):
        mine = sample.image == i
        block = sample.logits[mine].T.reshape(5, 40, 50)
        told = sample.features[i] if features else None
        new = found.transform_map(block, features=told)
        np.testing.assert_allclose(new.reshape(5, -1).T, rows[mine], rtol=1e-4)
        t = found.temperature_map(block, features=told)
        np.testing.assert_allclose(new * t, block, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(new.argmax(axis=0), block.argmax(axis=0))


@pytest.mark.parametrize("method", ["kmeans", "gmm"])
def test_order_of_images_does_not_matter(method):
    sample = two_kinds()
    a = ClusteredTemperature(3, method).fit(sample)
    b = ClusteredTemperature(3, method).fit(shuffled(sample))
    np.testing.assert_allclose(a.temperatures_, b.temperatures_, rtol=1e-6)
    np.testing.assert_allclose(
        a.image_temperatures(sample.features), b.image_temperatures(sample.features), rtol=1e-6
    )


def test_units_of_features_do_not_matter():
    sample = two_kinds()
    units = np.array([1e-3, 1.0, 1e4], np.float32)
    other = two_kinds()
    object.__setattr__(other, "features", sample.features * units)
    a, b = ClusteredTemperature(2).fit(sample), ClusteredTemperature(2).fit(other)
    np.testing.assert_allclose(
        a.image_temperatures(sample.features), b.image_temperatures(other.features), rtol=1e-4
    )


def test_small_clusters_fall_back_and_others_are_drawn():
    sample = two_kinds()
    found = ClusteredTemperature(2, min_images=7).fit(sample)
    assert (found.temperatures_ == found.pooled_).all()
    assert "2 of 2 clusters are too small" in found.describe()[1]
    free, drawn = (ClusteredTemperature(2, shrinkage=s).fit(sample) for s in (0.0, 6.0))
    middle = np.sqrt(free.temperatures_ * free.pooled_)
    np.testing.assert_allclose(drawn.temperatures_, middle, rtol=1e-6)


def test_more_clusters_than_images():
    found = ClusteredTemperature(8, min_images=1, min_pixels=1).fit(sample_of(800, images=3))
    assert len(found.temperatures_) == 3
    assert "3 images make no 8 clusters" in " ".join(found.describe())


def test_equal_images_are_no_fault(recwarn):
    sample = sample_of(800, images=5, features=np.ones((5, 2), np.float32))
    for method in ("kmeans", "gmm"):
        found = ClusteredTemperature(3, method).fit(sample)
        assert np.isfinite(found.apply(sample).logits).all()
    assert not recwarn.list


def test_features_of_logits_describe_the_image():
    logits = np.zeros((3, 2, 2), np.float32)
    np.testing.assert_allclose(logit_features(logits), [1 / 3] * 4 + [1], rtol=1e-6)
    logits[1] = 50
    np.testing.assert_allclose(logit_features(logits), [0, 1, 0, 1, 0], atol=1e-6)
    rows = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    images = np.arange(50) % 2
    found = sample_features(rows, images, 3)
    np.testing.assert_allclose(found[1], logit_features(rows[1::2].T), rtol=1e-5)
    np.testing.assert_array_equal(found[2], 0)


def test_bad_input_is_refused():
    sample = two_kinds()
    for options in (
        {"n_clusters": 0}, {"n_clusters": -1}, {"method": "dbscan"}, {"assignment": "both"},
        {"shrinkage": -1.0}, {"min_images": 0}, {"reg_covar": 0.0},
    ):  # fmt: skip
        with pytest.raises(InputError):
            ClusteredTemperature(**options).fit(sample)
    found = ClusteredTemperature(2).fit(sample)
    block = sample.logits[:100].T.reshape(5, 10, 10)
    with pytest.raises(InputError, match="needs features"):
        found.transform_map(block)
    with pytest.raises(InputError, match="3 features"):
        found.transform_map(block, features=np.zeros(4))
    with pytest.raises(InputError, match="features of 2 images"):
        found.transform(sample.logits, images=sample.image, features=sample.features[:2])
    with pytest.raises(InputError, match="NaN"):
        found.transform_map(block, features=np.full(3, np.nan))
    with pytest.raises(InputError):
        ClusteredTemperature.from_centers(np.zeros((2, 3)), np.array([1.0, 0.0]))


def test_defect_one_cluster_needs_no_features_for_any_assignment():
    """Spec 2.2: soft assignment with one cluster raised NameError."""
    sample = sample_of(500)
    for assignment in ("hard", "soft"):
        found = ClusteredTemperature(1, assignment=assignment).fit(sample)
        assert found.transform_map(sample.logits[:4].T.reshape(5, 2, 2)).shape == (5, 2, 2)
