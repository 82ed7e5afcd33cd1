"""Records of boxes: what they refuse and what they fill in."""

from __future__ import annotations

import numpy as np
import pytest

from dubio import InputError
from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.data.boxes.table import space_of

TWO = np.array([[0.0, 0, 4, 4], [1, 1, 1, 5]])


def predict(**more):
    own = {"boxes": TWO, "scores": np.array([0.5, 1]), "classes": np.array([0, 2]), "n_classes": 3}
    return DetPrediction(**{**own, **more})


def test_labels_fill_in_what_is_left_out():
    one = BoxLabels(TWO.astype(np.float32), np.array([0, 1], np.uint8))
    assert (one.boxes.dtype, one.classes.dtype) == (np.float64, np.int64)
    assert one.crowd.tolist() == one.difficult.tolist() == [False, False]
    assert one.ignore.shape == (0, 4)
    assert one.areas.tolist() == one.object_areas.tolist() == [16.0, 0.0]
    assert len(BoxLabels()) == 0


def test_labels_are_taken_with_all_that_belongs_to_them():
    one = BoxLabels(
        TWO,
        np.array([0, 1]),
        ids=np.array(["a", "b"]),
        crowd=np.array([False, True]),
        occlusion=np.array([np.nan, 2]),
        ignore=TWO[:1],
        area=np.array([np.nan, 7]),
    ).take(np.array([1]))
    assert (one.area.tolist(), one.object_areas.tolist()) == ([7.0], [7.0])
    assert (one.ids.tolist(), one.crowd.tolist(), one.occlusion.tolist()) == (["b"], [True], [2.0])
    assert one.distance is None
    assert len(one.ignore) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"boxes": TWO[:, :3]}, "shape"),
        ({"boxes": np.array([[0, 0, np.nan, 1], [0, 0, 1, 1]])}, "finite"),
        ({"boxes": TWO[:, [2, 1, 0, 3]]}, "x2 < x1"),
        ({"classes": np.array([0])}, "2 boxes"),
        ({"classes": np.array([0.5, 1])}, "integers"),
        ({"classes": np.array([-1, 1])}, "-1"),
    ],
)
def test_bad_boxes_are_refused(change, words):
    with pytest.raises(InputError, match=words):
        BoxLabels(**{"boxes": TWO, "classes": np.array([0, 1]), **change})
    with pytest.raises(InputError, match=words):
        predict(**change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scores": np.array([0.1, 1.2])}, "range"),
        ({"scores": np.array([0.1, np.nan])}, "range"),
        ({"classes": np.array([0, 3])}, "3 of 3 classes"),
        ({"class_scores": np.ones((2, 3))}, "kind"),
        ({"class_scores": np.ones((2, 3)), "kind": "softmax"}, "sum to more"),
        ({"class_scores": np.full((2, 3), 1.5), "kind": "sigmoid"}, "range"),
        ({"class_scores": np.ones((2, 2)), "kind": "logits"}, "shape"),
        ({"box_aleatoric": -np.ones((2, 4))}, "range"),
        ({"class_variance": np.full((2, 3), np.nan)}, "finite"),
    ],
)
def test_bad_predictions_are_refused(change, words):
    with pytest.raises(InputError, match=words):
        predict(**change)


def test_predictions_are_taken_with_all_scores():
    scores = np.array([[0.5, 0.2, 0.1], [0, 0, 1.0000001]])
    one = predict(class_scores=scores, kind="softmax", box_epistemic=np.ones((2, 4)), image_id="x")
    kept = one.take(one.scores > 0.6)
    assert (len(kept), kept.image_id, kept.kind, kept.class_scores.shape) == (1, "x", "softmax", (1, 3))
    assert kept.box_epistemic.tolist() == [[1.0] * 4]


def test_a_data_set_refuses_an_image_twice_or_without_entry():
    space = space_of("s", ["a"])
    with pytest.raises(InputError, match="twice"):
        BoxDataset("d", space, (BoxSample("x"), BoxSample("x")), {"x": BoxLabels()})
    with pytest.raises(InputError, match="no entry"):
        BoxDataset("d", space, (BoxSample("x"),), {})
