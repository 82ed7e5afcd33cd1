"""Folders with other files in them, tables of other kinds, boxes of other units."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from dubio import InputError
from dubio.data.boxes import open_boxes

VOC = (
    "<annotation><size><width>100</width><height>80</height></size><object><name>cat</name><bndbox>"
    "<xmin>2</xmin><ymin>3</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object></annotation>"
)
FRAME = {
    "name": "a.jpg", "attributes": {},
    "labels": [{"category": "car", "box2d": {"x1": 1, "y1": 2, "x2": 30, "y2": 40}}],
}  # fmt: skip
KITTI = "Car 0 0 0 1 2 30 40 1 1 1 1 1 1 0\n"


def coco(boxes, width=100, height=80):
    images = [{"id": 1, "file_name": "a.jpg", "width": width, "height": height}]
    if width is None:
        images = [{"id": 1, "file_name": "a.jpg"}]
    notes = [{"id": k, "image_id": 1, "category_id": 1, "bbox": list(b)} for k, b in enumerate(boxes)]
    return {"images": images, "annotations": notes, "categories": [{"id": 1, "name": "cat"}]}


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def labels_of(root, kind):
    """Labels of a kind in a folder."""
    if kind in ("yolo", "yolo-flat"):
        (root / "images").mkdir(parents=True)
        Image.new("L", (100, 80)).save(root / "images/a.png")
        put(root / ("labels/a.txt" if kind == "yolo" else "a.txt"), "0 0.5 0.5 0.2 0.2\n")
    else:
        table = "image,class,x1,y1,x2,y2\na,cat,1,2,30,40\n"
        name, data = {
            "kitti": ("label_2/a.txt", KITTI),
            "voc": ("Annotations/a.xml", VOC),
            "bdd100k": ("x.json", [FRAME]),
            "coco": ("x.json", coco([[1, 2, 29, 38]])),
            "csv": ("x.csv", table),
        }[kind]
        put(root / name, data)


STRAYS = {
    "notes.json": {"categories": [{"id": 0, "name": "cat"}], "info": {}},
    "a-list.json": [1, 2],
    "broken.json": "{",
    "results.csv": "epoch,loss\n1,2\n",
    "odd.csv": "a,b,c,d,e,f\n1,2,3,4,5,6\n",
    "project.xml": "<project/>",
    "broken.xml": "<annot",
    "empty.json": "",
}


@pytest.mark.parametrize("stray", STRAYS)
@pytest.mark.parametrize("kind", ["yolo", "yolo-flat", "kitti", "voc", "bdd100k", "coco", "csv"])
def test_defect_a_strange_file_does_not_hide_the_labels(tmp_path, kind, stray):
    labels_of(tmp_path, kind)
    alone = open_boxes(tmp_path)
    put(tmp_path / stray, STRAYS[stray])
    found = open_boxes(tmp_path)
    assert found.name == alone.name == kind.removesuffix("-flat")
    assert [s.image_id for s in found] == [s.image_id for s in alone]
    (mine,), (theirs,) = found.labels.values(), alone.labels.values()
    np.testing.assert_array_equal(mine.boxes, theirs.boxes)
    # it is told, as left aside or, among XML files of one per image, as one that can't be used
    assert stray in " ".join((*found.notes, *found.quarantined))


def test_the_mark_of_an_export_is_not_told(tmp_path):
    labels_of(tmp_path, "coco")
    put(tmp_path / "dubio-export.json", {"format": 1, "to": "labels", "files": []})
    found = open_boxes(tmp_path, strict=True)
    assert "dubio-export" not in " ".join(found.notes)


def test_strange_frames_among_many_files_are_put_aside(tmp_path):
    for name in "abc":
        put(
            tmp_path / f"{name}.json",
            {**FRAME, "name": f"{name}.jpg", "frames": [{"objects": FRAME["labels"]}]},
        )
    put(tmp_path / "0.json", {"what": 1})
    found = open_boxes(tmp_path)
    assert (found.name, len(found)) == ("bdd100k", 3)
    assert found.quarantined == ("0.json: is JSON of no known format of boxes",)


def test_of_several_known_files_one_must_be_named(tmp_path):
    put(tmp_path / "train.json", coco([[1, 2, 3, 4]]))
    put(tmp_path / "val.json", coco([[1, 2, 3, 4]]))
    put(tmp_path / "aaa.json", "{}")
    with pytest.raises(InputError, match=r"several files of labels \(train.json, val.json"):
        open_boxes(tmp_path)
    put(tmp_path / "val.json", [FRAME])
    assert open_boxes(tmp_path, "coco").name == "coco"
    assert open_boxes(tmp_path / "val.json").name == "bdd100k"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a.json": "{"}, "isn't readable JSON"),
        ({"a.json": "{}"}, "no known format"),
        ({"a.json": "{}", "readme.txt": "Read me."}, "no known format"),
        ({"a.json": "{}", "b.csv": "x,y"}, "several files"),
        ({"a.doc": "x"}, "no labels in a known format"),
    ],
)
def test_folders_without_labels_are_named_in_a_sentence(tmp_path, files, words):
    for name, text in files.items():
        put(tmp_path / name, text)
    with pytest.raises(InputError, match=words):
        open_boxes(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "image;label;xmin;ymin;xmax;ymax\r\na.jpg;cat;1,5;2;30;40,25\r\n",
        "filename\tclass\tx_min\ty_min\tx_max\ty_max\na.jpg\tcat\t1.5\t2\t30\t40.25\n",
        "\n\na.jpg;1.5;2;30;40.25;cat\n",
        'image,class,x1,y1,x2,y2\n"a.jpg","cat",1.5,2,30,40.25\n',
    ],
)
def test_defect_tables_with_semicolons_and_tabs_are_read(tmp_path, text):
    found = open_boxes(put(tmp_path / "a.csv", text), strict=True)
    assert found.labels["a"].boxes.tolist() == [[1.5, 2, 30, 40.25]]
    assert found.space.names == ("cat",)
    assert open_boxes(tmp_path).name == "csv"


def test_defect_a_table_of_other_columns_is_told_the_known_names(tmp_path):
    text = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\na,x,/m/01,1,0.1,0.5,0.1,0.5\n"
    with pytest.raises(InputError, match="no column image, class") as caught:
        open_boxes(put(tmp_path / "a.csv", text))
    assert "image_id" in str(caught.value)
    assert "label" in str(caught.value)
    assert "ImageID" in str(caught.value)


RNG = np.random.default_rng(0)
CORNER = RNG.uniform(25, 45, (20, 2))
XYXY = np.hstack([CORNER, CORNER + RNG.uniform(15, 30, (20, 2))])  # inside 100 x 80


def doubts(dataset):
    return [note for note in dataset.notes if "?" in note or "leave their image" in note]


def test_defect_corners_in_place_of_sizes_are_asked_about(tmp_path):
    found = open_boxes(put(tmp_path / "a.json", coco(XYXY.tolist())))
    assert len(found.labels["a"]) == 20
    (said,) = doubts(found)
    assert said.endswith(
        "of 20 boxes leave their image: are they x, y, right, bottom in place of x, y, width, height?"
    )
    right = np.hstack([XYXY[:, :2], XYXY[:, 2:] - XYXY[:, :2]])
    assert doubts(open_boxes(put(tmp_path / "b.json", coco(right.tolist())))) == []


@pytest.mark.parametrize(("n", "width"), [(4, 100), (20, None)])
def test_few_boxes_and_unknown_sizes_are_not_asked_about(tmp_path, n, width):
    found = open_boxes(put(tmp_path / "a.json", coco(XYXY[:n].tolist(), width)))
    assert not any("?" in note for note in doubts(found))


def test_other_labels_of_other_pictures_are_asked_about(tmp_path):
    (said,) = doubts(open_boxes(put(tmp_path / "a.json", coco((XYXY * 4).tolist()))))
    assert "do the labels belong to these images" in said
    # half of them may leave it
    mixed = np.hstack([XYXY[:, :2], np.full((20, 2), 5.0)])
    mixed[:10, 2] = 99
    (said,) = doubts(open_boxes(put(tmp_path / "b.json", coco(mixed.tolist()))))
    assert said == "10 boxes leave their image by more than half a pixel"


@pytest.mark.parametrize("kind", ["coco", "csv"])
def test_defect_parts_in_place_of_pixels_are_asked_about(tmp_path, kind):
    parts = XYXY / [100, 80, 100, 80]
    if kind == "coco":
        path = put(tmp_path / "a.json", coco(np.hstack([parts[:, :2], parts[:, 2:] - parts[:, :2]]).tolist()))
    else:
        rows = [f"a,cat,{','.join(map(repr, p))}\n" for p in parts.tolist()]
        path = put(tmp_path / "a.csv", "image,class,x1,y1,x2,y2\n" + "".join(rows))
    (said,) = doubts(open_boxes(path))
    assert said == "all boxes are smaller than a pixel: are they parts of the image in place of pixels?"


def test_defect_pixels_in_place_of_parts_are_asked_about(tmp_path):
    labels_of(tmp_path, "yolo")
    lines = [f"0 {x} {y} 20 20\n" for x, y in CORNER.tolist()]
    put(tmp_path / "labels/a.txt", "".join(lines))
    (said,) = doubts(open_boxes(tmp_path))
    assert said == "20 of 20 boxes leave their image: are they pixels in place of parts of the image?"
