"""``dubio predict --detector``: from pictures to tables, resumed, with bad files among them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dubio.cli.main import main
from dubio.core.errors import InputError
from dubio.core.run import Run
from dubio.data.boxes import open_boxes, open_detections

SIDE, CELL = 64, 8
COLOURS = ("red", "green", "blue")


def _detector(path, metadata):
    """Finds squares of 8 x 8 pixels: the mean colour of each cell is its score of red, green and blue."""
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    y, x = np.mgrid[: SIDE // CELL, : SIDE // CELL].reshape(2, -1) * CELL
    boxes = np.stack([x, y, x + CELL, y + CELL], 1).astype(np.float32)[None]
    nodes = [
        helper.make_node(
            "AveragePool", ["images"], ["means"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]
        ),
        helper.make_node("Reshape", ["means", "shape"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["scores"], perm=[0, 2, 1]),
        helper.make_node("Identity", ["cells"], ["boxes"]),
    ]
    tensors = [
        numpy_helper.from_array(boxes, "cells"),
        numpy_helper.from_array(np.array([1, 3, len(boxes[0])]), "shape"),
    ]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "squares",
        [info("images", onnx.TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [info(n, onnx.TensorProto.FLOAT, [1, len(boxes[0]), k]) for n, k in (("boxes", 4), ("scores", 3))],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    entry = model.metadata_props.add()
    entry.key, entry.value = "dubio.detector", json.dumps(metadata)
    onnx.save(model, str(path))


def _picture(number):
    """Squares of three colours; the last picture has none."""
    pixels, squares = np.zeros((SIDE, SIDE, 3), np.uint8), []
    for k in range(number % 4):
        x, y = CELL * ((3 * k + number) % 8), CELL * ((2 * k + 1) % 8)
        pixels[y : y + CELL, x : x + CELL, k] = 250 - 20 * k
        squares.append((k, x, y))
    return pixels, squares


@pytest.fixture
def yard(tmp_path):
    card = {
        "format": 1,
        "task": "detection",
        "space": {
            "name": "colours",
            "classes": [{"id": k, "name": n} for k, n in enumerate(COLOURS)],
            "void": [],
        },
        "input": {"size": [SIDE, SIDE], "pad": 0},
        "outputs": {"coder": "corners", "boxes": "boxes", "logits": "scores", "activated": True},
    }
    _detector(tmp_path / "net.onnx", card)
    (tmp_path / "images").mkdir()
    records = {"images": [], "annotations": [], "categories": []}
    for number in range(8):
        pixels, squares = _picture(number)
        Image.fromarray(pixels).save(tmp_path / f"images/p{number}.png")
        records["images"].append(
            {"id": 50 + number, "file_name": f"p{number}.png", "width": SIDE, "height": SIDE}
        )
        for k, x, y in squares:
            box = {"id": len(records["annotations"]) + 1, "image_id": 50 + number, "iscrowd": 0, "area": 64}
            records["annotations"].append({**box, "category_id": 9 - k, "bbox": [x, y, CELL, CELL]})
    records["categories"] = [{"id": 9 - k, "name": n.upper()} for k, n in enumerate(COLOURS)]
    (tmp_path / "labels.json").write_text(json.dumps(records))
    return tmp_path


def run(*args):
    result = CliRunner().invoke(main, ["predict", *map(str, args)])
    return result.exit_code, result.stdout, result.stderr


def predict(yard, *more, out="run"):
    return run(
        "--detector", yard / "net.onnx", "--images", yard / "images", *more, "--out", yard / out, "--json"
    )


def test_images_alone(yard):
    status, text, said = predict(yard)
    assert status == 0, said
    data = json.loads(text)
    assert (data["images"], data["detections"], data["bare"], data["ap"]) == (8, 12, 2, None)
    for words in ("metadata of the file", "3 of 'colours'", "letterbox", "hard NMS", "8 images, no labels"):
        assert words in said
    assert sorted(p.name for p in (yard / "run").glob("*.*[tn]")) == [
        "boxes.parquet", "detections.json", "images.json", "quarantine.json", "run.json",
    ]  # fmt: skip
    truth = open_boxes(yard / "labels.json", images=yard / "images")
    found = open_detections(truth, yard / "run")
    want = truth.labels["p3"]
    got = found.predictions["p3"]
    np.testing.assert_array_equal(
        got.boxes[np.argsort(got.classes)], want.boxes[np.argsort(-want.classes)][::-1]
    )
    assert len(found.predictions["p4"]) == 0


def test_labels_give_average_precision_and_classes_meet_by_name(yard):
    status, text, said = predict(yard, "--boxes", yard / "labels.json")
    assert status == 0, said
    assert json.loads(text)["ap"] == pytest.approx(1.0)
    coco = pytest.importorskip("pycocotools.coco")
    truth = coco.COCO(str(yard / "labels.json"))
    assert len(truth.loadRes(str(yard / "run/detections.json")).anns) == 12
    # what stands beside the results is enough for another reader
    alone = coco.COCO(str(yard / "run/images.json")).loadRes(str(yard / "run/detections.json"))
    assert set(alone.getImgIds()) == set(range(50, 58))
    assert {c["name"]: c["id"] for c in alone.loadCats(alone.getCatIds())} == {
        "RED": 9,
        "GREEN": 8,
        "BLUE": 7,
    }


def test_what_is_done_is_not_done_again(yard):
    assert json.loads(predict(yard)[1])["resumed"] == 0
    first = (yard / "run/boxes.parquet").read_bytes()
    assert json.loads(predict(yard)[1])["resumed"] == 8
    assert (yard / "run/boxes.parquet").read_bytes() == first
    Image.fromarray(_picture(3)[0]).save(yard / "images/p4.png")
    data = json.loads(predict(yard)[1])
    assert (data["resumed"], data["detections"]) == (7, 15)
    assert json.loads(predict(yard, "--score", "0.95")[1])["resumed"] == 0


def test_a_killed_run_is_taken_up(yard):
    from dubio.jobs.predict_boxes import PredictBoxesJob, open_images
    from dubio.models.det.load import load_detector
    from dubio.models.det.source import DetectionSource

    model = load_detector(yard / "net.onnx")
    data = open_images(yard / "images", model.space)

    def job():
        return PredictBoxesJob(
            DetectionSource(model), data, Run(yard / "half", "predict", {}), labelled=False, workers=1
        )

    started = job()
    work = started.work()
    for _ in range(3):
        next(work)
    work.close()
    (torn,) = started.outputs.part.glob("p0.*")
    torn.write_bytes(torn.read_bytes()[:100])
    assert not (yard / "half/boxes.parquet").exists()
    started.run._release()
    again = job()
    states = [o.status for o in again.work()]
    assert states.count("found") >= 2
    summary = again.finish()
    assert (summary.images, summary.detections, summary.damaged) == (8, 12, 1)
    predict(yard)
    whole, half = (open_detections(data, yard / name).predictions for name in ("run", "half"))
    for name in whole:
        np.testing.assert_array_equal(whole[name].boxes, half[name].boxes)


def test_another_models_tables_do_not_stay(yard, monkeypatch):
    """A run that is stopped before its end must not leave what was found with other options."""
    from dubio.models.det.detector import Detector

    predict(yard)
    assert (yard / "run/boxes.parquet").exists()

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Detector, "detect", stop)
    assert predict(yard, "--score", "0.2")[0] == 130
    assert not (yard / "run/boxes.parquet").exists()


def test_bad_pictures_are_put_aside(yard):
    (yard / "images/p1.png").write_bytes(b"no picture")
    Image.fromarray(_picture(2)[0]).resize((20, 20)).save(yard / "images/p2.png")
    status, text, said = predict(yard, "--boxes", yard / "labels.json")
    assert status == 0, said
    data = json.loads(text)
    assert (data["images"], [q["image_id"] for q in data["quarantined"]]) == (6, ["p1", "p2"])
    assert "20 x 20 pixels, its labels say 64 x 64" in said
    listed = json.loads((yard / "run/quarantine.json").read_text())
    assert [q["image_id"] for q in listed] == ["p1", "p2"]
    status, _, said = predict(yard, "--strict", out="strict")
    assert (status, "p1.png" in said) == (2, True)


def test_pictures_of_all_kinds(yard):
    for path in (yard / "images").iterdir():
        path.unlink()
    grey = np.zeros((SIDE, SIDE), np.uint8)
    grey[:CELL, :CELL] = 255
    Image.fromarray(grey).save(yard / "images/grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(yard / "images/deep.png")
    Image.fromarray(np.dstack([grey] * 4)).save(yard / "images/clear.png")
    Image.fromarray(grey[:1, :1]).save(yard / "images/dot.png")
    Image.fromarray(np.kron(grey, np.ones((2, 3), np.uint8))).save(yard / "images/wide.png")
    status, text, said = predict(yard, "--score", "0.5", "--agnostic")
    assert status == 0, said
    assert json.loads(text)["images"] == 5
    from dubio.jobs.predict_boxes import open_images

    seen = open_detections(open_images(yard / "images", _space(yard)), yard / "run").predictions
    for name in ("grey", "deep", "clear"):
        assert seen[name].boxes.tolist() == [[0, 0, CELL, CELL]]


def _space(yard):
    from dubio.models.det.load import load_detector

    return load_detector(yard / "net.onnx").space


def test_a_class_map_is_applied_before_double_detections_go(yard):
    (yard / "yard.json").write_text(
        json.dumps(
            {"name": "yard", "void": [], "classes": [{"id": 1, "name": "warm"}, {"id": 2, "name": "cold"}]}
        )
    )
    (yard / "map.toml").write_text('[map]\nred = "warm"\ngreen = "warm"\n')
    status, text, said = predict(yard, "--label-space", yard / "yard.json", "--class-map", yard / "map.toml")
    assert status == 0, said
    assert json.loads(text)["detections"] == 10
    for words in ("count as 1 of the 2 of 'yard'", "can't find: cold", "without a counterpart: blue"):
        assert words in said
    names = [r["name"] for r in json.loads((yard / "run/images.json").read_text())["categories"]]
    assert names == ["warm", "cold"]


def test_what_cannot_be_is_one_sentence_and_status_2(yard):
    images, net = yard / "images", yard / "net.onnx"
    (yard / "cats.json").write_text(json.dumps({"name": "cats", "classes": [{"id": 0, "name": "cat"}]}))
    for args, words in (
        (("--detector", net), "--images or --boxes"),
        (("--detector", yard / "none.onnx", "--images", images), "none.onnx"),
        (("--detector", net, "--images", images, "--window", 9, 9), "--window has no use with --detector"),
        (("--detector", net, "--images", images, "--model", net), "--model has no use"),
        (("--detector", net, "--images", images, "--keep-scores"), "--keep-scores has no use"),
        (("--model", net, "--images", images, "--iou", 0.3), "--iou goes with --detector"),
        (("--detector", net, "--images", images, "--fuse"), "without variances"),
        (("--detector", net, "--images", images, "--decode", "sample"), "variances"),
        (("--detector", net, "--images", images, "--card", "unheard"), "unheard"),
        (("--detector", net, "--images", images, "--samples", 3), "within or none"),
        (
            ("--detector", net, "--images", images, "--label-space", yard / "cats.json"),
            "no class of the detector",
        ),
        (("--detector", net, "--images", images, "--layout", "coco"), "--layout"),
        (("--detector", net, "--images", yard / "nowhere"), "nowhere"),
    ):
        status, _, said = run(*args, "--out", yard / "run")
        assert status == 2, (args, said)
        assert words in said.strip().splitlines()[-1], (words, said)
        assert "Traceback" not in said
        assert not (yard / "run/quarantine.json").exists()


def test_a_run_of_segmentation_is_another(yard):
    predict(yard)
    with pytest.raises(InputError, match="is a run of 'dubio predict --detector'"):
        Run(yard / "run", "predict", {})
