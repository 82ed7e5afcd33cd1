from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio import InputError, LabelClass, LabelSpace
from dubio.data.classmap import ClassMap, load_class_map
from dubio.data.spaces import load_space

CITY, CAMVID, COMMA = (load_space(n) for n in ("cityscapes", "camvid", "comma10k"))


def test_cityscapes_to_camvid_is_the_published_table():
    table = "0>3 1>4 2>1 3>1 4>7 5>2 6>6 7>6 8>5 9>5 10>0 11>9 12>10 13>8 14>8 15>8 16>8 17>10 18>10"
    expected = tuple(int(pair.split(">")[1]) for pair in table.split())
    for name in ("cityscapes-camvid", None):
        found = load_class_map(name, CITY, CAMVID)
        assert found.pairs == expected
    assert found.uncovered == found.unmapped == ()


def test_cityscapes_to_comma10k_says_what_is_uncovered():
    found = load_class_map("cityscapes-comma10k", CITY, COMMA)
    assert found.uncovered == (1, 4)
    assert "lane markings, my car" in " ".join(found.describe())


def test_equal_names_in_any_order_and_case():
    def space(*names):
        return LabelSpace("s", tuple(LabelClass(k, n, (k, 0, 0)) for k, n in enumerate(names)))

    assert load_class_map(None, space("a", "B"), space("b", "A")).pairs == (1, 0)
    assert load_class_map(None, space("a", "b", "c"), space("c", "a")).pairs == (1, -1, 0)
    with pytest.raises(InputError, match="no namesake"):
        load_class_map(None, space("a", "b"), space("a", "c"))


def test_own_file(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('[map]\nroad = "Road"\n13 = 8\nsky = "void"\n')
    found = load_class_map(path, CITY, CAMVID)
    assert (found.pairs[0], found.pairs[13], found.pairs[10], found.pairs[2]) == (3, 8, -1, -1)
    assert "sky" in found.describe()[-1]
    path.write_text('[map]\nroat = "Road"\n')
    with pytest.raises(InputError, match=r"own\.toml.*roat"):
        load_class_map(path, CITY, CAMVID)
    path.write_text("road = 3\n")
    with pytest.raises(InputError, match=r"own\.toml"):
        load_class_map(path, CITY, CAMVID)
    with pytest.raises(InputError, match="cityscapes-camvid"):
        load_class_map("cityscapes-cmavid", CITY, CAMVID)


@settings(max_examples=30, deadline=None)
@given(pairs=st.lists(st.integers(-1, 4), min_size=19, max_size=19), seed=st.integers(0, 99))
def test_apply_keeps_all_probability(pairs, seed):
    if max(pairs) < 0:
        pairs[0] = 0
    found = ClassMap(CITY, COMMA, tuple(pairs))
    logits = np.random.default_rng(seed).normal(0, 5, (19, 2, 3)).astype(np.float16)
    out = found.apply(logits, "logits")
    assert out.shape == (5 + bool(found.unmapped), 2, 3)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.sum(0), 1, atol=1e-5)
    exp = np.exp(logits.astype(np.float64) - logits.max(0))
    expected = exp / exp.sum(0)
    for target in range(5):
        members = [k for k, p in enumerate(pairs) if p == target]
        np.testing.assert_allclose(out[target], expected[members].sum(0), atol=1e-5)
    np.testing.assert_allclose(found.apply(expected.astype(np.float32), "probabilities"), out, atol=1e-5)


def test_label_maps_and_wrong_sizes():
    found = load_class_map("cityscapes-camvid", CITY, CAMVID)
    assert found.apply_label_map(np.array([[0, 18, 19]], np.uint8)).tolist() == [[3, 10, 11]]
    with pytest.raises(InputError, match="19 classes"):
        found.apply(np.zeros((12, 2, 2), np.float32), "logits")
    with pytest.raises(InputError, match="2 entries"):
        ClassMap(CITY, CAMVID, (0, 1))
    with pytest.raises(InputError, match="beyond"):
        ClassMap(CITY, CAMVID, (11,) * 19)
    with pytest.raises(InputError, match="no class"):
        ClassMap(CITY, CAMVID, (-1,) * 19)
