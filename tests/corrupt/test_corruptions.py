"""Corruptions of ImageNet-C and its extras: seeded, in range, true to their labels."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dubio import InputError
from dubio.data.corrupt import FAMILIES, Corruption, corruption_names, load_corruption, parse_corruptions

COMMON = [name for family in FAMILIES[:-1] for name in corruption_names(family)]
BLURS = [*corruption_names("blur"), "gaussian_blur", "pixelate"]
FIXED = {"brightness", "contrast", "saturate", "pixelate", "jpeg_compression"}
FIXED |= {"gaussian_blur", "defocus_blur", "zoom_blur"}
VOID = 7


def scene(height: int = 96, width: int = 144, seed: int = 0) -> np.ndarray:
    """A smooth, colourful picture with sharp edges."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    image = np.array(small.resize((width, height), Image.Resampling.BICUBIC))
    image[height // 4 : height // 2, width // 4 : width // 2] = (200, 40, 90)
    return image


def run(spec, image, label=None, *, seed=0, image_id="a", scale="relative"):
    return load_corruption(spec, scale=scale).apply(image, label, seed=seed, image_id=image_id, void=VOID)


def distance(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.abs(one.astype(float) - two).mean())


@pytest.mark.parametrize("scale", ["relative", "pixels"])
@pytest.mark.parametrize("size", [(8, 8), (33, 47), (61, 20), (1, 3)])
@pytest.mark.parametrize("name", COMMON)
def test_any_size_gives_an_image_of_that_size(name, size, scale):
    image = scene(*size)
    before, label = image.copy(), np.zeros(size, np.uint8)
    for severity in (1, 3, 5):
        out, moved = run(f"{name}:{severity}", image, label, scale=scale)
        assert (out.shape, out.dtype) == (image.shape, np.uint8)
        assert moved.shape == size
        if name != "elastic_transform":
            assert moved is label
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("name", COMMON)
def test_every_severity_changes_the_image_and_the_last_changes_more_than_the_first(name):
    image = scene(160, 200)
    changes = [distance(run(f"{name}:{s}", image)[0], image) for s in range(1, 6)]
    assert min(changes) > 0.1
    if name not in ("elastic_transform", "frost", "saturate", "spatter"):  # their severities differ in kind
        assert changes[4] > changes[0]


@pytest.mark.parametrize("name", COMMON)
def test_the_seed_the_image_and_nothing_else_decides(name):
    image, other = scene(40, 56), scene(40, 56, seed=1)
    first = run(f"{name}:4", image)[0]
    run(f"{name}:4", other, image_id="b")
    np.testing.assert_array_equal(run(f"{name}:4", image)[0], first)
    if name not in FIXED:
        assert distance(run(f"{name}:4", image, image_id="b")[0], first) > 0
        assert distance(run(f"{name}:4", image, seed=1)[0], first) > 0


@pytest.mark.parametrize("level", [0, 3, 128, 252, 255])
@pytest.mark.parametrize("name", BLURS)
def test_blurs_keep_an_even_image(name, level):
    image = np.full((31, 45, 3), level, np.uint8)
    for severity in (1, 5):
        np.testing.assert_array_equal(run(f"{name}:{severity}", image)[0], image)


@pytest.mark.parametrize("name", ["brightness", "fog", "snow", "frost", "saturate", "contrast"])
def test_nothing_wraps_around(name):
    """White stays bright and nothing flips between black and white."""
    white, black = np.full((32, 40, 3), 255, np.uint8), np.zeros((32, 40, 3), np.uint8)
    for severity in range(1, 6):
        assert run(f"{name}:{severity}", white)[0].min() >= 60
        out = run(f"{name}:{severity}", black)[0]
        assert np.ptp(out.astype(int), axis=2).max() <= 40  # no hue out of nothing


def test_brightness_adds_its_share_of_the_value():
    image = np.array([[[0, 0, 0], [100, 50, 0], [255, 10, 10], [220, 220, 220]]], np.uint8)
    out = run("brightness:2", image)[0]  # 0.2 of 255 is 51
    np.testing.assert_array_equal(out[0], [[51, 51, 51], [151, 76, 0], [255, 10, 10], [255, 255, 255]])


def test_grey_has_no_hue_to_saturate():
    grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    for severity in range(1, 6):
        np.testing.assert_array_equal(run(f"saturate:{severity}", grey)[0], grey)


def test_fog_lies_on_dark_images_too():
    """Scaled by the brightest pixel, as published, fog would vanish on black."""
    assert run("fog:3", np.zeros((64, 64, 3), np.uint8))[0].mean() > 60


def test_noise_has_the_published_strength():
    grey = np.full((256, 256, 3), 128, np.uint8)
    for severity, sigma in enumerate((0.08, 0.12, 0.18), 1):
        assert run(f"gaussian_noise:{severity}", grey)[0].std() == pytest.approx(255 * sigma, rel=0.03)
        speckle = run(f"speckle_noise:{severity}", grey)[0].std()
        assert speckle == pytest.approx(128 * (0.15, 0.2, 0.35)[severity - 1], rel=0.03)
    for severity, photons in enumerate((60, 25, 12), 1):
        wanted = 255 * np.sqrt(128 / 255 / photons)
        assert run(f"shot_noise:{severity}", grey)[0].std() == pytest.approx(wanted, rel=0.03)
    for severity, amount in enumerate((0.03, 0.06, 0.09, 0.17, 0.27), 1):
        out = run(f"impulse_noise:{severity}", grey)[0]
        for value in (0, 255):
            assert (out == value).mean() == pytest.approx(amount / 2, abs=0.003)


def test_gaussian_blur_has_the_published_width():
    dot = np.zeros((224, 224, 3), np.uint8)
    dot[100:104, 60:64] = 255
    out = run("gaussian_blur:2", dot)[0][..., 0].astype(float)
    rows = out.sum(axis=1) / out.sum()
    mean = rows @ np.arange(224)
    assert mean == pytest.approx(101.5, abs=0.05)
    assert rows @ (np.arange(224) - mean) ** 2 == pytest.approx(2.0**2 + 15 / 12, rel=0.06)


@pytest.mark.parametrize("name", ["motion_blur", "defocus_blur", "zoom_blur", "glass_blur", "gaussian_blur"])
def test_blurs_leave_things_where_the_label_has_them(name):
    dot = np.zeros((224, 300, 3), np.uint8)
    dot[100:124, 138:162] = 255
    for severity in (1, 5):
        out = run(f"{name}:{severity}", dot)[0][..., 0].astype(float)
        assert (out.sum(axis=1) @ np.arange(224)) / out.sum() == pytest.approx(111.5, abs=1)
        assert (out.sum(axis=0) @ np.arange(300)) / out.sum() == pytest.approx(149.5, abs=1)


@pytest.mark.parametrize("name", ["defocus_blur", "gaussian_blur"])
def test_a_severity_looks_alike_on_larger_images(name):
    image = scene(224, 300)
    large = np.array(Image.fromarray(image).resize((900, 672), Image.Resampling.NEAREST))
    wanted = run(f"{name}:4", image)[0]

    def shrunk(scale):
        out = run(f"{name}:4", large, scale=scale)[0]
        return np.array(Image.fromarray(out).resize((300, 224), Image.Resampling.BOX))

    assert distance(shrunk("relative"), wanted) < distance(shrunk("pixels"), wanted) / 2


def test_coarse_pixels_grow_with_the_image():
    image = scene(224, 300)
    large = np.array(Image.fromarray(image).resize((600, 448), Image.Resampling.BICUBIC))
    for scale, wanted in (("relative", 8), ("pixels", 4)):
        out = run("pixelate:5", large, scale=scale)[0]
        steps = np.flatnonzero((np.diff(out.astype(int), axis=0) != 0).any(axis=(1, 2)))
        assert set(np.diff(steps)) == {wanted}


def test_elastic_transform_moves_the_label_with_the_image():
    label = np.kron(np.arange(6).reshape(2, 3), np.ones((40, 40), int)).astype(np.uint8)
    corners = [[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [255, 255, 255]]
    colors = np.array(corners, np.uint8)
    for severity in range(1, 6):
        image, moved = run(f"elastic_transform:{severity}", colors[label], label)
        assert (moved != label).any()
        assert moved.dtype == label.dtype
        inside = moved != VOID
        nearest = np.abs(image[..., None, :].astype(int) - colors).sum(axis=-1).argmin(axis=-1)
        assert (nearest == moved)[inside].mean() > 0.97  # the rest are blends at outlines
    alone, none = run("elastic_transform:5", colors[label])
    np.testing.assert_array_equal(alone, image)
    assert none is None


def test_labels_of_another_size_are_fitted_before_they_are_moved():
    label = np.kron(np.arange(4).reshape(2, 2), np.ones((10, 12), int)).astype(np.uint16)
    image = scene(40, 48)
    moved = run("elastic_transform:3", image, label)[1]
    assert (moved.shape, moved.dtype) == ((40, 48), np.uint16)
    assert run("fog:3", image, label)[1] is label


def test_names_and_families():
    assert len(corruption_names("imagenet-c")) == 15
    assert len(corruption_names("extra")) == 4
    assert set(COMMON) < set(corruption_names())
    fog = load_corruption("fog:3")
    assert fog == Corruption("fog", 3, "weather", False)
    assert [c.name for c in parse_corruptions("all:1-5") if c.geometric] == ["elastic_transform"] * 5
    assert [c.severity for c in parse_corruptions("fog:1,3;fog:3-4")] == [1, 3, 4]
    assert len(parse_corruptions("weather")) == 20
    assert {c.scale for c in parse_corruptions("blur:2", scale="pixels")} == {"pixels"}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("mist:3", "no corruption 'mist'; known: gaussian_noise"),
        ("fog:6", "no severity 6; choose 1 to 5"),
        ("fog:0", "no severity 0"),
        ("fog:x", "no readable severities"),
        ("fog:5-1", "no severities"),
        ("published-blur:1", "no level 1; choose 0"),
        ("", "no corruption is named"),
    ],
)
def test_bad_texts_are_sentences(spec, said):
    with pytest.raises(InputError, match=said):
        parse_corruptions(spec)


