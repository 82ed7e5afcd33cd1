from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dubio.core.errors import InputError
from dubio.models.maps import read_maps, write_maps
from dubio.models.tally import Tally


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 50), st.integers(1, 50), st.sampled_from([2, 19, 254, 255, 400]), st.integers(0, 9))
def test_maps_come_back_within_their_error(tmp_path_factory, height, width, classes, seed):
    rng = np.random.default_rng(seed)
    pred = rng.integers(0, classes + 1, (height, width)).astype(np.uint8 if classes < 255 else np.uint16)
    entropy, margin = rng.random((2, height, width), dtype=np.float32)
    path = tmp_path_factory.mktemp("maps") / "m.png"
    levels = write_maps(path, pred, entropy, margin, n_classes=classes)
    found = read_maps(path)
    np.testing.assert_array_equal(found.pred, pred)
    assert found.pred.dtype == pred.dtype
    assert (found.n_classes, found.levels) == (classes, levels)
    assert np.abs(found.entropy - entropy).max() <= found.max_error + 1e-6
    assert np.abs(found.margin - margin).max() <= found.max_error + 1e-6


def test_noise_is_rounded_until_it_fits(tmp_path):
    rng = np.random.default_rng(0)
    entropy, margin = rng.random((2, 400, 500), dtype=np.float32)
    pred = np.zeros((400, 500), np.uint8)
    path = tmp_path / "m.png"
    levels = write_maps(path, pred, entropy, margin, n_classes=3)
    assert levels < 256
    assert path.stat().st_size <= 0.95 * 400 * 500
    assert np.abs(read_maps(path).entropy - entropy).max() <= read_maps(path).max_error


def test_other_pictures_are_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "x.png")
    for name in ("x.png", "none.png"):
        with pytest.raises(InputError, match=name):
            read_maps(tmp_path / name)
    ones = np.ones((2, 2), np.float32)
    with pytest.raises(InputError, match="shapes"):
        write_maps(tmp_path / "m.png", np.zeros((2, 3), np.uint8), ones, ones, n_classes=2)


@given(st.integers(0, 99), st.integers(1, 5))
def test_tallies_add_up(seed, parts):
    rng = np.random.default_rng(seed)
    label, pred = rng.integers(0, 4, (2, 12, 10))
    whole = Tally.of(pred, label, 3)
    total = Tally.empty(3)
    for rows in np.array_split(np.arange(12), parts):
        total.add(Tally.of(pred[rows], label[rows], 3))
    assert total.to_dict() == whole.to_dict() == Tally.from_dict(whole.to_dict()).to_dict()
    valid = label < 3
    assert whole.accuracy == pytest.approx((pred == label)[valid].mean())


def test_nothing_labelled_is_nan():
    tally = Tally.of(np.array([[0]]), np.array([[2]]), 2)
    assert np.isnan(tally.accuracy)
    assert np.isnan(tally.mean_iou)
