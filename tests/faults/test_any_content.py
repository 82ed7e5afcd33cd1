"""Files that are well-formed but hold anything: a result or an ``InputError``, nothing else."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dubio.core.errors import InputError
from dubio.core.files import read_json
from dubio.data.images import read_image
from dubio.data.scores import detect_scores, load_scores, read_scores
from dubio.data.spaces import load_space
from dubio.errors.verdicts import read_verdicts

from ..toy import SPACE, logits, picture, scene
from . import makers
from .conftest import assert_plain
from .fuzzing import COMMON, FMT, VERDICTS, a_mask, survive

pytestmark = pytest.mark.filterwarnings("ignore")


@COMMON
@given(content=st.one_of(st.binary(max_size=60), st.text(max_size=40).map(lambda t: t.encode())))
def test_json_of_any_bytes(tmp_path, content):
    survive(read_json, tmp_path / "any.json", content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@COMMON
@given(key=st.sampled_from(list(VERDICTS["verdicts"][0])), value=JSON)
def test_a_verdict_with_any_value(tmp_path, key, value):
    data = {**VERDICTS, "verdicts": [{**VERDICTS["verdicts"][0], key: value}]}
    survive(read_verdicts, tmp_path / "verdicts.json", json.dumps(data).encode())


@COMMON
@given(
    where=st.sampled_from(["name", "classes", "void", "void_colors", "encodings", "classes_of"]), value=JSON
)
def test_a_label_space_with_any_value(tmp_path, where, value):
    data = {**SPACE.to_dict(), where: value}
    survive(load_space, tmp_path / "space.json", json.dumps(data).encode())


HEADER = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F16", "F32", "F64", "BF16", "I8", "?"]) | JSON,
        "shape": st.lists(st.integers(-2, 2**62), max_size=4) | JSON,
        "data_offsets": st.lists(st.integers(-8, 2**62), max_size=3) | JSON,
    }
)


@COMMON
@given(header=st.dictionaries(st.text(max_size=5), HEADER | JSON, max_size=2), body=st.binary(max_size=64))
def test_safetensors_with_any_header(tmp_path, header, body):
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + body
    survive(load_scores, tmp_path / "s.safetensors", content)


DTYPES = st.sampled_from(
    ["<f2", "<f4", ">f4", "<f8", "<i4", "|b1", "|O", "<U3", "<M8[s]", "<c8", "|V4", "<f16"]
)


@COMMON
@given(dtype=DTYPES, shape=st.lists(st.integers(0, 2**40), max_size=5), fortran=st.booleans())
def test_npy_with_any_header(tmp_path, dtype, shape, fortran):
    text = (
        f"{{'descr': '{dtype}', 'fortran_order': {fortran}, 'shape': {tuple(shape)!r}, }}".ljust(117) + "\n"
    )
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + bytes(96)
    survive(lambda p: read_scores(p, FMT), tmp_path / "s.npy", content)
    survive(lambda p: detect_scores([p], 3), tmp_path / "s.npy", content)
    survive(a_mask, tmp_path / "m.npy", content)


def header(text, body=b""):
    """Make a fault that writes a safetensors file of this header."""
    return lambda path: path.write_bytes(len(text).to_bytes(8, "little") + text + body)


CONTAINERS = [
    (".npz", makers.truncate, "truncated"),
    (".npz", makers.text, "no NPZ file"),
    (".npz", makers.picture_in, "no NPZ file"),
    (".npz", makers.empty, "it is empty"),
    (".npz", makers.pickled_npz, "Python objects"),
    (".npz", makers.npz_bomb, "truncated array"),
    (".npz", lambda p: np.savez(p, a=np.zeros(3), b=np.zeros(3)), "holds 2 arrays (a, b)"),
    (".npz", np.savez, "holds no arrays"),
    (".safetensors", makers.truncate, "truncated"),
    (".safetensors", makers.text, "no safetensors file"),
    (".safetensors", makers.header_only, "truncated"),
    (".safetensors", makers.bare_pickle, "no safetensors file"),
    (".safetensors", header(b"[1]"), "damaged"),
    (".safetensors", header(b"[" * 100_000), "damaged"),
    (".safetensors", header(b"{}"), "no arrays"),
    (".safetensors", header(b'{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}', bytes(8)), "I64"),
    (
        ".safetensors",
        header(b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}', bytes(8)),
        "truncated",
    ),
]


@pytest.mark.parametrize(("suffix", "fault", "words"), CONTAINERS)
def test_containers_of_scores(tmp_path, suffix, fault, words):
    path = tmp_path / f"s{suffix}"
    scores = logits(scene(0), 0)
    if suffix == ".npz":
        np.savez_compressed(path, scores=scores)
    else:
        text = {"s": {"dtype": "F32", "shape": scores.shape, "data_offsets": [0, scores.nbytes]}}
        header(json.dumps(text).encode(), scores.tobytes())(path)
    assert np.array_equal(read_scores(path, FMT), scores)
    fault(path)
    with pytest.raises(InputError) as caught:
        read_scores(path, FMT)
    assert words in str(caught.value)
    assert_plain(str(caught.value))


@pytest.mark.parametrize("share", [0.2, 0.6, 0.98])
@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".webp", ".bmp"])
def test_truncated_pictures(tmp_path, suffix, share):
    path = tmp_path / f"p{suffix}"
    Image.fromarray(picture(scene(0), 0)).save(path)
    makers.truncate(path, share)
    with pytest.raises(InputError) as caught:
        read_image(path)
    assert_plain(str(caught.value))
