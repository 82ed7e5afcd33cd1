"""Truth folders say exactly what was changed."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dubio import (
    Dataset,
    InputError,
    LabelClass,
    LabelSpace,
    PlantOptions,
    Sample,
    Truth,
    open_folders,
    plant_dataset,
    read_truth,
    write_mask,
)
from dubio.data.spaces import load_space
from dubio.errors.bench.folder import save_map
from dubio.errors.bench.planting import stored_as
from dubio.errors.bench.truth import TruthError

from ..toy import SPACE, scene

OPTIONS = PlantOptions(rate=0.4, min_size=20)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("labels")
    for i in range(6):
        write_mask(root / f"town{i % 2}/im_{i}.png", scene(i), SPACE)
    write_mask(root / "town0/void.png", np.full((30, 40), 3, np.uint8), SPACE)
    return open_folders(labels=root, space=SPACE)


@pytest.fixture(scope="module")
def truth(data, tmp_path_factory):
    return plant_dataset(data, tmp_path_factory.mktemp("truth") / "t", OPTIONS, workers=2)


def contents(folder):
    """Everything but the record of the run, which tells the time."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name not in ("run.json", ".lock")]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files if "parts" not in p.parts}


def test_masks_differ_exactly_where_the_maps_say(data, truth):
    assert truth.errors
    for sample in data:
        before = scene(int(sample.image_id[-1])) if "im" in sample.image_id else np.full((30, 40), 3)
        after, numbers = truth.given_label(sample.image_id), truth.map(sample.image_id)
        assert numbers.dtype == np.int32
        np.testing.assert_array_equal(after != before, numbers > 0)
        np.testing.assert_array_equal(truth.clean_label(sample.image_id), before)
        for error in truth.by_image.get(sample.image_id, ()):
            place = numbers == error.number
            ys, xs = np.nonzero(place)
            assert error.size == place.sum() >= 20
            assert error.box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
            assert error.given == np.bincount(before[place]).argmax()
            assert error.planted == np.bincount(after[place]).argmax()


def test_folder_reads_back_as_it_was_returned(truth):
    back = read_truth(truth.folder)
    assert back.errors == truth.errors
    assert back.shapes == truth.shapes
    assert back.space.to_dict() == SPACE.to_dict()
    assert "town0/void" in back.image_ids
    assert not (truth.folder / "truth/town0/void.png").exists()


