"""Strips: one shape for all, the region in view, void and outline drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dubio.report.pictures import GAP, TILE, colour, cutout, save_strip, strip, tiles_of


class Box:
    """A region that is all of its box."""

    def __init__(self, x0: int, y0: int, x1: int, y1: int, shape: tuple[int, int]) -> None:
        self.x0, self.y0, self.x1, self.y1, self.shape = x0, y0, x1, y1, shape

    def mask(self) -> Any:
        inside = np.zeros(self.shape, bool)
        inside[self.y0 : self.y1, self.x0 : self.x1] = True
        return inside


@given(st.data())
def test_cutout_holds_the_region_and_stays_inside(data: Any) -> None:
    h, w = data.draw(st.integers(1, 3000)), data.draw(st.integers(1, 3000))
    x0, y0 = data.draw(st.integers(0, w - 1)), data.draw(st.integers(0, h - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, w)), data.draw(st.integers(y0 + 1, h))
    a, b, c, d = cutout(Box(x0, y0, x1, y1, (h, w)), (h, w))
    assert 0 <= a <= x0 < x1 <= c <= w
    assert 0 <= b <= y0 < y1 <= d <= h


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 160), st.integers(1, 160), st.booleans())
def test_all_strips_have_one_shape(h: int, w: int, with_image: bool) -> None:
    from dubio.core.labelspace import LabelClass, LabelSpace

    space = LabelSpace("two", (LabelClass(0, "a", (9, 9, 200)), LabelClass(1, "b", (200, 9, 9))))
    label = np.zeros((h, w), np.uint8)
    image = np.zeros((h, w, 3), np.uint8) if with_image else None
    sheet = strip(Box(0, 0, w, h, (h, w)), space, image, label, label)
    n = 3 if with_image else 2
    assert sheet.size == (n * TILE[0] + (n - 1) * GAP, TILE[1])
    assert tiles_of(sheet.size) == n


def test_tiles_show_label_prediction_and_outline(fake: Any, tmp_path: Path) -> None:
    space = fake.make_space()
    label = np.full((300, 400), 0, np.uint8)
    pred = label.copy()
    region = Box(180, 130, 220, 170, (300, 400))
    pred[region.mask()] = 2
    sheet = np.asarray(strip(region, space, np.zeros((300, 400, 3), np.uint8), label, pred))
    tiles = [sheet[:, n * (TILE[0] + GAP) :][:, : TILE[0]] for n in range(3)]
    centre = (TILE[1] // 2, TILE[0] // 2)
    for tile, index in zip(tiles[1:], (0, 2), strict=True):
        assert np.abs(tile[centre].astype(int) - space.palette[index] * 0.5).max() <= 1
        assert (tile == 255).all(-1).any()
    assert not (tiles[0] == 255).all(-1).any()
    save_strip(Image.fromarray(sheet), tmp_path / "one.jpg")
    with Image.open(tmp_path / "one.jpg") as kept:
        assert kept.size == (sheet.shape[1], sheet.shape[0])


@pytest.mark.parametrize("many", [3, 300])
def test_void_stays_dark_picture(fake: Any, many: int) -> None:
    space = fake.make_space(tuple(f"c{i}" for i in range(many)))
    indices = np.array([[0, space.void_index]], space.dtype)
    mixed = colour(indices, space, np.full((1, 2, 3), 100, np.uint8))
    assert (mixed[0, 1] == mixed[0, 1, 0]).all()
    assert mixed[0, 1, 0] < 100
    assert (colour(indices, space, None)[0, 0] == space.palette[0]).all()
