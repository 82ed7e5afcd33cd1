"""Detections from files, and boxes at the border to other tools."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dubio import InputError
from dubio.data.boxes import (
    detections_to_pandas,
    from_detections,
    labels_from_detections,
    open_boxes,
    open_detections,
    to_pandas,
)
from dubio.data.boxes.kitti import kitti_space


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def coco(**more):
    return {
        "images": [
            {"id": 7, "file_name": "x/a.jpg", "width": 20, "height": 10},
            {"id": 3, "file_name": "b.jpg"},
        ],
        "categories": [{"id": 90, "name": "dog"}, {"id": 2, "name": "cat"}],
        "annotations": [
            {"id": 5, "image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4], "iscrowd": 1},
            {"id": 6, "image_id": 7, "category_id": 90, "bbox": [0, 0, 2.5, 2], "iscrowd": 0},
        ],
        **more,
    }


def test_detections_of_other_numbering_are_matched_by_stem(tmp_path):
    for name in ("000139", "000200"):
        put(tmp_path / f"labels/{name}.txt", "")
    truth = open_boxes(tmp_path, space=kitti_space())
    results = [{"image_id": 139, "category_id": 1, "bbox": [0, 0, 2, 2], "score": 0.5}]
    strange = {**results[0], "image_id": 5}
    seen = open_detections(truth, put(tmp_path / "r.json", [*results, strange]))
    assert [len(seen.predictions[k]) for k in ("000139", "000200")] == [1, 0]
    assert any("1 detections are of images that the data set lacks" in note for note in seen.notes)
    with pytest.raises(InputError, match="no detection of any image"):
        open_detections(truth, put(tmp_path / "r.json", [strange]))


def test_the_kind_of_class_scores_is_found_out_and_said(tmp_path):
    truth = open_boxes(put(tmp_path / "a.json", coco()))
    for scores, kind in (([0.5, 0.5], "softmax"), ([0.9, 0.9], "sigmoid"), ([-1, 3], "logits")):
        record = {"image_id": 7, "category_id": 2, "bbox": [0, 0, 2, 2], "score": 0.5, "class_scores": scores}
        seen = open_detections(truth, put(tmp_path / "r.json", [record]))
        assert seen.predictions["x/a"].kind == kind
        assert any(kind in note for note in seen.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"class_scores": [0.9, 0.9], "class_scores_kind": "softmax"}, "sum to more"),
        ({"class_scores": [0.1, 0.9], "class_scores_kind": "votes"}, "kind"),
        ({"class_scores": [0.1]}, "2 numbers"),
        ({"box_aleatoric": [1, 1, 1, -1]}, "box_aleatoric -1"),
        ({"box_epistemic": [1, 1, 1, float("nan")]}, "box_epistemic nan"),
    ],
)
def test_bad_class_scores_and_variances_are_refused_when_opened(tmp_path, change, words):
    truth = open_boxes(put(tmp_path / "a.json", coco()))
    record = {"image_id": 7, "category_id": 2, "bbox": [0, 0, 2, 2], "score": 0.5, **change}
    with pytest.raises(InputError, match=words):
        open_detections(truth, put(tmp_path / "r.json", [record]))


@pytest.mark.parametrize(
    "change",
    [
        {"box_aleatoric": [1, 1, 1, -1]},
        {"box_aleatoric": [1, None, 1, 1]},
        {"box_aleatoric": [1, 1]},
        {"box_epistemic": [1, float("inf"), 1, 1]},
        {"class_scores": [0.2, float("nan")]},
        {"class_variance": [0.2, -0.1]},
        {"expected_entropy": float("nan")},
        {"bbox": [0, 0, float("nan"), 2]},
        {"score": float("inf")},
    ],
)
def test_one_bad_detection_is_left_out_with_its_place(tmp_path, change):
    truth = open_boxes(put(tmp_path / "a.json", coco()))
    record = {"image_id": 7, "category_id": 2, "bbox": [0, 0, 2, 2], "score": 0.5, "class_scores": [0.2, 0.7],
              "box_aleatoric": [1, 2, 3, 4], "box_epistemic": [1, 2, 3, 4], "class_variance": [0, 0.1],
              "expected_entropy": 0.3}  # fmt: skip
    path = put(tmp_path / "r.json", [record, 5, {**record, **change}, record])
    seen = open_detections(truth, path)
    found = seen.predictions["x/a"]
    assert len(found) == 2
    assert found.box_aleatoric.tolist() == [[1, 2, 3, 4]] * 2
    assert [fault.split(":")[0] for fault in seen.quarantined] == ["detection 2", "detection 3 of 'x/a'"]
    assert any("2 records are left out of r.json (first: " in note for note in seen.notes)
    path = put(tmp_path / "s.json", [record, {**record, **change}])
    with pytest.raises(InputError, match="detection 2 of 'x/a'"):
        open_detections(truth, path, strict=True)


class Found:
    """What supervision.Detections looks like from outside."""

    xyxy = np.array([[0, 0, 2, 2]], np.float32)
    confidence = np.array([0.5], np.float32)
    class_id = np.array([1])
    data = {"class_scores": np.array([[0.2, 0.5]]), "class_scores_kind": "sigmoid"}  # noqa: RUF012


def test_objects_like_those_of_supervision():
    seen = from_detections(Found(), 2, image_id="a")
    assert (seen.image_id, seen.kind, seen.scores.tolist()) == ("a", "sigmoid", [0.5])
    assert seen.class_scores.tolist() == [[0.2, 0.5]]
    assert labels_from_detections(Found()).classes.tolist() == [1]
    bare = Found()
    bare.confidence = None
    with pytest.raises(InputError, match="no confidence"):
        from_detections(bare, 2)


def test_tables_for_pandas(tmp_path):
    pytest.importorskip("pandas")
    found = open_boxes(put(tmp_path / "a.json", coco()))
    table = to_pandas(found)
    assert table[["image_id", "class"]].to_numpy().tolist() == [["x/a", "cat"], ["x/a", "dog"]]
    assert table[["x1", "y1", "x2", "y2"]].to_numpy().tolist() == [[1, 2, 4, 6], [0, 0, 2.5, 2]]
    assert table["crowd"].tolist() == [True, False]
    seen = detections_to_pandas({"a": from_detections(Found(), 2)}, found.space)
    assert seen[["image_id", "class", "score", "score_dog"]].to_numpy().tolist() == [["a", "cat", 0.5, 0.2]]
