from __future__ import annotations

import json

import numpy as np
import pytest

from dubio.core.errors import InputError
from dubio.uncertainty.boxes.suppress import Suppression

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("onnxscript")
from dubio.models.det.load import load_detector  # noqa: E402
from dubio.models.det.torch.export import export_detector  # noqa: E402
from dubio.models.det.torch.uncertain import Detecting, UncertainDetector  # noqa: E402

KEEP = Suppression(score=0.0, limit=50)


def compare(net, card, path, samples, **tolerance):
    """The file under onnxruntime and the network under torch see the same."""
    images = [
        np.random.default_rng(k).integers(0, 256, (*s, 3), dtype=np.uint8)
        for k, s in enumerate([(64, 96), (100, 80)])
    ]
    ours = UncertainDetector([net], card, Detecting(samples=samples, seed=7, suppression=KEEP), device="cpu")
    theirs = load_detector(path, suppression=KEEP, device="cpu", threads=1)
    assert theirs.space == card.space
    for a, b in zip(ours.detect(images, "ab"), theirs.detect(images, "ab"), strict=True):
        assert len(a) == len(b) == 50
        for name in ("boxes", "class_scores", "box_aleatoric", "box_epistemic", "expected_entropy"):
            one, other = getattr(a, name), getattr(b, name)
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_allclose(one, other, **tolerance)


def test_samples_are_part_of_the_file(network, card, tmp_path):
    net, path = network(), tmp_path / "net.onnx"
    done = export_detector(net, path, card(), samples=3, seed=7)
    assert done.error < 1e-4
    assert net.samples == 0
    compare(net, card(), path, 3, rtol=1e-3, atol=1e-3)
    import onnx

    meta = {p.key: p.value for p in onnx.load(str(path)).metadata_props}
    said = json.loads(meta["dubio.detector"])
    assert said["outputs"]["samples"] is True
    assert said["outputs"]["log_variance"] == "log_variance"
    assert said["input"]["size"] == [64, 96]
    # masks are per channel: three samples cost a hundred numbers
    weights = 4 * sum(p.numel() for p in net.parameters())
    assert done.bytes < 1.2 * weights + 100_000


def test_distances_without_samples_and_with_half_weights(network, card, tmp_path):
    changes = {"family": "fcos", "dropout": 0.0, "logit_variance": True, "channels": 64}
    net, path = network(**changes), tmp_path / "net.onnx"
    done = export_detector(net, path, card(**changes), half_weights=True)
    assert done.bytes < 2.2 * sum(p.numel() for p in net.parameters()) + 100_000
    assert done.error < 0.02
    theirs = load_detector(path, suppression=KEEP, device="cpu", threads=1)
    (found,) = theirs.detect([np.zeros((64, 96, 3), np.uint8)], ["x"])
    assert len(found) == 50
    assert found.box_epistemic is None
    assert float(found.box_aleatoric.min()) > 0


def test_what_cannot_be_exported(network, card, tmp_path):
    net = network(dropout=0.0)
    with pytest.raises(InputError, match="without dropout"):
        export_detector(net, tmp_path / "net.onnx", card(), samples=3)

    class Refuses(type(net)):
        def forward(self, images):
            raise ValueError("not today")

    net.__class__ = Refuses
    (tmp_path / "net.onnx").write_bytes(b"mine")
    with pytest.raises(InputError, match="can't be exported"):
        export_detector(net, tmp_path / "net.onnx", card())
    assert (tmp_path / "net.onnx").read_bytes() == b"mine"
