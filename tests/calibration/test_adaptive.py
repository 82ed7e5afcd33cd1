"""A temperature per image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from dubio.calibration.adaptive import AdaptiveTemperature
from dubio.calibration.files import load_calibrator
from dubio.calibration.objective import quality
from dubio.calibration.temperature import TemperatureScaling
from dubio.core.errors import InputError
from dubio.data.logits import LogitSample


def two_kinds(images: int = 40, pixels: int = 300, seed: int = 0) -> LogitSample:
    """Clear images, whose logits are right, and lost ones: flat to look at and three times too large."""
    rng = np.random.default_rng(seed)
    logits, labels, owner = [], [], []
    for image in range(images):
        lost = image % 2 == 1
        true = rng.normal(0, 0.6 if lost else 3.0, (pixels, 5))
        p = np.exp(true) / np.exp(true).sum(1, keepdims=True)
        labels.append([rng.choice(5, p=row) for row in p])
        logits.append(true * (3 if lost else 1))
        owner.append(np.full(pixels, image))
    return LogitSample(
        np.concatenate(logits).astype(np.float32),
        np.concatenate(labels).astype(np.uint16),
        np.concatenate(owner).astype(np.int32),
        tuple(f"i{n}" for n in range(images)),
        5,
    )


def test_each_kind_of_image_gets_its_temperature():
    found = AdaptiveTemperature().fit(two_kinds())
    other = two_kinds(seed=1)
    clear, lost = (
        np.mean([found.image_temperature(other.logits[other.image == n].T) for n in range(k, 40, 2)])
        for k in (0, 1)
    )
    assert clear == pytest.approx(1.0, abs=0.15)
    assert lost == pytest.approx(3.0, abs=0.4)


def test_better_than_one_temperature_on_other_images():
    sample, other = two_kinds(), two_kinds(seed=1)
    one = quality(TemperatureScaling().fit(sample).apply(other))
    each = quality(AdaptiveTemperature().fit(sample).apply(other))
    assert each["ece"] < one["ece"] / 2
    assert each["nll"] < one["nll"]


def test_without_images_that_differ_it_is_plain_temperature_scaling():
    rng = np.random.default_rng(3)
    z = rng.normal(0, 2, (3000, 4)).astype(np.float32)
    y = np.array([rng.choice(4, p=np.exp(r / 2) / np.exp(r / 2).sum()) for r in z.astype(float)])
    plain = TemperatureScaling().fit(z, y).temperature_
    assert AdaptiveTemperature().fit(z, y).image_temperature(z.T) == pytest.approx(plain, rel=1e-6)


def test_the_winner_of_a_pixel_never_changes():
    sample = two_kinds()
    found = AdaptiveTemperature().fit(sample)
    assert np.array_equal(found.predict(sample.logits, images=sample.image), sample.logits.argmax(1))


def test_the_order_of_images_does_not_matter():
    sample = two_kinds()
    order = np.random.default_rng(0).permutation(len(sample))
    mixed = replace(
        sample, logits=sample.logits[order], labels=sample.labels[order], image=sample.image[order]
    )
    a, b = AdaptiveTemperature().fit(sample), AdaptiveTemperature().fit(mixed)
    np.testing.assert_allclose(a.weights_, b.weights_, atol=1e-3)


def test_strange_images_are_held_at_the_farthest_that_was_seen():
    found = AdaptiveTemperature().fit(two_kinds())
    z = np.random.default_rng(0).normal(0, 1, (5, 100))
    far, farther = (found.image_temperature(z * k) for k in (1e4, 1e6))
    assert far == farther
    assert np.isfinite(far)


def test_maps_and_rows_agree(tmp_path: Path):
    found = AdaptiveTemperature().fit(two_kinds())
    z = np.random.default_rng(0).normal(0, 2, (5, 20, 30)).astype(np.float32)
    whole = found.transform_map(z)
    np.testing.assert_allclose(whole.reshape(5, -1).T, found.transform(z.reshape(5, -1).T), rtol=1e-5)
    temperature = found.temperature_map(z)
    np.testing.assert_allclose(whole * temperature, z, rtol=1e-5)
    found.save(tmp_path / "a.npz")
    again = load_calibrator(tmp_path / "a.npz")
    assert np.array_equal(again.transform_map(z), whole)
    assert again.describe() == found.describe()


def test_contract_and_bad_input():
    made = AdaptiveTemperature(ridge=0.5)
    assert clone(made).get_params() == made.get_params()
    with pytest.raises(InputError, match="isn't fitted"):
        made.transform(np.zeros((3, 5), np.float32))
    with pytest.raises(InputError, match="channels"):
        made.fit(two_kinds(4)).transform_map(np.zeros((3, 4, 4), np.float32))
    with pytest.raises(InputError, match="ridge"):
        AdaptiveTemperature(ridge=-1).fit(two_kinds(4))
