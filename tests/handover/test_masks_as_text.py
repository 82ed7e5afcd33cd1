"""Run lengths, brush bits and outlines, against independent readers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_mask
from scipy import ndimage

from dubio import InputError
from dubio.handover.brush import from_brush, to_brush
from dubio.handover.polygons import fill, has_holes, outlines
from dubio.handover.rle import from_coco, from_cvat, from_lengths, run_lengths, to_coco, to_cvat

brush = pytest.importorskip("label_studio_sdk.converter.brush", reason="needs label-studio-sdk")

MASKS = hnp.arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24))).filter(lambda m: m.any())
RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)
masks = given(MASKS)


def cases(test):
    for case in (RING, np.ones((5, 7), bool), np.ones((1, 1), bool), np.array([[0, 1, 0, 1]], bool)):
        test = example(case)(test)
    return settings(max_examples=120, deadline=None)(masks(test))


@cases
def test_coco_run_lengths_are_those_of_pycocotools(mask):
    packed = to_coco(mask)
    theirs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert packed == {"size": list(mask.shape), "counts": theirs["counts"].decode()}
    assert np.array_equal(from_coco(packed), mask)
    assert np.array_equal(from_coco({"size": mask.shape, "counts": run_lengths(mask.T.ravel())}), mask)


@cases
def test_cvat_run_lengths_come_back(mask):
    packed = to_cvat(mask)
    box = tuple(packed[k] for k in ("left", "top", "width", "height"))
    assert np.array_equal(from_cvat(packed["rle"], box, mask.shape), mask)
    # read the way the format is documented: rows, background first, inside the box
    inside = np.zeros(box[2] * box[3], bool)
    at, value = 0, False
    for length in map(int, packed["rle"].split(",")):
        inside[at : at + length] = value
        at, value = at + length, not value
    assert at == inside.size
    left, top, width, height = box
    assert np.array_equal(mask[top : top + height, left : left + width].ravel(), inside)


@cases
def test_brush_is_read_by_label_studio_and_back(mask):
    theirs = brush.decode_rle(to_brush(mask)).reshape(*mask.shape, 4)[..., 3]
    assert np.array_equal(theirs == 255, mask)
    assert np.array_equal(from_brush(to_brush(mask), mask.shape), mask)
    assert np.array_equal(from_brush(brush.mask2rle(mask.astype(np.uint8) * 255), mask.shape), mask)


def test_long_runs_of_a_brush():
    mask = np.zeros((300, 400), bool)
    mask[150:, 3:] = True
    theirs = brush.decode_rle(to_brush(mask)).reshape(300, 400, 4)[..., 3]
    assert np.array_equal(theirs == 255, mask)


@cases
def test_outlines_fill_to_the_same_mask(mask):
    rings = outlines(mask)
    assert np.array_equal(fill(rings, mask.shape), mask)
    _, n = ndimage.label(np.pad(~mask, 1, constant_values=True), np.ones((3, 3)))
    assert has_holes(mask) == (n > 1)
    if not has_holes(mask):
        parts = coco_mask.frPyObjects([r.ravel().tolist() for r in rings], *mask.shape)
        assert np.array_equal(coco_mask.decode(coco_mask.merge(parts)).astype(bool), mask)


@given(st.binary(max_size=60))
def test_foreign_bytes_give_a_sentence(data):
    for read in (
        lambda: from_brush(list(data), (3, 4)),
        lambda: from_coco({"size": [3, 4], "counts": data}),
        lambda: from_cvat(data.decode("latin-1"), (0, 0, 3, 4), (9, 9)),
    ):
        try:
            mask = read()
        except InputError:
            continue
        assert mask.dtype == bool


@pytest.mark.parametrize(
    "call",
    [
        lambda: from_coco({"size": [2, 2], "counts": [3, 2]}),
        lambda: from_coco({"size": [0, 2], "counts": []}),
        lambda: from_coco({"counts": "1"}),
        lambda: from_lengths([-1, 5], 9),
        lambda: from_lengths([1 << 62, 1 << 62], 9),
        lambda: from_coco({"size": [1 << 20, 1 << 20], "counts": [0]}),
        lambda: from_cvat("1", (0, 0, 1, 1), (1 << 20, 1 << 20)),
        lambda: fill([], (1 << 20, 1 << 20)),
        lambda: from_cvat("1, 2", (0, 0, 9, 9), (4, 4)),
        lambda: from_cvat("1, x", (0, 0, 2, 2), (4, 4)),
        lambda: from_brush([1, 2, 3], (2, 2)),
        lambda: from_brush([999], (2, 2)),
        lambda: to_cvat(np.zeros((2, 2), bool)),
        lambda: fill([np.array([[0.0, 0.0], [1.0, 1.0]])], (3, 3)),
        lambda: fill([np.array([[0.0, 0.0], [1.0, np.nan], [2, 2]])], (3, 3)),
    ],
)
def test_what_does_not_fit_is_refused(call):
    with pytest.raises(InputError):
        call()
