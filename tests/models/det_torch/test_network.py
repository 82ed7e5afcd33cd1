from __future__ import annotations

import math

import numpy as np
import pytest

from dubio.core.errors import InputError

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
from dubio.models.det.torch import backbone  # noqa: E402
from dubio.models.det.torch.architecture import PRESETS, DetArchitecture, preset  # noqa: E402
from dubio.models.det.torch.heads import SpatialDropout, attenuate, soft_clamp  # noqa: E402


def images(count=2, size=(64, 96), seed=0):
    torch.manual_seed(seed)
    return torch.randn(count, 3, *size)


@pytest.mark.parametrize("family", ["retinanet", "fcos"])
@pytest.mark.parametrize("size", [(64, 96), (96, 32)])
def test_outputs_and_references_agree(network, family, size):
    net = network(family=family)
    with torch.inference_mode():
        raw = net(images(3, size))
    reference = net.architecture.reference(size)
    n = len(reference)
    assert n == sum(net.architecture.per_level(size))
    assert raw.logits.shape == (3, n, 2)
    assert raw.boxes.shape == raw.log_variance.shape == (3, n, 4)
    centre = reference[:, :2] if family == "fcos" else (reference[:, :2] + reference[:, 2:]) / 2
    assert np.allclose(np.sort(centre, axis=0), np.sort([size[1], size[0]] - centre, axis=0), atol=1e-3)


def test_boxes_move_with_the_picture(network):
    """Rows of outputs are in the order of the references: what stands elsewhere is found elsewhere."""
    net = network(channels=16, extra=0, strides=(8,))
    blank = torch.zeros(1, 3, 64, 96)
    for y, x in ((8, 8), (40, 72)):
        other = blank.clone()
        other[:, :, y : y + 16, x : x + 16] = 3
        with torch.inference_mode():
            change = (net(other).logits - net(blank).logits).abs().sum(-1)[0].numpy()
        anchors = net.architecture.reference((64, 96))
        centre = (anchors[:, :2] + anchors[:, 2:]) / 2
        place = (change[:, None] * centre).sum(0) / change.sum()
        assert np.abs(place - [x + 8, y + 8]).max() < 16


def test_fixed_masks_make_samples_that_stay(network):
    net = network()
    x = images()
    with torch.inference_mode():
        plain = net(x)
        net.fix_dropout(4, seed=3)
        first, again = net(x), net(x)
        alone = net(x[1:])
        net.fix_dropout(4, seed=4)
        other = net(x)
        net.fix_dropout(0)
        back = net(x)
    assert first.logits.shape == (2, 4, *plain.logits.shape[1:])
    assert torch.equal(first.logits, again.logits)
    torch.testing.assert_close(first.boxes[1:], alone.boxes)
    assert float(first.logits.var(1).max()) > 0
    assert not torch.equal(first.logits, other.logits)
    assert torch.equal(plain.logits, back.logits)


@pytest.mark.parametrize(("where", "runs"), [("heads", 2), ("whole", 10)])
def test_the_backbone_runs_once_however_many_samples(network, where, runs):
    """Spec 1.1: the reference runs the whole network once per sample."""
    net = network(dropout_where=where)
    seen = []
    net.backbone.register_forward_hook(lambda _m, args, _o: seen.append(len(args[0])))
    net.fix_dropout(5)
    with torch.inference_mode():
        raw = net(images())
    assert seen == [runs]
    assert raw.logits.shape[:2] == (2, 5)


def test_dropout_in_the_whole_network_reaches_the_backbone(network):
    net = network(dropout_where="whole")
    sites = [m for m in net.backbone.modules() if isinstance(m, SpatialDropout)]
    assert len(sites) > 5
    net.fix_dropout(3)
    with torch.inference_mode():
        maps = net.features(images(1).repeat_interleave(3, 0))
    assert not torch.allclose(maps[0][0], maps[0][1])
    with pytest.raises(InputError, match="no place"):
        backbone.add_dropout(torch.nn.Conv2d(1, 1, 1), 0.1)
    resnet, _ = backbone.build_backbone("resnet10t", (8,))
    assert backbone.add_dropout(resnet, 0.1) > 4


