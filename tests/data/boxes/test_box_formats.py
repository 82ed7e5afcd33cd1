"""Miniature trees of each format, and the defects of published readers."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from PIL import Image

from dubio import InputError
from dubio.data.boxes import (
    open_boxes,
    write_boxes,
)
from dubio.data.boxes.bdd import bdd_space
from dubio.data.boxes.kitti import kitti_space

KITTI = (
    "Car 0.25 1 1.5 10 20 30 40 1.5 1.6 4 3 0 4 1.6\n"
    "DontCare -1 -1 -10 0 0 5 5 -1 -1 -1 -1000 -1000 -1000 -10\n"
)
VOC = "<annotation><filename>a.jpg</filename><size><width>20</width><height>10</height></size>{}</annotation>"
BOX = (
    "<object><name>cat</name>{}"
    "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)
TRUNCATED = '<attribute name="truncated">true</attribute></box>'


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def picture(path, size=(20, 10)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size).save(path)


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


def test_coco_with_ids_that_are_not_dense(tmp_path):
    picture(tmp_path / "images/x/a.jpg")
    found = open_boxes(put(tmp_path / "labels.json", coco()))
    assert [s.image_id for s in found] == ["b", "x/a"]
    assert found.space.ids == (90, 2)
    one = found.labels["x/a"]
    assert one.boxes.tolist() == [[1, 2, 4, 6], [0, 0, 2.5, 2]]
    assert (one.classes.tolist(), one.ids.tolist(), one.crowd.tolist()) == ([1, 0], ["5", "6"], [True, False])
    assert len(found.labels["b"]) == 0
    assert found.samples[1].image == tmp_path / "images/x/a.jpg"
    assert found.samples[0].width is None
    assert "1 images without boxes" in found.notes[1]


def test_areas_of_coco_are_those_of_the_objects(tmp_path):
    notes = coco()["annotations"]
    for area, told in ((9.5, 9.5), (12, None), (0, None), ("9", None), (None, None), (float("nan"), None)):
        found = open_boxes(put(tmp_path / "labels.json", coco(annotations=[{**notes[0], "area": area}])))
        one = found.labels["x/a"]
        assert (None if one.area is None else one.area.tolist()[0]) == told
        assert one.object_areas.tolist() == [told or 12.0]
    both = [{**notes[0], "area": 9.5}, notes[1]]
    found = open_boxes(put(tmp_path / "labels.json", coco(annotations=both)))
    one = found.labels["x/a"]
    assert one.object_areas.tolist() == [9.5, 5.0]
    assert one.take(np.array([1])).object_areas.tolist() == [5.0]
    write_boxes(found, tmp_path / "again.json", "coco")
    written = json.loads((tmp_path / "again.json").read_text())["annotations"]
    assert [a["area"] for a in written] == [9.5, 5.0]
    assert "areas of outlines" in " ".join(write_boxes(found, tmp_path / "voc", "voc"))


def test_coco_keeps_its_numbers_when_written(tmp_path):
    found = open_boxes(put(tmp_path / "labels.json", coco()))
    assert write_boxes(found, tmp_path / "again.json", "coco") == []
    again = json.loads((tmp_path / "again.json").read_text())
    assert sorted(i["id"] for i in again["images"]) == [3, 7]
    assert [a["category_id"] for a in again["annotations"]] == [2, 90]


def test_categories_of_one_name_are_told_apart(tmp_path):
    data = coco(categories=[{"id": 90, "name": "cell"}, {"id": 2, "name": "cell"}])
    assert open_boxes(put(tmp_path / "a.json", data)).space.names == ("cell (90)", "cell (2)")


def test_names_that_differ_in_case_only_stay_two_classes(tmp_path):
    data = coco(categories=[{"id": 90, "name": "Cell"}, {"id": 2, "name": "cell"}])
    found = open_boxes(put(tmp_path / "a.csv", "a,1,2,3,4,Cell\na,1,2,3,4,cell\n"))
    assert found.labels["a"].classes.tolist() == [0, 1]
    assert len(open_boxes(put(tmp_path / "a.json", data)).space) == 2


def test_voc_counts_from_one(tmp_path):
    boxes = BOX.format("<difficult>1</difficult><truncated>1</truncated>", 1, 1, 20, 10)
    put(tmp_path / "Annotations/a.xml", VOC.format(boxes))
    put(tmp_path / "Annotations/b.xml", VOC.format(""))
    put(tmp_path / "ImageSets/Main/val.txt", "a\n")
    put(tmp_path / "ImageSets/Main/trainval.txt", "a\nb\n")
    found = open_boxes(tmp_path / "Annotations")
    one = found.labels["a"]
    assert one.boxes.tolist() == [[0, 0, 20, 10]]
    assert (one.difficult.tolist(), one.truncation.tolist(), one.occlusion) == ([True], [1.0], None)
    assert [s.split for s in found] == ["val", "trainval"]
    assert (found.samples[0].width, found.samples[0].height) == (20, 10)
    whole = open_boxes(tmp_path)
    assert [s.image_id for s in whole] == ["a", "b"]


def test_voc_of_tools_that_count_from_zero_is_noticed(tmp_path):
    put(tmp_path / "a.xml", VOC.format(BOX.format("", 0, 0, 20, 10)))
    found = open_boxes(tmp_path)
    assert found.labels["a"].boxes.tolist() == [[0, 0, 20, 10]]
    assert any("counted from 0" in note for note in found.notes)
    standard = VOC.format(
        "<source><annotation>PASCAL VOC2012</annotation></source>" + BOX.format("", 0, 0, 9, 9)
    )
    put(tmp_path / "a.xml", standard)
    assert open_boxes(tmp_path).labels["a"].boxes.tolist() == [[-1, -1, 9, 9]]


def test_kitti_and_its_distances(tmp_path):
    put(tmp_path / "training/label_2/000001.txt", KITTI)
    found = open_boxes(tmp_path / "training")
    one = found.labels["000001"]
    assert found.space == kitti_space()
    assert one.boxes.tolist() == [[10, 20, 30, 40]]
    assert (one.occlusion.tolist(), one.truncation.tolist(), one.distance.tolist()) == ([1.0], [0.25], [5.0])


def test_defect_23_dont_care_is_kept_as_ignored_regions(tmp_path):
    put(tmp_path / "000001.txt", KITTI)
    found = open_boxes(tmp_path)
    assert found.labels["000001"].ignore.tolist() == [[0, 0, 5, 5]]
    assert "1 ignored regions" in found.notes[1]


def test_defect_23_frames_of_a_video_are_known_by_their_drive(tmp_path):
    for k in range(2):
        put(tmp_path / f"label_2/00000{k}.txt", KITTI)
    put(tmp_path / "mapping/train_mapping.txt", "d1 d1_drive_7 000\nd1 d1_drive_8 001\n")
    put(tmp_path / "mapping/train_rand.txt", "2,1\n")
    found = open_boxes(tmp_path / "label_2")
    assert [s.domain["drive"] for s in found] == ["d1_drive_8", "d1_drive_7"]
    unknown = open_boxes(put(tmp_path / "far/away/000001.txt", KITTI).parent)
    assert any("neighbouring frames" in note for note in unknown.notes)


def bdd(**attributes):
    box = {"category": "person", "attributes": attributes, "box2d": {"x1": 1, "y1": 2, "x2": 3, "y2": 4}}
    lane = {"category": "lane", "poly2d": []}
    other = {"category": "other vehicle", "box2d": {"x1": 5, "y1": 5, "x2": 6, "y2": 6}}
    tags = {"weather": "rainy", "scene": "undefined"}
    return {"name": "a.jpg", "attributes": tags, "labels": [box, lane, other]}


def test_defect_20_bdd_flags_are_json_booleans(tmp_path):
    found = open_boxes(put(tmp_path / "det.json", [bdd(occluded=True, truncated=False)]))
    one = found.labels["a"]
    assert (one.occlusion.tolist(), one.truncation.tolist()) == ([1.0], [0.0])


def test_defect_20_properties_stay_with_their_image_whatever_the_order(tmp_path):
    frames = [{**bdd(occluded=k == "c"), "name": f"{k}.jpg"} for k in "cab"]
    for n, listed in enumerate((frames, frames[::-1])):
        found = open_boxes(put(tmp_path / f"{n}.json", listed))
        assert [found.labels[s.image_id].occlusion.tolist() for s in found] == [[0.0], [0.0], [1.0]]


def test_bdd_in_all_its_forms(tmp_path):
    frame = bdd(occluded=True)
    single = {"name": "a.jpg", "attributes": frame["attributes"], "frames": [{"objects": frame["labels"]}]}
    put(tmp_path / "many/a.json", single)
    put(tmp_path / "many/b.json", {**single, "name": "b.jpg"})
    forms = [put(tmp_path / "1.json", [frame]), put(tmp_path / "2.json", {"frames": [frame], "config": {}})]
    for path in (*forms, put(tmp_path / "3.json", single), tmp_path / "many"):
        found = open_boxes(path)
        assert (found.name, found.space) == ("bdd100k", bdd_space())
        one = found.labels["a"]
        assert found.space.name_of(one.classes[0]) == "pedestrian"
        assert one.ignore.tolist() == [[5, 5, 6, 6]]
        assert found.samples[0].domain == {"weather": "rainy"}
        assert (found.samples[0].width, found.samples[0].height) == (1280, 720)


def test_coda_in_the_classes_of_another_set(tmp_path):
    data = coco(categories=[{"id": 90, "name": "traffic_light"}, {"id": 2, "name": "tricycle"}])
    data["annotations"] = [{**a, "corner_case": True} for a in data["annotations"]]
    path = put(tmp_path / "annotations.json", data)
    own = open_boxes(path)
    assert (own.name, len(own.labels["x/a"])) == ("coda", 2)
    mapped = open_boxes(path, space=bdd_space())
    one = mapped.labels["x/a"]
    assert [mapped.space.name_of(c) for c in one.classes] == ["traffic light"]
    assert one.ignore.tolist() == [[1, 2, 4, 6]]
    assert mapped.quarantined == ()


def test_cvat_refuses_turned_boxes_one_by_one(tmp_path):
    box = '<box label="cat" occluded="1" xtl="1" ytl="2" xbr="3" ybr="4"{}>' + TRUNCATED
    turned = ' rotation="30"'
    text = (
        "<annotations><meta><task><labels><label><name>dog</name></label><label><name>cat</name></label>"
        '</labels></task></meta><image id="0" name="x/a.jpg" width="20" height="10" subset="val">'
        f'{box.format("")}{box.format(turned)}<polygon label="cat" points=""/>'
        "</image></annotations>"
    )
    found = open_boxes(put(tmp_path / "annotations.xml", text))
    one = found.labels["x/a"]
    assert (found.space.names, one.classes.tolist()) == (("dog", "cat"), [1])
    assert (one.occlusion.tolist(), one.truncation.tolist(), found.samples[0].split) == ([1.0], [1.0], "val")
    assert len(found.quarantined) == 1
    assert "turned by 30 degrees" in found.quarantined[0]
    assert any("1 shapes that are no boxes" in note for note in found.notes)


def task(rotation=0, label="cat", when="2"):
    value = {"x": 10, "y": 20, "width": 50, "height": 10, "rotation": rotation, "rectanglelabels": [label]}
    result = {
        "id": "r1",
        "type": "rectanglelabels",
        "original_width": 200,
        "original_height": 100,
        "value": value,
    }
    return {"updated_at": when, "result": [result]}


def test_label_studio_takes_the_latest_and_refuses_turned_rectangles(tmp_path):
    data = {"image": "/data/local-files/?d=x/a%20b.jpg"}
    tasks = [{"data": data, "annotations": [task(when="2"), task(label="dog", when="1")]}]
    found = open_boxes(put(tmp_path / "tasks.json", tasks))
    assert found.space.names == ("cat",)
    np.testing.assert_allclose(found.labels["x/a b"].boxes, [[20, 20, 120, 30]])
    assert any("several annotations" in note for note in found.notes)
    turned = [{"data": data, "annotations": [{"result": task()["result"] + task(30)["result"]}]}]
    found = open_boxes(put(tmp_path / "turned.json", turned))
    assert (len(found.labels["x/a b"]), len(found.quarantined)) == (1, 1)
    assert "turned by 30 degrees" in found.quarantined[0]


def test_csv_with_other_names_and_without_header(tmp_path):
    text = "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,20,10,cat,1,2,3,4\nb.jpg,20,10,,,,,\n"
    found = open_boxes(put(tmp_path / "a.csv", text))
    assert found.labels["a"].boxes.tolist() == [[1, 2, 3, 4]]
    assert (len(found.labels["b"]), found.samples[1].height) == (0, 10)
    bare = open_boxes(put(tmp_path / "b.csv", "x/a.jpg,1,2,3,4,cat\nx/b.jpg,,,,,\n"))
    assert bare.labels["x/a"].boxes.tolist() == [[1, 2, 3, 4]]
    assert len(bare) == 2


def test_unknown_numbers_are_nan_and_never_zero(tmp_path):
    hidden = KITTI.replace("0.25 1", "-1 3").replace("3 0 4", "-1000 -1000 -1000")
    one = open_boxes(put(tmp_path / "000001.txt", hidden).parent).labels["000001"]
    for values in (one.occlusion, one.truncation, one.distance):
        assert values is None or all(math.isnan(v) for v in values)


def test_defect_names_with_inf_dots_and_other_suffixes_stay_whole(tmp_path):
    for name in ("infra.1.png", "nan.2.jpg"):
        picture(tmp_path / f"images/{name}")
    images = [{"id": 1, "file_name": "infra.1.png"}, {"id": 2, "file_name": "nan.2.jpg"}]
    found = open_boxes(put(tmp_path / "labels.json", coco(images=images, annotations=[])))
    assert [s.image_id for s in found] == ["infra.1", "nan.2"]
    assert all(s.image is not None for s in found)


def test_defect_more_than_a_hundred_boxes_per_image_are_kept(tmp_path):
    one = {"id": 1, "image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4]}
    path = put(tmp_path / "a.json", coco(annotations=[{**one, "id": k} for k in range(250)]))
    assert len(open_boxes(path).labels["x/a"]) == 250


def test_nothing_is_written_outside_the_folder(tmp_path):
    images = [{"id": 7, "file_name": "../../away.jpg", "width": 9, "height": 9}]
    found = open_boxes(put(tmp_path / "a.json", coco(images=images)))
    for layout in ("voc", "yolo", "kitti"):
        with pytest.raises(InputError, match="leads out"):
            write_boxes(found, tmp_path / "b/c", layout)
    assert not (tmp_path / "away.txt").exists()
