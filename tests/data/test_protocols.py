"""Published splits on miniatures of the published trees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dubio import InputError, LabelSpace, read_mask
from dubio.core.records import Dataset, Sample
from dubio.data.images import image_size
from dubio.data.layouts import open_dataset
from dubio.data.protocols import (
    builtin_protocols,
    load_protocol,
    published_split,
    split_by,
    unknown_mask,
    where,
)

# as the specification lists them
SCENES = """
265 431 175 528 39 137 538 499 7 376 37 209 306 413 380 374 472 523 446 121
171 488 278 411 312 453 110 285 46 158 426 544 230 41 520 322 95
"""
IDD_TEST = SCENES.split()
CITY_IDS = [7, 26, 23, 0]


def write(path: Path, values: list[int] | None = None, size: tuple[int, int] = (4, 3)) -> None:
    """Write a picture, or a mask whose rows are the values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if values is None:
        Image.new("RGB", size, (1, 2, 3)).save(path)
    else:
        row = np.resize(np.array(values, np.uint8), size[0])
        Image.fromarray(np.tile(row, (size[1], 1))).save(path)


@pytest.fixture
def cityscapes(tmp_path):
    for split, city, frames in (
        ("train", "aachen", 2),
        ("val", "frankfurt", 3),
        ("val", "lindau", 2),
        ("val", "munster", 1),
    ):
        for n in range(frames):
            stem = f"{city}_000000_{n:06d}"
            write(tmp_path / f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png")
            write(tmp_path / f"gtFine/{split}/{city}/{stem}_gtFine_labelIds.png", CITY_IDS)
    return open_dataset(tmp_path)


def write_acdc(root: Path, *, archives: bool = False) -> None:
    images = root / ("rgb_anon_trainvaltest/rgb_anon" if archives else "rgb_anon")
    labels = root / ("gt_trainval/gt" if archives else "gt")
    for condition in ("fog", "night", "rain", "snow"):
        for split, frames in (("train", 2), ("val", 1)):
            for n in range(frames):
                # frame numbers that end in letters of the image suffix, such as 'a' and 'n'
                stem = f"{condition}/{split}/GOPR040{n}/GOPR040{n}_frame_{n}an"
                write(images / f"{stem}_rgb_anon.png")
                write(labels / f"{stem}_gt_labelIds.png", CITY_IDS)


@pytest.fixture
def idd(tmp_path):
    # IDD holds images of several sizes
    scenes = [("train", s, (12, 7)) for s in (*IDD_TEST[:5], "1", "70")] + [("val", "119", (8, 6))]
    for split, scene, size in scenes:
        write(tmp_path / f"leftImg8bit/{split}/{scene}/359146_leftImg8bit.png", size=size)
        mask = tmp_path / f"gtFine/{split}/{scene}/359146_gtFine_labellevel3Ids.png"
        write(mask, [0, 8, 16, 17, 23, 9, 255, 12], size)
    return open_dataset(tmp_path)


def test_cityscapes_is_calibrated_on_two_cities_and_tested_on_the_third(cityscapes):
    calibration, test = published_split(cityscapes), published_split(cityscapes, "test")
    assert {s.domain["city"] for s in calibration} == {"munster", "lindau"}
    assert {s.domain["city"] for s in test} == {"frankfurt"}
    assert (len(calibration), len(test)) == (3, 3)
    assert calibration.notes[-1] == "published calibration split: 3 of 8 images"


@pytest.mark.parametrize("archives", [False, True])
def test_acdc_is_calibrated_on_val_and_tested_on_train(tmp_path, archives):
    write_acdc(tmp_path, archives=archives)
    dataset = open_dataset(tmp_path)
    for role, split, count in (("calibration", "val", 4), ("test", "train", 8)):
        found = published_split(dataset, role)
        assert {s.split for s in found} == {split}
        assert {name: len(part) for name, part in split_by(found, "condition").items()} == dict.fromkeys(
            ("fog", "night", "rain", "snow"), count // 4
        )


def test_idd_is_tested_on_scenes_of_train(idd):
    assert {s.domain["scene"] for s in published_split(idd)} == {"119"}
    test = published_split(idd, "test")
    assert {s.domain["scene"] for s in test} == set(IDD_TEST[:5])
    assert {s.split for s in test} == {"train"}
    assert "not there of the published list: scene" in test.notes[-1]
    assert "and 20 more" in test.notes[-1]  # 32 of the 37 scenes


def test_the_published_lists_and_rules_are_whole():
    protocol = load_protocol("idd")
    assert set(protocol.parts["test"].where["scene"]) == set(IDD_TEST)
    assert len(protocol.parts["test"].where["scene"]) == len(IDD_TEST) == 37
    from dubio import load_space

    assert protocol.leave_out_of(load_space("idd")) == (9, 16)
    assert load_protocol("cityscapes").leave_out == load_protocol("acdc").leave_out == ()
    assert set(protocol.unknown) == {8, 16, 17, 23}


def test_calibration_and_test_never_share_an_image(cityscapes):
    assert not {s.image_id for s in published_split(cityscapes)} & {
        s.image_id for s in published_split(cityscapes, "test")
    }


def test_data_sets_without_a_published_split_are_told_which_have_one(cityscapes):
    space = cityscapes.space
    own = Dataset("folders", space, (Sample("a"),))
    with pytest.raises(InputError, match="acdc, cityscapes, idd has"):
        published_split(own)
    with pytest.raises(InputError, match="'training'; calibration or test"):
        published_split(cityscapes, "training")
    only_train = where(cityscapes, {"split": "train"})
    with pytest.raises(InputError, match="open the data set with its split 'val'"):
        published_split(only_train)
    assert builtin_protocols() == ["acdc", "cityscapes", "idd"]


def test_defect_conditions_are_whole_values(tmp_path):
    """The released filter took 'rain' for a part of 'train'."""
    write_acdc(tmp_path)
    rain = where(open_dataset(tmp_path), {"condition": "rain"})
    assert {s.domain["condition"] for s in rain} == {"rain"}
    assert {s.split for s in rain} == {"train", "val"}
    with pytest.raises(InputError, match="no image of 'acdc' has the condition 'rai'; there are fog, night"):
        where(open_dataset(tmp_path), {"condition": "rai"})


def test_defect_suffixes_are_cut_off_whole(tmp_path):
    """The released code stripped all letters of the suffix from the right, so '..._0an' lost its end."""
    write_acdc(tmp_path)
    dataset = open_dataset(tmp_path)
    assert {s.image_id[-1] for s in dataset} == {"n"}
    assert all(s.image and s.label for s in dataset)


def test_defect_images_and_labels_are_paired_by_name(tmp_path):
    """The released code paired them by sort order: one missing label shifted all that follow."""
    write_acdc(tmp_path)
    lost = tmp_path / "gt/fog/train/GOPR0400/GOPR0400_frame_0an_gt_labelIds.png"
    lost.unlink()
    for sample in open_dataset(tmp_path):
        if sample.label is None:
            assert sample.domain["condition"] == "fog"
            continue
        stem = sample.image.name.removesuffix("_rgb_anon.png")
        assert sample.label.name == f"{stem}_gt_labelIds.png"
        assert sample.image.parts[-4:-1] == sample.label.parts[-4:-1]


def test_defect_sizes_may_differ(idd):
    """The released code assumed one size for all of IDD and left other images out."""
    sizes = {image_size(s.image) for s in idd}
    assert sizes == {(7, 12), (6, 8)}
    for sample in idd:
        assert read_mask(sample.label, idd.space, idd.encoding).shape == image_size(sample.image)
    assert len(published_split(idd)) + len(published_split(idd, "test")) == 6


def test_unknown_classes_of_idd(idd, tmp_path):
    sample = published_split(idd).samples[0]
    found = unknown_mask(sample.label, "idd")
    np.testing.assert_array_equal(found[0], [False, True, True, True, True, False, False, False])
    assert found.shape == (6, 8)
    # among the known classes these pixels are void
    known = read_mask(sample.label, idd.space, idd.encoding)
    assert (known[found] == idd.space.void_index).all()
    np.testing.assert_array_equal(unknown_mask(np.array([[8, 9]]), load_protocol("idd")), [[True, False]])


def test_masks_without_the_original_ids_are_refused(tmp_path):
    write(tmp_path / "1_gtFine_labelcsTrainIds.png", [0, 8])
    with pytest.raises(InputError, match="original ids"):
        unknown_mask(tmp_path / "1_gtFine_labelcsTrainIds.png", "idd")
    write(tmp_path / "colours.png")
    with pytest.raises(InputError, match="holds no level3Ids"):
        unknown_mask(tmp_path / "colours.png", "idd")
    with pytest.raises(InputError, match="names no unknown classes"):
        unknown_mask(np.zeros((1, 1), int), "cityscapes")


def tagged(rows: list[tuple[str | None, str | None]]) -> Dataset:
    space = LabelSpace.from_dict({"name": "one", "classes": [{"id": 0, "name": "thing"}]})
    samples = tuple(
        Sample(f"{n:03d}", split=split, domain={} if tag is None else {"weather": tag})
        for n, (tag, split) in enumerate(rows)
    )
    return Dataset("own", space, samples)


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "ab", "b", None]), st.sampled_from(["train", "val", None])),
        max_size=12,
    )
)
def test_parts_are_disjoint_and_cover_what_is_tagged(rows):
    dataset = tagged(rows)
    for tag, column in (("weather", 0), ("split", 1)):
        values = [row[column] for row in rows if row[column] is not None]
        if not values:
            with pytest.raises(InputError, match=f"the tag '{tag}'"):
                split_by(dataset, tag)
            continue
        parts = split_by(dataset, tag)
        assert {v: len(p) for v, p in parts.items()} == {v: values.count(v) for v in sorted(set(values))}
        whole = where(dataset, {tag: list(parts)})
        assert sorted(s.image_id for p in parts.values() for s in p) == [s.image_id for s in whole]
        if len(values) < len(rows):
            assert f"have no {tag} and are left out" in next(iter(parts.values())).notes[-1]


def test_several_tags_must_all_fit():
    dataset = tagged([("a", "train"), ("a", "val"), ("b", "val")])
    assert [s.image_id for s in where(dataset, {"weather": ("a", "b"), "split": "val"})] == ["001", "002"]
    with pytest.raises(InputError, match="has all of the tags weather b, split train"):
        where(dataset, {"weather": "b", "split": "train"})
    with pytest.raises(InputError, match="the tag 'city'; there are split, weather"):
        where(dataset, {"city": "bonn"})