def test_masks_keep_the_mean_and_drop_the_rate():
    site = SpatialDropout(0.25, 2000)
    site.fix(3, 0, "here")
    x = torch.ones(6, 2000, 2, 2)
    found = site(x)
    assert float(found.mean()) == pytest.approx(1, abs=0.02)
    assert float((found == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert torch.equal(found[:3], found[3:])
    assert torch.equal(found[:, :, 0, 0], found[:, :, 1, 1])
    assert torch.equal(site.eval()(x), found)
    site.fix(0, 0, "here")
    assert torch.equal(site.eval()(x), x)


def test_log_variances_stay_in_range_with_a_gradient_everywhere():
    x = torch.tensor([-30.0, -10.0, 0.0, 4.0, 25.0], dtype=torch.float64, requires_grad=True)
    found = soft_clamp(x, -10, 4)
    assert bool(((found > -10.00001) & (found < 4.00001)).all())
    found.sum().backward()
    assert bool((x.grad > 0).all())


def test_attenuated_logits_are_the_expected_sigmoid():
    torch.manual_seed(0)
    for z in (-3.0, 0.0, 0.5, 2.0):
        for variance in (0.1, 1.0, 9.0):
            drawn = torch.sigmoid(z + math.sqrt(variance) * torch.randn(200_000)).mean()
            found = attenuate(torch.tensor(z), torch.tensor(math.log(variance))).sigmoid()
            assert float(found) == pytest.approx(float(drawn), abs=0.02)


def test_presets_and_impossible_parts():
    for name in PRESETS:
        a = preset(name, classes=4, backbone=None, family="fcos")
        assert DetArchitecture.from_dict(a.to_dict()) == a
    for wrong, word in (
        ({"family": "yolo"}, "yolo"),
        ({"channels": 20}, "multiple of 8"),
        ({"dropout": 1.0}, "dropout rate"),
        ({"dropout_where": "neck"}, "neck"),
        ({"classes": 0}, "0 classes"),
        ({"log_range": (2.0, 1.0)}, "log variances"),
        ({"strides": ()}, "feature map"),
        ({"scales": (0.0,)}, "size"),
        ({"convs": -1}, "convolutions"),
    ):
        with pytest.raises(InputError, match=word):
            DetArchitecture(**wrong)
    with pytest.raises(InputError, match="known: tiny, small, base"):
        preset("huge")
    with pytest.raises(InputError, match="colour"):
        DetArchitecture.from_dict({"colour": "red"})


def test_tiny_is_tiny():
    from dubio.models.det.torch.network import DetNetwork

    net = DetNetwork(preset("tiny", classes=3))
    assert sum(p.numel() for p in net.parameters()) < 1e6


class TestBackboneFiles:
    def test_weights_are_found_by_name_and_by_order(self, tmp_path):
        from safetensors.torch import save_file

        torch.manual_seed(1)
        net, channels = backbone.build_backbone("lcnet_035", (8, 16))
        import timm

        state = timm.create_model("lcnet_035", features_only=True).state_dict()
        save_file(state, tmp_path / "own.safetensors")
        renamed = {f"layer{k:03d}.{n.rsplit('.', 1)[1]}": v for k, (n, v) in enumerate(state.items())}
        save_file({**renamed, "zz.head": torch.zeros(3)}, tmp_path / "other.safetensors")
        for name in ("own", "other"):
            net, _ = backbone.build_backbone("lcnet_035", (8, 16), str(tmp_path / f"{name}.safetensors"))
            found = net.net.state_dict()
            assert torch.equal(found["conv_stem.weight"], state["conv_stem.weight"])
            assert torch.equal(found["blocks.0.0.conv_pw.weight"], state["blocks.0.0.conv_pw.weight"])
        assert len(channels) == 2

    def test_wrong_backbones_are_sentences(self, tmp_path):
        from safetensors.torch import save_file

        save_file({"a": torch.zeros(3)}, tmp_path / "a.safetensors")
        for name, strides, weights, word in (
            ("no-such-net", (8,), None, "no-such-net"),
            ("lcnet_035", (7,), None, "strides"),
            ("lcnet_035", (8,), str(tmp_path / "a.safetensors"), "another network"),
            ("lcnet_035", (8,), str(tmp_path / "b.safetensors"), "doesn't exist"),
        ):
            with pytest.raises(InputError, match=word):
                backbone.build_backbone(name, strides, weights)

    def test_blocks_after_the_last_map_are_cut(self):
        whole, _ = backbone.build_backbone("mobilenetv2_050", (8, 16, 32))
        cut, channels = backbone.build_backbone("mobilenetv2_050", (8, 16))
        assert channels == [16, 48]
        count = [sum(p.numel() for p in n.parameters()) for n in (cut, whole)]
        assert count[0] < 0.4 * count[1]
        cut.net.load_state_dict(whole.net.state_dict(), strict=False)
        x = images(1)
        for a, b in zip(cut.eval()(x), whole.eval()(x), strict=False):
            torch.testing.assert_close(a, b)

    def test_unfolding_keeps_the_function_and_gives_the_norms_their_statistics(self):
        torch.manual_seed(0)
        net, _ = backbone.build_backbone("lcnet_035", (8, 16))
        assert backbone.is_folded(net)
        batches = [images(2, seed=k) + 1 for k in range(4)]
        before = net.eval()(batches[0])
        backbone.unfold(net, batches)
        assert not backbone.is_folded(net)
        for a, b in zip(before, net.eval()(batches[0]), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
        # in training mode, on the same data, it still computes about the same
        whole = torch.cat(batches)
        trained, tested = net.train()(whole)[1], net.eval()(whole)[1]
        assert float((trained - tested).detach().std() / tested.detach().std()) < 0.4
        assert not backbone.is_folded(torch.nn.Conv2d(1, 1, 1))
