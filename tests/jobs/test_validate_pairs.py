"""Pairs, states and the table of a validation."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio.core.errors import InputError
from dubio.jobs.validate_pairs import FALSE, FOUND, IGNORED, MISSED, WRONG_CLASS, PairingOptions, pair_image
from dubio.jobs.validate_rows import validation_rows
from dubio.jobs.validate_table import write_table

from .validate_world import SPACE, dataset, labels, seen, tiny


def states(found, truth, **options):
    return pair_image(found, truth, PairingOptions(**options)).state.tolist()


def test_states_of_a_tiny_set():
    data, found = tiny()
    rows = validation_rows(data, found, PairingOptions())
    assert rows["state"].tolist() == [FOUND, FOUND, FALSE, WRONG_CLASS, MISSED]
    assert rows["label"].tolist() == [0, 1, -1, 0, 1]
    assert rows["detection"].tolist() == [0, 1, 2, 0, -1]
    assert rows["image"].tolist() == [0, 0, 0, 1, 1]
    np.testing.assert_allclose(rows["iou"][[0, 1, 3]], [0.9, 0.9, 1.0])
    assert np.isnan(rows["iou"][[2, 4]]).all()
    np.testing.assert_allclose(rows.residual[0], [0, 0, 0, 2])


def test_defect_each_box_has_its_own_uncertainty():
    """The published inference divides every sigma by the sides of the first detection."""
    data, found = tiny()
    rows = validation_rows(data, found, PairingOptions())
    np.testing.assert_allclose(rows["al"][0], [1, 2, 3, 4])
    np.testing.assert_allclose(rows["al_rel"][0], np.mean([1 / 20, 2 / 18, 3 / 20, 4 / 18]), rtol=1e-6)
    np.testing.assert_allclose(rows["al_rel"][1], np.mean([2 / 40, 2 / 36, 2 / 40, 2 / 36]), rtol=1e-6)


def test_defect_total_is_the_law_of_total_variance():
    data, found = tiny()
    rows = validation_rows(data, found, PairingOptions())
    np.testing.assert_allclose(rows["sigma"][1], 4)  # not 2 + sqrt(12), not their mean
    np.testing.assert_allclose(rows["sigma"][3], 2)


def test_right_class_goes_before_a_surer_wrong_one():
    found = seen([[0, 0, 10, 10], [0, 0, 10, 9]], [0.9, 0.6], [1, 0])
    truth = labels([[0, 0, 10, 10]], [0])
    assert states(found, truth) == [FOUND, FALSE]
    assert states(found, truth, class_aware=False) == [WRONG_CLASS, FALSE]


def test_defect_one_detection_serves_one_box_and_false_ones_are_rows():
    found = seen([[0, 0, 10, 10], [60, 60, 70, 70]], [0.9, 0.8], [0, 0])
    truth = labels([[0, 0, 10, 10], [1, 0, 10, 10]], [0, 0])
    assert states(found, truth) == [FOUND, MISSED, FALSE]
    assert states(found, truth, method="published-iou") == [FOUND, FOUND]


def test_published_matcher_misses_what_nothing_overlaps():
    found = seen([[0, 0, 10, 10]], [0.01], [1])
    truth = labels([[0, 0, 10, 10], [50, 50, 60, 60]], [0, 0])
    assert states(found, truth, method="published-iou", min_score=0.5) == [WRONG_CLASS, MISSED]
    assert states(found, truth, min_score=0.5) == [MISSED, MISSED]


def test_crowds_difficult_boxes_and_ignored_regions_count_for_nothing():
    truth = labels(
        [[0, 0, 50, 50], [100, 0, 120, 20]], [0, 0], crowd=np.array([True, False]),
        difficult=np.array([False, True]), ignore=np.array([[0, 60, 40, 100.0]]),
    )  # fmt: skip
    found = seen([[5, 5, 20, 20], [100, 0, 120, 20], [2, 65, 20, 90]], [0.9, 0.8, 0.7], [0, 0, 1])
    assert states(found, truth) == [IGNORED] * 4  # the difficult box keeps its detection
    assert states(seen([], [], []), truth) == [IGNORED, IGNORED]


def test_nothing_at_all():
    assert states(seen([], [], []), labels([], [])) == []
    assert states(seen([[0, 0, 1, 1]], [0.5], [0]), labels([], [])) == [FALSE]
    assert len(validation_rows(dataset({"a": labels([], [])}), {}, PairingOptions())) == 0


boxes = st.lists(st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(4, 20)] * 2), max_size=7)


@settings(max_examples=60)
@given(boxes, boxes, st.booleans(), st.sampled_from(["greedy", "hungarian"]), st.data())
def test_every_box_is_in_one_row(given_boxes, found_boxes, aware, method, data):
    def corners(values):
        a = np.array(values, float).reshape(-1, 4)
        return np.hstack([a[:, :2], a[:, :2] + a[:, 2:]])

    def draws(n, low, high):
        return data.draw(st.lists(st.integers(low, high), min_size=n, max_size=n))

    n, m = len(found_boxes), len(given_boxes)
    found = seen(corners(found_boxes), np.array(draws(n, 1, 99)) / 100, draws(n, 0, 1))
    truth = labels(corners(given_boxes), draws(m, 0, 1))
    pairs = pair_image(found, truth, PairingOptions(0.3, aware, method, 0.2))
    assert pairs.label[pairs.label >= 0].tolist() == list(range(m))
    used = pairs.detection[pairs.detection >= 0]
    assert sorted(used.tolist()) == np.flatnonzero(found.scores >= 0.2).tolist()
    paired = (pairs.label >= 0) & (pairs.detection >= 0)
    assert ((pairs.state <= WRONG_CLASS) == paired).all()
    same = truth.classes[pairs.label[paired]] == found.classes[pairs.detection[paired]]
    assert ((pairs.state[paired] == FOUND) == same).all()


@pytest.mark.parametrize("options", [{"iou": 2}, {"min_score": -1}, {"method": "mine"}])
def test_impossible_options(options):
    with pytest.raises(InputError):
        PairingOptions(**options)


def test_table_on_disk(tmp_path):
    data, found = tiny()
    write_table(validation_rows(data, found, PairingOptions()), tmp_path / "v.parquet", SPACE)
    table = pq.read_table(tmp_path / "v.parquet")
    note = table.schema.metadata
    assert (note[b"dubio.validation"], note[b"dubio.level"]) == (b"1", b"0.9")
    assert json.loads(note[b"dubio.space"])["name"] == "farm"
    rows = table.to_pylist()
    assert [r["state"] for r in rows] == ["found", "found", "false", "wrong_class", "missed"]
    assert [r["image_id"] for r in rows] == ["a", "a", "a", "b", "b"]
    assert (rows[3]["given"], rows[3]["predicted"]) == ("hen", "cow")
    assert (rows[4]["predicted"], rows[4]["score"], rows[4]["detection"]) == (None, None, None)
    assert (rows[2]["given"], rows[2]["label"], rows[2]["given_x0"]) == (None, None, None)
    assert rows[0]["sigma_y1"] == pytest.approx(4)
    assert rows[0]["entropy"] is None
    assert rows[0]["fold"] is None
    empty = validation_rows(dataset({"a": labels([], [])}), {}, PairingOptions())
    write_table(empty, tmp_path / "none.parquet", SPACE)
    assert pq.read_table(tmp_path / "none.parquet").schema.equals(table.schema)
