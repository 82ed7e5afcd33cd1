"""Planted errors are where and what they say they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio import InputError
from dubio.errors.plant import KINDS, fill_from_surroundings, plant

from ..toy import scene


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from(KINDS))
def test_truth_marks_exactly_what_changed(seed, kind):
    label = scene(seed)
    planted = plant(label, 3, np.random.default_rng(seed), rate=0.5, kinds={kind: 1}, min_size=20)
    np.testing.assert_array_equal(planted.truth > 0, planted.label != label)
    assert ((planted.label == 3) == (label == 3)).all(), "void is never changed nor written"
    for number, error in enumerate(planted.errors, start=1):
        changed = planted.truth == number
        assert error.kind == kind
        assert error.size == changed.sum() >= 20
        ys, xs = np.nonzero(changed)
        assert error.box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_what_each_kind_does(seed):
    label = scene(seed)
    for kind in ("drop", "swap", "erode"):
        planted = plant(label, 3, np.random.default_rng(seed), rate=0.4, kinds={kind: 1}, min_size=12)
        for number, error in enumerate(planted.errors, start=1):
            changed = planted.truth == number
            assert (label[changed] == error.given).all()
            assert (planted.label[changed] != error.given).all()


def test_same_seed_same_errors_and_the_input_stays():
    label = scene(3)
    kept = label.copy()
    first = plant(label, 3, np.random.default_rng(5), rate=0.5)
    second = plant(label, 3, np.random.default_rng(5), rate=0.5)
    np.testing.assert_array_equal(first.label, second.label)
    np.testing.assert_array_equal(label, kept)


def test_rate_is_kept_on_average():
    found = eligible = 0
    for seed in range(60):
        label = scene(seed)
        planted = plant(label, 3, np.random.default_rng(seed), rate=0.2, kinds={"drop": 1}, max_share=0.5)
        from dubio.regions.extract import components

        ids, n = components(label, 3)
        sizes = np.bincount(ids.ravel(), minlength=n + 1)[1:]
        eligible += int(((sizes >= 30) & (sizes <= 0.5 * label.size)).sum())
        found += len(planted.errors)
    assert found / eligible == pytest.approx(0.2, abs=0.06)


def test_hole_takes_the_nearest_class_but_void():
    label = np.array([[0, 0, 5, 5, 1, 9]], np.uint8)
    hole = np.array([[False, False, True, True, False, False]])
    assert fill_from_surroundings(label, hole, 9).tolist() == [[0, 0, 0, 1, 1, 9]]
    assert fill_from_surroundings(np.full((2, 2), 9, np.uint8), np.ones((2, 2), bool), 9).tolist() == [
        [9, 9],
        [9, 9],
    ]


def test_bad_options_are_refused():
    label = scene(0)
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="unknown kind"):
        plant(label, 3, rng, kinds={"melt": 1})
    with pytest.raises(InputError, match="between 0 and 1"):
        plant(label, 3, rng, rate=2)
    with pytest.raises(InputError, match="must be positive"):
        plant(label, 3, rng, kinds={"drop": 0})


def test_empty_and_void_images_have_no_errors():
    for label in (np.full((20, 20), 3, np.uint8), np.zeros((20, 20), np.uint8)):
        assert plant(label, 3, np.random.default_rng(0), rate=1).errors == ()
