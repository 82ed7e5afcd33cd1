"""The rule of correction, kind by kind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dubio import InputError
from dubio.errors.findings import KINDS, Finding
from dubio.errors.verdicts import Area
from dubio.handover.correct import correct_label, corrected
from dubio.handover.items import Item

from ..toy import SPACE
from .conftest import verdict_on

VOID = 3


def finding(mask, kind, given=1, proposed=2, number=1, probability=0.9) -> Finding:
    ys, xs = np.nonzero(mask)
    runs = np.array(Area.of(mask).runs, np.int32)
    return Finding(
        number, "a", kind, SPACE.name_of(given), SPACE.name_of(proposed), given, proposed, probability, 0.9,
        int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1, int(mask.sum()), runs,
        *mask.shape, 0.1, 0.8, "because",
    )  # fmt: skip


def region(*cells, shape=(3, 5)):
    mask = np.zeros(shape, bool)
    for cell in cells:
        mask[cell] = True
    return mask


@pytest.mark.parametrize("kind", ["missing", "wrong_class"])
def test_the_proposed_class_fills_the_region_but_void(kind):
    label = np.array([[1, 1, 0, 0, VOID]], np.uint8)
    mask = np.array([[True, True, False, False, True]])
    fixed = corrected(label, finding(mask, kind), np.zeros_like(label), SPACE)
    assert fixed.tolist() == [[2, 2, 0, 0, VOID]]
    assert label.tolist() == [[1, 1, 0, 0, VOID]]


def test_spurious_takes_predictions_and_else_the_surroundings():
    label = np.array([[0, 1, 1, 1, 2], [0, 0, 0, 2, 2]], np.uint8)
    mask = np.array([[False, True, True, True, False], [False] * 5])
    pred = np.array([[0, 0, VOID, 1, 2], [0, 0, 0, 2, 2]], np.uint8)
    fixed = corrected(label, finding(mask, "spurious", proposed=0), pred, SPACE)
    assert fixed.tolist() == [[0, 0, 0, 2, 2], [0, 0, 0, 2, 2]]


def test_spurious_with_nothing_around_takes_the_proposed_class():
    label = np.full((2, 2), 1, np.uint8)
    fixed = corrected(
        label, finding(np.ones((2, 2), bool), "spurious", proposed=0), np.full((2, 2), VOID, np.uint8), SPACE
    )
    assert fixed.tolist() == [[0, 0], [0, 0]]


def test_outline_takes_predictions_that_are_classes():
    label = np.array([[1, 1, 1, 1, VOID]], np.uint8)
    pred = np.array([[0, 1, VOID, 2, 2]], np.uint8)
    fixed = corrected(label, finding(np.ones((1, 5), bool), "outline"), pred, SPACE)
    assert fixed.tolist() == [[0, 1, 1, 2, VOID]]


maps = hnp.arrays(np.uint8, (5, 7), elements=st.integers(0, VOID))


@settings(max_examples=60, deadline=None)
@given(maps, maps, hnp.arrays(bool, (5, 7)).filter(lambda m: m.any()), st.sampled_from(KINDS))
def test_nothing_outside_and_no_void_changes(label, pred, mask, kind):
    before = label.copy()
    fixed = corrected(label, finding(mask, kind), pred, SPACE)
    assert np.array_equal(label, before)
    assert np.array_equal(fixed[~mask], label[~mask])
    assert np.array_equal(fixed == VOID, label == VOID)
    assert fixed.dtype == label.dtype


def test_the_more_probable_finding_keeps_shared_pixels():
    label = np.zeros((1, 4), np.uint8)
    first = finding(np.array([[1, 1, 1, 0]], bool), "missing", 0, 1, number=1, probability=0.9)
    second = finding(np.array([[0, 0, 1, 1]], bool), "missing", 0, 2, number=2, probability=0.5)
    items = [Item(second), Item(first)]
    fixed, changes = correct_label(label, items, label, SPACE)
    assert fixed.tolist() == [[1, 1, 1, 2]]
    assert [(c.item.finding.finding, c.total, c.shared) for c in changes] == [(1, 3, 0), (2, 1, 1)]
    assert changes[1].pixels == {(0, 2): 1}


def test_the_region_and_class_of_a_reviewer_come_first():
    label = np.zeros((1, 4), np.uint8)
    sure = finding(np.array([[1, 1, 1, 1]], bool), "missing", 0, 1, number=1)
    drawn = finding(np.array([[0, 1, 0, 0]], bool), "spurious", 0, 1, number=2, probability=0.1)
    own = verdict_on(drawn, label="wall", area=Area(1, 4, (2, 2)))
    fixed, _ = correct_label(label, [Item(sure), Item(drawn, own)], label, SPACE)
    assert fixed.tolist() == [[1, 1, 2, 2]]


def test_classes_that_the_model_does_not_know_stay():
    label = np.array([[0, 2, 0]], np.uint8)
    f = finding(np.ones((1, 3), bool), "missing", 0, 1)
    fixed, _ = correct_label(label, [Item(f)], label, SPACE, kept=(2,))
    assert fixed.tolist() == [[1, 2, 1]]


def test_labels_of_another_size_are_refused():
    f = finding(region((0, 0)), "missing")
    with pytest.raises(InputError, match="the audit saw 5 x 3"):
        corrected(np.zeros((4, 4), np.uint8), f, np.zeros((4, 4), np.uint8), SPACE)
