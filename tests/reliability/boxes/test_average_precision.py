"""Average precision against published figures and independent evaluations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import dubio
from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.core.errors import InputError
from dubio.core.labelspace import LabelClass, LabelSpace
from dubio.reliability.boxes.average_precision import (
    ALL_THRESHOLDS,
    average_precision,
    voc_average_precision,
)

ONE = LabelSpace("one", (LabelClass(1, "object", (9, 9, 9)),))


def _set(labels: dict[str, BoxLabels], space: LabelSpace = ONE) -> BoxDataset:
    return BoxDataset("toy", space, tuple(BoxSample(name) for name in labels), labels)


def _corners(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:]], 1)


def test_gold_coco(shared: Path) -> None:
    gold = shared / "data" / "gold_detection_metrics" / "coco"
    dataset = dubio.open_boxes(gold / "gts" / "sampled_gts_bbox_area.json")
    seen = dubio.open_detections(dataset, gold / "dets" / "sampled_bbox_results.json").predictions
    figures = average_precision(dataset, seen).figures
    expected = [
        0.503647, 0.696973, 0.571667, 0.593252, 0.557991, 0.489363,
        0.386813, 0.593680, 0.595353, 0.654764, 0.603130, 0.553744,
    ]  # fmt: skip
    np.testing.assert_allclose(list(figures.values()), expected, atol=1e-6)


def _voc_files(folder: Path) -> dict[str, np.ndarray]:
    return {
        f.stem: np.array([line.split()[1:] for line in f.read_text().splitlines() if line.strip()], float)
        for f in sorted(folder.glob("*.txt"))
    }


def test_gold_voc(shared: Path) -> None:
    case = shared / "data" / "gold_detection_metrics" / "voc_case_1"
    truth, seen = _voc_files(case / "gts"), _voc_files(case / "dets")
    labels = {k: BoxLabels(_corners(v), np.zeros(len(v), int)) for k, v in truth.items()}
    found = {
        k: DetPrediction(_corners(v[:, 1:]), v[:, 0], np.zeros(len(v), int), 1, image_id=k)
        for k, v in seen.items()
    }
    eleven = {0.1: 0.3333333333, 0.3: 0.2683982683, 0.5: 0.0303030303, 0.75: 0.0}
    every = {0.1: 0.3371980676, 0.3: 0.2456866804, 0.5: 0.0222222222, 0.75: 0.0}
    # their boxes hold the last pixel too: a box of width w ends at x + w, one beyond ours
    last = np.array([0, 0, 1, 1])
    labels = {k: BoxLabels(b.boxes + last, b.classes) for k, b in labels.items()}
    found = {k: DetPrediction(p.boxes + last, p.scores, p.classes, 1, image_id=k) for k, p in found.items()}
    for iou in (0.1, 0.3, 0.5, 0.75):
        by_points = voc_average_precision(_set(labels), found, iou=iou, eleven_points=True)["object"]
        by_area = voc_average_precision(_set(labels), found, iou=iou)["object"]
        assert by_points == pytest.approx(eleven[iou], abs=1e-9)
        assert by_area == pytest.approx(every[iou], abs=1e-9)


def test_gold_toy(shared: Path, tmp_path: Path) -> None:
    toy = shared / "data" / "gold_detection_metrics" / "toyexample"
    dataset = dubio.open_boxes(toy / "gts_vocpascal_format", layout="voc")
    names = {name: k for k, name in enumerate(dataset.space.names)}
    found = {}
    for f in sorted((toy / "dets_classname_abs_xyx2y2").glob("*.txt")):
        rows = [line.split() for line in f.read_text().splitlines() if line.strip()]
        rows = [r for r in rows if r[0] in names]
        boxes = np.array([r[2:6] for r in rows], float).reshape(-1, 4)
        # corners count from 1 and hold the last pixel, as VOC's do
        boxes[:, :2] -= 1
        scores = np.array([r[1] for r in rows], float)
        classes = np.array([names[r[0]] for r in rows], int)
        found[f.stem] = DetPrediction(boxes, scores, classes, len(names), image_id=f.stem)
    by_points = voc_average_precision(dataset, found, eleven_points=True)
    by_area = voc_average_precision(dataset, found)
    assert np.nanmean(list(by_points.values())) == pytest.approx(0.8864, abs=5e-4)
    assert np.nanmean(list(by_area.values())) == pytest.approx(0.8958, abs=5e-4)


def test_thresholds_of_the_reference(shared: Path) -> None:
    """AP over IoU .05 to .95, and COCO's twelve, of a small set."""
    oracle = np.load(shared / "oracle" / "2_detection" / "o7_misc.npz")
    ann, det = oracle["k_ann"], oracle["k_det"]
    ids = sorted(set(ann[:, 0]) | set(det[:, 0]))
    classes = sorted(set(ann[:, 5]) | set(det[:, 6]))
    space = LabelSpace("toy", tuple(LabelClass(int(c), f"c{int(c)}", (1, 1, 1)) for c in classes))
    place = {c: k for k, c in enumerate(classes)}
    labels, seen = {}, {}
    for i in ids:
        a, d = ann[ann[:, 0] == i], det[det[:, 0] == i]
        labels[f"{int(i):03d}"] = BoxLabels(
            _corners(a[:, 1:5]), np.array([place[c] for c in a[:, 5]], np.int64)
        )
        seen[f"{int(i):03d}"] = DetPrediction(
            _corners(d[:, 1:5]), d[:, 5], np.array([place[c] for c in d[:, 6]], np.int64), len(classes)
        )
    found = average_precision(_set(labels, space), seen)
    np.testing.assert_allclose([found.per_iou[t] for t in ALL_THRESHOLDS], oracle["k_ap_iou"], atol=1e-9)
    wanted = oracle["k_stats"]
    ours = np.array(list(found.figures.values()))
    np.testing.assert_allclose(ours[~np.isnan(ours)], wanted[wanted > -1], atol=1e-9)


