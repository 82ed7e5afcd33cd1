"""Every built-in layout, as a miniature of the published tree."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dubio import InputError
from dubio.data.layouts import builtin_layouts, open_dataset
from dubio.data.masks import read_mask, write_mask
from dubio.data.spaces import load_space


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3), (1, 2, 3)).save(path)


def ids(path: Path, values: list[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array([values], np.uint8)).save(path)


CITY_IDS, TRAIN_IDS = [7, 26, 23, 0], [0, 13, 255, 18]
# layout: (images, labels, stored values or None for colours, domain and split of one sample)
TREES: dict[str, tuple[list[str], list[str], list[int] | None, dict[str, str]]] = {
    "scenes": (["images/val/scene_00000.png"], ["labels/val/scene_00000.png"], [0, 2], {"split": "val"}),
    "scenes-flat": (["images/scene_00000.png"], ["labels/scene_00000.png"], [0, 2], {}),
    "cityscapes": (
        [
            "leftImg8bit/val/lindau/lindau_000000_000019_leftImg8bit.png",
            "leftImg8bit/train/aachen/aachen_000001_000019_leftImg8bit.png",
        ],
        [
            "gtFine/val/lindau/lindau_000000_000019_gtFine_labelIds.png",
            "gtFine/train/aachen/aachen_000001_000019_gtFine_labelIds.png",
        ],
        CITY_IDS,
        {"split": "train", "city": "aachen"},
    ),
    "acdc": (
        [
            "rgb_anon/rain/train/GOPR0400/GOPR0400_frame_000144_rgb_anon.png",
            "rgb_anon/fog/val/GP020475/GP020475_frame_000010_rgb_anon.png",
        ],
        [
            "gt/rain/train/GOPR0400/GOPR0400_frame_000144_gt_labelIds.png",
            "gt/fog/val/GP020475/GP020475_frame_000010_gt_labelIds.png",
        ],
        CITY_IDS,
        {"split": "train", "condition": "rain", "scene": "GOPR0400"},
    ),
    "acdc-archives": (
        ["rgb_anon_trainvaltest/rgb_anon/night/val/GOPR0356/GOPR0356_frame_000321_rgb_anon.png"],
        ["gt_trainval/gt/night/val/GOPR0356/GOPR0356_frame_000321_gt_labelTrainIds.png"],
        TRAIN_IDS,
        {"split": "val", "condition": "night"},
    ),
    "idd": (
        ["leftImg8bit/val/119/359146_leftImg8bit.png", "leftImg8bit/val/120/359146_leftImg8bit.jpg"],
        [
            "gtFine/val/119/359146_gtFine_labellevel3Ids.png",
            "gtFine/val/120/359146_gtFine_labellevel3Ids.png",
        ],
        [0, 25, 9, 255],
        {"split": "val", "scene": "119"},
    ),
    "camvid": (
        ["images/train/0001TP_006690.jpg", "images/val/0016E5_07959.jpg"],
        ["labels/train/0001TP_006690.png", "labels/val/0016E5_07959.png"],
        [0, 3, 10, 11],
        {"split": "train"},
    ),
    "camvid-segnet": (
        ["train/0001TP_006690.png", "test/Seq05VD_f00000.png"],
        ["trainannot/0001TP_006690.png", "testannot/Seq05VD_f00000.png"],
        [0, 3, 10, 11],
        {"split": "train"},
    ),
    "voc": (
        ["JPEGImages/2007_000032.jpg", "JPEGImages/2007_000033.jpg"],
        ["SegmentationClass/2007_000032.png", "SegmentationClass/2007_000033.png"],
        [0, 1, 15, 255],
        {"split": "train"},
    ),
    "voc-aug": (
        ["JPEGImages/2008_000008.jpg"],
        ["SegmentationClassAug/2008_000008.png"],
        [0, 1, 15, 255],
        {"split": "train_aug"},
    ),
    "sbd": (["img/2008_000002.jpg"], ["cls/2008_000002.mat"], [0, 1, 15], {"split": "train"}),
    "sbd-archive": (
        ["dataset/img/2008_000002.jpg"],
        ["dataset/cls/2008_000002.mat"],
        [0, 1, 15],
        {"split": "train"},
    ),
    "coco-stuff": (
        ["train2017/000000000009.jpg", "val2017/000000000139.jpg"],
        ["stuffthingmaps/train2017/000000000009.png", "stuffthingmaps/val2017/000000000139.png"],
        [0, 181, 255],
        {"split": "train"},
    ),
    "coco-stuff-images": (
        ["images/val2017/000000000139.jpg"],
        ["annotations/val2017/000000000139_labelTrainIds.png"],
        [0, 170, 255],
        {"split": "val"},
    ),
    "coco-panoptic": (
        ["images/val2017/000000000139.jpg"],
        ["semantic_segmentation/masks/val2017/000000000139.png"],
        [0, 1, 200],
        {"split": "val"},
    ),
    "ade20k": (
        ["images/training/ADE_train_00000001.jpg", "images/validation/ADE_val_00000001.jpg"],
        ["annotations/training/ADE_train_00000001.png", "annotations/validation/ADE_val_00000001.png"],
        [0, 1, 150],
        {"split": "training"},
    ),
    "ade20k-archive": (
        ["ADEChallengeData2016/images/validation/ADE_val_00000001.jpg"],
        ["ADEChallengeData2016/annotations/validation/ADE_val_00000001.png"],
        [0, 1, 150],
        {"split": "validation"},
    ),
    "a2d2": (
        ["20180807_145028/camera/cam_front_center/20180807145028_camera_frontcenter_000000091.png"],
        ["20180807_145028/label/cam_front_center/20180807145028_label_frontcenter_000000091.png"],
        None,
        {"scene": "20180807_145028", "camera": "cam_front_center"},
    ),
    "a2d2-archive": (
        [
            "camera_lidar_semantic/20180807_145028/camera/cam_front_center/"
            "20180807145028_camera_frontcenter_000000091.png"
        ],
        [
            "camera_lidar_semantic/20180807_145028/label/cam_front_center/"
            "20180807145028_label_frontcenter_000000091.png"
        ],
        None,
        {"scene": "20180807_145028"},
    ),
    "comma10k": (
        ["imgs/0000_0085e9e41513078a_2018-08-19--13-26-08_11_864.png"],
        ["masks/0000_0085e9e41513078a_2018-08-19--13-26-08_11_864.png"],
        None,
        {},
    ),
    "nuclei": (["images/00071198d059.png"], ["labels_original/00071198d059.png"], [0, 77], {}),
    "nuclei-fixed": (["images/00071198d059.png"], ["labels_fixed/00071198d059.png"], [0, 77], {}),
    "carla": (["rgb/000001.png"], ["semantic_segmentation/000001.png"], [0, 1, 28], {}),
    "carla-semantic": (["rgb/000001.png"], ["semantic/000001.png"], [0, 1, 28], {}),
    "carla-camera": (["CameraRGB/F61-1.png"], ["CameraSeg/F61-1.png"], [0, 1, 28], {}),
    "carla-seg": (["CameraRGB/F61-1.png"], ["CameraSemSeg/F61-1.png"], [0, 1, 28], {}),
    "carla-scenes": (
        ["Town01/rgb/000001.png", "Town02/rgb/000001.png"],
        ["Town01/semantic_segmentation/000001.png", "Town02/semantic_segmentation/000001.png"],
        [0, 1, 28],
        {"scene": "Town01"},
    ),
    "carla-semantic-scenes": (
        ["Town01/rgb/000001.png"],
        ["Town01/semantic/000001.png"],
        [0, 1, 28],
        {"scene": "Town01"},
    ),
    "carla-camera-scenes": (
        ["dataA/CameraRGB/F61-1.png"],
        ["dataA/CameraSeg/F61-1.png"],
        [0, 1, 28],
        {"scene": "dataA"},
    ),
    "carla-seg-scenes": (
        ["dataA/CameraRGB/F61-1.png"],
        ["dataA/CameraSemSeg/F61-1.png"],
        [0, 1, 28],
        {"scene": "dataA"},
    ),
}
LISTS = {
    "voc": {
        "ImageSets/Segmentation/train.txt": "2007_000032",
        "ImageSets/Segmentation/val.txt": "2007_000033",
    },
    "voc-aug": {"ImageSets/Segmentation/train_aug.txt": "2008_000008"},
    "sbd": {"train.txt": "2008_000002"},
    "sbd-archive": {"dataset/train.txt": "2008_000002"},
}


def plant(root: Path, name: str) -> None:
    images, labels, values, _ = TREES[name]
    for image in images:
        picture(root / image)
    for label in labels:
        path = root / label
        if path.suffix == ".mat":
            from scipy.io import savemat

            path.parent.mkdir(parents=True, exist_ok=True)
            savemat(path, {"GTcls": {"Segmentation": np.array([values], np.uint8)}})
        elif values is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            space = load_space(name.split("-", maxsplit=1)[0])
            write_mask(path, np.array([[0, 2]], np.uint8), space, "rgb")
        else:
            ids(path, values)
    for place, text in LISTS.get(name, {}).items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text + "\n")


def test_the_trees_cover_all_layouts():
    assert set(TREES) == set(builtin_layouts()) - {"folders"}


@pytest.mark.parametrize("name", sorted(TREES))
@pytest.mark.parametrize("how", ["detected", "named"])
def test_layout(tmp_path, name, how):
    plant(tmp_path, name)
    (tmp_path / ".hidden").mkdir()
    found = open_dataset(tmp_path, layout=None if how == "detected" else name)
    images, labels, _, expected = TREES[name]
    assert found.name == name
    assert f"layout '{name}'" in found.notes[0]
    assert len(found) == len(images) == len(labels)
    assert {s.image for s in found} == {tmp_path / i for i in images}
    assert {s.label for s in found} == {tmp_path / i for i in labels}
    tags = [{**s.domain, **({"split": s.split} if s.split else {})} for s in found]
    assert any(expected.items() <= tag.items() for tag in tags)
    for sample in found:
        mask = read_mask(sample.label, found.space, found.encoding)
        assert (mask < found.space.void_index).any()


def test_conditions_are_whole_path_parts(tmp_path):
    plant(tmp_path, "acdc")
    found = open_dataset(tmp_path)
    assert Counter(s.domain["condition"] for s in found) == {"rain": 1, "fog": 1}
    assert [s.image_id for s in open_dataset(tmp_path, split="train")] == ["GOPR0400_frame_000144"]


def test_splits_and_ids(tmp_path):
    plant(tmp_path, "cityscapes")
    one = open_dataset(tmp_path, split="val")
    assert [s.image_id for s in one] == ["lindau_000000_000019"]
    with pytest.raises(InputError, match="train, val"):
        open_dataset(tmp_path, split="test")
    (tmp_path / "ids.txt").write_text("aachen_000001_000019\nnowhere\n")
    some = open_dataset(tmp_path, ids=tmp_path / "ids.txt")
    assert [s.image_id for s in some] == ["aachen_000001_000019"]
    assert "nowhere" in some.notes[-1]
    with pytest.raises(InputError, match="no image is left"):
        open_dataset(tmp_path, ids=["nowhere"])


def test_overlapping_lists_of_voc(tmp_path):
    plant(tmp_path, "voc")
    lists = tmp_path / "ImageSets/Segmentation"
    (lists / "trainval.txt").write_text("2007_000032\n2007_000033\n")
    picture(tmp_path / "JPEGImages/2007_000099.jpg")  # in no list and without a label
    assert Counter(s.split for s in open_dataset(tmp_path)) == {"train": 1, "val": 1}
    assert len(open_dataset(tmp_path, split="trainval")) == 2
    with pytest.raises(InputError, match="train, trainval, val"):
        open_dataset(tmp_path, split="test")


def test_missing_labels_and_images_are_normal(tmp_path):
    plant(tmp_path, "cityscapes")
    (tmp_path / TREES["cityscapes"][1][0]).unlink()
    (tmp_path / TREES["cityscapes"][0][1]).unlink()
    found = open_dataset(tmp_path, layout="cityscapes")
    assert [(s.image is None, s.label is None) for s in found] == [(True, False), (False, True)]
    assert "1 images without a label, 1 labels without an image" in " ".join(found.notes)


def test_train_id_masks_are_preferred_on_demand(tmp_path):
    plant(tmp_path, "cityscapes")
    for label in TREES["cityscapes"][1]:
        ids(tmp_path / label.replace("labelIds", "labelTrainIds"), TRAIN_IDS)
    assert open_dataset(tmp_path).encoding == "labelIds"
    train = open_dataset(tmp_path, encoding="ids")
    assert train.encoding is None
    assert all("TrainIds" in str(s.label) for s in train)


def test_another_space_for_the_same_tree(tmp_path):
    plant(tmp_path, "a2d2")
    found = open_dataset(tmp_path, space="a2d2-38")
    assert (len(found.space), found.encoding) == (38, "rgb")


def test_system_zero_tree(tmp_path):
    for name in ("net_input", "gt_masks", "inference_output"):
        for k in range(3):
            ids(tmp_path / name / f"frame.{k}_x.png", [0, 1, 1, 2])
    (tmp_path / "logits").mkdir()
    for layout in (None, "folders"):
        found = open_dataset(tmp_path, layout=layout)
        assert (found.name, len(found), len(found.space)) == ("folders", 3, 3)
        assert [s.image_id for s in found] == ["frame.0_x", "frame.1_x", "frame.2_x"]
    city = open_dataset(tmp_path, space="cityscapes")
    assert city.space.name == "cityscapes"


def test_common_folder_names_prove_nothing(tmp_path):
    picture(tmp_path / "images/train/cat.jpg")
    ids(tmp_path / "labels/train/cat.png", [0, 1, 2])
    found = open_dataset(tmp_path)
    assert found.name == "folders"
    assert found.space.name == "unnamed"


def test_own_layout_file(tmp_path):
    plant(tmp_path / "data", "idd")
    (tmp_path / "own.toml").write_text(
        'name = "own"\nclasses = [{ id = 0, name = "a" }]\nvoid = [9, 25, 255]\n'
        '[[layouts]]\nname = "mine"\nimage = "leftImg8bit/{split}/{place}/{stem}_leftImg8bit.*"\n'
        'domain = ["place"]\n'
        'labels = [{ path = "gtFine/{split}/{place}/{stem}_gtFine_labellevel3Ids.png" }]\n'
    )
    found = open_dataset(tmp_path / "data", layout=tmp_path / "own.toml")
    assert (found.name, found.space.name, len(found)) == ("mine", "own", 2)
    assert [s.image_id for s in found] == ["val/119/359146", "val/120/359146"]
    assert found.samples[1].domain == {"place": "120"}


def test_refusals(tmp_path):
    with pytest.raises(InputError, match="doesn't exist"):
        open_dataset(tmp_path / "none")
    with pytest.raises(InputError, match="no known layout"):
        open_dataset(tmp_path)
    with pytest.raises(InputError, match="gtFine"):
        open_dataset(tmp_path, layout="cityscapes")
    with pytest.raises(InputError, match="known"):
        open_dataset(tmp_path, layout="cityspaces")


def test_many_files_are_listed_once(tmp_path, monkeypatch):
    import os

    for split in ("train", "val"):
        for k in range(300):
            for name in (f"images/{split}/0001TP_{k:06}.jpg", f"labels/{split}/0001TP_{k:06}.png"):
                (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name).touch()
    for split in ("train", "val"):
        for path in sorted((tmp_path / "labels" / split).iterdir()):
            ids(path, [0, 11])
    listed: Counter[str] = Counter()
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (listed.update([str(path)]), scandir(path))[1])
    found = open_dataset(tmp_path)
    assert found.name == "camvid"
    assert max(listed.values()) == 1


def test_real_trees(shared):
    for name, layout, count in (
        ("camvid", "camvid", 468),
        ("nuclei", "nuclei", 165),
        ("comma10k", "comma10k", 11),
        ("coco_val_subset", "coco-panoptic", 96),
    ):
        found = open_dataset(shared / "data" / name)
        assert (found.name, len(found)) == (layout, count)
        sample = found.samples[count // 2]
        assert read_mask(sample.label, found.space, found.encoding).size > 0
