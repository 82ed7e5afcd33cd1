from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dubio import InputError
from dubio.data.layouts import match_files, open_folders
from dubio.data.spaces import load_space
from dubio.data.stems import common_ends, pair_stems

CAMVID = load_space("camvid")


def fill(folder: Path, names: list[str], suffix: str = ".png") -> Path:
    for name in names:
        path = folder / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".npy":
            np.save(path, np.zeros((2, 2, 2)))
        else:
            Image.fromarray(np.array([[0, 1, 11]], np.uint8)).save(path)
    return folder


@pytest.mark.parametrize(
    ("images", "labels", "ids"),
    [
        (["a.1_x", "b.2_y"], ["a.1_x", "b.2_y"], ["a.1_x", "b.2_y"]),
        (
            ["a_1_leftImg8bit", "b_2_leftImg8bit"],
            ["a_1_gtFine_labelIds", "b_2_gtFine_labelIds"],
            ["a_1", "b_2"],
        ),
        (["a_1", "b_2"], ["a_1_mask", "b_2_mask"], ["a_1", "b_2"]),
        (["a", "b"], ["a_L", "b_L"], ["a", "b"]),
        (["a_labels", "b_labels"], ["a_labels", "b_labels"], ["a_labels", "b_labels"]),
        (["only"], ["only_labels"], ["only"]),
        (["val/x/a_img", "val/y/b_img"], ["val/x/a_gt", "val/y/b_gt"], ["val/x/a", "val/y/b"]),
        (["a", "b"], ["deep/x/a", "deep/y/b"], ["a", "b"]),
    ],
)
def test_pairs_are_found(tmp_path, images, labels, ids):
    found = open_folders(
        images=fill(tmp_path / "i", images, ".jpg"), labels=fill(tmp_path / "l", labels), space=CAMVID
    )
    assert [s.image_id for s in found] == ids
    for number, sample in enumerate(found):
        assert sample.image == tmp_path / "i" / f"{images[number]}.jpg"
        assert sample.label == tmp_path / "l" / f"{labels[number]}.png"
    assert found.notes[0].startswith(f"{len(ids)} images with labels")


def test_several_kinds_of_files_beside_the_labels(tmp_path):
    names = ["x_000", "y_111"]
    images = fill(tmp_path / "i", [f"{n}_leftImg8bit" for n in names])
    kinds = ["gtFine_color", "gtFine_instanceIds", "gtFine_labelIds"]
    labels = fill(tmp_path / "l", [f"{n}_{k}" for n in names for k in kinds])
    found = open_folders(images=images, labels=labels, space=CAMVID)
    assert [s.image_id for s in found] == names
    assert all(s.label.stem.endswith("labelIds") for s in found)
    assert any("4 files beside the labels" in note for note in found.notes)


def test_unmatched_files_are_kept_and_counted(tmp_path):
    found = open_folders(
        images=fill(tmp_path / "i", ["a", "b", "c"]),
        labels=fill(tmp_path / "l", ["b", "c", "d"]),
        space=CAMVID,
    )
    assert [(s.image_id, s.image is None, s.label is None) for s in found] == [
        ("a", False, True),
        ("b", False, False),
        ("c", False, False),
        ("d", True, False),
    ]
    assert found.notes[0] == "2 images with labels, 1 images without a label, 1 labels without an image"


def test_one_side_alone(tmp_path):
    images = open_folders(images=fill(tmp_path / "i", ["a"]), space=CAMVID)
    assert (images.samples[0].label, len(images)) == (None, 1)
    labels = open_folders(labels=fill(tmp_path / "l", ["a"]))
    assert (labels.samples[0].image, len(labels.space)) == (None, 3)
    assert any("without names" in note for note in labels.notes)


def test_two_files_of_one_stem(tmp_path):
    folder = fill(tmp_path / "l", ["a"])
    np.save(folder / "a.npy", np.array([[0]]))
    found = open_folders(labels=folder, space=CAMVID)
    assert found.samples[0].label == folder / "a.png"
    assert any("several files" in note for note in found.notes)


def test_refusals(tmp_path):
    with pytest.raises(InputError, match="neither"):
        open_folders(space=CAMVID)
    with pytest.raises(InputError, match="doesn't exist"):
        open_folders(labels=tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no masks"):
        open_folders(labels=tmp_path / "empty")
    with pytest.raises(InputError, match=r"'one'.*'two'"):
        open_folders(images=fill(tmp_path / "i", ["one"]), labels=fill(tmp_path / "l", ["two"]))


def test_match_files(tmp_path):
    found = open_folders(
        images=fill(tmp_path / "i", ["a_leftImg8bit", "b_leftImg8bit"]),
        labels=fill(tmp_path / "l", ["a_labels", "b_labels"]),
        space=CAMVID,
    )
    for names in (["a", "b"], ["a_leftImg8bit"], ["b_labels"], ["val/a", "val/b"], ["a_pred", "b_pred"]):
        folder = fill(tmp_path / "-".join(names).replace("/", "_"), names, ".npy")
        matched = match_files(found, folder, (".npy",))
        assert set(matched) == {name.rpartition("/")[2][0] for name in names}
        assert all(path.is_file() for path in matched.values())
    with pytest.raises(InputError, match=r"'other'.*'a'"):
        match_files(found, fill(tmp_path / "other", ["other"], ".npy"), (".npy",))
    with pytest.raises(InputError, match=r"\.npz"):
        match_files(found, tmp_path / "other", (".npz",))


NAMES = st.lists(st.from_regex(r"[a-z]{1,3}[0-9]{1,3}", fullmatch=True), min_size=1, max_size=8, unique=True)


@settings(max_examples=60, deadline=None)
@given(
    names=NAMES, left=st.sampled_from(["", "_img", "-rgb.cam"]), right=st.sampled_from(["", "_gt", "_L_x"])
)
def test_endings_never_match_the_wrong_names(names, left, right):
    keys_left, keys_right, _ = pair_stems([n + left for n in names], [n + right for n in names])
    shared = keys_left.keys() & keys_right.keys()
    for key in shared:
        assert keys_left[key].removesuffix(left) == keys_right[key].removesuffix(right)
    assert len(shared) == len(names)


def test_common_ends():
    assert common_ends(["a_b_c", "x_b_c"]) == ["", "_c", "_b_c"]
    assert common_ends(["a1", "b1"]) == [""]
    assert common_ends([]) == [""]


def test_stems_that_two_samples_share_match_nothing_wrong(tmp_path):
    found = open_folders(labels=fill(tmp_path / "l", ["x/a", "y/a"]), space=CAMVID)
    matched = match_files(found, fill(tmp_path / "s", ["x/a", "y/a"], ".npy"), (".npy",))
    assert matched == {name: tmp_path / "s" / f"{name}.npy" for name in ("x/a", "y/a")}
    with pytest.raises(InputError, match="no file matches"):
        match_files(found, fill(tmp_path / "t", ["a"], ".npy"), (".npy",))
