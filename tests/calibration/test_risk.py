from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from dubio.calibration.risk import LOSSES, RiskControl, hoeffding_bentkus
from dubio.core.errors import InputError

ALPHA = 0.2


def image(rng, size=12, easy=0.0):
    """An image of two classes whose difficulty varies."""
    label = (rng.random((size, size)) < rng.uniform(0.2, 0.6)).astype(np.uint8)
    z = np.where(label == 1, 1.2 + easy, -1.2 - easy) + rng.normal(size=label.shape) + rng.normal(0, 0.8)
    p = (1 / (1 + np.exp(-z))).astype(np.float32)
    return np.stack([1 - p, p]), label


def loss_of(mask, label, loss, c=1):
    inside, own = mask[c], label == c
    if loss == "miss_rate":
        return (own & ~inside).sum() / own.sum()
    if loss == "false_positive_rate":
        return (inside & ~own).sum() / (~own).sum()
    return (inside & ~own).sum() / max(inside.sum(), 1)


def control_of(images, *options, **more):
    control = RiskControl(*options, **more)
    for p, label in images:
        control.update(p, label)
    return control.fit()


@pytest.fixture(scope="module")
def draws():
    rng = np.random.default_rng(0)
    return [[image(rng) for _ in range(45)] for _ in range(150)]


@pytest.mark.parametrize("loss", LOSSES)
def test_expected_loss_of_the_next_image_is_covered(draws, loss):
    """Mean over many draws of calibration images and new ones; allowed: three standard errors."""
    means = []
    for images in draws:
        control = control_of(images[:30], loss, ALPHA)
        means.append(np.mean([loss_of(control.predict_mask(p), label, loss) for p, label in images[30:]]))
    error = np.std(means) / np.sqrt(len(means))
    assert np.mean(means) <= ALPHA + 3 * error
    # and the promise isn't kept by giving everything away
    assert np.mean(means) > ALPHA / 2


@pytest.mark.parametrize("loss", LOSSES)
def test_confidence_is_covered(draws, loss):
    """The true expected loss, measured on many images, exceeds alpha in at most 30 % of the draws."""
    rng = np.random.default_rng(1)
    fresh = [image(rng) for _ in range(300)]
    exceeded = 0
    for images in draws[:60]:
        control = control_of(images, loss, ALPHA, confidence=0.7)
        exceeded += np.mean([loss_of(control.predict_mask(p), label, loss) for p, label in fresh]) > ALPHA
    assert exceeded <= binom.ppf(0.999, 60, 0.3)
    assert np.isfinite(control.threshold_).all()


def test_hoeffding_bentkus_is_a_p_value():
    """For losses of 0 or 1 with mean alpha, P(p <= u) must not exceed u."""
    rng = np.random.default_rng(0)
    risk = rng.binomial(40, 0.2, 20_000) / 40
    p = hoeffding_bentkus(risk, 40, 0.2)
    for u in (0.05, 0.1, 0.3):
        assert (p <= u).mean() <= u + 3 * np.sqrt(u / 20_000)
    assert (np.diff(hoeffding_bentkus(np.linspace(0, 0.3, 50), 40, 0.2)) >= -1e-12).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_risk_is_the_mean_loss_at_the_threshold(loss):
    rng = np.random.default_rng(5)
    images = [image(rng, 20) for _ in range(40)]
    control = control_of(images, loss, ALPHA, confidence=0.9)
    losses = [loss_of(control.predict_mask(p), label, loss) for p, label in images]
    assert control.risk_[1] == pytest.approx(np.mean(losses), abs=1e-9)


def test_stricter_levels_give_larger_masks():
    rng = np.random.default_rng(2)
    images = [image(rng) for _ in range(60)]
    found = [control_of(images, "miss_rate", a).threshold_[1] for a in (0.05, 0.1, 0.2, 0.4)]
    assert found == sorted(found)
    sure = control_of(images, "miss_rate", 0.2, confidence=0.9).threshold_[1]
    assert sure <= control_of(images, "miss_rate", 0.2).threshold_[1]


def test_merge_equals_the_whole():
    rng = np.random.default_rng(3)
    images = [image(rng) for _ in range(30)]
    whole = control_of(images)
    first, second = control_of(images[:11]), control_of(images[11:])
    first.merge(second)
    first.fit()
    np.testing.assert_array_equal(first.threshold_, whole.threshold_)
    np.testing.assert_allclose(first.risk_, whole.risk_, rtol=1e-12)
    empty = RiskControl()
    empty.merge(whole)
    np.testing.assert_array_equal(empty.fit().threshold_, whole.threshold_)
    with pytest.raises(InputError, match="don't add up"):
        first.merge(RiskControl(alpha=0.3))


