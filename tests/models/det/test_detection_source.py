"""Detections in the classes of a data set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio.core.boxes import DetPrediction
from dubio.core.errors import InputError
from dubio.data.boxes.table import space_of
from dubio.data.classmap import ClassMap
from dubio.models.det.card import read_space
from dubio.models.det.source import DetectionSource, map_detections, match_classes
from dubio.uncertainty.boxes.suppress import Suppression

OURS = space_of("net", ["car", "truck", "dog"])


def seen(kind="sigmoid", **more):
    scores = {"sigmoid": [[0.9, 0.6, 0.1], [0.2, 0.8, 0.3]], "softmax": [[0.5, 0.3, 0.1], [0.1, 0.6, 0.2]]}
    values = np.array(scores[kind])
    return DetPrediction(
        np.array([[0, 0, 10, 10], [1, 0, 11, 10.0]]), values.max(1), values.argmax(1), 3, values, kind, **more
    )


class Model:
    """A detector that sees the same in every image."""

    space = OURS
    suppression = Suppression(iou=0.5)

    def describe(self):
        return ["model: a toy"]

    def key(self):
        return "toy"

    def candidates(self, images, ids):
        return [seen() for _ in ids]

    def detect(self, images, ids):
        return [self.suppression.apply(p) for p in self.candidates(images, ids)]


def test_classes_meet_by_name_whatever_their_ids_are():
    coco = space_of("coco", ["person", "bicycle", "toothbrush"], [1, 2, 90])
    found = match_classes(read_space("coco80"), coco)
    assert (found.pairs[0], found.pairs[1], found.pairs[79], found.pairs[5]) == (0, 1, 2, -1)
    assert len(found.unmapped) == 77
    numbered = match_classes(space_of("unnamed", ["class 0", "class 1"]), space_of("x", ["a", "b"]))
    assert numbered.pairs == (0, 1)
    with pytest.raises(InputError, match=r"no class of the detector \(person.*68 more.*'x' \(a\).*class map"):
        match_classes(read_space("coco80"), space_of("x", ["a"]))


def test_a_car_and_a_truck_that_both_are_vehicles_are_one(tmp_path):
    """Mapped after suppression within classes, the two boxes would both stay."""
    target = space_of("yard", ["vehicle", "cat"])
    path = tmp_path / "map.toml"
    path.write_text('[map]\ncar = "vehicle"\ntruck = "vehicle"\n')
    source = DetectionSource(Model(), target, class_map=path)
    (found,) = source.predict([np.zeros((20, 20, 3), np.uint8)], ["a"])
    assert (len(found), found.n_classes, found.class_scores.tolist()) == (1, 2, [[0.9, 0]])
    said = "\n".join(source.describe())
    for words in (
        "2 of the 3 classes of 'net' count as 1 of the 2 of 'yard'",
        "can't find: cat",
        "without a counterpart: dog",
    ):
        assert words in said
    assert DetectionSource(Model(), OURS).describe() == ["model: a toy"]
    assert len(DetectionSource(Model(), OURS).predict([np.zeros((20, 20, 3), np.uint8)], ["a"])[0]) == 2


def mapped(pairs, kind="sigmoid", n=2, **more):
    return map_detections(
        seen(kind, **more), ClassMap(OURS, space_of("t", [f"c{k}" for k in range(n)]), pairs)
    )


def test_the_best_class_with_a_counterpart_is_taken():
    found = mapped((-1, 1, 0))
    assert found.class_scores.tolist() == [[0.1, 0.6], [0.3, 0.8]]
    assert found.classes.tolist() == [1, 1]
    np.testing.assert_allclose(found.scores, [0.6, 0.8])


def test_scores_of_classes_that_meet():
    np.testing.assert_allclose(mapped((0, 0, 1)).class_scores, [[0.9, 0.1], [0.8, 0.3]])
    np.testing.assert_allclose(mapped((0, 0, 1), "softmax").class_scores, [[0.8, 0.1], [0.7, 0.2]])
    spread = np.array([[1, 2, 4], [1, 2, 4.0]])
    np.testing.assert_allclose(mapped((0, 0, 1), class_variance=spread).class_variance, [[1, 4], [2, 4]])
    soft = mapped((0, 0, 1), "softmax", class_variance=spread)
    np.testing.assert_allclose(soft.class_variance, [[3, 4], [3, 4]])


def test_entropy_goes_along_only_if_nothing_is_lost():
    entropy = np.array([0.3, 0.4])
    assert mapped((2, 0, 1), n=3, expected_entropy=entropy).expected_entropy.tolist() == [0.3, 0.4]
    assert mapped((0, 0, 1), expected_entropy=entropy).expected_entropy is None


def test_without_class_scores_foreign_boxes_are_left_out():
    plain = DetPrediction(np.zeros((2, 4)), np.array([0.9, 0.8]), np.array([0, 1]), 3)
    found = map_detections(plain, ClassMap(OURS, space_of("t", ["x"]), (-1, 0, -1)))
    assert (len(found), found.classes.tolist(), found.n_classes) == (1, [0], 1)


def test_logits_keep_their_own_class():
    logits = np.array([[5.0, 1, 0], [-1, 4, 2]])
    raw = DetPrediction(np.zeros((2, 4)), np.array([0.9, 0.8]), np.array([0, 1]), 3, logits, "logits")
    found = map_detections(raw, ClassMap(OURS, space_of("t", ["x", "y", "z"]), (-1, 0, 1)))
    assert (len(found), found.classes.tolist()) == (1, [0])
    assert found.class_scores[0, :2].tolist() == [4, 2]
    assert found.class_scores[0, 2] < -10


@given(seed=st.integers(0, 10**6), kind=st.sampled_from(["sigmoid", "softmax"]))
@settings(max_examples=30)
def test_renumbering_classes_changes_nothing_else(seed, kind):
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.ones(4), 9)[:, :3]
    order = rng.permutation(3)
    one = DetPrediction(np.zeros((9, 4)), scores.max(1), scores.argmax(1), 3, scores, kind)
    there = map_detections(one, ClassMap(OURS, space_of("t", ["x", "y", "z"]), tuple(order.tolist())))
    np.testing.assert_allclose(there.scores, one.scores)
    np.testing.assert_array_equal(there.classes, order[one.classes])
    back = map_detections(
        there, ClassMap(space_of("t", ["x", "y", "z"]), OURS, tuple(np.argsort(order).tolist()))
    )
    np.testing.assert_array_equal(back.class_scores, one.class_scores)


def test_another_number_of_classes_is_refused():
    with pytest.raises(InputError, match="3 classes, its class map 2"):
        map_detections(seen(), ClassMap(space_of("s", ["a", "b"]), OURS, (0, 1)))