def test_tables_name_classes_and_count(truth):
    with (truth.folder / "errors.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["given"] for r in rows] == [SPACE.name_of(e.given) for e in truth.errors]
    record = json.loads((truth.folder / "truth.json").read_text())
    assert record["counts"]["errors"] == len(rows)
    assert sum(record["counts"]["by_kind"].values()) == len(rows)
    assert record["seed"] == 0
    assert load_space(truth.folder / "space.json").names == SPACE.names


def test_errors_depend_on_names_not_on_order_company_or_workers(data, truth, tmp_path):
    few = replace(data, samples=data.samples[::-1][:4])
    other = plant_dataset(few, tmp_path / "t", OPTIONS, workers=1)
    assert set(other.errors) == {e for e in truth.errors if e.image_id in other.shapes}
    for name in other.image_ids:
        np.testing.assert_array_equal(other.given_label(name), truth.given_label(name))


def test_a_stopped_run_goes_on_and_ends_the_same(data, truth, tmp_path, monkeypatch):
    from dubio.errors.bench import planting

    done = []

    def stops(sample, *rest):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(sample.image_id)
        return one(sample, *rest)

    one = planting._plant_one
    monkeypatch.setattr(planting, "_plant_one", stops)
    with pytest.raises(KeyboardInterrupt):
        plant_dataset(data, tmp_path / "t", OPTIONS, workers=1)
    with pytest.raises(InputError, match="no truth folder"):
        read_truth(tmp_path / "t")
    again = []
    monkeypatch.setattr(planting, "_plant_one", lambda s, *rest: again.append(s.image_id) or one(s, *rest))
    plant_dataset(data, tmp_path / "t", OPTIONS, workers=1)
    assert set(again) == {s.image_id for s in data} - set(done)
    assert contents(tmp_path / "t") == contents(truth.folder)


def test_a_finished_truth_is_not_changed_under_its_audits(data, truth, tmp_path):
    kept = contents(truth.folder)
    plant_dataset(data, truth.folder, OPTIONS)
    with pytest.raises(InputError, match="other options"):
        plant_dataset(data, truth.folder, replace(OPTIONS, seed=1))
    assert contents(truth.folder) == kept


def test_labels_are_never_among_what_is_written(data):
    with pytest.raises(InputError):
        plant_dataset(data, data.root / "town0/out", OPTIONS)
    assert not list(data.root.rglob("truth.json"))


def test_so_many_images_are_drawn_by_name(data, tmp_path):
    some = plant_dataset(data, tmp_path / "a", replace(OPTIONS, images=3))
    turned = replace(data, samples=data.samples[::-1])
    assert some.image_ids == plant_dataset(turned, tmp_path / "b", replace(OPTIONS, images=3)).image_ids
    assert len(some.image_ids) == 3


def test_colours_stay_colours_and_ids_ids(tmp_path):
    for encoding, mode in (("rgb", "RGB"), (None, "L")):
        labels = tmp_path / f"labels_{encoding}"
        write_mask(labels / "a.png", scene(1), SPACE, encoding)
        dataset = Dataset("x", SPACE, (Sample("a", label=labels / "a.png"),), encoding)
        made = plant_dataset(dataset, tmp_path / f"t_{encoding}", OPTIONS)
        assert made.encoding == encoding
        with Image.open(made.folder / "labels/a.png") as picture:
            assert picture.mode == mode


def test_an_encoding_that_can_only_be_read_gives_way_to_ids():
    encodings = {
        "both": {"map": {"5": 0, "6": 1}, "rest": "void"},
        "own": {"map": {"5": 0, "6": 1, "7": 2}},
    }
    space = LabelSpace.from_dict({**SPACE.to_dict(), "encodings": encodings})
    assert stored_as(space, "both") is None
    assert stored_as(space, "own") == "own"
    same = LabelSpace("same", (LabelClass(0, "a", (1, 1, 1)), LabelClass(1, "b", (2, 2, 2))))
    assert stored_as(same, "rgb") == "rgb"


def test_bad_masks_are_left_out_and_named(data, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/broken.png").write_bytes(b"no picture")
    broken = Sample("broken", label=tmp_path / "bad/broken.png")
    more = replace(data, samples=(broken, *data.samples[:2]))
    made = plant_dataset(more, tmp_path / "t", OPTIONS)
    assert set(made.left_out) == {"broken"}
    assert read_truth(tmp_path / "t").left_out == made.left_out
    with pytest.raises(InputError, match="broken"):
        plant_dataset(more, tmp_path / "s", OPTIONS, strict=True)
    with pytest.raises(InputError, match="no label could be used"):
        plant_dataset(replace(data, samples=(broken,)), tmp_path / "n", OPTIONS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kinds": {"melt": 1}}, "unknown kind"),
        ({"rate": 2}, "between 0 and 1"),
        ({"max_share": 0}, "largest share"),
        ({"min_size": 0}, "at least 1"),
        ({"images": 0}, "at least 1"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(data, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        plant_dataset(data, tmp_path / "t", replace(OPTIONS, **change))
    assert not (tmp_path / "t").exists()


def test_broken_truth_folders_are_refused(truth, tmp_path):
    for name, text in (
        ("truth.json", "{}"),
        ("truth.json", '{"format": 9}'),
        ("errors.csv", "image_id,number\nx,y\n"),
    ):
        folder = tmp_path / f"{name}{len(text)}"
        folder.mkdir()
        for file in ("truth.json", "errors.csv"):
            (folder / file).write_bytes((truth.folder / file).read_bytes())
        (folder / name).write_text(text)
        with pytest.raises(InputError, match=r"malformed|format 9"):
            read_truth(folder)


def test_truth_in_memory_must_agree_with_itself():
    numbers = np.array([[1, 1, 0], [0, 2, 2]])
    errors = [TruthError("x", n, "drop", 1, 0, 2, (0, 0, 1, 1)) for n in (1, 2)]
    truth = Truth.from_maps({"x": numbers, "y": np.zeros((2, 2))}, errors, SPACE)
    np.testing.assert_array_equal(truth.map("x"), numbers)
    assert truth.map("y").sum() == 0
    assert truth.only(["y"]).errors == ()
    for wrong in (
        errors[:1],
        [*errors, replace(errors[0], number=3)],
        [replace(errors[0], size=3), errors[1]],
    ):
        with pytest.raises(InputError, match="differ"):
            Truth.from_maps({"x": numbers}, wrong, SPACE)
    with pytest.raises(InputError, match="no image 'z'"):
        truth.map("z")
    with pytest.raises(InputError, match="no masks"):
        truth.given_label("x")


def test_more_errors_than_16_bits_number_are_refused(tmp_path):
    with pytest.raises(InputError, match="65535"):
        save_map(tmp_path / "x.png", np.array([[65536]], np.int32))
    save_map(tmp_path / "x.png", np.array([[65535, 0]], np.int32))
    assert np.asarray(Image.open(tmp_path / "x.png")).tolist() == [[65535, 0]]
