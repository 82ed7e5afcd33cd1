"""Features of every kind of network, and the choice of the layer."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubio.core.errors import InputError, MissingExtraError
from dubio.data.images import read_image
from dubio.models.features import FeatureExtractor, pooled
from dubio.models.layers import Inner, last_stage
from dubio.models.load import load_model
from dubio.models.pixels import prepare

IMAGE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
PLAIN = {"input_scale": "0-1", "device": "cpu"}


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """Write an ONNX network of two stages (stride 4), a residual block and a decoder."""
    onnx = pytest.importorskip("onnx")
    helper, rng = onnx.helper, np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("staged")

    def write(name="net.onnx", prefix=("a", "b"), dims=("n", 3, "h", "w")):
        one, two = prefix
        sizes = {
            f"{one}.first": (4, 3, 3, 3),
            f"{one}.second": (6, 4, 3, 3),
            f"{one}.wide": (9, 6, 1, 1),
            f"{one}.narrow": (6, 9, 1, 1),
            f"{two}.squeeze": (5, 6, 1, 1),
            f"{two}.scores": (3, 5, 1, 1),
        }
        weights = [
            onnx.numpy_helper.from_array(rng.normal(size=s).astype(np.float32), n) for n, s in sizes.items()
        ]
        down = {"strides": [2, 2], "pads": [1, 1, 1, 1]}
        nodes = [
            helper.make_node("Conv", ["image", f"{one}.first"], ["c1"], **down),
            helper.make_node("Relu", ["c1"], ["stage1"]),
            helper.make_node("Conv", ["stage1", f"{one}.second"], ["c2"], **down),
            helper.make_node("Relu", ["c2"], ["r2"]),
            helper.make_node("Conv", ["r2", f"{one}.wide"], ["inside"]),
            helper.make_node("Conv", ["inside", f"{one}.narrow"], ["back"]),
            helper.make_node("Add", ["r2", "back"], ["stage2"]),
            helper.make_node("GlobalAveragePool", ["stage2"], ["global"]),
            helper.make_node("Add", ["stage2", "global"], ["mixed"]),
            helper.make_node("Conv", ["mixed", f"{two}.squeeze"], ["squeezed"]),
            helper.make_node("Conv", ["squeezed", f"{two}.scores"], ["scores"]),
        ]
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            nodes,
            "staged",
            [value("image", onnx.TensorProto.FLOAT, list(dims))],
            [value("scores", onnx.TensorProto.FLOAT, None)],
            weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, str(folder / name))
        return load_model(folder / name, threads=1, **PLAIN)

    return write


def test_the_layer_before_the_decoder_is_chosen_by_names(staged):
    found = FeatureExtractor(staged("named.onnx", ("net.encoder", "net.decoder")))
    # what has no weights of its own still belongs to the backbone until the decoder begins
    assert found.layer == "mixed"
    assert "by the names" in found.describe()[0]


def test_without_names_the_widest_layer_that_nothing_goes_around_is_chosen(staged):
    found = FeatureExtractor(staged())
    assert found.layer == "mixed"  # 'inside' is wider, but only a branch
    assert [m.shape for m in found.maps([IMAGE, IMAGE[:32]])] == [(6, 16, 24), (6, 8, 24)]


def test_layers_by_name_and_their_keys(staged):
    model = staged()
    inside, stage = FeatureExtractor(model, "inside"), FeatureExtractor(model, "stage1")
    assert inside.maps([IMAGE])[0].shape == (9, 16, 24)
    assert stage.maps([IMAGE])[0].shape == (4, 32, 48)
    assert inside.key() != stage.key()
    assert inside.key() == FeatureExtractor(model, "inside").key()
    assert "'inside' (named)" in inside.describe()[0]
    with pytest.raises(InputError, match=r"no layer 'stage'; it has stage1, stage2"):
        FeatureExtractor(model, "stage")


def test_features_are_those_of_the_whole_network(staged):
    """The scores are a linear map of the features, so that both can be compared."""
    model = staged()
    (features,) = FeatureExtractor(model, "squeezed").maps([IMAGE])
    scores = model.run(prepare([IMAGE], model.card))[0]
    fit = np.linalg.lstsq(features.reshape(5, -1).T, scores.reshape(3, -1).T, rcond=None)
    np.testing.assert_allclose(features.reshape(5, -1).T @ fit[0], scores.reshape(3, -1).T, atol=1e-3)


def test_batches_and_fixed_batches_give_the_same_features(staged):
    images = [np.random.default_rng(n).integers(0, 256, (32, 48, 3), dtype=np.uint8) for n in range(5)]
    model = staged()
    single = FeatureExtractor(model, batch_size=1).maps(images)
    for other in (FeatureExtractor(model), FeatureExtractor(model, batch_size=2)):
        for one, two in zip(single, other.maps(images), strict=True):
            np.testing.assert_allclose(one, two, atol=1e-5)
    fixed = staged("fixed.onnx", dims=(2, 3, 32, 48))
    assert [m.shape for m in FeatureExtractor(fixed).maps(images)] == [(6, 8, 12)] * 5


def test_windows_are_laid_side_by_side(staged):
    windowed = load_model(staged().runtime.files[0], threads=1, window=(32, 32), overlap=0.0, **PLAIN)
    (found,) = FeatureExtractor(windowed).maps([IMAGE])
    (first,) = FeatureExtractor(windowed).maps([np.ascontiguousarray(IMAGE[:32, :32])])
    assert found.shape == (6, 16, 24)
    np.testing.assert_allclose(found[:, :8, :8], first, atol=1e-4)


def test_faults_are_sentences(staged, onnx_file, monkeypatch):
    with pytest.raises(InputError, match="uint8 RGB"):
        FeatureExtractor(staged()).maps([IMAGE.astype(float)])
    with pytest.raises(InputError, match="no inner maps"):
        FeatureExtractor(load_model(onnx_file(), **PLAIN))
    with pytest.raises(InputError, match="batch"):
        FeatureExtractor(staged(), batch_size=0)
    model = staged()
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"dubio\[onnx\]"):
        FeatureExtractor(model)


def test_pooled_maps_are_no_last_stage():
    """The bins of a pyramid pooling module are coarser than the backbone."""
    inner = [
        Inner("stage", (1, 8, 6, 8), ("image",)),
        Inner("bins", (1, 32, 6, 6), ("stage",)),
        Inner("global", (1, 64, 1, 1), ("stage",)),
        Inner("joined", (1, 8, 6, 8), ("stage", "bins", "global")),
        Inner("scores", (1, 4, 6, 8), ("joined",)),
    ]
    assert last_stage(inner, "image", (192, 256))[0] == "joined"


def test_nodes_and_modules_of_exported_programs(tmp_path):
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = torch.nn.Sequential(
                torch.nn.Conv2d(3, 4, 3, 2, 1),
                torch.nn.ReLU(),
                torch.nn.Conv2d(4, 6, 3, 2, 1),
                torch.nn.ReLU(),
            )
            self.decoder = torch.nn.Conv2d(6, 8, 1)
            self.head = torch.nn.Conv2d(8, 3, 1)

        def forward(self, image):
            return self.head(self.decoder(self.encoder(image)))

    network = Net().eval()
    free = torch.export.Dim.DYNAMIC
    program = torch.export.export(
        network, (torch.zeros(2, 3, 64, 96),), dynamic_shapes=({0: free, 2: free, 3: free},)
    )
    torch.export.save(program, tmp_path / "net.pt2")
    model = load_model(tmp_path / "net.pt2", **PLAIN)
    chosen = FeatureExtractor(model)
    with torch.inference_mode():
        wanted = network.encoder(torch.from_numpy(prepare([IMAGE], model.card)))[0].numpy()
    np.testing.assert_allclose(chosen.maps([IMAGE])[0], wanted, atol=1e-5)
    assert FeatureExtractor(model, "encoder.1").maps([IMAGE])[0].shape == (4, 32, 48)
    with pytest.raises(InputError, match="conv2d"):
        FeatureExtractor(model, "conv")


def test_transformers_give_their_last_hidden_map(tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = transformers.BeitConfig(
        image_size=64,
        patch_size=16,
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        out_indices=[1, 2, 3, 4],
        use_auxiliary_head=False,
        num_labels=3,
    )
    network = transformers.BeitForSemanticSegmentation(config).eval()
    network.save_pretrained(tmp_path / "net")
    model = load_model(tmp_path / "net", size=(64, 64), **PLAIN)
    (found,) = FeatureExtractor(model).maps([IMAGE])
    with torch.inference_mode():
        pixels = torch.from_numpy(prepare([IMAGE], model.card, (64, 64)))
        tokens = network.beit(pixel_values=pixels).last_hidden_state[0, 1:]
    np.testing.assert_allclose(found, tokens.numpy().T.reshape(16, 4, 4), atol=1e-5)
    with pytest.raises(InputError, match="no layer 'beit/encode'"):
        FeatureExtractor(model, "beit/encode")
    linear = next(n for n, m in network.beit.named_modules() if isinstance(m, torch.nn.Linear))
    with pytest.raises(InputError, match=r"no \(B, D, h, w\) map"):
        FeatureExtractor(model, f"beit.{linear}").maps([IMAGE])


def test_checkpoints_give_the_last_map_of_the_encoder(tmp_path, space):
    torch = pytest.importorskip("torch")
    pytest.importorskip("segmentation_models_pytorch")
    from dubio.models.card import ModelCard
    from dubio.models.smp import Architecture, build, save_checkpoint

    architecture = Architecture("FPN", "tu-lcnet_035", 3, (("decoder_segmentation_channels", 32),))
    network = build(architecture).eval()
    save_checkpoint(tmp_path / "net", network, architecture, ModelCard(space, size_multiple=32))
    model = load_model(tmp_path / "net", device="cpu")
    with torch.inference_mode():
        wanted = network.encoder(torch.from_numpy(prepare([IMAGE], model.card)))[-1][0].numpy()
    for layer in (None, "encoder"):
        np.testing.assert_allclose(FeatureExtractor(model, layer).maps([IMAGE])[0], wanted, atol=1e-5)
    assert FeatureExtractor(model, "decoder").maps([IMAGE])[0].shape[1:] == (16, 24)
    with pytest.raises(InputError, match="it has encoder"):
        FeatureExtractor(model, "encod")


@given(st.integers(0, 99), st.floats(0.01, 100))
def test_sum_over_max_does_not_depend_on_the_scale(seed, scale):
    features = np.random.default_rng(seed).uniform(0, 1, (5, 3, 4)).astype(np.float32)
    found = pooled(features, "sum_over_max")
    np.testing.assert_allclose(pooled(features * scale, "sum_over_max"), found, rtol=1e-5)
    assert found.max() == 1


def test_pooling_of_nothing_is_undefined_not_zero():
    assert np.isnan(pooled(np.zeros((3, 2, 2), np.float32), "sum_over_max")).all()
    np.testing.assert_array_equal(pooled(np.ones((3, 2, 2), np.float16)), [1, 1, 1])
    for bad in (np.ones((2, 2)), np.ones((0, 2, 2))):
        with pytest.raises(InputError, match="shape"):
            pooled(bad)
    with pytest.raises(InputError, match="no pooling 'max'"):
        pooled(np.ones((1, 2, 2)), "max")


def test_real_network_tells_scenes_apart(shared):
    pytest.importorskip("onnx")
    model = load_model(
        shared / "data/models/deeplab_edgetpu_cityscapes19.onnx", device="cpu", input_scale="0-255"
    )
    found = FeatureExtractor(model)
    assert found.layer == "/m/head_conv/head_conv.1/Relu_output_0"  # 1280 channels before the decoder
    folder = shared / "data/camvid/images"
    scenes = [sorted(folder.rglob(pattern))[:2] for pattern in ("0001TP_*", "0016E5_*")]
    images = [read_image(path) for scene in scenes for path in scene]
    for how in ("mean", "sum_over_max"):
        vectors = found.pooled(images, how)
        assert vectors.shape == (4, 1280)
        near = np.corrcoef(vectors)
        assert min(near[0, 1], near[2, 3]) > near[:2, 2:].max()