def test_agrees_with_pycocotools_with_crowds(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    import contextlib
    import io

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    rng = np.random.default_rng(3)
    space = LabelSpace("two", (LabelClass(1, "a", (1, 1, 1)), LabelClass(2, "b", (2, 2, 2))))
    labels, seen = {}, {}
    for i in range(30):
        low = rng.random((6, 2)) * 200
        boxes = np.concatenate([low, low + 5 + rng.random((6, 2)) * 120], 1)
        labels[f"{i:02d}"] = BoxLabels(boxes, rng.integers(0, 2, 6), crowd=rng.random(6) < 0.15)
        moved = boxes + rng.normal(0, 5, boxes.shape)
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        seen[f"{i:02d}"] = DetPrediction(moved, rng.random(6), rng.integers(0, 2, 6), 2)
    dataset = _set(labels, space)
    dubio.write_boxes(dataset, tmp_path / "truth.json", layout="coco")
    results = [
        {
            "image_id": i + 1,
            "category_id": int(c) + 1,
            "bbox": [b[0], b[1], b[2] - b[0], b[3] - b[1]],
            "score": s,
        }
        for i, p in enumerate(seen.values())
        for b, c, s in zip(p.boxes.tolist(), p.classes, p.scores.tolist(), strict=True)
    ]
    truth = json.loads((tmp_path / "truth.json").read_text())
    number = {Path(r["file_name"]).stem: r["id"] for r in truth["images"]}
    names = list(seen)
    for r in results:
        r["image_id"] = number[names[r["image_id"] - 1]]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(tmp_path / "truth.json"))
        run = COCOeval(coco, coco.loadRes(results), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    np.testing.assert_allclose(list(average_precision(dataset, seen).figures.values()), run.stats, atol=1e-9)


def _faster_coco_eval(truth: dict, results: list) -> np.ndarray:
    import contextlib
    import io

    from faster_coco_eval import COCO, COCOeval_faster

    with contextlib.redirect_stdout(io.StringIO()):
        gold = COCO(truth)
        run = COCOeval_faster(gold, gold.loadRes(results), "bbox", print_function=lambda *_: None)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return np.array(run.stats[:12])


def test_defect_sizes_are_those_of_the_outlines_as_coco_has_them(tmp_path: Path) -> None:
    """The figures of small, medium and large objects are those of COCO itself, for outlined objects."""
    rng = np.random.default_rng(8)
    truth = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 400, "height": 400} for i in range(1, 41)],
        "categories": [{"id": 4, "name": "a"}, {"id": 9, "name": "b"}],
        "annotations": [],
    }
    results = []
    for k in range(240):
        x, y = rng.uniform(0, 200, 2)
        w, h = rng.uniform(8, 180, 2)
        # a slim shape in a wide box; and one in four drawn as a box
        corners = [x, y, x + w, y + h * 0.9, x + w * 0.9, y + h, x, y + h * 0.1]
        area = float(w * h * rng.uniform(0.15, 0.8)) if k % 4 else float(w * h)
        own = {"image_id": k % 40 + 1, "category_id": (4, 9)[k % 2], "bbox": [x, y, w, h]}
        crowd = int(k % 20 == 3)
        truth["annotations"].append(
            {**own, "id": k + 1, "area": area, "iscrowd": crowd, "segmentation": [corners]}
        )
        shift = rng.normal(0, 6, 4)
        results.append(
            {
                **own,
                "bbox": [x + shift[0], y + shift[1], max(w + shift[2], 1), max(h + shift[3], 1)],
                "score": float(rng.random()),
            }
        )
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "found.json").write_text(json.dumps(results))
    expected = _faster_coco_eval(truth, results)

    dataset = dubio.open_boxes(tmp_path / "truth.json")
    seen = dubio.open_detections(dataset, tmp_path / "found.json").predictions
    ours = average_precision(dataset, seen).figures
    np.testing.assert_allclose(list(ours.values()), expected, atol=1e-9)

    # written and read again they are the same
    dubio.write_boxes(dataset, tmp_path / "again.json", layout="coco")
    again = dubio.open_boxes(tmp_path / "again.json")
    assert average_precision(again, seen).figures == pytest.approx(ours, abs=1e-12)

    # by their boxes they would be others
    bare = {**truth, "annotations": [{**a, "area": 0} for a in truth["annotations"]]}
    (tmp_path / "bare.json").write_text(json.dumps(bare))
    by_box = average_precision(dubio.open_boxes(tmp_path / "bare.json"), seen).figures
    assert by_box["ap"] == pytest.approx(ours["ap"], abs=1e-12)
    assert abs(by_box["ap_medium"] - ours["ap_medium"]) > 0.005


