from __future__ import annotations

import json

import numpy as np
import pytest

from dubio.core.errors import InputError
from dubio.uncertainty.boxes.suppress import Suppression

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from dubio.models.det.load import load_detector  # noqa: E402
from dubio.models.det.torch.dfine import DFineDetector, bin_values, decode_sides  # noqa: E402

ALL = Suppression(score=0.0, iou=1.0, limit=None)


def tiny():
    from transformers import DFineConfig, DFineForObjectDetection, HGNetV2Config

    backbone = HGNetV2Config(
        depths=[1, 1, 1, 1],
        embedding_size=8,
        hidden_sizes=[16, 16, 16, 16],
        out_features=["stage2", "stage3", "stage4"],
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 16, 16, 16],
        stage_mid_channels=[8, 8, 8, 8],
        stage_out_channels=[16, 16, 16, 16],
        stage_num_blocks=[1, 1, 1, 1],
        stage_downsample=[False, True, True, True],
        stage_light_block=[False, False, True, True],
        stage_kernel_size=[3, 3, 3, 3],
        stage_numb_of_layers=[1, 1, 1, 1],
    )
    config = DFineConfig(
        backbone_config=backbone,
        encoder_in_channels=[16, 16, 16],
        encoder_hidden_dim=16,
        encoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_in_channels=[16, 16, 16],
        decoder_ffn_dim=16,
        decoder_layers=2,
        decoder_attention_heads=2,
        decoder_n_points=[2, 2, 2],
        d_model=16,
        hidden_size=16,
        num_queries=12,
        feat_strides=[8, 16, 32],
        max_num_bins=8,
        num_denoising=0,
        num_labels=3,
        eval_size=None,
        id2label={0: "cat", 1: "dog", 2: "cat"},
        label2id={"cat": 0, "dog": 1},
    )
    torch.manual_seed(0)
    model = DFineForObjectDetection(config).eval()
    with torch.no_grad():
        for head in (*model.bbox_embed, *model.model.decoder.bbox_embed):
            head.layers[-1].weight.normal_(std=2.0)
            head.layers[-1].bias.normal_(std=1.0)
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("dfine") / "small"
    tiny().save_pretrained(path)
    processor = transformers.RTDetrImageProcessor(size={"height": 64, "width": 96}, do_normalize=False)
    processor.save_pretrained(path)
    return path


@pytest.mark.parametrize(("bins", "up", "scale"), [(32, 0.5, 4.0), (8, 0.7, 2.0), (16, 1.0, 8.0)])
def test_bins_are_those_of_the_library(bins, up, scale):
    from transformers.models.d_fine.modeling_d_fine import weighting_function

    wanted = weighting_function(bins, torch.tensor([up]), torch.tensor([scale]))
    np.testing.assert_allclose(bin_values(bins, up, scale), wanted.numpy().ravel(), rtol=1e-5, atol=1e-6)


def test_mean_boxes_are_the_networks_own_and_all_classes_stay(folder):
    images = [
        np.random.default_rng(k).integers(0, 256, (*s, 3), dtype=np.uint8)
        for k, s in enumerate([(64, 96), (50, 120), (33, 20)])
    ]
    model = DFineDetector(folder, device="cpu", suppression=ALL, batch_size=2)
    found = model.candidates(images, ["a", "b", "c"])
    net = transformers.DFineForObjectDetection.from_pretrained(folder).eval()
    processor = transformers.RTDetrImageProcessor.from_pretrained(folder)
    for image, one in zip(images, found, strict=True):
        with torch.inference_mode():
            out = net(**processor(images=[image], return_tensors="pt"))
        height, width = image.shape[:2]
        cx, cy, w, h = out.pred_boxes[0].double().numpy().T
        frame = np.array([width, height, width, height])
        wanted = np.clip(np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], 1) * frame, 0, frame)
        solid = (wanted[:, 2:] > wanted[:, :2]).all(1)
        np.testing.assert_allclose(one.boxes, wanted[solid], atol=2e-3)
        np.testing.assert_allclose(one.class_scores, out.logits[0].sigmoid().numpy()[solid], atol=1e-5)
        assert float(one.box_aleatoric.min()) > 0
        assert one.box_epistemic is None


def test_variances_are_those_of_drawn_sides():
    rng = np.random.default_rng(0)
    values = bin_values(8, 0.5, 4.0)
    logits, reference = rng.normal(size=(3, 36)), rng.uniform(0.3, 0.5, (3, 4))
    mean, variance = decode_sides(logits, reference, values, 4.0)
    p = np.exp(logits.reshape(3, 4, 9))
    p /= p.sum(-1, keepdims=True)
    for n in range(3):
        for k in range(4):
            drawn = rng.choice(values, 200_000, p=p[n, k]) * reference[n, 2 + k % 2] / 4.0
            centre, half = reference[n, k % 2], reference[n, 2 + k % 2] / 2
            side = centre + (half + drawn) * (1 if k > 1 else -1)
            assert mean[n, k] == pytest.approx(side.mean(), abs=4 * side.std() / 400)
            assert variance[n, k] == pytest.approx(side.var(), rel=0.03)
    two = decode_sides(logits[:2], reference[:2], values, 4.0)
    np.testing.assert_allclose(two[0], mean[:2])


def test_it_opens_like_any_detector(folder):
    model = load_detector(folder, device="cpu")
    assert model.space.names == ("cat", "dog", "cat (2)")
    assert any("D-FINE" in line for line in model.describe())
    image = np.zeros((40, 60, 3), np.uint8)
    (found,) = model.detect([image], ["x"])
    assert found.image_id == "x"
    assert model.key() == load_detector(folder, device="cpu").key()


def test_wrong_folders_are_sentences(folder, tmp_path):
    from dubio.models.det.torch.load import load_torch_detector

    with pytest.raises(InputError, match="as it is"):
        load_torch_detector(folder, flip=True)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "d_fine"}))
    with pytest.raises(InputError, match="safetensors"):
        load_torch_detector(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="can be opened"):
        load_torch_detector(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "detr"}))
    with pytest.raises(InputError, match="'detr'"):
        DFineDetector(tmp_path)
