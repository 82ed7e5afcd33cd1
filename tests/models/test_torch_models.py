from __future__ import annotations

import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from dubio.core.errors import InputError
from dubio.models.inference import predict_scores
from dubio.models.load import load_model

torch = pytest.importorskip("torch")

WEIGHTS = np.array([[3, -1, 0], [0, 2, 1], [1, 1, -2]], np.float32)
IMAGE = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
PLAIN = {"input_scale": "0-1", "device": "cpu"}


class Colors(torch.nn.Module):
    """Scores that depend on a pixel alone."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 3, 1, bias=False)
        self.conv.weight.data = torch.from_numpy(WEIGHTS.reshape(3, 3, 1, 1))

    def forward(self, image):
        return {"out": self.conv(image)}


def export(path, *, dynamic=True):
    dims = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    example = torch.zeros(2, 3, 16, 24)
    program = torch.export.export(Colors().eval(), (example,), dynamic_shapes=(dims,) if dynamic else None)
    torch.export.save(program, path)
    return path


@pytest.mark.parametrize("dynamic", [True, False])
def test_exported_program_gives_its_scores(tmp_path, dynamic):
    model = load_model(export(tmp_path / "net.pt2", dynamic=dynamic), **PLAIN)
    assert model.card.size == (None if dynamic else (16, 24))
    wanted = np.einsum("kc,hwc->khw", WEIGHTS, IMAGE / 255)
    for scores in predict_scores(model, [IMAGE] * 3):
        np.testing.assert_allclose(scores, wanted, atol=1e-5)


def test_program_with_a_pickle_inside_is_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    good = export(tmp_path / "net.pt2")
    for name, data in {
        "weights_config": json.dumps(
            {"config": {"w": {"path_name": "weight_0", "use_pickle": True}}}
        ).encode(),
        "opaque": pickle.dumps(Trap()),
        "samples": b"",
    }.items():
        bad = tmp_path / f"{name}.pt2"
        with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
            for item in source.namelist():
                content = source.read(item)
                if name == "weights_config" and item.endswith("_weights_config.json"):
                    content = data
                if name == "samples" and "/sample_inputs/" in item:
                    buffer = io.BytesIO()
                    torch.save(Trap(), buffer)
                    content = buffer.getvalue()
                target.writestr(item, content)
            if name == "opaque":
                target.writestr("net/data/constants/opaque_obj_0", data)
        with pytest.raises(InputError, match="pickle"):
            load_model(bad, **PLAIN)
    assert not (tmp_path / "sprung").exists()


def test_other_archives_are_no_programs(tmp_path):
    (tmp_path / "a.pt2").write_bytes(b"text")
    with zipfile.ZipFile(tmp_path / "b.pt2", "w") as archive:
        archive.writestr("readme", "hello")
    for name in ("a.pt2", "b.pt2"):
        with pytest.raises(InputError, match=name):
            load_model(tmp_path / name)


def test_transformers_folder_brings_its_label_space_and_pixels(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[2, 1],
        hidden_sizes=[8, 8],
        patch_sizes=[3, 3],
        strides=[2, 2],
        num_attention_heads=[1, 1],
        mlp_ratios=[1, 1],
        decoder_hidden_size=8,
        id2label={0: "road", 1: "car", 2: "road"},
        label2id={"road": 0, "car": 1},
    )
    network = transformers.SegformerForSemanticSegmentation(config).eval()
    network.save_pretrained(tmp_path / "net")
    processor = {
        "do_rescale": True,
        "do_normalize": True,
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2, 0.2, 0.2],
        "do_resize": True,
        "size": {"height": 32, "width": 48},
        "resample": 2,
    }
    (tmp_path / "net/preprocessor_config.json").write_text(json.dumps(processor))
    model = load_model(tmp_path / "net", device="cpu")
    assert model.space is not None
    assert model.space.names == ("road", "car", "road (2)")
    assert model.card.mean == (0.5, 0.4, 0.3)
    assert model.card.size == (32, 48)
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    pixels = ((image / 255 - [0.5, 0.4, 0.3]) / 0.2).astype(np.float32).transpose(2, 0, 1)[None]
    with torch.inference_mode():
        logits = network(pixel_values=torch.from_numpy(pixels)).logits
        wanted = torch.nn.functional.interpolate(logits, (32, 48), mode="bilinear")[0].numpy()
    np.testing.assert_allclose(predict_scores(model, [image])[0], wanted, atol=1e-4)


def test_transformers_folder_without_safetensors_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "segformer"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(InputError, match="safetensors"):
        load_model(tmp_path)


def test_checkpoint_gives_the_scores_of_its_network(tmp_path, space):
    pytest.importorskip("segmentation_models_pytorch")
    from dubio.models.card import ModelCard
    from dubio.models.smp import Architecture, build, save_checkpoint, stride_of

    architecture = Architecture("FPN", "tu-lcnet_035", 3, (("decoder_segmentation_channels", 32),))
    network = build(architecture).eval()
    card = ModelCard(space, size_multiple=stride_of(network), output="logits")
    save_checkpoint(tmp_path / "net", network, architecture, card)
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    pixels = ((image / 255 - card.mean) / card.std).astype(np.float32).transpose(2, 0, 1)[None]
    with torch.inference_mode():
        wanted = network(torch.from_numpy(pixels))[0].numpy()
    for path in (tmp_path / "net", tmp_path / "net/model.safetensors", tmp_path / "net/model.json"):
        model = load_model(path, device="cpu")
        assert model.space == space
        np.testing.assert_allclose(predict_scores(model, [image])[0], wanted, atol=1e-4)
    (tmp_path / "net/model.safetensors").write_bytes(b"cut off")
    with pytest.raises(InputError, match=r"model\.safetensors"):
        load_model(tmp_path / "net")


def test_unknown_networks_are_named():
    pytest.importorskip("segmentation_models_pytorch")
    from dubio.models.smp import Architecture, build

    for name, encoder in (("NoNet", "resnet18"), ("Unet", "no-encoder"), ("Unet", "tu-no_encoder")):
        with pytest.raises(InputError, match=encoder):
            build(Architecture(name, encoder, 2))
