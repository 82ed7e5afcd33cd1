"""YOLO text: folders, names of classes, and the pictures that it needs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dubio import InputError
from dubio.data.boxes import open_boxes
from dubio.data.boxes.kitti import kitti_space
from dubio.data.boxes.yolo_names import yaml_names


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def picture(path, size=(20, 10)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size).save(path)


def test_yolo_tree_with_splits_and_pictures_without_labels(tmp_path):
    put(tmp_path / "data.yaml", "train: images/train\nnames: ['cat', \"big dog\"]  # two\nnc: 2\n")
    put(tmp_path / "labels/train/a.txt", "1 0.5 0.5 0.5 1\n0 0.1 0.1 0.3 0.1 0.3 0.4 0.1 0.4\n")
    for name in ("train/a", "val/b"):
        picture(tmp_path / f"images/{name}.png")
    found = open_boxes(tmp_path)
    assert found.space.names == ("cat", "big dog")
    assert [(s.image_id, s.split) for s in found] == [("train/a", "train"), ("val/b", "val")]
    np.testing.assert_allclose(found.labels["train/a"].boxes, [[5, 0, 15, 10], [2, 1, 6, 4]])
    assert len(found.labels["val/b"]) == 0
    assert open_boxes(tmp_path / "data.yaml").space.names == found.space.names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("names: [cat, 'big dog']", {0: "cat", 1: "big dog"}),
        ('names: {0: cat, 3: "a, b"}', {0: "cat", 3: "a, b"}),
        ("nc: 2\nnames:\n- cat\n- big dog # spotted\npath: x", {0: "cat", 1: "big dog"}),
        ("names:\n  1: cat\n  4: 'it''s'\ntrain: x", {1: "cat", 4: "it's"}),
        ("names: [\n  'cat',\n  'dog',\n]", {0: "cat", 1: "dog"}),
        ("train: x", None),
    ],
)
def test_names_in_yaml(tmp_path, text, names):
    assert yaml_names(put(tmp_path / "data.yaml", text)) == names


def test_yolo_with_pictures_and_labels_folder_by_folder(tmp_path):
    put(tmp_path / "train/labels/a.txt", "0 0.5 0.5 0.5 1\n")
    picture(tmp_path / "train/images/a.png")
    found = open_boxes(tmp_path)
    assert [(s.image_id, s.split) for s in found] == [("train/a", "train")]
    assert found.space.names == ("0",)


def test_no_pictures_are_needed_but_for_yolo(tmp_path):
    put(tmp_path / "labels/a.txt", "0 0.5 0.5 0.5 1\n")
    put(tmp_path / "labels/b.txt", "")
    found = open_boxes(tmp_path, space=kitti_space())
    assert [s.image_id for s in found] == ["b"]
    assert "size of the image 'a' is unknown" in found.quarantined[0]
    assert isinstance(found.root, Path)


@pytest.mark.parametrize("said", ["../sets/cells", "sets/cells", "{absolute}"])
def test_yaml_may_lie_elsewhere_than_the_data(tmp_path, said):
    """A data file often lies with the training script and names the folder by ``path``."""
    root = tmp_path / "sets/cells"
    put(root / "labels/train/a.txt", "1 0.5 0.5 0.5 1\n")
    picture(root / "images/train/a.png")
    text = f"path: {said.format(absolute=root)}  # where it is\ntrain: images/train\nnames: [cat, dog]\n"
    found = open_boxes(put(tmp_path / "scripts/data.yaml", text))
    assert [s.image_id for s in found] == ["train/a"]
    assert found.space.names == ("cat", "dog")


def test_yaml_with_a_path_that_is_not_there_counts_from_itself(tmp_path):
    put(tmp_path / "labels/a.txt", "0 0.5 0.5 0.5 1\n")
    picture(tmp_path / "images/a.png")
    found = open_boxes(put(tmp_path / "data.yaml", "path: /not/here\nnames: [cat]\n"))
    assert len(found.labels["a"]) == 1


def test_labels_without_any_picture_are_told(tmp_path):
    put(tmp_path / "labels/a.txt", "0 0.5 0.5 0.5 1\n")
    with pytest.raises(InputError, match=r"picture of none of them.*--images"):
        open_boxes(tmp_path)
