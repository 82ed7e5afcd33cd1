"""Odd names, pictures, networks, folders and options for the commands on boxes."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ..jobs.helpers import answer, run_cli
from ..jobs.validate_world import SIDE
from . import makers
from .conftest import assert_plain
from .detection import BAD, QUICK, labels_with, on, predict, refused, spoilt, write_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("boxes"))


@pytest.mark.parametrize("lead", ["../../", "/etc/"])
def test_file_names_that_lead_elsewhere(world, tmp_path, lead):
    def change(data):
        data["images"][3]["file_name"] = f"{lead}p03.png"

    path = labels_with(world, tmp_path / "labels.json", change)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    deep = tmp_path / "a/b/truth"
    done = run_cli("benchmark", "plant", "--boxes", path, "--write-as", "yolo", "--rate", 0.5, "--out", deep)
    assert done.exit_code in (0, 2), done.output
    assert "Traceback" not in done.output
    new = {p for p in tmp_path.rglob("*") if p.is_file()} - set(before)
    assert all(deep in p.parents for p in new)


def test_names_of_other_alphabets(world, tmp_path):
    """From the picture to the corrected labels' truth: names of files and classes keep their letters."""
    names = {"p01": "Tür 牛 ☃", "p02": "a;b&c 'd'", "p03": "inf.v2.final"}

    def change(data):
        data["categories"] = [{"id": 1, "name": "cow"}, {"id": 2, "name": "hen"}]
        for image in data["images"]:
            stem = image["file_name"].removesuffix(".png")
            image["file_name"] = f"{names.get(stem, stem)}.png"

    path = labels_with(world, tmp_path / "labels.json", change)
    shutil.copytree(world / "images", tmp_path / "images")
    for old, new in names.items():
        (tmp_path / f"images/{old}.png").rename(tmp_path / f"images/{new}.png")
    found = predict(tmp_path, tmp_path / "seen", "--boxes", path, net=world / "net.onnx")
    assert found.exit_code == 0, found.output
    seen = pq.read_table(tmp_path / "seen/boxes.parquet").column("image_id").to_pylist()
    assert set(names.values()) <= set(seen)
    for command in QUICK:
        result = run_cli(*on(command, path, tmp_path / "seen", tmp_path / command))
        assert result.exit_code == 0, result.output
    assert answer(*on("validate", path, tmp_path / "seen", tmp_path / "validate"))["counts"]["found"] == 18


@pytest.fixture
def album(world, tmp_path):
    """Pictures of every kind, one of them sound."""
    folder = tmp_path / "images"
    folder.mkdir()
    sound = Image.open(world / "images/p03.png")
    sound.save(folder / "sound.png")
    sound.convert("L").save(folder / "grey.png")
    sound.convert("CMYK").save(folder / "print.jpg")
    sound.convert("P").save(folder / "palette.png")
    sound.convert("1").save(folder / "bits.png")
    Image.fromarray(np.asarray(sound.convert("L")).astype(np.uint16) * 257).save(folder / "deep.png")
    sound.crop((0, 0, 1, 1)).save(folder / "dot.png")
    sound.crop((0, 0, SIDE, 1)).save(folder / "line.png")
    for name in BAD:
        spoilt(folder / "sound.png", folder / f"bad {name}.png", makers.IMAGES[name])
    return folder


def test_pictures_of_every_kind(world, album, tmp_path):
    found = predict(tmp_path, tmp_path / "run", "--json", net=world / "net.onnx")
    assert found.exit_code == 0, found.output
    data = json.loads(found.stdout)
    bad = {row["image_id"] for row in data["quarantined"]}
    assert bad == {f"bad {name}" for name in BAD}
    assert data["images"] == 8
    for row in data["quarantined"]:
        assert f"{row['image_id']}.png" in row["fault"]
    assert "Warning" not in found.stderr
    strict = predict(tmp_path, tmp_path / "strict", "--strict", net=world / "net.onnx")
    assert strict.exit_code == 2
    assert_plain(strict.stderr.strip().splitlines()[-1])


