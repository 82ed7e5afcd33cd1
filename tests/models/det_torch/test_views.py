from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubio.core.boxes import DetPrediction
from dubio.core.errors import InputError

pytest.importorskip("torch")
from dubio.models.det.torch.views import View, merge_views, plain, view_back, views


def seen(boxes, classes, scores, *, aleatoric=1.0, n_classes=2):
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    table = np.full((len(boxes), n_classes), 0.01)
    table[np.arange(len(boxes)), classes] = scores
    return DetPrediction(
        boxes,
        np.asarray(scores, float),
        np.asarray(classes, int),
        n_classes,
        class_scores=table,
        kind="sigmoid",
        box_aleatoric=np.full((len(boxes), 4), float(aleatoric)),
    )


@given(st.integers(0, 99))
def test_mirroring_twice_is_nothing(seed):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 40, (5, 2))
    boxes = np.hstack([corner, corner + rng.uniform(0, 40, (5, 2))])
    one = DetPrediction(
        boxes,
        rng.random(5),
        rng.integers(0, 2, 5),
        2,
        box_aleatoric=rng.random((5, 4)),
        box_epistemic=rng.random((5, 4)),
    )
    once = view_back(one, View(flip=True), 100)
    np.testing.assert_allclose(once.box_epistemic[:, [2, 1, 0, 3]], one.box_epistemic)
    twice = view_back(once, View(flip=True), 100)
    np.testing.assert_allclose(twice.boxes, one.boxes, atol=1e-9)
    np.testing.assert_array_equal(twice.box_aleatoric, one.box_aleatoric)
    assert view_back(one, plain, 100) is one


def test_views_add_what_they_differ_by():
    a = seen([[0, 0, 10, 10], [50, 50, 60, 60]], [0, 1], [0.8, 0.6], aleatoric=1)
    b = seen([[2, 0, 12, 10]], [0], [0.4], aleatoric=3)
    found = merge_views([a, b])
    np.testing.assert_allclose(found.boxes, [[1, 0, 11, 10], [50, 50, 60, 60]])
    np.testing.assert_allclose(found.scores, [0.6, 0.3])
    np.testing.assert_allclose(found.box_aleatoric[0], 2)
    np.testing.assert_allclose(found.box_epistemic, [[1, 0, 1, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(found.class_variance[0], [0.04, 0])
    assert found.expected_entropy[0] > 0


def test_classes_and_doubles_of_one_view_stay_apart():
    one = seen([[0, 0, 10, 10], [1, 0, 11, 10]], [0, 0], [0.9, 0.5])
    two = seen([[0, 0, 10, 10], [0, 0, 10, 10.1]], [0, 1], [0.7, 0.6])
    found = merge_views([one, two])
    assert len(found) == 3
    assert sorted(found.classes.tolist()) == [0, 0, 1]
    assert len(merge_views([one, two], limit=1)) == 1


def test_nothing_in_some_views_is_normal():
    nothing, one = seen([], [], []), seen([[0, 0, 9, 9]], [1], [0.5])
    assert len(merge_views([nothing, nothing])) == 0
    for group in ([nothing, one], [one, nothing]):
        found = merge_views(group)
        assert (found.scores.tolist(), found.classes.tolist()) == ([0.25], [1])
    with pytest.raises(InputError, match="class scores"):
        merge_views([DetPrediction(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), 2)])
    with pytest.raises(InputError, match="scale"):
        View(scale=0)


def test_the_plain_view_comes_first():
    assert views() == (plain,)
    assert views(flip=True, scales=(0.5, 1.0))[0] == plain
    assert len(views(flip=True, scales=(0.5, 1.0))) == 4
    assert len(views(scales=(0.5,))) == 2
