"""Matching of detections with labelled boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubio.core.boxes import BoxLabels, DetPrediction
from dubio.core.errors import InputError
from dubio.regions.boxes.iou import paired_iou, pairwise_cover, pairwise_iou
from dubio.regions.boxes.matching import match_boxes


def _random(seed: int, n: int, m: int) -> tuple[DetPrediction, BoxLabels]:
    rng = np.random.default_rng(seed)

    def boxes(count: int) -> np.ndarray:
        low = rng.integers(0, 60, (count, 2)).astype(float)
        return np.concatenate([low, low + rng.integers(1, 40, (count, 2))], 1)

    seen = DetPrediction(boxes(n), rng.random(n), rng.integers(0, 2, n), 2)
    crowd = rng.random(m) < 0.1
    return seen, BoxLabels(boxes(m), rng.integers(0, 2, m), crowd=crowd, difficult=rng.random(m) < 0.2)


@given(st.integers(0, 10**6), st.integers(0, 12), st.integers(0, 12), st.booleans())
def test_pairs_are_one_to_one(seed: int, n: int, m: int, class_aware: bool) -> None:
    seen, labels = _random(seed, n, m)
    for method in ("greedy", "hungarian"):
        found = match_boxes(seen, labels, iou=0.2, class_aware=class_aware, method=method)
        paired = np.flatnonzero(found.label >= 0)
        assert len(set(found.label[paired].tolist())) == len(paired)
        assert (found.prediction[found.label[paired]] == paired).all()
        assert (found.iou[paired] >= 0.2).all()
        np.testing.assert_allclose(
            found.iou[paired], paired_iou(seen.boxes[paired], labels.boxes[found.label[paired]])
        )
        if class_aware:
            assert (seen.classes[paired] == labels.classes[found.label[paired]]).all()
        # every detection is right, wrong or ignored, and only one of the three
        told = np.stack([found.true_positive, found.false_positive, found.ignored])
        assert (told.sum(0) == 1).all()
        assert not found.missed[labels.crowd | labels.difficult].any()


@given(st.integers(0, 10**6), st.integers(1, 8))
def test_order_of_boxes_does_not_matter(seed: int, n: int) -> None:
    seen, labels = _random(seed, n, 6)
    order = np.random.default_rng(seed).permutation(n)
    one, other = match_boxes(seen, labels, iou=0.1), match_boxes(seen.take(order), labels, iou=0.1)
    assert (one.label[order] == other.label).all()


def test_agrees_with_coco_on_which_detections_are_right(shared: Path) -> None:
    """Precision at the end of the list follows from true and false positives."""
    pytest.importorskip("pycocotools")
    import contextlib
    import io
    import json

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    import dubio

    gold = shared / "data" / "gold_detection_metrics" / "coco"
    truth, seen = gold / "gts" / "sampled_gts_bbox_area.json", gold / "dets" / "sampled_bbox_results.json"
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(truth))
        results = json.loads(seen.read_text())
        run = COCOeval(coco, coco.loadRes(results.get("annotations", results)), "bbox")
        run.params.iouThrs, run.params.areaRng = np.array([0.5]), [[0, 1e10]]
        run.params.areaRngLbl = ["all"]
        run.evaluate()
    theirs = sum(int((e["dtMatches"][0] > 0)[~e["dtIgnore"][0]].sum()) for e in run.evalImgs if e)
    wrong = sum(int((e["dtMatches"][0] == 0)[~e["dtIgnore"][0]].sum()) for e in run.evalImgs if e)
    dataset = dubio.open_boxes(truth)
    predictions = dubio.open_detections(dataset, seen).predictions
    matches = [match_boxes(predictions[s.image_id], dataset.labels[s.image_id]) for s in dataset]
    assert sum(int(m.true_positive.sum()) for m in matches) == theirs
    assert sum(int(m.false_positive.sum()) for m in matches) == wrong


def test_the_published_matchers(shared: Path) -> None:
    oracle = np.load(shared / "oracle" / "2_detection" / "o7_misc.npz")
    swap = [1, 0, 3, 2]
    gt, pr = oracle["m_gt"][:, swap], oracle["m_pr"][:, swap]
    seen = DetPrediction(pr, np.linspace(1, 0.1, len(pr)), np.zeros(len(pr), int), 1)
    labels = BoxLabels(gt, np.zeros(len(gt), int))
    by_iou = match_boxes(seen, labels, method="published-iou")
    assert (by_iou.prediction == oracle["m_iou_assign"]).all()
    np.testing.assert_allclose(by_iou.label_iou, oracle["m_iou"], atol=1e-6)
    assert (match_boxes(seen, labels, method="published-mse").prediction == oracle["m_mse_assign"]).all()


def test_defect_12_one_detection_serves_one_object_and_false_positives_are_told() -> None:
    two = BoxLabels(np.array([[0, 0, 10, 10], [1, 0, 11, 10]]), np.array([0, 0]))
    seen = DetPrediction(np.array([[0, 0, 10, 10], [50, 50, 60, 60]]), np.array([0.9, 0.8]), [0, 0], 1)
    ours, theirs = match_boxes(seen, two), match_boxes(seen, two, method="published-iou")
    assert theirs.prediction.tolist() == [0, 0]
    assert ours.prediction.tolist() == [0, -1]
    assert ours.missed.tolist() == [False, True]
    assert ours.false_positive.tolist() == [False, True]


def test_defect_12_boxes_at_the_border_count() -> None:
    """Coordinates that are zero are coordinates."""
    edge = BoxLabels(np.array([[0, 0, 10, 10]]), np.array([0]))
    seen = DetPrediction(np.array([[0, 0, 10, 8]]), np.array([0.9]), [0], 1)
    assert match_boxes(seen, edge).iou.tolist() == [0.8]


def test_defect_23_detections_in_ignored_regions_are_not_wrong() -> None:
    labels = BoxLabels(ignore=np.array([[0, 0, 50, 50]]))
    seen = DetPrediction(np.array([[10, 10, 20, 20], [45, 45, 65, 65]]), np.array([0.9, 0.8]), [0, 0], 1)
    found = match_boxes(seen, labels)
    assert found.ignored.tolist() == [True, False]
    assert found.false_positive.tolist() == [False, True]


def test_nothing_to_match() -> None:
    none = DetPrediction(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), 1)
    one = BoxLabels(np.array([[0, 0, 1, 1]]), np.array([0]))
    for method in ("greedy", "hungarian", "published-iou", "published-mse"):
        assert match_boxes(none, one, method=method).prediction.tolist() == [-1]
        assert len(match_boxes(none, BoxLabels(), method=method).label) == 0


def test_no_such_method() -> None:
    none = DetPrediction(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), 1)
    with pytest.raises(InputError, match="no matching 'best'"):
        match_boxes(none, BoxLabels(), method="best")  # type: ignore[arg-type]


def test_overlaps_by_hand() -> None:
    a = [[0, 0, 4, 4], [2, 2, 2, 2]]
    np.testing.assert_allclose(pairwise_iou(a, a), [[1, 0], [0, 0]])
    np.testing.assert_allclose(pairwise_cover(a, [[0, 0, 2, 4]]), [[0.5], [0]])
