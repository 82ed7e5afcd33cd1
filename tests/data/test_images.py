from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dubio import InputError
from dubio.data.images import image_size, read_image


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_exif_orientation_counts_for_picture_and_size(tmp_path, suffix, orientation):
    image = Image.new("RGB", (40, 20))
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"a{suffix}"
    image.save(path, exif=exif)
    turned = (40, 20) if orientation >= 5 else (20, 40)
    assert read_image(path).shape == (*turned, 3)
    assert image_size(path) == turned


def test_orientation_turns_the_right_way(tmp_path):
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[0, 0] = 255
    exif = Image.Exif()
    exif[274] = 6  # turn clockwise: top left becomes top right
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    assert read_image(tmp_path / "a.png")[0, -1].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[0, 128, 255]], np.uint8), [0, 128, 255]),
        (np.array([[0, 32896, 65535]], np.uint16), [0, 128, 255]),
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 128.4, 300.0]], np.float32), [0, 128, 255]),
        (np.array([[[0, 9], [128, 0], [255, 255]]], np.uint8), [0, 128, 255]),
    ],
)
def test_grey_of_any_depth_becomes_rgb(tmp_path, array, expected):
    Image.fromarray(array).save(tmp_path / "a.tif")
    image = read_image(tmp_path / "a.tif")
    assert image.dtype == np.uint8
    assert image.shape == (1, 3, 3)
    assert image[0].tolist() == [[v] * 3 for v in expected]


def test_alpha_is_dropped_and_palettes_are_resolved(tmp_path):
    Image.fromarray(np.array([[[1, 2, 3, 0]]], np.uint8)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[1, 2, 3]]]
    palette = Image.new("P", (1, 1), 1)
    palette.putpalette([0, 0, 0, 9, 8, 7])
    palette.save(tmp_path / "p.png")
    assert read_image(tmp_path / "p.png").tolist() == [[[9, 8, 7]]]


def test_bad_pictures(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 50, 3), dtype=np.uint8)).save(
        tmp_path / "a.jpg"
    )
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:900])
    (tmp_path / "text.png").write_text("hello")
    for name in ("cut.jpg", "text.png", "none.png", "."):
        with pytest.raises(InputError):
            read_image(tmp_path / name)
    with pytest.raises(InputError, match=r"text\.png"):
        image_size(tmp_path / "text.png")
