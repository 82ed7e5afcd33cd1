"""Sampled logits: resume, changes, damage."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from dubio import Domain, FileCandidate, InputError, load_space, open_folders, read_samples
from dubio.data.domains import corrupted
from dubio.jobs.extract import Extraction

from .helpers import save, write_domain, write_space


@pytest.fixture
def day(tmp_path):
    root = write_domain(tmp_path / "day", 4)
    write_space(root / "colours.json")
    return root


def extraction(root, folder, *, pixels=80, **more):
    space = load_space(root / "colours.json")
    place = Domain("day", open_folders(labels=root / "labels", images=root / "images", space=space))
    return Extraction(FileCandidate("files", {"day": root / "scores"}), place, folder, pixels=pixels, **more)


def times(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*.npz")}


def test_finished_samples_are_taken_over_and_damaged_ones_made_again(day, tmp_path):
    folder = tmp_path / "logits"
    assert [d.found for d in extraction(day, folder).work()] == [False] * 4
    first, whole = times(folder), read_samples(folder)
    broken = sorted(first)[2]
    broken.write_bytes(broken.read_bytes()[:50])
    assert [d.found for d in extraction(day, folder).work()] == [True, True, False, True]
    second = times(folder)
    assert {p for p in first if second[p] != first[p]} == {broken}
    np.testing.assert_array_equal(read_samples(folder).logits, whole.logits)


@pytest.mark.parametrize("more", [{"pixels": 81}, {"seed": 3}])
def test_other_options_clear_the_old_files(day, tmp_path, more):
    folder = tmp_path / "logits"
    list(extraction(day, folder).work())
    strange = folder / "samples/other.npz"
    strange.write_bytes(b"")
    assert [d.found for d in extraction(day, folder, **more).work()] == [False] * 4
    assert not strange.exists()
    assert len(read_samples(folder).image_ids) == 4


def test_a_changed_label_replaces_the_sample_of_its_image(day, tmp_path):
    """The old sample used to stay, and the image was there twice."""
    folder = tmp_path / "logits"
    list(extraction(day, folder).work())
    path = day / "labels/p001.png"
    label = np.array(Image.open(path))
    label[:20] = 255
    save(path, label)
    os.utime(path, (path.stat().st_atime + 5, path.stat().st_mtime + 5))
    assert [d.found for d in extraction(day, folder).work()] == [True, False, True, True]
    found = read_samples(folder)
    assert found.image_ids == ("p000", "p001", "p002", "p003")
    assert (found.places[found.image == 1] >= 20 * 32).all()


def test_an_image_that_is_gone_takes_its_sample_along(day, tmp_path):
    folder = tmp_path / "logits"
    list(extraction(day, folder).work())
    for part in ("images", "labels"):
        (day / part / "p003.png").unlink()
    (day / "scores/p003.npy").unlink()
    list(extraction(day, folder).work())
    assert read_samples(folder).image_ids == ("p000", "p001", "p002")


def test_faults_are_told_by_image_and_strict_raises(day, tmp_path):
    (day / "scores/p001.npy").write_bytes(b"no scores")
    (day / "scores/p002.npy").unlink()
    done = list(extraction(day, tmp_path / "logits").work())
    assert [bool(d.fault) for d in done] == [False, True, True, False]
    assert "p001.npy" in done[1].fault
    assert "there is no prediction" in done[2].fault
    with pytest.raises(InputError):
        list(extraction(day, tmp_path / "strict", strict=True, workers=1).work())


def test_workers_and_order_do_not_matter(day, tmp_path):
    for n in (1, 3):
        list(extraction(day, tmp_path / str(n), workers=n).work())
    one, other = (read_samples(tmp_path / str(n)) for n in (1, 3))
    np.testing.assert_array_equal(one.logits, other.logits)
    np.testing.assert_array_equal(one.places, other.places)


def test_an_image_of_void_gives_an_empty_sample(day, tmp_path):
    save(day / "labels/p000.png", np.full((24, 32), 255, np.uint8))
    list(extraction(day, tmp_path / "logits").work())
    found = read_samples(tmp_path / "logits")
    assert len(found.image_ids) == 4
    assert not (found.image == 0).any()


def test_corrupted_domains_can_be_sampled_with_networks_only(day, tmp_path):
    from dubio import parse_corruptions

    space = load_space(day / "colours.json")
    place = Domain("day", open_folders(labels=day / "labels", images=day / "images", space=space))
    under = corrupted(place, parse_corruptions("fog:2"))[0]
    with pytest.raises(InputError, match="can't be corrupted"):
        Extraction(FileCandidate("files", {"day": day / "scores"}), under, tmp_path / "logits")
