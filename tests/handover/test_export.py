"""Every format, read back with somebody else's reader."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import xmlschema
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from dubio import InputError, read_mask
from dubio.handover.fiftyone import unpack_array
from dubio.handover.items import Choice
from dubio.handover.label_studio import validate
from dubio.handover.polygons import fill
from dubio.handover.rle import from_coco
from dubio.jobs.handover import export_run

from ..toy import SPACE
from .conftest import judge

brush = pytest.importorskip("label_studio_sdk.converter.brush", reason="needs label-studio-sdk")
LabelInterface = pytest.importorskip("label_studio_sdk.label_interface").LabelInterface

XSD = Path(__file__).with_name("cvat_images.xsd")


@pytest.fixture(params=["mask", "polygon"])
def shapes(request):
    return request.param


def masks_of(toy):
    return {f.finding: f.mask() for f in toy.open().findings}


def test_masks_hold_the_accepted_findings_and_nothing_else(toy, tmp_path):
    chosen = [f for f in toy.open().findings if f.kind == "missing"][:2]
    judge(toy, accepted=[f.finding for f in chosen])
    done = export_run(toy.run, "masks", tmp_path / "o")
    touched = {f.image_id for f in chosen}
    assert {Path(n).stem for n in done.files if n.endswith(".png")} == touched
    rows = list(csv.DictReader((tmp_path / "o/changes.csv").open()))
    assert {int(r["finding"]) for r in rows} == {f.finding for f in chosen}
    pixels = 0
    for name in touched:
        old = np.array(Image.open(toy.root / f"labels/{name}.png"))
        new = np.array(Image.open(tmp_path / f"o/masks/{name}.png"))
        regions = np.any([f.mask() for f in chosen if f.image_id == name], axis=0)
        assert np.array_equal(old[~regions], new[~regions])
        assert np.array_equal(old == 255, new == 255)
        pixels += int((old != new).sum())
    assert pixels == done.details["pixels"] == sum(int(r["pixels"]) for r in rows) > 0
    first = chosen[0]
    fixed = read_mask(tmp_path / f"o/masks/{first.image_id}.png", SPACE)
    assert (fixed[first.mask()] == first.proposed_index).all()


def test_all_images_are_copied_byte_for_byte_on_request(toy, tmp_path):
    judge(toy, accepted=(1,))
    export_run(toy.run, "masks", tmp_path / "o", all_images=True)
    changed = toy.open().findings[0].image_id
    for path in (toy.root / "labels").glob("*.png"):
        same = (tmp_path / "o/masks" / path.name).read_bytes() == path.read_bytes()
        assert same == (path.stem != changed)


def test_coco_is_loaded_by_pycocotools(toy, tmp_path, shapes):
    export_run(toy.run, "coco", tmp_path, shapes=shapes)
    coco, masks = COCO(tmp_path / "annotations.json"), masks_of(toy)
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == list(SPACE.names)
    assert len(coco.anns) == len(masks)
    for number, one in coco.anns.items():
        mask = coco.annToMask(one).astype(bool)
        assert np.array_equal(mask, masks[number])
        assert one["area"] == mask.sum()
        rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert one["bbox"] == coco_mask.toBbox(rle).tolist()
        assert one["score"] == one["attributes"]["probability"]
        assert one["attributes"]["verdict"] == "open"


def test_cvat_follows_its_schema(toy, tmp_path, shapes):
    judge(toy, accepted=(1,))
    export_run(toy.run, "cvat", tmp_path, shapes=shapes)
    xmlschema.XMLSchema(XSD).validate(tmp_path / "annotations.xml")
    root, masks = ElementTree.parse(tmp_path / "annotations.xml").getroot(), masks_of(toy)
    parts: dict[int, np.ndarray] = {}
    for image in root.iter("image"):
        shape = (int(image.get("height")), int(image.get("width")))
        for one in image:
            said = {a.get("name"): a.text for a in one}
            number = int(said["finding"])
            assert said["verdict"] == ("accepted" if number == 1 else "open")
            mask = np.zeros(shape, bool)
            if one.tag == "mask":
                lengths = [int(v) for v in one.get("rle").split(",")]
                inside = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
                left, top, width, height = (int(one.get(k)) for k in ("left", "top", "width", "height"))
                mask[top : top + height, left : left + width] = inside.reshape(height, width)
            else:
                points = [[float(v) for v in p.split(",")] for p in one.get("points").split(";")]
                mask = fill([np.array(points)], shape)
            parts[number] = parts.get(number, np.zeros(shape, bool)) | mask
    assert parts.keys() == masks.keys()
    assert all(np.array_equal(parts[n], masks[n]) for n in masks)
    labels = json.loads((tmp_path / "labels.json").read_text())
    listed = [e.findtext("name") for e in root.iter("label")]
    assert [label["name"] for label in labels] == listed == list(SPACE.names)


def test_label_studio_accepts_config_tasks_and_predictions(toy, tmp_path, shapes):
    judge(toy, accepted=(1,), rejected=(2,))
    export_run(toy.run, "label-studio", tmp_path, Choice("all"), shapes=shapes, all_images=True)
    config = (tmp_path / "label_config.xml").read_text()
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert validate(tasks, config) == []
    assert len(tasks) == 10
    interface, masks = LabelInterface(config), masks_of(toy)
    interface.validate()
    found: dict[int, np.ndarray] = {}
    for task in tasks:
        assert task["data"]["image"].startswith("/data/local-files/?d=")
        assert interface.validate_task({"data": task["data"]})
        for prediction in task["predictions"]:
            assert interface.validate_prediction(prediction)
            for one in prediction["result"]:
                number = int(one["id"][1:].split(".")[0])
                shape = (one["original_height"], one["original_width"])
                if one["type"] == "choices":
                    assert one["value"]["choices"] == ["accepted" if number == 1 else "rejected"]
                    continue
                if one["type"] == "brushlabels":
                    mask = brush.decode_rle(one["value"]["rle"]).reshape(*shape, 4)[..., 3] > 0
                else:
                    mask = fill([np.array(one["value"]["points"]) * np.array(shape[::-1]) / 100], shape)
                found[number] = found.get(number, np.zeros(shape, bool)) | mask
    assert found.keys() == masks.keys()
    assert all(np.array_equal(found[n], masks[n]) for n in masks)


def test_fiftyone_json_holds_masks_boxes_and_tags(toy, tmp_path):
    judge(toy, accepted=(1,))
    export_run(toy.run, "fiftyone", tmp_path)
    samples = json.loads((tmp_path / "samples.json").read_text())["samples"]
    metadata = json.loads((tmp_path / "metadata.json").read_text())
    assert {"filepath", "tags", "findings"} <= {f["name"] for f in metadata["sample_fields"]}
    masks, met = masks_of(toy), 0
    for sample in samples:
        with Image.open(sample["filepath"]) as image:
            width, height = image.size
        for one in sample["findings"]["detections"]:
            x, y, w, h = np.array(one["bounding_box"]) * [width, height, width, height]
            mask = np.zeros((height, width), bool)
            mask[round(y) : round(y + h), round(x) : round(x + w)] = unpack_array(one["mask"])
            assert np.array_equal(mask, masks[one["finding"]])
            assert one["tags"] == (["accepted"] if one["finding"] == 1 else [])
            met += 1
    assert met == len(masks)


def test_csv_is_a_flat_table(toy, tmp_path):
    export_run(toy.run, "csv", tmp_path)
    with (tmp_path / "findings.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    run = toy.open()
    assert [int(r["finding"]) for r in rows] == [f.finding for f in run.findings]
    for row, f in zip(rows, run.findings, strict=True):
        size = (int(row["height"]), int(row["width"]))
        theirs = coco_mask.decode({"size": size, "counts": row["rle"].encode()}).astype(bool)
        assert np.array_equal(theirs, f.mask())
        assert np.array_equal(from_coco({"size": size, "counts": row["rle"]}), f.mask())
        assert row["reason"] == f.reason


def test_choice_by_verdict_number_kind_class_and_probability(toy, tmp_path):
    judge(toy, accepted=(1,), rejected=(2,))
    run = toy.open()

    def numbers(name, **choice):
        export_run(run, "csv", tmp_path / name, Choice(**choice))
        with (tmp_path / name / "findings.csv").open() as file:
            return [int(r["finding"]) for r in csv.DictReader(file)]

    everything = [f.finding for f in run.findings]
    assert numbers("default") == [n for n in everything if n != 2]
    assert numbers("a", which="accepted") == [1]
    assert numbers("r", which="rejected") == [2]
    assert numbers("o", which="open") == everything[2:]
    assert numbers("t", which="all", top=3) == everything[:3]
    least = run.findings[4].probability
    assert numbers("p", which="all", min_probability=least) == [
        f.finding for f in run.findings if f.probability >= least
    ]
    assert numbers("k", which="all", kinds=["missing"]) == [
        f.finding for f in run.findings if f.kind == "missing"
    ]
    assert numbers("c", which="all", classes=["box"]) == [
        f.finding for f in run.findings if "box" in (f.given, f.proposed)
    ]


def test_folders_of_others_are_left_alone(toy, tmp_path):
    judge(toy, accepted=(1, 2))
    out = tmp_path / "o"
    export_run(toy.run, "masks", out)
    judge(toy, accepted=(2,))
    again = export_run(toy.run, "masks", out)
    images = {f.finding: f.image_id for f in toy.open().findings}
    left = {p.stem for p in (out / "masks").glob("*.png")}
    assert left == {images[2]}
    assert set(again.files) == {f"masks/{images[2]}.png", "changes.csv"}
    with pytest.raises(InputError, match="not empty"):
        export_run(toy.run, "coco", out)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="not empty"):
        export_run(toy.run, "coco", tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_marker_cannot_make_us_delete_elsewhere(toy, tmp_path):
    out = tmp_path / "o"
    export_run(toy.run, "csv", out)
    (tmp_path / "precious").write_text("x")
    mark = json.loads((out / "dubio-export.json").read_text())
    mark["files"] += ["../precious", str(tmp_path / "precious"), ""]
    (out / "dubio-export.json").write_text(json.dumps(mark))
    export_run(toy.run, "csv", out)
    assert (tmp_path / "precious").read_text() == "x"


def test_nothing_accepted_says_what_to_do(toy, tmp_path):
    with pytest.raises(InputError, match="no finding is accepted"):
        export_run(toy.run, "masks", tmp_path / "o")
    assert not (tmp_path / "o").exists()


BAD = [
    (lambda r: r.update(from_name="klass"), "from_name 'klass'"),
    (lambda r: r.update(to_name="img"), "to_name 'img'"),
    (lambda r: r.pop("original_width"), "lacks original_width"),
    (lambda r: r["value"].update(polygonlabels=["tree"]), "'tree' is not listed"),
    (lambda r: r["value"].update(points=[[1, 2], [3, 400], [5, 6]]), "outside 0 … 100"),
    (lambda r: r["value"].update(points=[[1, 2], [3, 4]]), "fewer than 3"),
    (lambda r: r.update(type="brushlabels"), "doesn't fit the tag"),
    (lambda r: r.update(score="high"), "no number"),
]


@pytest.mark.parametrize(("change", "words"), BAD)
def test_the_check_names_what_would_not_show(toy, tmp_path, change, words):
    export_run(toy.run, "label-studio", tmp_path, shapes="polygon")
    config = (tmp_path / "label_config.xml").read_text()
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    results = [r for t in tasks for r in t["predictions"][0]["result"]]
    change(next(r for r in results if r["type"] == "polygonlabels"))
    faults = validate(tasks, config)
    assert len(faults) == 1
    assert words in faults[0]
    assert validate([{"data": {}}], config) == [
        "task 1: has no 'image' in its data, which the tag 'image' shows"
    ]