def test_ignored_regions_and_difficult_boxes_are_passed_over() -> None:
    box = np.array([[0.0, 0, 20, 20]])
    seen = DetPrediction(
        np.array([[0.0, 0, 20, 20], [100, 100, 120, 120], [200, 0, 220, 20]]),
        np.array([0.5, 0.9, 0.8]), np.zeros(3, int), 1,
    )  # fmt: skip
    plain = _set({"a": BoxLabels(box, np.array([0]))})
    kind = BoxLabels(
        np.array([[0.0, 0, 20, 20], [200, 0, 220, 20]]), np.array([0, 0]),
        difficult=np.array([False, True]), ignore=np.array([[90.0, 90, 140, 140]]),
    )  # fmt: skip
    assert average_precision(plain, {"a": seen}).ap50 == pytest.approx(1 / 3, abs=1e-3)
    assert average_precision(_set({"a": kind}), {"a": seen}).ap50 == pytest.approx(1.0)
    assert voc_average_precision(_set({"a": kind}), {"a": seen})["object"] == pytest.approx(0.5)


def test_images_without_boxes_and_without_detections() -> None:
    empty = _set({"a": BoxLabels(), "b": BoxLabels(np.array([[0.0, 0, 9, 9]]), np.array([0]))})
    assert average_precision(empty, {}).ap == 0
    assert np.isnan(average_precision(_set({"a": BoxLabels()}), {}).ap)
    none = DetPrediction(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), 3)
    with pytest.raises(InputError, match="has 1"):
        average_precision(empty, {"a": none})