def test_one_threshold_for_all_classes():
    rng = np.random.default_rng(4)
    images = [image(rng) for _ in range(80)]
    control = control_of(images, alpha=0.1, per="pixel")
    assert control.threshold_.shape == (1,)
    missed = [
        1 - np.take_along_axis(control.predict_mask(p), label[None].astype(int), axis=0).mean()
        for p, label in images
    ]
    assert np.mean(missed) == pytest.approx(control.risk_[0], abs=1e-6)
    assert (80 * np.mean(missed) + 1) / 81 <= 0.1 + 1e-9


def test_images_without_the_class_and_void_do_not_count():
    rng = np.random.default_rng(6)
    images = [image(rng) for _ in range(40)]
    plain = control_of(images)
    blank = (np.full((2, 4, 4), 0.5, np.float32), np.zeros((4, 4), np.uint8))
    more = control_of([*images, *[blank] * 20])
    assert more.threshold_[1] == plain.threshold_[1]
    framed = [
        (np.pad(p, [(0, 0), (2, 2), (2, 2)]), np.pad(label, 2, constant_values=255)) for p, label in images
    ]
    np.testing.assert_array_equal(control_of(framed).threshold_, plain.threshold_)


@pytest.mark.parametrize(("confidence", "least"), [(None, 9), (0.9, 22)])
def test_too_few_images_are_said(confidence, least):
    p = np.stack([np.zeros((4, 4)), np.ones((4, 4))]).astype(np.float32)
    label = np.ones((4, 4), np.uint8)
    few = control_of([(p, label)] * (least - 1), "miss_rate", 0.1, confidence)
    assert few.threshold_[1] == 0
    assert few.predict_mask(p)[1].all()
    assert f"{least} could" in few.reasons_[1]
    enough = control_of([(p, label)] * least, "miss_rate", 0.1, confidence)
    assert enough.threshold_[1] == 1
    assert 1 not in enough.reasons_
    assert "no calibration image counts" in enough.reasons_[0]
    assert np.isnan(enough.risk_[0])
    assert any("class 0" in line for line in enough.describe())


def test_unattainable_level_of_false_discoveries():
    rng = np.random.default_rng(7)
    images = [(image(rng)[0], np.zeros((12, 12), np.uint8)) for _ in range(25)]
    control = control_of(images, "false_discovery", 0.05)
    assert not any(control.predict_mask(p)[1].any() for p, _ in images)
    assert "no other mask" in control.reasons_[1]


def test_saved_and_loaded(tmp_path):
    rng = np.random.default_rng(8)
    control = control_of([image(rng) for _ in range(30)], "false_positive_rate", 0.2, 0.8)
    control.save(tmp_path / "risk")
    again = RiskControl.load(tmp_path / "risk")
    np.testing.assert_array_equal(again.threshold_, control.threshold_)
    assert again.describe() == control.describe()
    (tmp_path / "cut").write_bytes((tmp_path / "risk").read_bytes()[:200])
    with pytest.raises(InputError):
        RiskControl.load(tmp_path / "cut")


def test_bad_input_is_refused():
    for options in (
        {"loss": "regret"}, {"alpha": 0.0}, {"alpha": 1.0}, {"confidence": 1.0},
        {"loss": "false_discovery", "per": "pixel"}, {"per": "image"},
    ):  # fmt: skip
        with pytest.raises(InputError):
            RiskControl(**options)
    p, label = image(np.random.default_rng(0))
    control = RiskControl()
    for call in (control.fit, control.describe, lambda: control.predict_mask(p), lambda: control.save("x")):
        with pytest.raises(InputError):
            call()
    control.update(p, label)
    bad = [(p * 3, label), (p - 1, label), (p * np.nan, label), (p, label[:3]), (p[:1], label), (p[0], label)]
    for scores, labels in [*bad, (p, label.astype(np.int64) - 5), (p, label.astype(float))]:
        with pytest.raises(InputError):
            control.update(scores, labels)
    with pytest.raises(InputError, match="probabilities of 1 classes"):
        control.fit().predict_mask(p[:1])


def test_probabilities_that_round_above_one_and_minus_zero():
    p = np.array([[[1.0 + 1e-6, -0.0]], [[0.0, 1.0]]], np.float32)
    control = control_of([(p, np.array([[0, 1]]))] * 30)
    np.testing.assert_array_equal(control.predict_mask(p), [[[True, False]], [[False, True]]])
