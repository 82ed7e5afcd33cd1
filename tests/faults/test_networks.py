"""``dubio predict`` and ``dubio audit --model`` with damaged networks, pictures and outputs."""

from __future__ import annotations

import json
import os
import shutil
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from dubio.models.outputs import Outputs

from . import makers
from .conftest import assert_plain, last_sentence, leftovers, quarantine, run_cli

onnx = pytest.importorskip("onnx")


def write_network(path, *, channels=3, tail=None, scale=1.0, dims=("n", 3, "h", "w")):
    """A 1 x 1 convolution, and what the tail asks for."""
    helper, kinds = onnx.helper, onnx.TensorProto
    weights = np.random.default_rng(0).normal(size=(channels, 3, 1, 1)).astype(np.float32) * np.float32(scale)
    nodes, last, kind = [helper.make_node("Conv", ["image", "kernel"], ["conv"])], "conv", kinds.FLOAT
    if tail == "ArgMax":
        nodes.append(helper.make_node("ArgMax", ["conv"], ["end"], axis=1, keepdims=0))
        last, kind = "end", kinds.INT64
    elif tail:
        nodes.append(helper.make_node(tail, ["conv"], ["end"]))
        last = "end"
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", kinds.FLOAT, list(dims))],
        [helper.make_tensor_value_info(last, kind, None)],
        [onnx.numpy_helper.from_array(weights, "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


def model_options(command, data, out, *more):
    return (
        command, "--model", data / "net.onnx", "--images", data / "images", "--labels", data / "labels",
        "--label-space", data / "toy.toml", "--input-scale", "0-1", "--out", out, *more,
    )  # fmt: skip


@pytest.fixture
def network(data):
    write_network(data / "net.onnx")
    return data


BROKEN = {
    "truncated": (makers.truncate, "truncated, damaged or no ONNX file"),
    "header_only": (makers.header_only, "truncated, damaged or no ONNX file"),
    "text": (makers.text, "truncated, damaged or no ONNX file"),
    "pickle": (makers.bare_pickle, "truncated, damaged or no ONNX file"),
    "empty": (makers.empty, "it is empty"),
    "folder": (makers.folder, "is a folder"),
    "missing": (lambda path: path.unlink(), "doesn't exist"),
    "two channels": (lambda path: write_network(path, channels=2), "2 channels for the 3 classes"),
    "indices": (lambda path: write_network(path, tail="ArgMax"), "class indices"),
    "one score": (lambda path: write_network(path, tail="GlobalAveragePool"), "no map"),
    "nan": (lambda path: write_network(path, scale=np.nan), "not finite"),
    "bad card": (lambda path: path.with_suffix(".toml").write_text("scale = "), "net.toml"),
    "card of bytes": (lambda path: path.with_suffix(".toml").write_bytes(b"\xff\xfe"), "no text"),
}


@pytest.mark.parametrize("command", ["predict", "audit"])
@pytest.mark.parametrize("fault", list(BROKEN))
def test_broken_networks(network, tmp_path, command, fault):
    spoil, words = BROKEN[fault]
    spoil(network / "net.onnx")
    sentence = last_sentence(run_cli(*model_options(command, network, tmp_path / "out")))
    assert words in sentence
    assert_plain(sentence)
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".pkl"])
def test_pickles_are_never_loaded(network, tmp_path, suffix):
    path = network / f"net{suffix}"
    makers.bare_pickle(path)
    sentence = last_sentence(
        run_cli("predict", "--model", path, "--images", network / "images", "--out", tmp_path / "out")
    )
    assert "may hold a pickle" in sentence
    assert not (tmp_path / "pickle-was-loaded").exists()


@pytest.fixture(scope="module")
def pictures(sound, tmp_path_factory):
    """Every fault of a picture among sound ones, predicted."""
    root = tmp_path_factory.mktemp("pictures")
    data = root / "data"
    shutil.copytree(sound, data)
    write_network(data / "net.onnx")
    for name, fault in makers.IMAGES.items():
        for part in ("images", "labels"):
            shutil.copy(sound / part / "im_000.a.png", data / part / f"{name}.png")
        fault(data / f"images/{name}.png")
    return root / "out", run_cli(*model_options("predict", data, root / "out", "--json"))


@pytest.mark.parametrize("name", list(makers.IMAGES))
def test_a_bad_picture_among_sound_ones(pictures, name):
    out, result = pictures
    assert result.exit_code == 0, result.output
    reason = quarantine(out)[name]
    assert f"images/{name}.png: " in reason
    assert_plain(reason)


def test_the_others_are_predicted(pictures):
    out, result = pictures
    data = json.loads(result.stdout)
    assert data["images"] == 6
    assert len(data["quarantined"]) == len(makers.IMAGES)
    assert result.stderr.count("warning: ") == 6, "five, and how many more"
    assert f"{len(makers.IMAGES) - 5} more in " in result.stderr
    assert len(list((out / "maps").iterdir())) == 6


