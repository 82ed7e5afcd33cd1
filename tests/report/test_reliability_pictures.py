"""Strips of examined images: tiles and titles, void, and errors that show how sure the model was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dubio.core.errors import InputError
from dubio.core.labelspace import LabelClass, LabelSpace
from dubio.report.pictures import GAP, TILE, tiles_of
from dubio.report.reliability_pictures import draw_examined

SPACE = LabelSpace("two", (LabelClass(0, "a", (0, 0, 200)), LabelClass(1, "b", (0, 200, 0))), void=(2,))
TITLES = ["image", "label", "prediction", "errors: bright red is wrong and sure; hatched is void"]


def tile(path: Path, number: int) -> Any:
    """A tile as floats; JPEG moves values a little."""
    with Image.open(path) as sheet:
        left = number * (TILE[0] + GAP)
        return np.asarray(sheet, np.float32)[:, left : left + TILE[0]]


def quarters(values: tuple[Any, Any, Any, Any], dtype: Any) -> Any:
    """324 x 432 pixels: upper left, upper right, lower left, lower right."""
    grid = np.array(values, dtype).reshape(2, 2)
    return grid.repeat(TILE[1] // 2, 0).repeat(TILE[0] // 2, 1)


def mean_colours(drawn: Any) -> list[Any]:
    """Mean colour in the middle of each quarter."""
    h, w = drawn.shape[0] // 4, drawn.shape[1] // 4
    return [
        drawn[y - 20 : y + 20, x - 20 : x + 20].mean((0, 1)) for y, x in ((h, w), (h, -w), (-h, w), (-h, -w))
    ]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 150), st.integers(1, 150), st.booleans(), st.booleans())
def test_strips_of_any_size(tmp_path: Path, h: int, w: int, with_image: bool, with_map: bool) -> None:
    label, doubt = np.zeros((h, w), np.uint8), np.zeros((h, w), np.float32)
    image = np.zeros((h, w, 3), np.uint8) if with_image else None
    titles = draw_examined(
        tmp_path / "one.jpg", image, label, label, doubt, SPACE, temperature=doubt + 1.5 if with_map else None
    )
    with Image.open(tmp_path / "one.jpg") as sheet:
        assert tiles_of(sheet.size) == len(titles) == 3 + with_image + with_map
        assert sheet.height <= TILE[1]
    assert ("image" in titles) == with_image
    assert any("temperature" in t for t in titles) == with_map


def test_wide_images_leave_no_empty_bands(tmp_path: Path) -> None:
    white = np.full((100, 200, 3), 255, np.uint8)
    flat = np.zeros((100, 200), np.uint8)
    draw_examined(tmp_path / "wide.jpg", white, flat, flat, flat.astype(np.float32), SPACE)
    assert tile(tmp_path / "wide.jpg", 0).min() > 250


def test_errors_glow_where_the_model_is_sure(tmp_path: Path) -> None:
    label = quarters((0, 0, 0, 2), np.uint8)
    pred = quarters((0, 1, 1, 1), np.uint16)
    doubt = quarters((0.0, 0.0, 0.9, 0.0), np.float32)
    image = np.full((*label.shape, 3), 120, np.uint8)
    assert draw_examined(tmp_path / "a.jpg", image, label, pred, doubt, SPACE) == TITLES
    right, sure, doubted, void = mean_colours(tile(tmp_path / "a.jpg", 3))
    assert sure[0] > 230
    assert sure[0] > doubted[0] + 80 > right[0] + 80
    assert np.ptp(right) < 12
    assert np.ptp(void) < 12
    lower_right = tile(tmp_path / "a.jpg", 3)[200:300, 260:400]
    assert lower_right.std() > 8  # stripes, in spite of JPEG
    assert tile(tmp_path / "a.jpg", 3)[20:140, 20:190].std() < 3


def test_predicted_void_is_an_error_and_labelled_void_is_none(tmp_path: Path) -> None:
    label = quarters((0, 0, 7, -1), np.int64)
    pred = quarters((0, 9, 0, 0), np.int64)
    doubt = np.zeros(label.shape, np.float32)
    draw_examined(tmp_path / "v.jpg", None, label, pred, doubt, SPACE)
    right, missing, beyond, negative = mean_colours(tile(tmp_path / "v.jpg", 2))
    assert missing[0] > 230
    for grey in (right, beyond, negative):
        assert np.ptp(grey) < 12


def test_unknown_doubt_is_drawn_as_doubt(tmp_path: Path) -> None:
    label, pred = np.zeros((324, 432), np.uint8), np.ones((324, 432), np.uint8)
    draw_examined(tmp_path / "n.jpg", None, label, pred, np.full(label.shape, np.nan, np.float32), SPACE)
    assert tile(tmp_path / "n.jpg", 2)[..., 0].max() < 140


def test_temperature_map_says_its_range(tmp_path: Path) -> None:
    label = np.zeros((324, 432), np.uint8)
    heat = quarters((1.0, 2.0, 4.0, np.nan), np.float32)
    titles = draw_examined(
        tmp_path / "t.jpg", None, label, label, np.zeros(label.shape, np.float32), SPACE, heat
    )
    assert titles[-1] == "temperature: 1.00 (dark) to 4.00 (yellow)"
    low, middle, high, nothing = (c.mean() for c in mean_colours(tile(tmp_path / "t.jpg", 3)))
    assert nothing < low < middle < high


def test_temperature_map_without_a_value(tmp_path: Path) -> None:
    label, nothing = np.zeros((8, 8), np.uint8), np.full((8, 8), np.nan, np.float32)
    titles = draw_examined(tmp_path / "t.jpg", None, label, label, nothing, SPACE, temperature=nothing)
    assert titles[-1] == "temperature: none"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    flat = np.zeros((4, 4), np.uint8)
    with pytest.raises(InputError, match="can't be written"):
        draw_examined(tmp_path / "file" / "a.jpg", None, flat, flat, flat.astype(np.float32), SPACE)
