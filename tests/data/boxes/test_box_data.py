"""Real data: counts that the READMEs of ../shared/data give."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dubio.data.boxes import open_boxes, open_detections, size_of


def counts(dataset):
    classes = np.concatenate([dataset.labels[s.image_id].classes for s in dataset])
    return dict(zip(dataset.space.names, np.bincount(classes, minlength=len(dataset.space)), strict=True))


def test_blood_cells_of_the_final_annotation(shared):
    found = open_boxes(shared / "data/bccd/Annotations_final_shenggan")
    assert (found.name, len(found)) == ("voc", 364)
    assert counts(found) == {"Platelets": 361, "RBC": 4155, "WBC": 372}
    assert found.quarantined == ()
    assert all(s.image is not None and size_of(s) == (480, 640) for s in found)
    assert "364 of 364 pictures" in " ".join(found.notes)
    # two boxes of one pixel (README), which the counting from 1 gives an area of 1
    areas = np.concatenate([found.labels[s.image_id].areas for s in found])
    assert (areas <= 1).sum() == 2


def test_blood_cells_of_the_first_annotation_differ_as_the_list_of_changes_says(shared):
    folder = shared / "data/bccd"
    first, final = (open_boxes(folder / f"Annotations_{k}") for k in ("v1_cosmicad", "final_shenggan"))
    assert len(first) == 343
    old = sum(counts(first).values())
    changes = json.loads((folder / "changes_v1_to_final.json").read_text())
    kinds = [c["type"] for image in changes.values() for c in image]
    shared_images = [s.image_id for s in first]
    new = sum(len(final.labels[i]) for i in shared_images)
    assert new - old == kinds.count("added") - kinds.count("removed") == 980 - 45


def test_class_names_with_typos_are_names_of_their_own_unless_a_space_is_given(shared):
    folder = shared / "data/bccd"
    typos = folder / "Annotations_akshaylamba_classname_typos"
    assert {"Platetlets", "Platlets", "Platetets"} <= set(open_boxes(typos).space.names)
    space = open_boxes(folder / "Annotations_final_shenggan").space
    found = open_boxes(typos, space=space)
    assert any("Platlets" in text and "unknown" in text for text in found.quarantined)


def test_coco_subset_in_yolo_text(shared):
    folder = shared / "data/coco_val_subset"
    found = open_boxes(folder / "object_detection", images=folder / "images")
    assert (found.name, len(found), sum(counts(found).values()), len(found.space)) == ("yolo", 96, 658, 80)
    assert {s.split for s in found} == {"val"}
    assert found.quarantined == ()


def test_outlines_of_the_subset_give_the_same_boxes(shared):
    folder = shared / "data/coco_val_subset"
    plain = open_boxes(folder / "object_detection", images=folder / "images")
    outlined = open_boxes(folder / "instance_segmentation", images=folder / "images")
    image = "val2017/000000000139"
    name = "tv"
    ours, theirs = (
        d.labels[image].boxes[d.labels[image].classes == d.space.index_of(name)] for d in (plain, outlined)
    )
    np.testing.assert_allclose(np.sort(ours, axis=0), np.sort(theirs, axis=0), atol=1.5)


def test_nuclei(shared):
    found = open_boxes(shared / "data/nuclei/boxes_original_coco.json")
    assert (len(found), sum(counts(found).values())) == (165, 8439)
    assert all(s.image is not None for s in found)


def test_gold_detection_metrics(shared):
    folder = shared / "data/gold_detection_metrics"
    truth = open_boxes(folder / "coco/gts/sampled_gts_bbox_area.json")
    assert (len(truth), sum(counts(truth).values())) == (100, 830)
    seen = open_detections(truth, folder / "coco/dets/sampled_bbox_results.json")
    assert sum(len(p) for p in seen.predictions.values()) == 734
    assert len(seen.predictions) == 100
    assert seen.quarantined == ()


def test_toy_example_in_two_formats(shared):
    folder = shared / "data/gold_detection_metrics/toyexample"
    voc, coco = open_boxes(folder / "gts_vocpascal_format"), open_boxes(folder / "gts_coco_format")
    assert [s.image_id for s in voc] == [s.image_id for s in coco]
    bare = [s.image_id for s in voc if not len(voc.labels[s.image_id])]
    assert bare == [s.image_id for s in coco if not len(coco.labels[s.image_id])] != []
    for s in voc:
        # That COCO file was made without taking 1 off.
        ours, theirs = voc.labels[s.image_id].boxes, coco.labels[s.image_id].boxes
        np.testing.assert_allclose(ours + np.array([1, 1, 0, 0]), theirs, atol=1)


@pytest.mark.parametrize("layout", ["coco", "voc", "cvat", "csv", "label-studio"])
def test_blood_cells_through_other_formats(shared, tmp_path, layout):
    from dubio.data.boxes import write_boxes

    folder = shared / "data/bccd"
    found = open_boxes(folder / "Annotations_final_shenggan")
    suffix = {"coco": ".json", "label-studio": ".json", "cvat": ".xml", "csv": ".csv", "voc": ""}[layout]
    write_boxes(found, tmp_path / f"it{suffix}", layout)
    back = open_boxes(tmp_path / f"it{suffix}", images=folder / "JPEGImages")
    assert (back.name, counts(back)) == (layout, counts(found))
    for s in found:
        np.testing.assert_allclose(back.labels[s.image_id].boxes, found.labels[s.image_id].boxes, atol=1e-9)


def test_pycocotools_reads_what_is_written_and_finds_the_published_precision(shared, tmp_path):
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    from dubio.data.boxes import write_boxes, write_coco_results

    folder = shared / "data/gold_detection_metrics/coco"
    truth = open_boxes(folder / "gts/sampled_gts_bbox_area.json")
    seen = open_detections(truth, folder / "dets/sampled_bbox_results.json")
    write_boxes(truth, tmp_path / "truth.json", "coco")
    write_coco_results(truth, seen.predictions, tmp_path / "seen.json")
    theirs = COCO(str(tmp_path / "truth.json"))
    judge = COCOeval(theirs, theirs.loadRes(str(tmp_path / "seen.json")), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    # README of the gold numbers: AP, AP50, AP75
    np.testing.assert_allclose(judge.stats[:3], [0.503647, 0.696973, 0.571667], atol=1e-6)
