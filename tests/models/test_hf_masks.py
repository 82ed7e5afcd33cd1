"""Mask classification networks: probabilities that sum to one."""

from __future__ import annotations

import numpy as np
import pytest

from dubio.core.labelspace import LabelSpace
from dubio.core.records import SegPrediction
from dubio.models.features import FeatureExtractor
from dubio.models.inference import predict_scores
from dubio.models.load import load_model
from dubio.reliability.confidence import calibration_error

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

IMAGE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("mask2former")
    torch.manual_seed(0)
    backbone = transformers.SwinConfig(
        embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = transformers.Mask2FormerConfig(
        backbone_config=backbone, feature_size=32, mask_feature_size=32, hidden_dim=32,
        encoder_feedforward_dim=32, encoder_layers=1, decoder_layers=2, num_attention_heads=2,
        dim_feedforward=32, num_queries=7, num_labels=4,
        id2label={n: f"class {n}" for n in range(4)}, label2id={f"class {n}": n for n in range(4)},
    )  # fmt: skip
    transformers.Mask2FormerForUniversalSegmentation(config).eval().save_pretrained(str(path))
    return path


def test_scores_are_the_queries_classes_and_masks_over_their_sum(folder):
    model = load_model(folder, input_scale="imagenet", device="cpu")
    assert model.kind == "probabilities"
    assert any("divided by their sum" in line for line in model.describe())
    assert isinstance(model.space, LabelSpace)
    scores = predict_scores(model, [IMAGE])[0]
    assert scores.shape == (4, 64, 96)
    np.testing.assert_allclose(scores.sum(0), 1, atol=1e-5)
    again = transformers.Mask2FormerForUniversalSegmentation.from_pretrained(str(folder)).eval()
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    pixels = torch.from_numpy(((IMAGE / 255 - mean) / std).transpose(2, 0, 1)[None].astype(np.float32))
    with torch.inference_mode():
        out = again(pixel_values=pixels)
    p = out.class_queries_logits.softmax(-1)[0, :, :-1].numpy()
    m = out.masks_queries_logits.sigmoid()[0].numpy()
    raw = np.einsum("qc,qhw->chw", p, m)
    small = raw / raw.sum(0)
    size = small.shape[1:]
    got = predict_scores(model, [IMAGE], size=size)[0]
    np.testing.assert_allclose(got, small, atol=1e-4)


def test_features_are_the_backbones_last_map(folder):
    model = load_model(folder, input_scale="imagenet", device="cpu")
    (found,) = FeatureExtractor(model).maps([IMAGE])
    assert found.shape == (64, 2, 3), "stride 32, the last stage of Swin"
    assert np.isfinite(found).all()


def test_defect_scores_above_one_fall_in_no_bin():
    """The released evaluators took such sums as probabilities (spec 2.1, item 5); ours keep every pixel."""
    from dubio.reliability.state import ReliabilityState

    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), (20, 30)).transpose(2, 0, 1)
    label = rng.integers(0, 3, (20, 30))
    state, plain = ReliabilityState(3), ReliabilityState(3)
    state.update(SegPrediction(3, (1.7 * p).astype(np.float32), "probabilities"), label)
    plain.update(SegPrediction(3, p.astype(np.float32), "probabilities"), label)
    assert state.renormalised == 1
    assert state.confidence.pixels == 600
    assert state.compute()["ece"] == pytest.approx(plain.compute()["ece"], abs=1e-6)
    wanted = calibration_error(p.max(0).ravel(), (p.argmax(0) == label).ravel())
    assert state.compute()["ece"] == pytest.approx(wanted, abs=1e-6)
