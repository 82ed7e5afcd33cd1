from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dubio.cli.main import main


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A network of three classes: red, green and blue."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    kernel = onnx.numpy_helper.from_array(9 * np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1), "kernel")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "kernel"], ["logits"])],
        "tiny",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, None)],
        [kernel],
    )
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures of coloured stripes, with labels."""
    for number in range(3):
        label = np.repeat((np.arange(12) + number) % 3, 8)[None].repeat(20, axis=0).astype(np.uint8)
        for part, array in (("images", np.eye(3)[label] * 200), ("labels", label)):
            (tmp_path / part).mkdir(exist_ok=True)
            Image.fromarray(array.astype(np.uint8)).save(tmp_path / part / f"p{number}.png")
    classes = [{"id": n, "name": c} for n, c in enumerate(("red", "green", "blue"))]
    (tmp_path / "space.json").write_text(json.dumps({"name": "stripes", "classes": classes}))
    return tmp_path


def run(*args: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["predict", *map(str, args)])
    return result.exit_code, result.stdout, result.stderr


def test_predicts_says_what_it_found_and_resumes(network, pictures):
    out = pictures / "run"
    args = [
        *("--model", network, "--input-scale", "0-1", "--images", pictures / "images"),
        *("--labels", pictures / "labels", "--label-space", pictures / "space.json"),
        *("--keep-scores", "--device", "cpu", "--out", out),
    ]
    status, text, said = run(*args)
    assert status == 0, said
    assert "regions.parquet" in text
    for word in ("input 'image'", "logits (detected", "RGB 0-1 (option)", "3 images, 3 with labels"):
        assert word in said
    assert sorted(p.name for p in (out / "scores").iterdir()) == ["p0.npy", "p1.npy", "p2.npy"]
    status, text, _ = run(*args, "--json")
    data = json.loads(text)
    assert (status, data["images"], data["resumed"], data["mean_iou"]) == (0, 3, 3, 1.0)


def test_images_alone_are_enough(network, pictures):
    out = pictures / "run"
    status, text, said = run(
        "--model", network, "--images", pictures / "images", "--no-maps", "--out", out, "--json"
    )
    assert status == 0, said
    assert "assumed" in said
    assert json.loads(text)["pixel_accuracy"] is None
    assert not (out / "maps").exists()


def test_bad_input_is_one_sentence_and_status_2(network, pictures):
    images, out = pictures / "images", pictures / "run"
    for args, word in (
        (("--model", pictures / "none.onnx", "--images", images), "none.onnx"),
        (("--model", network), "--images or --data"),
        (("--model", network, "--images", images, "--card", "unheard"), "unheard"),
        (("--model", network, "--images", images, "--model-space", "camvid"), "3 score channels"),
        (("--model", network, "--images", images, "--device", "tpu"), "tpu"),
    ):
        status, _, said = run(*args, "--out", out)
        assert status == 2
        assert said.strip().splitlines()[-1].startswith("dubio: ")
        assert word in said
        assert "Traceback" not in said


def test_scores_can_be_audited_by_stem(network, pictures):
    from dubio.data.folders import open_folders
    from dubio.data.predictions import open_predictions
    from dubio.data.spaces import load_space

    out, space = pictures / "run", load_space(pictures / "space.json")
    status, _, said = run(
        *("--model", network, "--input-scale", "0-1", "--images", pictures / "images"),
        *("--label-space", pictures / "space.json", "--keep-scores", "--out", out),
    )
    assert status == 0, said
    data = open_folders(labels=pictures / "labels", space=space)
    found = open_predictions(data, scores=out / "scores")
    prediction = found.read(data.samples[0], (20, 96))
    assert prediction.kind == "logits"
    assert prediction.scores.shape == (3, 20, 96)
