from __future__ import annotations

import json

import numpy as np
import pytest

from dubio.core.errors import InputError
from dubio.models.inference import predict_scores
from dubio.models.load import load_model

PLAIN = {"input_scale": "0-1", "device": "cpu", "threads": 1}


def test_detects_logits_and_says_what_it_assumes(onnx_file):
    model = load_model(onnx_file(), device="cpu", threads=1)
    text = "\n".join(model.describe())
    assert (model.n_channels, model.kind) == (3, "logits")
    assert "assumed" in text
    assert "--input-scale" in text
    assert "'image' (n, 3, h, w)" in text
    stated = "\n".join(load_model(onnx_file(), **PLAIN).describe())
    assert "assumed" not in stated


def test_detects_probabilities(onnx_file):
    model = load_model(onnx_file(tail="softmax"), **PLAIN)
    assert model.kind == "probabilities"
    image = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    (scores,) = predict_scores(model, [image])
    assert np.allclose(scores.sum(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("dims", [("n", 3, "h", "w"), ("n", "h", "w", 3), (1, 3, "h", "w"), (2, 3, 16, 24)])
def test_all_layouts_give_the_same_scores(onnx_file, dims):
    weights = np.array([[3, -1, 0], [0, 2, 1], [1, 1, -2]], np.float32)
    images = [np.random.default_rng(n).integers(0, 256, (16, 24, 3), dtype=np.uint8) for n in range(3)]
    model = load_model(onnx_file(dims=dims, weights=weights), **PLAIN)
    for image, scores in zip(images, predict_scores(model, images), strict=True):
        assert scores.shape == (3, 16, 24)
        wanted = np.einsum("kc,hwc->khw", weights, image / 255)
        np.testing.assert_allclose(scores, wanted, atol=1e-5)


def test_fixed_size_is_detected_and_kept(onnx_file):
    path = onnx_file(dims=(1, 3, 16, 24))
    model = load_model(path, **PLAIN)
    assert model.card.size == (16, 24)
    (scores,) = predict_scores(model, [np.zeros((40, 30, 3), np.uint8)])
    assert scores.shape == (3, 40, 30)
    with pytest.raises(InputError, match="16 x 24"):
        load_model(path, window=(32, 32), **PLAIN)


def test_one_channel_is_the_second_of_two_classes(onnx_file):
    model = load_model(onnx_file(weights=np.array([[1, 2, 3]], np.float32)), **PLAIN)
    (scores,) = predict_scores(model, [np.full((2, 2, 3), 255, np.uint8)])
    assert model.n_channels == 2
    np.testing.assert_allclose(scores[:, 0, 0], [0, 6], atol=1e-5)


def test_byte_input_takes_bytes(onnx_file):
    onnx = pytest.importorskip("onnx")
    model = load_model(onnx_file(kind=onnx.TensorProto.UINT8), device="cpu", threads=1)
    assert model.card.scale == "0-255"
    (scores,) = predict_scores(model, [np.full((2, 2, 3), 7, np.uint8)])
    np.testing.assert_allclose(scores[:, 0, 0], 14, atol=1e-4)


def test_card_in_the_metadata_is_used_and_options_win(onnx_file, space):
    card = {"space": space.to_dict(), "scale": "0-255", "channels": "bgr", "output": "logits"}
    path = onnx_file(metadata={"dubio": json.dumps(card)})
    model = load_model(path, device="cpu", threads=1)
    assert model.space == space
    assert model.card.channels == "bgr"
    assert load_model(path, channels="rgb", device="cpu", threads=1).card.channels == "rgb"


def test_sidecar_is_used(onnx_file):
    path = onnx_file(name="beside.onnx")
    path.with_suffix(".toml").write_text('scale = "0-255"\nsize_multiple = 8\n')
    model = load_model(path, device="cpu", threads=1)
    assert model.card.input_size(17, 30) == (16, 32)
    assert any("sidecar beside.toml" in line for line in model.describe())


def test_faults_are_sentences(onnx_file, tmp_path, space):
    with pytest.raises(InputError, match="argmax"):
        load_model(onnx_file(tail="argmax"), **PLAIN)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    with pytest.raises(InputError, match=r"broken\.onnx"):
        load_model(broken, **PLAIN)
    with pytest.raises(InputError, match="3 score channels"):
        load_model(onnx_file(), space="nuclei", **PLAIN)
    beside = onnx_file(name="named.onnx")
    beside.with_suffix(".json").write_text('{"output": "logits", "output_name": "masks"}')
    with pytest.raises(InputError, match="no output 'masks'"):
        load_model(beside, **PLAIN)
    with pytest.raises(InputError, match="unknown device 'tpu'"):
        load_model(beside, device="tpu")


def test_a_missing_gpu_is_said(onnx_file):
    runtime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in runtime.get_available_providers():
        pytest.skip("there is a CUDA provider")
    path = onnx_file()
    with pytest.raises(InputError, match="CUDA"):
        load_model(path, device="cuda:0")


def test_key_changes_with_file_and_card(onnx_file):
    path = onnx_file()
    first = load_model(path, **PLAIN).key()
    assert first == load_model(path, **PLAIN).key()
    assert first != load_model(path, input_scale="0-255", device="cpu").key()
    assert first != load_model(onnx_file(name="other.onnx"), **PLAIN).key()


@pytest.mark.parametrize("name", ["net.pth", "net.ckpt", "net.pkl"])
def test_pickles_are_refused_unread(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"\x80\x04.")
    with pytest.raises(InputError, match="pickle"):
        load_model(path)


def test_other_things_are_no_models(tmp_path):
    with pytest.raises(InputError, match="doesn't exist"):
        load_model(tmp_path / "none.onnx")
    with pytest.raises(InputError, match="holds no model"):
        load_model(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match=r"notes\.txt"):
        load_model(tmp_path / "notes.txt")
