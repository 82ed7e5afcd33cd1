"""Sampled logits: the record, its files, and the choice of pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio import InputError, LogitSample, read_samples
from dubio.data.logits import join_samples, log_scores, read_sample, sample_pixels, write_sample


def sample(n=6, k=3, name="a", **more):
    rng = np.random.default_rng(n)
    return LogitSample(
        rng.normal(size=(n, k)).astype(np.float32),
        (np.arange(n) % k).astype(np.uint16),
        np.zeros(n, np.int32),
        (name,),
        more.pop("n_classes", k),
        **more,
    )


def write(path, one, size=(4, 5), seed=0):
    write_sample(path, one, places=np.arange(len(one)), seed=seed, size=size)


def test_a_file_holds_the_sample(tmp_path):
    one = sample(pairs=(0, 2, 1), features=np.ones((1, 4), np.float32))
    write(tmp_path / "a.npz", one)
    found = read_sample(tmp_path / "a.npz")
    np.testing.assert_array_equal(found.logits, one.logits.astype(np.float16))
    assert found.logits.dtype == np.float32
    np.testing.assert_array_equal(found.labels, one.labels)
    assert (found.image_ids, found.pairs, found.n_classes) == (("a",), (0, 2, 1), 3)
    np.testing.assert_array_equal(found.features, one.features)
    assert found.places.tolist() == list(range(6))
    assert found.sizes.tolist() == [[4, 5]]


def test_logits_beyond_half_precision_stay_finite(tmp_path):
    one = sample()
    one.logits[0, 0], one.logits[1, 1] = 1e9, -1e9
    write(tmp_path / "a.npz", one)
    assert np.isfinite(read_sample(tmp_path / "a.npz").logits).all()


def test_a_folder_is_joined_by_image_id(tmp_path):
    for file, name in (("2.npz", "b"), ("1.npz", "c"), ("x/3.npz", "a")):
        write(tmp_path / file, sample(4, name=name))
    found = read_samples(tmp_path)
    assert found.image_ids == ("a", "b", "c")
    assert found.image.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    part = found.take(["c", "a", "nobody"])
    assert part.image_ids == ("a", "c")
    assert part.image.tolist() == [0] * 4 + [1] * 4
    np.testing.assert_array_equal(part.logits, np.concatenate([found.logits[:4], found.logits[8:]]))


def test_what_does_not_belong_together_is_refused(tmp_path):
    with pytest.raises(InputError, match="no sampled logits"):
        read_samples(tmp_path)
    with pytest.raises(InputError, match="sampled twice"):
        join_samples([sample(name="a"), sample(name="a")])
    with pytest.raises(InputError, match="differ in channels or classes"):
        join_samples([sample(name="a"), sample(k=4, name="b")])
    with pytest.raises(InputError, match="one image, this sample has 2"):
        write(tmp_path / "a.npz", join_samples([sample(name="a"), sample(name="b")]))


def test_features_of_some_images_only_are_dropped():
    one, other = sample(name="a", features=np.ones((1, 2), np.float32)), sample(name="b")
    assert join_samples([one, other]).features is None
    assert join_samples([one]).features.shape == (1, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": np.zeros(2, np.uint16)},
        {"labels": np.full(6, 3, np.uint16)},
        {"image": np.ones(6, np.int32)},
        {"pairs": (0, 1)},
        {"n_classes": 4},
        {"features": np.ones((2, 3), np.float32)},
    ],
)
def test_contradictions_are_refused(wrong):
    one = sample()
    fields = {
        "logits": one.logits,
        "labels": one.labels,
        "image": one.image,
        "image_ids": ("a",),
        "n_classes": 3,
    }
    with pytest.raises(InputError):
        LogitSample(**{**fields, **wrong})


def test_damaged_and_foreign_files_are_named(tmp_path):
    write(tmp_path / "a.npz", sample())
    whole = (tmp_path / "a.npz").read_bytes()
    for content in (b"", b"no archive", whole[: len(whole) // 2]):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(InputError, match=r"a\.npz: .*damaged; extract it again"):
            read_sample(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", format=np.int64(9))
    with pytest.raises(InputError, match="has format 9"):
        read_sample(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", logits=np.array([{}], object))
    with pytest.raises(InputError):
        read_sample(tmp_path / "c.npz")
    with pytest.raises(InputError, match="doesn't exist"):
        read_sample(tmp_path / "d.npz")


def test_classes_of_channels():
    assert sample().targets.tolist() == [0, 1, 2]
    assert sample(pairs=(2, -1, 0)).targets.tolist() == [2, 3, 0]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 99), count=st.integers(-1, 60), void=st.floats(0, 1))
def test_pixels_are_drawn_without_void_and_repetition(seed, count, void):
    rng = np.random.default_rng(seed)
    label = np.where(rng.random((6, 8)) < void, 255, rng.integers(0, 3, (6, 8))).astype(np.uint8)
    places = sample_pixels(label, 3, count, seed=seed, image_id="a")
    known = int((label < 3).sum())
    assert len(places) == (known if count < 0 else min(count, known))
    assert (np.diff(places) > 0).all()
    assert (label.reshape(-1)[places] < 3).all()
    np.testing.assert_array_equal(places, sample_pixels(label, 3, count, seed=seed, image_id="a"))


def test_every_known_pixel_is_as_likely():
    label = np.zeros((5, 8), np.uint8)
    label[0] = 255
    counts = np.zeros(40)
    for n in range(2000):
        counts[sample_pixels(label, 1, 8, seed=n, image_id="a")] += 1
    assert (counts[:8] == 0).all()
    assert np.abs(counts[8:] / 2000 - 0.25).max() < 0.05


def test_defect_images_have_their_own_draw():
    """The released code seeded once per process: image k of every scene got the same places."""
    label = np.zeros((20, 20), np.uint8)
    one, other = (sample_pixels(label, 1, 30, seed=0, image_id=name).tolist() for name in "ab")
    assert one != other


def test_scores_as_logits():
    z = np.array([[1.0, -2.0]], np.float16)
    assert log_scores(z, "logits").dtype == np.float32
    p = np.array([[0.5, 0.0], [1.0, 1e-30]], np.float32)
    found = log_scores(p, "probabilities")
    np.testing.assert_allclose(found, [[np.log(0.5), -27], [0, -27]], rtol=1e-6)