def test_bad_arrays_and_names_are_sentences():
    fog, image = load_corruption("fog:1"), scene(8, 8)
    options = {"seed": 0, "image_id": "a", "void": 0}
    for bad in (image[..., 0], image.astype(float), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(InputError, match="uint8 RGB"):
            fog.apply(bad, **options)
    with pytest.raises(InputError, match="a label has the shape"):
        fog.apply(image, image, **options)
    with pytest.raises(InputError, match="no corruption 'mist'"):
        Corruption("mist", 1, "weather", False).apply(image, **options)
    with pytest.raises(InputError, match="stands for 5 corruptions"):
        load_corruption("fog")
    with pytest.raises(InputError, match="no family"):
        corruption_names("rain")
    with pytest.raises(InputError, match="no scale 'mm'"):
        load_corruption("fog:1", scale="mm")


@given(
    st.sampled_from(["fog", "snow", "frost", "spatter", "glass_blur", "shot_noise"]),
    st.integers(1, 5),
    st.lists(st.sampled_from("abcd"), min_size=2, max_size=5, unique=True),
)
def test_order_does_not_matter(name, severity, ids):
    image = scene(12, 17)
    there = {i: run(f"{name}:{severity}", image, image_id=i)[0] for i in ids}
    for i in reversed(ids):
        np.testing.assert_array_equal(run(f"{name}:{severity}", image, image_id=i)[0], there[i])


def test_the_core_is_enough():
    code = "import sys, dubio.data.corrupt; print(sorted({'torch', 'cv2', 'skimage'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