def test_no_picture_left(network, tmp_path):
    for path in (network / "images").iterdir():
        makers.truncate(path)
    out = tmp_path / "out"
    sentence = last_sentence(run_cli(*model_options("predict", network, out)))
    assert "6 can't be used, the first: " in sentence
    assert "all are listed in " in sentence
    assert len(quarantine(out)) == 6


def test_a_picture_of_other_proportions_than_its_label(network, tmp_path):
    makers.other_size(network / "images/im_003.a.png")
    for command in ("predict", "audit"):
        assert run_cli(*model_options(command, network, tmp_path / command)).exit_code == 0
        reason = quarantine(tmp_path / command)["im_003.a"]
        assert "image of 60 x 50" in reason
        assert "label of 72 x 96" in reason


@pytest.mark.parametrize("name", ["x" * 250, "ü" * 124, "a\nb", os.fsdecode(b"caf\xe9"), "[red]x"])
def test_odd_names_are_predicted_and_resumed(network, tmp_path, name):
    for part in ("images", "labels"):
        try:
            (network / part / "im_003.a.png").rename(network / part / f"{name}.png")
        except OSError:
            pytest.skip("this file system can't store the name")
    command = model_options("predict", network, tmp_path / "out", "--keep-scores", "--json")
    assert json.loads(run_cli(*command).stdout)["images"] == 6
    assert json.loads(run_cli(*command).stdout)["resumed"] == 6


@pytest.mark.parametrize("fault", [makers.truncate, makers.empty])
@pytest.mark.parametrize("where", ["parts/*/im_003*.parquet", "maps/im_003*.png", "scores/im_003*.npy"])
def test_damaged_outputs_are_made_anew(network, tmp_path, where, fault):
    out = tmp_path / "out"
    command = model_options("predict", network, out, "--keep-scores", "--json")
    run_cli(*command)
    table = pq.read_table(out / "regions.parquet")
    (damaged,) = out.glob(where)
    content = damaged.read_bytes()
    fault(damaged)
    assert json.loads(run_cli(*command).stdout)["resumed"] == 5
    assert damaged.read_bytes() == content
    assert pq.read_table(out / "regions.parquet").equals(table)
    assert json.loads((out / "run.json").read_text())["damaged"] == 1


def test_a_shard_damaged_within_is_deleted_and_said(network, tmp_path):
    out = tmp_path / "out"
    command = model_options("predict", network, out)
    run_cli(*command)
    (damaged,) = out.glob("parts/*/im_003*.parquet")
    content = bytearray(damaged.read_bytes())
    content[20:60] = bytes(40)
    damaged.write_bytes(content)
    assert "was damaged and is deleted; run the same command again" in last_sentence(run_cli(*command))
    assert run_cli(*command).exit_code == 0


def test_a_damaged_note_starts_anew(network, tmp_path):
    command = model_options("predict", network, tmp_path / "out", "--json")
    run_cli(*command)
    makers.truncate(tmp_path / "out/predictions.json")
    assert json.loads(run_cli(*command).stdout)["images"] == 6


def test_predictions_stay_out_of_the_labels(network):
    before = {p: p.read_bytes() for p in network.rglob("*") if p.is_file()}
    sentence = last_sentence(run_cli(*model_options("predict", network, network / "labels/run")))
    assert "lies in the folder of labels" in sentence
    assert {p: p.read_bytes() for p in network.rglob("*") if p.is_file()} == before


def test_an_image_id_stays_in_the_run_folder(tmp_path):
    from dubio.core.errors import InputError
    from dubio.core.run import Run

    outputs = Outputs(Run(tmp_path / "out", "predict", {}), {})
    for name in ("../escape", "a/../../b", "/etc/passwd"):
        with pytest.raises(InputError, match="points out of the run folder"):
            outputs.map_path(name)


def test_the_demo_refuses_foreign_folders(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("precious")
    sentence = last_sentence(run_cli("demo", "--out", tmp_path / "mine", "--no-open"))
    assert "is not empty and is no dubio run" in sentence
    (tmp_path / "file").write_text("x")
    assert "is a file" in last_sentence(run_cli("demo", "--out", tmp_path / "file", "--no-open"))
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("fault", ["truncated labels", "no labels", "foreign folder"])
def test_training_on_bad_data(data, tmp_path, fault):
    if "lightning" not in sys.modules:
        pytest.skip("loading it takes as long as all the tests here; the whole suite has it loaded")
    out = tmp_path / "out"
    if fault == "truncated labels":
        for path in (data / "labels").iterdir():
            makers.truncate(path)
    if fault == "no labels":
        shutil.rmtree(data / "labels")
    if fault == "foreign folder":
        out.mkdir()
        (out / "thesis.txt").write_text("precious")
    sentence = last_sentence(
        run_cli("train", "segmenter", "--images", data / "images", "--labels", data / "labels", "--out", out)
    )
    assert_plain(sentence)
    assert not out.exists() or [p.name for p in out.iterdir()] == ["thesis.txt"]
