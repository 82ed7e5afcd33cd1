"""Published scores of boxes, and what they miss."""

from __future__ import annotations

import numpy as np
import pytest

from dubio import InputError
from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.data.boxes.table import space_of
from dubio.errors.bench.box_planting import BoxPlantOptions, plant_box_errors
from dubio.errors.bench.box_scoring import score_boxes
from dubio.errors.boxes.published import mistakenness, objectlab, published_findings

from .toy import scaled, toy


def one(labels, seen):
    data = BoxDataset(
        "one", space_of("one", ["a", "b"]), (BoxSample("i", width=99, height=99),), {"i": labels}
    )
    return objectlab(data, {"i": seen})["i"]


def boxes(*rows):
    return np.array(rows, float).reshape(-1, 4)


def test_objectlab_by_hand():
    labels = BoxLabels(boxes([0, 0, 10, 10], [50, 50, 60, 60]), np.array([0, 0]))
    seen = DetPrediction(
        boxes([0, 0, 10, 10], [50, 50, 60, 55], [80, 80, 90, 90]),
        np.array([0.97, 0.6, 0.96]),
        np.array([1, 0, 0]),
        2,
    )
    found = one(labels, seen)
    # the first label has the place of a sure detection of another class
    assert found.swap[0] < 0.05
    assert found.swap[1] == pytest.approx(1, abs=1e-3)
    # IoU 0.5 with centres 2.5 pixels apart
    assert found.badloc.tolist() == [1.0, pytest.approx(0.9 * 0.5 + 0.1 * np.exp(-0.25))]
    # the third detection meets nothing; the nearest label of its class is far
    far = 0.1 * np.exp(-0.1 * np.hypot(30, 30))
    assert np.isnan(found.overlooked[:2]).all()
    assert found.overlooked[2] == pytest.approx(far)
    assert 0 < found.quality() < 0.2


def test_objectlab_of_two_names_for_one_object():
    labels = BoxLabels(boxes([0, 0, 10, 10], [0, 0, 10, 10]), np.array([0, 1]))
    found = one(labels, DetPrediction(boxes([0, 0, 10, 10]), np.array([0.5]), np.array([0]), 2))
    assert found.swap.tolist() == [1.0, 1.0]  # the least similarity of the data set is that of the same box
    assert one(labels, DetPrediction(boxes(), np.zeros(0), np.zeros(0, int), 2)).quality() == 1


def test_objectlab_equals_cleanlab():
    rank = pytest.importorskip("cleanlab.object_detection.rank")
    data, seen = toy(12, 6)
    ours = objectlab(data, seen, high=0.8)
    labels, predictions = [], []
    for s in data:
        labels.append({"bboxes": data.labels[s.image_id].boxes, "labels": data.labels[s.image_id].classes})
        p, by_class = seen[s.image_id], np.empty(3, object)
        for c in range(3):
            rows = p.classes == c
            by_class[c] = np.column_stack([p.boxes[rows], p.scores[rows]])
        predictions.append(by_class)
    theirs = rank.compute_swap_box_scores(
        labels=labels, predictions=predictions, high_probability_threshold=0.8
    )
    badloc = rank.compute_badloc_box_scores(labels=labels, predictions=predictions)
    for s, swap, bad in zip(data, theirs, badloc, strict=True):
        np.testing.assert_allclose(ours[s.image_id].swap, swap, atol=1e-12)
        np.testing.assert_allclose(ours[s.image_id].badloc, bad, atol=1e-12)


def test_mistakenness_by_hand():
    labels = BoxLabels(boxes([0, 0, 10, 10], [50, 50, 60, 60], [20, 0, 30, 10]), np.array([0, 0, 1]))
    seen = DetPrediction(
        boxes([0, 0, 10, 10], [50, 50, 60, 57.5], [80, 80, 90, 90]),
        np.array([0.9, 0.6, 0.96]),
        np.array([0, 1, 0]),
        2,
    )
    found = mistakenness(labels, seen)
    np.testing.assert_allclose(found.label, [0.05, 0.8, np.nan])
    np.testing.assert_allclose(found.location, [0.05, 0.5, np.nan])
    assert found.spurious.tolist() == [0, 0, 1]
    assert found.missing.tolist() == [0, 0, 1]
    assert mistakenness(labels, seen, sure=0.97).missing.tolist() == [0, 0, 0]


def test_defect_a_fixed_bar_goes_blind():
    """At 0.9 times the scores nothing passes 0.95 any more, and the published lists lose what they found."""
    data, seen = toy(60, 5)
    seen = scaled(seen, lambda s: s**0.1)
    faulty, truth = plant_box_errors(data, BoxPlantOptions(rate=0.1, seed=1))

    def found(detections, kind):
        listed = published_findings(faulty, detections, sure=0.95)
        return next(k.ap.value for k in score_boxes(listed, truth, draws=0).kinds if k.kind == kind)

    blind = scaled(seen, lambda s: 0.9 * s)
    for kind in ("missing", "wrong_class"):
        assert found(seen, kind) > 0
        assert found(blind, kind) == 0


def test_published_lists():
    data, seen = toy(10, 6)
    for method in ("objectlab", "fiftyone"):
        listed = published_findings(data, seen, method)
        assert [f.finding for f in listed] == list(range(1, len(listed) + 1))
        assert [f.probability for f in listed] == sorted((f.probability for f in listed), reverse=True)
        assert all((f.kind == "missing") == (f.given_box is None) for f in listed)
    with pytest.raises(InputError, match="no scores of 'x'"):
        published_findings(data, seen, "x")
    del seen["im001"]
    assert "im001" not in {f.image_id for f in published_findings(data, seen)}
