"""Domains: what a model is shown, and what counts as unknown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dubio import Domain, InputError, LabelClass, LabelSpace, load_corruption, open_folders, parse_corruptions
from dubio.core.records import Dataset, Sample
from dubio.data.altered import Chained, Copied
from dubio.data.corrupt import Augmentation, parse_chain
from dubio.data.domains import corrupted, read_item, title_of, without

SPACE = LabelSpace(
    "toy", tuple(LabelClass(n, c, (n, n, 9)) for n, c in enumerate(("road", "car", "cow"))), void=(255,)
)


@pytest.fixture
def day(tmp_path: Path):
    """Two pictures with a class in each corner, and an image without a label."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        label = np.zeros((16, 20), np.uint8)
        label[:8, :10], label[:8, 10:], label[12:] = 1, 2, 255
        for part, array in (
            ("images", rng.integers(60, 200, (16, 20, 3)).astype(np.uint8)),
            ("labels", label),
        ):
            (tmp_path / part).mkdir(exist_ok=True)
            Image.fromarray(array).save(tmp_path / part / f"{name}.png")
    dataset = open_folders(labels=tmp_path / "labels", images=tmp_path / "images", space=SPACE)
    bare = Sample("bare", tmp_path / "images/a.png")
    return Domain("day", replace(dataset, samples=(*dataset.samples, bare)))


def item(domain, **more):
    return read_item(domain, domain.dataset.samples[0], **{"with_image": True, **more})


def test_images_without_labels_are_left_out(day):
    assert len(day) == 2
    assert day.describe() == "day: 2 images, classes of 'toy'"
    with pytest.raises(InputError, match="no image of 'x' has a label"):
        Domain("x", Dataset("x", SPACE, (Sample("a", Path("a.png")),)))


def test_unknown_classes_are_void_and_marked(day):
    found = item(replace(day, unknown=(2,)))
    assert found.unknown.sum() == 80
    assert (found.label[found.unknown] == SPACE.void_index).all()
    assert set(np.unique(found.label)) == {0, 1, SPACE.void_index}
    assert item(day).unknown is None
    assert "unknown: cow" in replace(day, unknown=(2,)).describe()


def test_further_classes_become_unknown():
    space = Dataset("x", SPACE, (Sample("a", Path("a.png"), Path("b.png")),))
    one = Domain("x", space, unknown=(2,))
    assert without(one, ()) is one
    assert without(one, (0, 2)).unknown == (0, 2)


def test_images_are_read_when_they_are_wanted(day):
    assert item(day, with_image=False).image is None
    assert item(day).image.shape == (16, 20, 3)
    dark = corrupted(day, parse_corruptions("brightness:3"), seed=1)[0]
    assert item(dark, with_image=False).image is not None


def test_corruptions_change_the_image_and_are_reproducible(day):
    plain = item(day)
    for found in corrupted(day, parse_corruptions("fog:2; gaussian_noise:4"), seed=3):
        one, other = item(found), item(found)
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.label, plain.label)
        assert not np.array_equal(one.image, plain.image)
        assert (found.of, found.seed) == ("day", 3)
    noise = corrupted(day, parse_corruptions("gaussian_noise:4"), seed=3)[0]
    assert not np.array_equal(item(noise).image, item(replace(noise, seed=4)).image)
    a, b = (read_item(noise, s, with_image=True).image for s in noise.dataset)
    clean = [read_item(day, s, with_image=True).image.astype(int) for s in day.dataset]
    assert not np.array_equal(a - clean[0], b - clean[1]), "each image has its own noise"


def test_names_of_corrupted_domains(day):
    found = corrupted(day, parse_corruptions("fog:1-2"))
    assert [d.name for d in found] == ["day fog 1", "day fog 2"]
    assert found[0].describe() == "day fog 1: 2 images, classes of 'toy', day under fog of severity 1"
    assert title_of(Chained("t1,3", parse_chain("t1,3"))) == "t1,3"


def test_geometric_operations_move_label_and_unknown_pixels_along(day):
    turned = replace(day, corruption=load_corruption("published-rotate_180:0"), of="day", unknown=(2,))
    found, plain = item(turned), item(replace(day, unknown=(2,)))
    np.testing.assert_array_equal(found.label, plain.label[::-1, ::-1])
    np.testing.assert_array_equal(found.unknown, plain.unknown[::-1, ::-1])
    np.testing.assert_array_equal(found.image, plain.image[::-1, ::-1])


def test_unknown_ids_of_a_protocol_move_along(tmp_path):
    """IDD's unknown ids are void in the label; rotated, they have to be looked up where they went."""
    from dubio import load_space
    from dubio.data.layouts import open_dataset

    stem = tmp_path / "leftImg8bit/train/265/359146"
    stem.parent.mkdir(parents=True)
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(f"{stem}_leftImg8bit.png")
    stored = np.zeros((6, 8), np.uint8)
    stored[0, :3], stored[5] = 8, 255
    mask = tmp_path / "gtFine/train/265/359146_gtFine_labellevel3Ids.png"
    mask.parent.mkdir(parents=True)
    Image.fromarray(stored).save(mask)
    dataset = open_dataset(tmp_path)
    assert dataset.space.names == load_space("idd").names
    plain = Domain("idd", dataset, protocol="idd")
    found = item(plain)
    assert np.argwhere(found.unknown).tolist() == [[0, 0], [0, 1], [0, 2]]
    assert (found.label[found.unknown] == dataset.space.void_index).all()
    turned = replace(plain, corruption=load_corruption("published-rotate_180:0"), of="idd")
    moved = item(turned)
    np.testing.assert_array_equal(moved.unknown, found.unknown[::-1, ::-1])
    np.testing.assert_array_equal(moved.label, found.label[::-1, ::-1])


def test_chains_and_copies_are_alterations(day):
    chain = replace(day, corruption=Chained("t1,3", parse_chain("t1,3")), of="day")
    copy = replace(day, corruption=Copied(Augmentation(2), 1), of="day")
    other = replace(day, corruption=Copied(Augmentation(2), 0), of="day")
    plain = item(day)
    assert not np.array_equal(item(chain).image, plain.image)
    np.testing.assert_array_equal(item(copy).image, item(copy).image)
    assert not np.array_equal(item(copy).image, item(other).image)
    np.testing.assert_array_equal(item(copy).label, plain.label)


def test_the_key_changes_with_what_is_read(day):
    corruption = load_corruption("fog:2")
    variants = [
        day,
        replace(day, unknown=(2,)),
        replace(day, leave_out=(1,)),
        replace(day, protocol="idd"),
        replace(day, corruption=corruption),
        replace(day, corruption=corruption, seed=1),
        replace(day, corruption=load_corruption("fog:3")),
        replace(day, corruption=Chained("t1,3", parse_chain("t1,3"))),
        replace(day, corruption=Copied(Augmentation(2), 0)),
        replace(day, corruption=Copied(Augmentation(2), 1)),
    ]
    keys = [repr(d.key()) for d in variants]
    assert len(set(keys)) == len(keys)
    assert repr(replace(day, name="night", seed=5).key()) == keys[0]


def test_faults_of_an_image_name_its_file(day):
    sample = day.dataset.samples[0]
    Image.fromarray(np.zeros((16, 60, 3), np.uint8)).save(sample.image)
    with pytest.raises(InputError, match=r"a\.png.*other proportions"):
        item(day)
    with pytest.raises(InputError, match="'x' has no image; give the images too"):
        read_item(day, Sample("x", None, sample.label), with_image=True)
    with pytest.raises(InputError, match="'x' has no label"):
        read_item(day, Sample("x", sample.image), with_image=True)
