"""Bad files: one clear sentence; a bad record among many is put aside."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dubio import InputError
from dubio.data.boxes import open_boxes, open_detections

GOOD = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}
XML = "<annotation><size><width>9</width><height>9</height></size>{}</annotation>"
BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    "<annotation><filename>&b;</filename></annotation>"
)


def coco(annotations, images=None):
    return {
        "images": images or [{"id": 1, "file_name": "a.jpg", "width": 10, "height": 10}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": annotations,
    }


def put(path, data):
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({**GOOD, "bbox": [1, 2, 3]}, "malformed"),
        ({**GOOD, "bbox": [1, 2, "x", 4]}, "malformed"),
        ({**GOOD, "bbox": None}, "malformed"),
        ({**GOOD, "bbox": [1, 2, -3, 4]}, "x2 < x1"),
        ({**GOOD, "bbox": [1, 2, float("nan"), 4]}, "isn't finite"),
        ({**GOOD, "category_id": 9}, "class isn't listed"),
        ({**GOOD, "image_id": 9}, "isn't listed"),
        ({**GOOD, "image_id": [1]}, "malformed"),
        ({"id": 3}, "malformed"),
        ("box", "malformed"),
        (None, "malformed"),
    ],
)
def test_a_bad_annotation_is_put_aside(tmp_path, record, words):
    path = put(tmp_path / "a.json", coco([GOOD, record, GOOD]))
    found = open_boxes(path)
    assert found.labels["a"].boxes.tolist() == [[1, 2, 4, 6]] * 2
    assert len(found.quarantined) == 1
    assert words in found.quarantined[0]
    assert any("1 records are left out" in note for note in found.notes)
    with pytest.raises(InputError, match=words):
        open_boxes(path, strict=True)


def test_boxes_without_area_and_outside_the_image_are_kept_and_counted(tmp_path):
    odd = [{**GOOD, "bbox": [1, 1, 0, 5]}, {**GOOD, "bbox": [-3, 1, 5, 5]}, {**GOOD, "bbox": [8, 8, 5, 1]}]
    found = open_boxes(put(tmp_path / "a.json", coco([GOOD, *odd])))
    assert len(found.labels["a"]) == 4
    said = " ".join(found.notes)
    assert "1 boxes have no area" in said
    assert "2 boxes leave their image" in said
    assert "3 annotations bear an id that another has too" in said


def test_an_image_listed_twice_counts_once(tmp_path):
    images = [
        {"id": 1, "file_name": "a.jpg"},
        {"id": 1, "file_name": "b.jpg"},
        {"id": 2, "file_name": "a.jpg"},
    ]
    found = open_boxes(put(tmp_path / "a.json", coco([GOOD], images)))
    assert len(found) < 3
    assert len(found.labels["a.jpg" if "a.jpg" in found.labels else "a"]) == 1
    assert all("second time" in text for text in found.quarantined)


def test_classes_that_the_label_space_lacks_are_put_aside(tmp_path):
    from dubio.data.boxes.table import space_of

    path = put(tmp_path / "a.json", coco([GOOD]))
    found = open_boxes(path, space=space_of("dogs", ["dog"]))
    assert "class 'cat' is unknown" in found.quarantined[0]
    assert open_boxes(path, space=space_of("cats", ["CAT"])).quarantined == ()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", json.dumps(coco([GOOD]))[:-9], "isn't readable JSON"),
        ("a.json", "", "empty"),
        ("a.json", "[" * 100_000, "JSON"),
        ("a.json", "{}", "no known format"),
        ("a.json", "[1, 2]", "no known format"),
        ("a.json", json.dumps([{**GOOD, "score": 0.5}]), "open_detections"),
        ("a.json", '{"images": [], "annotations": []}', "no images"),
        ("a.json", json.dumps({**coco([]), "categories": []}), "names no classes"),
        ("a.xml", "<annotation><object>", "no readable XML"),
        ("a.xml", BOMB, "document type"),
        ("a.xml", "<svg/>", "neither Pascal VOC nor CVAT"),
        ("a.xml", "<annotations><track/></annotations>", "video"),
        ("a.csv", "image,class\na,b\n", "no column x1"),
        ("a.txt", "0 1 1 1 1", "one file of many"),
        ("a.doc", "x", "no known format"),
    ],
)
def test_a_bad_file_is_named_in_a_sentence(tmp_path, name, text, words):
    path = put(tmp_path / name, text)
    with pytest.raises(InputError, match=words) as caught:
        open_boxes(path)
    assert name in str(caught.value)


@pytest.mark.parametrize(("layout", "words"), [(None, "doesn't exist"), ("kity", "no layout of boxes")])
def test_bad_arguments(tmp_path, layout, words):
    path = tmp_path if layout else tmp_path / "nothing"
    with pytest.raises(InputError, match=words):
        open_boxes(path, layout)


def test_a_bad_xml_among_good_ones_is_put_aside(tmp_path):
    place = "<xmin>1</xmin><ymin>1</ymin><xmax>{}</xmax><ymax>4</ymax>"
    box = f"<object><name>{{}}</name><bndbox>{place}</bndbox></object>"
    good = XML.format(box.format("cat", 4) + box.format("cat", "wide") + box.format("", 4) + "<object/>")
    put(tmp_path / "a.xml", good)
    put(tmp_path / "b.xml", good[:50])
    put(tmp_path / "c.xml", BOMB)
    found = open_boxes(tmp_path)
    assert [s.image_id for s in found] == ["a"]
    assert len(found.labels["a"]) == 1
    assert [text.split(":")[0] for text in found.quarantined] == [
        "a.xml, object 2", "a.xml, object 3", "a.xml, object 4", "b.xml", "c.xml",
    ]  # fmt: skip


def test_bad_lines_of_text_are_put_aside(tmp_path):
    put(
        tmp_path / "000001.txt", "Car 0 0 0 1 2 3 4 1 1 1 1 1 1 0\nCar 0 0\nCar 0 0 0 x 2 3 4 1 1 1 1 1 1 0\n"
    )
    found = open_boxes(tmp_path)
    assert (found.name, len(found.labels["000001"]), len(found.quarantined)) == ("kitti", 1, 2)


def test_bad_rows_of_csv_are_put_aside(tmp_path):
    text = "image,class,x1,y1,x2,y2\na,cat,1,2,3,4\na,cat,1\na,cat,1,2,wide,4\n"
    found = open_boxes(put(tmp_path / "a.csv", text))
    assert len(found.labels["a"]) == 1
    assert "row 3: lacks cells" in found.quarantined[0]
    assert "'wide' is no number" in " ".join(found.quarantined)


@pytest.mark.parametrize(
    "change",
    [{"score": 1.5}, {"score": None}, {"bbox": [0, 0, -1, 1]}, {"bbox": [0]}, {"category_id": 8}],
)
def test_a_bad_detection_is_put_aside(tmp_path, change):
    truth = open_boxes(put(tmp_path / "a.json", coco([GOOD])))
    good = {**GOOD, "score": 0.5}
    seen = open_detections(truth, put(tmp_path / "r.json", [good, {**good, **change}]))
    assert len(seen.predictions["a"]) == 1
    assert len(seen.quarantined) == 1


def test_yolo_detections_need_a_confidence(tmp_path):
    truth = open_boxes(put(tmp_path / "a.json", coco([GOOD])))
    (tmp_path / "out").mkdir()
    put(tmp_path / "out/a.txt", "0 0.5 0.5 1 1\n0 0.5 0.5 1 1 0.25\n7 0.5 0.5 1 1 0.25\n")
    seen = open_detections(truth, tmp_path / "out")
    np.testing.assert_allclose(seen.predictions["a"].boxes, [[0, 0, 10, 10]])
    assert "no confidence" in seen.quarantined[0]
    assert "class is unknown" in seen.quarantined[1]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["id", "image_id", "category_id", "bbox", "iscrowd", "attributes"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    change=st.dictionaries(KEYS, JSON, max_size=3), part=st.sampled_from(["annotations", "images"]), junk=JSON
)
def test_no_content_of_coco_gives_a_bare_error(tmp_path, change, part, junk):
    data = coco([GOOD, {**GOOD, **change}])
    data[part] = [*data[part], junk]
    try:
        found = open_boxes(put(tmp_path / "a.json", data))
    except InputError:
        return
    assert sum(len(found.labels[s.image_id]) for s in found) >= 1


def never_bare(path):
    """Open a file; whatever it holds, an error is one of ours."""
    try:
        open_boxes(path)
    except InputError:
        return


CAR = {
    "category": "car",
    "id": 1,
    "attributes": {"occluded": True},
    "box2d": {"x1": 0, "y1": 0, "x2": 1, "y2": 1},
}
FRAME = {"name": "a.jpg", "attributes": {"weather": "x"}, "size": {"width": 9, "height": 9}, "labels": [CAR]}
PLACE = {"x": 1, "y": 1, "width": 9, "height": 9, "rotation": 0, "rectanglelabels": ["car"]}
REGION = {"type": "rectanglelabels", "original_width": 9, "original_height": 9, "value": PLACE}
TASK = {"data": {"image": "a.jpg"}, "annotations": [{"updated_at": "1", "result": [REGION]}]}


@pytest.mark.parametrize("whole", [FRAME, TASK], ids=["bdd100k", "label-studio"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_content_of_json_gives_a_bare_error(tmp_path, whole, data):
    spoilt = json.loads(json.dumps(whole))
    inner = spoilt
    while isinstance(inner, dict | list):
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        key = data.draw(st.sampled_from(keys)) if keys else None
        if key is None or not isinstance(inner[key], dict | list) or data.draw(st.booleans()):
            if key is not None:
                inner[key] = data.draw(JSON)
            break
        inner = inner[key]
    never_bare(put(tmp_path / "a.json", [spoilt, whole]))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(alphabet="<>/annotationobjecbxim019., \n", max_size=60), name=st.sampled_from(["xml", "csv"])
)
def test_no_text_gives_a_bare_error(tmp_path, text, name):
    never_bare(put(tmp_path / f"a.{name}", text))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.lists(
            st.sampled_from(["0", "1", "-1", "nan", "inf", "1e999", "x", "Car", "DontCare"]), max_size=16
        )
    ),
    layout=st.sampled_from(["yolo", "kitti"]),
)
def test_no_line_of_text_gives_a_bare_error(tmp_path, rows, layout):
    (tmp_path / "t").mkdir(exist_ok=True)
    Image.new("L", (4, 4)).save(tmp_path / "t/a.png")
    put(tmp_path / "t/a.txt", "\n".join(" ".join(row) for row in rows))
    try:
        open_boxes(tmp_path / "t", layout)
    except InputError:
        return