def test_spoilt_pictures_of_labelled_images(world, tmp_path):
    shutil.copytree(world / "images", tmp_path / "images")
    for name, fault in (("p01", makers.truncate), ("p02", makers.one_pixel), ("p03", makers.text)):
        fault(tmp_path / f"images/{name}.png")
    given = ("--boxes", world / "labels.json", "--images", tmp_path / "images")
    given += ("--detector", world / "net.onnx")
    found = answer("validate", *given, *QUICK["validate"], "--out", tmp_path / "val")
    assert [name for name, _ in found["quarantine"]] == ["p01", "p02", "p03"]
    assert found["images"] == 9
    compared = run_cli("decodings", *given, "--out", tmp_path / "dec")
    assert compared.exit_code == 0, compared.output
    assert "p01.png" in refused("validate", *given, "--strict", "--out", tmp_path / "strict")
    for path in (tmp_path / "images").iterdir():
        path.write_bytes(b"")
    for command in ("validate", "decodings"):
        refused(command, *given, "--out", tmp_path / f"{command} of none")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_networks_whose_outputs_are_no_numbers(world, tmp_path, value):
    """Boxes that are no boxes are never handed on."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(world / "net.onnx"))
    for tensor in model.graph.initializer:
        if tensor.name == "deltas_":
            values = onnx.numpy_helper.to_array(tensor).copy()
            values[0, ::2] = value
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, "deltas_"))
    onnx.save(model, str(tmp_path / "net.onnx"))
    found = predict(tmp_path, tmp_path / "run", images=world / "images")
    assert found.exit_code in (0, 2), found.output
    assert "Traceback" not in found.output
    assert "Warning" not in found.stderr
    if found.exit_code == 0:
        table = pq.read_table(tmp_path / "run/boxes.parquet")
        boxes = np.stack([table.column(c).to_numpy() for c in ("x0", "y0", "x1", "y1")])
        assert np.isfinite(boxes).all()
        assert (boxes >= 0).all()
        assert (boxes <= SIDE).all()


def test_runs_of_another_command_and_other_folders_stay_untouched(world, tmp_path):
    labels, seen = world / "labels.json", world / "seen"
    val = tmp_path / "val"
    assert run_cli(*on("validate", labels, seen, val)).exit_code == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    before = {p: p.read_bytes() for folder in (val, tmp_path / "mine", seen) for p in folder.rglob("*.*")}
    for command in QUICK:
        for place in (seen, tmp_path / "mine", labels, world / "net.onnx/run"):
            assert str(place) in refused(*on(command, labels, seen, place))
    for place in (val, tmp_path / "mine"):
        given = ("--detector", world / "net.onnx", "--images", world / "images", "--out", place)
        assert str(place) in refused("predict", *given)
        assert str(place) in refused("decodings", *given, "--boxes", labels)
        assert str(place) in refused("benchmark", "plant", "--boxes", labels, "--out", place)
    assert {p: p.read_bytes() for p in before} == before


def test_a_second_time_gives_the_same(world, tmp_path):
    for command in QUICK:
        args = on(command, world / "labels.json", world / "seen", tmp_path / command)
        first, again = answer(*args), answer(*args)
        for data in (first, again):
            data.pop("run_time", None)
        assert first == again, command


@pytest.mark.parametrize(
    ("command", "options", "words"),
    [
        ("calibrate", ("--spread", "magic"), "no calibration of corners"),
        ("calibrate", ("--folds", 10**9), None),
        ("validate", ("--layout", "scribbles"), "no layout of boxes"),
        ("validate", ("--images", "nowhere"), "nowhere"),
        ("validate", ("--calibration", "nowhere.json"), "nowhere.json"),
        ("audit", ("--classes", "goat"), "goat"),
        ("audit", ("--kinds", "outline"), "unknown kind"),
        ("audit", ("--reviewed", "nowhere"), "nowhere"),
    ],
)
def test_options_that_mean_nothing(world, tmp_path, command, options, words):
    args = on(command, world / "labels.json", world / "seen", tmp_path / "run", *options)
    if words is None:  # more parts than images: as many as there are
        assert run_cli(*args).exit_code == 0
    else:
        assert words in refused(*args)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--backbone", "unheard"), "unheard"),
        (("--image-size", 60, 64), "multiples of 32"),
        (("--folds", 99), "99 folds"),
        (("--boxes", "nowhere.json"), "nowhere.json"),
        (("--boxes", "bare.json"), "bare.json"),
        (("--boxes", "cut.json"), "cut.json"),
    ],
)
def test_training_refuses_before_it_starts(world, tmp_path, monkeypatch, options, words):
    for name in ("torch", "lightning", "timm", "torchmetrics"):
        pytest.importorskip(name)
    labels_with(world, tmp_path / "bare.json", lambda data: data.update(annotations=[]))
    spoilt(world / "labels.json", tmp_path / "cut.json", makers.truncate)
    monkeypatch.chdir(tmp_path)
    given = ("train", "detector", "--boxes", world / "labels.json", "--images", world / "images")
    small = ("--preset", "tiny", "--accelerator", "cpu", "--epochs", 1, "--out", tmp_path / "run")
    assert words in refused(*given, *small, *options)
    assert not list((tmp_path / "run").rglob("*.safetensors"))
