"""The published operations: reference outputs, labels that move, chains, augmentation."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubio import InputError
from dubio.data.corrupt import Augmentation, corruption_names, load_corruption, parse_chain, parse_corruptions
from dubio.data.corrupt.published import (
    OPERATIONS,
    PUBLISHED_GREY,
    add_noise,
    black_and_white,
    shift_channels,
    turn,
)

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (24, 36, 3), dtype=np.uint8)
GREY = np.repeat(RNG.integers(0, 256, (24, 36, 1), dtype=np.uint8), 3, axis=2)
LABEL = RNG.integers(0, 5, (24, 36)).astype(np.uint8)
OPTIONS = {"seed": 0, "image_id": "a", "void": 5}


@pytest.fixture(scope="module")
def oracle(shared):
    with np.load(shared / "oracle/1_reliability/transforms.npz", allow_pickle=False) as data:
        return {name: data[name] for name in data.files}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("identity", None),
        ("brightness", 0.5),
        ("brightness", 1.6),
        ("color", 0.3),
        ("contrast", 1.7),
        ("contrast", 0.2),
        ("solarize", 128),
        ("invert", None),
        ("blur", None),
    ],
)
def test_reference_outputs(oracle, name, value):
    (image,), (wanted,) = oracle["image"], oracle[f"{name}_{value}"]
    found = OPERATIONS[name].apply(image, value or 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(found, wanted)


def test_reference_rotation(oracle):
    found, none = turn(oracle["image"][0], None, 20, 0)
    np.testing.assert_array_equal(found, oracle["rotate_20"][0])
    assert none is None


def test_reference_grey_values_are_cut_off_and_dark(oracle):
    found = black_and_white(oracle["image"][0], PUBLISHED_GREY).astype(int)
    # the released code cuts decimals off, ours are rounded
    assert set(np.unique(found - oracle["black_and_white_None"][0])) <= {0, 1}


def test_reference_noise_given_its_draws(oracle):
    (image,) = oracle["image"]
    np.random.seed(111)
    shifts = np.random.randint(-50, 50, 3)
    np.testing.assert_array_equal(shift_channels(image, shifts), oracle["RGB_rand_50_npseed111"][0])
    np.random.seed(111)
    noise = np.random.normal(0, 15, image.shape)
    (wanted,) = oracle["gaussian_noise_15.0_npseed111"]
    np.testing.assert_array_equal(np.floor(np.clip(image + noise, 0, 255)), wanted)
    assert set(np.unique(add_noise(image, noise) - wanted)) <= {0, 1}  # cut off there, rounded here


def test_reference_levels(oracle):
    """The levels that the released code drew are in our lists."""
    names, levels = (str(text) for text in oracle["random_3_npseed111"])
    drawn = list(zip(re.findall(r"'(\w+)'", names), re.findall(r"\(([\d.]+)\)", levels), strict=True))
    assert len(drawn) == 3
    for name, level in drawn:
        assert np.isclose(OPERATIONS[name].levels, float(level), atol=1e-12).any()


def test_every_operation_runs_at_all_ends_of_its_levels():
    for name in corruption_names("published"):
        steps = parse_corruptions(name)
        for step in (steps[0], steps[-1]):
            image, label = step.apply(IMAGE, LABEL, **OPTIONS)
            assert image.dtype == np.uint8
            assert image.shape[:2] == label.shape
            assert step.geometric == ("rotate" in name)
            if not step.geometric:
                assert label is LABEL


def test_defect_geometric_operations_move_the_label():
    colors = np.array([[50, 0, 0], [0, 90, 0], [0, 0, 130], [170, 170, 0], [210, 210, 210]], np.uint8)
    label = np.kron(np.arange(4).reshape(2, 2), np.ones((30, 40), int)).astype(np.uint8)
    slanted = ("rotate:20", "rotate:80", "rotate_upside_down:30")
    for spec in (*slanted, "rotate_90:0", "rotate_180:0", "rotate_270:0"):
        image, moved = load_corruption(f"published-{spec}").apply(colors[label], label, **OPTIONS)
        nearest = np.abs(image[..., None, :].astype(int) - colors).sum(axis=-1).argmin(axis=-1)
        inside = moved != 5
        assert (nearest == moved)[inside].mean() > 0.95
        assert (~inside).any() == (spec in slanted)
        if spec in slanted:  # black in the image where the label is void, but for a blended seam
            assert (image[~inside].max(axis=-1) == 0).mean() > 0.9


def test_quarter_turns_are_exact_and_swap_the_sides():
    image, label = load_corruption("published-rotate_90:0").apply(IMAGE, LABEL, **OPTIONS)
    np.testing.assert_array_equal(image, np.rot90(IMAGE))
    np.testing.assert_array_equal(label, np.rot90(LABEL))
    for _ in range(3):
        image, label = load_corruption("published-rotate_90:0").apply(image, label, **OPTIONS)
    np.testing.assert_array_equal(image, IMAGE)
    np.testing.assert_array_equal(label, LABEL)


def test_void_indices_above_a_byte_survive_turning():
    label = np.full((20, 30), 299, np.uint16)
    slant = load_corruption("published-rotate:0")
    moved = slant.apply(IMAGE[:20, :30], label, seed=0, image_id="a", void=300)[1]
    assert moved.dtype == np.uint16
    assert set(np.unique(moved)) == {299, 300}


def test_defect_black_and_white_does_not_darken():
    assert abs(black_and_white(GREY).astype(int) - GREY).max() <= 1
    assert black_and_white(GREY, PUBLISHED_GREY).mean() < 0.92 * GREY.mean()


def test_defect_noise_tools_run():
    """Salt and pepper, Poisson and speckle noise raised NameError."""
    for name in ("salt_and_pepper", "poisson", "speckle"):
        out = load_corruption(f"published-{name}:0").apply(IMAGE, **OPTIONS)[0]
        assert (out != IMAGE).any()
    even = np.full((100, 100, 3), 100, np.uint8)
    salted = load_corruption("published-salt_and_pepper:0").apply(even, **OPTIONS)[0]
    assert (salted == 255).sum() == pytest.approx(60, abs=3)
    assert (salted == 0).sum() == pytest.approx(60, abs=3)


def test_defect_documented_specs_work():
    """'t1,l1_3' and the default 't0,l0_0' raised KeyError."""
    assert [(s.name, s.severity) for s in parse_chain("t0,l0_0").steps] == [("published-identity", 0)]
    for spec in ("t1,l1_3", "t1,3", "t1, l3", "brightness,3"):
        (step,) = parse_chain(spec).steps
        assert (step.name, step.severity) == ("published-brightness", 3)
        wanted = OPERATIONS["brightness"].apply(IMAGE, 0.2 + 3 * 1.6 / 89, RNG)
        np.testing.assert_array_equal(parse_chain(spec).apply(IMAGE, **OPTIONS)[0], wanted)


def test_chains_apply_one_after_the_other():
    image, label = parse_chain("t7,t9,t7").apply(IMAGE, LABEL, **OPTIONS)
    np.testing.assert_array_equal(image, np.rot90(IMAGE))
    np.testing.assert_array_equal(label, np.rot90(LABEL))
    # the same noise twice would only double it
    twice = parse_chain("t13,19,t13,19").apply(np.full_like(IMAGE, 128), **OPTIONS)[0].astype(float)
    assert twice.std() == pytest.approx(30 * np.sqrt(2), rel=0.05)


def test_random_chains_are_drawn_for_each_image():
    chain = parse_chain("random_3")
    drawn = {i: chain.steps_for(seed=0, image_id=i) for i in "abcdefgh"}
    assert all(len(steps) == 3 for steps in drawn.values())
    assert len(set(drawn.values())) > 1
    assert chain.steps_for(seed=0, image_id="c") == drawn["c"]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("t15", "no published operation 't15'; known: t0 identity"),
        ("3,t1", "no published operation '3'"),
        ("t1,90", "no level 90; choose 0 to 89"),
        ("t1,l2_3", "isn't one of t1"),
        ("random_0", "no published operation"),
    ],
)
def test_bad_chains_are_sentences(spec, said):
    with pytest.raises(InputError, match=said):
        parse_chain(spec)


@given(st.integers(0, 20), st.integers(1, 4), st.sampled_from(["x", "street/7"]))
def test_augmented_copies_depend_on_image_and_number_alone(seed, copies, image_id):
    few = list(Augmentation(copies=copies).images(IMAGE, seed=seed, image_id=image_id))
    many = Augmentation(copies=copies + 1)
    assert len(few) == copies
    for copy in reversed(range(copies)):
        np.testing.assert_array_equal(many.apply(IMAGE, copy, seed=seed, image_id=image_id), few[copy])
    assert all(image.shape == IMAGE.shape for image in few)


def test_augmented_copies_differ():
    copies = list(Augmentation(copies=6).images(IMAGE, seed=3, image_id="a"))
    assert len({copy.tobytes() for copy in copies}) == 6


def test_augmentation_keeps_labels_true():
    with pytest.raises(InputError, match="'rotate' moves pixels"):
        Augmentation(pool=("identity", "rotate"))
    with pytest.raises(InputError, match="at least one"):
        Augmentation(copies=0)
    with pytest.raises(InputError, match="no corruption 'published-fog'"):
        Augmentation(pool=("fog",))
