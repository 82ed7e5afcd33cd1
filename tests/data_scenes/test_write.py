from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dubio import InputError
from dubio.data.images import read_image
from dubio.data.layouts import open_dataset
from dubio.data.masks import read_mask
from dubio.data.scenes import SCENE_SPACE, render_scene, write_scenes

SIZE = (48, 80)


def test_scenes_are_written_in_the_plain_layout(tmp_path):
    dataset = write_scenes(tmp_path, 3, seed=4, size=SIZE)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.png")) == [
        f"{kind}/scene_{n:05d}.png" for kind in ("images", "labels") for n in range(3)
    ]
    assert [s.image_id for s in dataset] == ["scene_00000", "scene_00001", "scene_00002"]
    for sample in dataset:
        assert sample.image is not None
        assert sample.label is not None
        image, label = read_image(sample.image), read_mask(sample.label, dataset.space)
        assert image.shape == (*SIZE, 3)
        assert label.shape == SIZE
        assert label.max() < len(SCENE_SPACE)
        assert sample.domain["weather"]


def test_what_is_read_is_what_was_rendered(tmp_path):
    from dubio.core.seeds import derive_seed

    dataset = write_scenes(tmp_path, 1, seed=4, size=SIZE)
    scene = render_scene(derive_seed(4, "", "0"), size=SIZE)
    sample = dataset.samples[0]
    assert np.array_equal(np.asarray(Image.open(sample.image)), scene.image)
    assert np.array_equal(np.asarray(Image.open(sample.label)), SCENE_SPACE.decode(scene.label))


def test_a_longer_run_begins_with_the_scenes_of_a_shorter_one(tmp_path):
    short = write_scenes(tmp_path / "a", 2, seed=1, size=SIZE)
    long = write_scenes(tmp_path / "b", 3, seed=1, size=SIZE, workers=2)
    for one, other in zip(short, long, strict=False):
        assert one.image.read_bytes() == other.image.read_bytes()
        assert one.label.read_bytes() == other.label.read_bytes()


def test_splits_have_folders_and_scenes_of_their_own(tmp_path):
    train = write_scenes(tmp_path, 1, split="train", size=SIZE)
    val = write_scenes(tmp_path, 1, split="val", size=SIZE, weather="night")
    assert train.samples[0].image == tmp_path / "images" / "train" / "scene_00000.png"
    assert val.samples[0].label == tmp_path / "labels" / "val" / "scene_00000.png"
    assert train.samples[0].split == "train"
    assert val.samples[0].domain == {"weather": "night"}
    assert train.samples[0].label.read_bytes() != val.samples[0].label.read_bytes()


def test_no_scenes_at_all_are_refused(tmp_path):
    with pytest.raises(InputError, match="0 scenes"):
        write_scenes(tmp_path, 0)


def test_written_scenes_are_recognised_with_and_without_splits(tmp_path):
    write_scenes(tmp_path / "flat", 2, size=SIZE)
    flat = open_dataset(tmp_path / "flat")
    assert (flat.name, flat.space, len(flat)) == ("scenes-flat", SCENE_SPACE, 2)
    for split in ("train", "val"):
        write_scenes(tmp_path / "split", 2, split=split, size=SIZE)
    whole, val = open_dataset(tmp_path / "split"), open_dataset(tmp_path / "split", split="val")
    assert (whole.name, whole.space, len(whole)) == ("scenes", SCENE_SPACE, 4)
    assert {s.split for s in whole} == {"train", "val"}
    assert all(s.image.parent.name == s.label.parent.name == "val" for s in val)


def test_boxes_are_written_beside_the_masks(tmp_path):
    import dubio
    from dubio.core.seeds import derive_seed
    from dubio.data.scenes import BOX_SPACE, scene_boxes

    write_scenes(tmp_path, 2, seed=4, split="val")
    dataset = dubio.open_boxes(tmp_path / "boxes_val.json")
    assert set(dataset.space.names) == set(BOX_SPACE.names)
    assert all(sample.image is not None and sample.image.is_file() for sample in dataset)
    scene = render_scene(derive_seed(4, "val", "1"))
    expected, found = scene_boxes(scene), dataset.labels[dataset.samples[1].image_id]
    assert np.array_equal(found.boxes, expected.boxes)
    assert [dataset.space.names[k] for k in found.classes] == [BOX_SPACE.names[k] for k in expected.classes]
    np.testing.assert_allclose(found.distance, expected.distance)
    # a box holds all visible pixels of its object and none lies outside
    for o in scene.objects:
        rows, columns = np.nonzero(scene.instances == o.instance)
        assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == o.box
