from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio import InputError
from dubio.data.scores import ScoreFormat, detect_scores, read_scores, resize_scores

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(5, 6, 8)).astype(np.float32)


def softmax(logits):
    exp = np.exp(logits - logits.max(0))
    return exp / exp.sum(0)


def save(path, array, key="scores"):
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez(path, **{key: array})
    else:
        from safetensors.numpy import save_file

        save_file({key: np.ascontiguousarray(array)}, path)
    return path


def is_mapped(array):
    while array is not None and not isinstance(array, np.memmap):
        array = array.base
    return array is not None


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
@pytest.mark.parametrize("layout", ["chw", "hwc"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_containers_are_mapped_and_exact(tmp_path, suffix, layout, dtype):
    logits = LOGITS.astype(dtype)
    path = save(tmp_path / f"a{suffix}", logits if layout == "chw" else np.moveaxis(logits, 0, -1))
    fmt, said = detect_scores([path], 5)
    assert (fmt.layout, fmt.kind, fmt.dtype, fmt.n_channels) == (layout, "logits", dtype, 5)
    assert "logits" in said[0]
    scores = read_scores(path, fmt)
    assert np.array_equal(scores, logits)
    assert scores.dtype == logits.dtype
    # Bytes that lie askew in the file can't be mapped; then the array is read.
    assert is_mapped(scores) or (suffix == ".npz" and dtype != "float16")
    assert not scores.flags.writeable or not is_mapped(scores)


def test_compressed_npz_batch_axis_and_bfloat16(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", logits=LOGITS[None])
    fmt, _ = detect_scores([tmp_path / "a.npz"], 5)
    assert np.array_equal(read_scores(tmp_path / "a.npz", fmt), LOGITS)
    import torch
    from safetensors.torch import save_file

    save_file({"x": torch.tensor(LOGITS).bfloat16()}, tmp_path / "b.safetensors")
    fmt, _ = detect_scores([tmp_path / "b.safetensors"], 5)
    expected = torch.tensor(LOGITS).bfloat16().float().numpy()
    assert np.array_equal(read_scores(tmp_path / "b.safetensors", fmt), expected)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), classes=st.integers(2, 150), spread=st.floats(0.1, 20))
def test_softmax_is_probabilities_and_logits_are_not(tmp_path_factory, dtype, seed, classes, spread):
    logits = np.random.default_rng(seed).normal(0, spread, (classes, 3, 200))
    folder = tmp_path_factory.mktemp("s")
    save(folder / "p.npy", softmax(logits).astype(dtype))
    save(folder / "l.npy", logits.astype(dtype))
    assert detect_scores([folder / "p.npy"], classes)[0].kind == "probabilities"
    assert detect_scores([folder / "l.npy"], classes)[0].kind == "logits"


def test_sigmoid_scores_are_refused_unless_named(tmp_path):
    path = save(tmp_path / "a.npy", (1 / (1 + np.exp(-LOGITS))).astype(np.float32))
    with pytest.raises(InputError, match="sigmoid"):
        detect_scores([path], 5)
    assert detect_scores([path], 5, kind="logits")[0].kind == "logits"


def test_claimed_probabilities_are_checked(tmp_path):
    path = save(tmp_path / "a.npy", LOGITS)
    with pytest.raises(InputError, match="no probabilities"):
        detect_scores([path], 5, kind="probabilities")


def test_layout_ambiguity(tmp_path):
    square = save(tmp_path / "a.npy", RNG.normal(size=(5, 7, 5)))
    fmt, said = detect_scores([square], 5)
    assert fmt.layout == "chw"
    assert "say so if it is HWC" in said[0]
    assert detect_scores([square], 5, layout="hwc")[0].layout == "hwc"
    with pytest.raises(InputError, match="channel axis"):
        detect_scores([square], None)
    other = save(tmp_path / "b.npy", RNG.normal(size=(9, 7, 5)))
    assert detect_scores([square, other], 5)[0].layout == "hwc"


def test_channels(tmp_path):
    path = save(tmp_path / "a.npy", LOGITS)
    fmt, said = detect_scores([path], 4)
    assert fmt.n_channels == 5
    assert "channel 4 has no class" in said[1]
    with pytest.raises(InputError, match="class map"):
        detect_scores([path], 3)
    assert detect_scores([path], None)[0].n_channels == 5
    with pytest.raises(InputError, match="5 channels where others have 4"):
        read_scores(path, ScoreFormat(None, "chw", "logits", "float32", 4))


def test_keys(tmp_path):
    np.savez(tmp_path / "a.npz", logits=LOGITS, features=LOGITS)
    fmt, _ = detect_scores([tmp_path / "a.npz"], 5)
    assert fmt.n_channels == 5
    np.savez(tmp_path / "b.npz", one=LOGITS, two=LOGITS + 1)
    with pytest.raises(InputError, match="one, two"):
        detect_scores([tmp_path / "b.npz"], 5)
    fmt, _ = detect_scores([tmp_path / "b.npz"], 5, key="two")
    assert np.array_equal(read_scores(tmp_path / "b.npz", fmt), LOGITS + 1)
    with pytest.raises(InputError, match="no array 'three'"):
        detect_scores([tmp_path / "b.npz"], 5, key="three")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("layout", ["chw", "hwc"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path, dtype, layout, value):
    good = save(tmp_path / "good.npy", LOGITS.astype(dtype))
    bad = LOGITS.astype(dtype)
    bad[3, 2, 1] = value
    path = save(tmp_path / "bad.npy", bad if layout == "chw" else np.moveaxis(bad, 0, -1))
    fmt = ScoreFormat(None, layout, "logits", dtype, 5)
    with pytest.raises(InputError, match=r"bad\.npy.*NaN"):
        read_scores(path, fmt)
    if layout == "chw":
        assert detect_scores([path, good], 5)[0].kind == "logits"


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_broken_files(tmp_path, suffix):
    whole = save(tmp_path / f"a{suffix}", LOGITS)
    fmt, _ = detect_scores([whole], 5)
    for size in (0, 20, 300):
        path = tmp_path / f"cut{size}{suffix}"
        path.write_bytes(whole.read_bytes()[:size])
        with pytest.raises(InputError, match=path.name):
            read_scores(path, fmt)


def test_wrong_arrays(tmp_path):
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "i.npy", np.zeros((5, 6, 8), np.int64))
    np.save(tmp_path / "f.npy", np.zeros((6, 8)))
    for name in ("o.npy", "i.npy", "f.npy", "none.npy"):
        with pytest.raises(InputError, match=name):
            detect_scores([tmp_path / name], 5)
    with pytest.raises(InputError, match="no score files"):
        detect_scores([], 5)


@settings(max_examples=40, deadline=None)
@given(
    old=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    new=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    dtype=st.sampled_from([np.float16, np.float32]),
)
def test_resize_equals_torch(old, new, dtype):
    import torch

    scores = np.random.default_rng(1).normal(size=(3, *old)).astype(dtype)
    ours = resize_scores(scores, new, "logits", aspect_tolerance=np.inf)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(scores.astype(np.float32))[None], new, mode="bilinear", align_corners=False
    )[0].numpy()
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(size=st.tuples(st.integers(1, 30), st.integers(1, 30)), seed=st.integers(0, 99))
def test_resized_probabilities_stay_probabilities(size, seed):
    scores = softmax(np.random.default_rng(seed).normal(0, 3, (4, 7, 9))).astype(np.float16)
    resized = resize_scores(scores, size, "probabilities", aspect_tolerance=np.inf)
    np.testing.assert_allclose(resized.sum(0), 1, atol=1e-5)
    assert resized.min() >= 0


def test_resize_refuses_other_proportions():
    scores = np.zeros((2, 90, 120), np.float32)
    assert resize_scores(scores, (360, 480), "logits").shape == (2, 360, 480)
    assert resize_scores(np.zeros((2, 361, 481)), (360, 480), "logits").shape == (2, 360, 480)
    for size in ((480, 360), (400, 480), (0, 5)):
        with pytest.raises(InputError):
            resize_scores(scores, size, "logits")
