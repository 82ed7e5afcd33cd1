"""Pretrained encoder weights from a file."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("segmentation_models_pytorch")

from dubio import InputError  # noqa: E402
from dubio.models.encoder_file import load_encoder, read_state, weights_file  # noqa: E402
from dubio.models.smp import Architecture, build  # noqa: E402

SMALL = Architecture("Linknet", "tu-test_resnet", 3)


@pytest.fixture(scope="module")
def donor():
    torch.manual_seed(5)
    return build(SMALL)


@pytest.mark.parametrize("prefix", ["", "encoder.", "module.encoder."])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_are_taken_over_whatever_their_prefix(donor, tmp_path, prefix, suffix):
    state = {prefix + k: v.clone() for k, v in donor.encoder.state_dict().items()}
    state["fc.weight"] = torch.zeros(2, 2)  # a classifier that nobody needs
    path = tmp_path / f"net{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": state}, path)
    else:
        from safetensors.torch import save_file

        save_file(state, str(path))
    torch.manual_seed(6)
    network = build(SMALL, str(path))
    for name, tensor in donor.encoder.state_dict().items():
        assert torch.equal(network.encoder.state_dict()[name], tensor), name


def test_a_file_for_another_network_is_refused(donor, tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.zeros(3, 3)}, path)
    with pytest.raises(InputError, match="of the encoder's"):
        load_encoder(donor, path)


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x80\x04cos\nsystem\n"])
def test_what_is_no_state_dict_is_refused(tmp_path, content):
    path = tmp_path / "bad.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match="weights"):
        read_state(path)


def test_nothing_but_tensors_is_unpickled(tmp_path):
    path = tmp_path / "list.pth"
    torch.save([1, 2], path)
    with pytest.raises(InputError, match="no state dict"):
        read_state(path)


def test_names_are_not_files(tmp_path):
    assert weights_file(None) is None
    assert weights_file("imagenet") is None
    with pytest.raises(InputError, match="doesn't exist"):
        weights_file(str(tmp_path / "missing.pth"))


def test_network_options_reach_the_network(tmp_path):
    from dubio.cli.trainopts import _argument

    assert _argument("decoder_channels=[32, 16]") == ("decoder_channels", [32, 16])
    for text in ("decoder_channels", "=3", "a b=3", "x=oops"):
        with pytest.raises(InputError, match="no option"):
            _argument(text)
    wide = build(Architecture("FPN", "tu-test_resnet", 3, (("decoder_pyramid_channels", 64),)))
    assert wide.decoder.p5.out_channels == 64
