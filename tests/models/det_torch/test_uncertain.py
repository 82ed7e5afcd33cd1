from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dubio.core.errors import InputError
from dubio.uncertainty.boxes.suppress import Suppression

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
from dubio.models.det.load import load_detector  # noqa: E402
from dubio.models.det.torch.checkpoint import load_network, save_detector  # noqa: E402
from dubio.models.det.torch.load import load_torch_detector  # noqa: E402
from dubio.models.det.torch.uncertain import Detecting, UncertainDetector  # noqa: E402
from dubio.models.det.torch.views import views  # noqa: E402

ALL = Suppression(score=0.0, limit=None)


def pictures(*sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (*s, 3), dtype=np.uint8) for s in sizes]


def detector(nets, card, **how):
    many = nets if isinstance(nets, list) else [nets]
    return UncertainDetector(many, card, Detecting(**{"suppression": ALL, **how}), device="cpu")


@pytest.mark.parametrize("family", ["retinanet", "fcos"])
def test_samples_give_both_uncertainties(network, card, family):
    model = detector(network(family=family), card(family=family), samples=4)
    images = pictures((64, 96), (50, 40), (200, 301))
    found = model.candidates(images, ["a", "b", "c"])
    assert [p.image_id for p in found] == ["a", "b", "c"]
    for image, one in zip(images, found, strict=True):
        height, width = image.shape[:2]
        assert len(one)
        assert bool((one.boxes >= 0).all())
        assert bool((one.boxes <= [width, height, width, height]).all())
        assert one.kind == "sigmoid"
        assert one.class_scores.shape == one.class_variance.shape == (len(one), 2)
        assert float(one.box_aleatoric.min()) > 0
        assert float(one.box_epistemic.max()) > 0
        assert bool((one.expected_entropy > 0).all())
        np.testing.assert_allclose(one.scores, one.class_scores.max(1))


def test_means_and_variances_are_those_of_the_samples(network, card):
    """Against a plain computation: every mask by itself, decoded by torchvision's coder."""
    from torchvision.models.detection._utils import BoxCoder

    net, image = network(), pictures((64, 96))[0]
    model = detector(net, card(), samples=5)
    (found,) = model.candidates([image], ["a"])
    from dubio.models.det.fit import prepare

    x, _ = prepare(image, model.card.input, (64, 96))
    with torch.inference_mode():
        raw = net(torch.from_numpy(x)[None])
    anchors = torch.from_numpy(net.architecture.reference((64, 96)))
    scores = raw.logits[0].sigmoid().mean(0).numpy()
    # without predicted noise the coder of torchvision gives what each sample means
    net_boxes = torch.stack([BoxCoder((1.0,) * 4).decode_single(b, anchors) for b in raw.boxes[0]]).numpy()
    best = int(np.argmax(found.scores))
    row = int(np.argmin(np.abs(scores - found.class_scores[best]).sum(1)))
    np.testing.assert_allclose(found.class_scores[best], scores[row], rtol=1e-5)
    np.testing.assert_allclose(
        found.class_variance[best], raw.logits[0, :, row].sigmoid().var(0, False), rtol=1e-3
    )
    # the exact mean of x0 lies left of the plain box by half of what a log-normal size gains
    s = raw.log_variance[0, :, row].double().exp()
    size = (anchors[row, 2:] - anchors[row, :2]).double()
    grown = size * torch.exp(raw.boxes[0, :, row, 2:].double()) * (torch.exp(s[:, 2:] / 2) - 1) / 2
    low = torch.from_numpy(net_boxes[:, row, :2]).double() - grown
    wanted = low.mean(0).clamp(min=0).numpy()
    np.testing.assert_allclose(found.boxes[best, :2], wanted, atol=1e-3)
    np.testing.assert_allclose(found.box_epistemic[best, :2], low.var(0, False), rtol=1e-3)


def test_without_samples_there_is_no_epistemic_part(network, card):
    image = pictures((64, 96))
    for net, samples in ((network(), 1), (network(dropout=0.0), 10)):
        model = detector(net, card(), samples=samples)
        (found,) = model.detect(image, ["a"])
        assert found.box_aleatoric is not None
        assert (found.box_epistemic, found.class_variance, found.expected_entropy) == (None, None, None)
        assert any("none without samples" in line for line in model.describe())


def test_answers_do_not_depend_on_company_or_order(network, card):
    model = detector(network(), card(), samples=3, batch_size=2, suppression=Suppression(score=0.0, limit=20))
    images = pictures((64, 96), (70, 33), (20, 20))
    whole = model.detect(images, ["a", "b", "c"])
    turned = model.detect(images[::-1], ["c", "b", "a"])[::-1]
    for one, other in zip(whole, turned, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)
        np.testing.assert_allclose(one.box_epistemic, other.box_epistemic, rtol=1e-3, atol=1e-4)


def test_variances_scale_with_the_image(network, card):
    keep = Suppression(score=0.0, limit=30)
    model = detector(network(), card(), samples=3, suppression=keep)
    # plain pictures are the same input after they are shrunk
    small = np.full((64, 96, 3), 200, np.uint8)
    large = small.repeat(2, axis=0).repeat(2, axis=1)
    a, b = (model.detect([i], ["x"])[0] for i in (small, large))
    assert len(a) == len(b)
    np.testing.assert_allclose(b.boxes, 2 * a.boxes, atol=1e-2)
    np.testing.assert_allclose(b.box_aleatoric, 4 * a.box_aleatoric, rtol=1e-3)


def test_an_ensemble_has_the_disagreement_of_its_members(network, card):
    nets = [network(seed=k, dropout=0.0) for k in range(3)]
    image = pictures((64, 96))
    model = detector(nets, card())
    (found,) = model.candidates(image, ["a"])
    assert float(found.box_epistemic.max()) > 0
    assert any("3 networks" in line for line in model.describe())
    twins = detector([network(seed=0, dropout=0.0) for _ in range(2)], card())
    (same,) = twins.candidates(image, ["a"])
    np.testing.assert_allclose(same.box_epistemic, 0, atol=1e-9)
    with pytest.raises(InputError, match="can't join"):
        detector([network(), network(family="fcos")], card())


def test_views_are_mapped_back(network, card):
    """A symmetric picture gets mirrored answers, x0 and x1 with their variances exchanged."""
    half = pictures((64, 48))[0]
    image = np.concatenate([half, half[:, ::-1]], axis=1)
    keep = Suppression(score=0.0, limit=30)
    net = network()
    mirror = detector(net, card(), samples=2, suppression=keep, views=views(flip=True)[1:])
    straight = detector(net, card(), samples=2, suppression=keep)
    (a,), (b,) = straight.detect([image], ["x"]), mirror.detect([image], ["x"])
    np.testing.assert_allclose(
        b.boxes, np.stack([96 - a.boxes[:, 2], a.boxes[:, 1], 96 - a.boxes[:, 0], a.boxes[:, 3]], 1)
    )
    np.testing.assert_allclose(b.box_aleatoric, a.box_aleatoric[:, [2, 1, 0, 3]])
    both = detector(net, card(), samples=2, suppression=keep, views=views(flip=True, scales=(1.0, 1.5)))
    (found,) = both.detect([image], ["x"])
    assert 0 < len(found) <= 30
    assert any("4 views" in line for line in both.describe())


def test_checkpoints_come_back(network, card, tmp_path):
    net = network()
    save_detector(tmp_path / "run", net, card(), metrics={"ap": 0.5})
    back, described = load_network(tmp_path / "run")
    assert described == card()
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        assert torch.equal(back(x).logits, net(x).logits)
    image = pictures((64, 96))
    ours = detector(net, card(), suppression=Suppression(score=0.2))
    theirs = load_detector(tmp_path / "run", suppression=Suppression(score=0.2), device="cpu")
    np.testing.assert_array_equal(ours.detect(image, ["a"])[0].boxes, theirs.detect(image, ["a"])[0].boxes)
    assert theirs.space.names == ("dark", "light")
    pair = load_torch_detector([tmp_path / "run"] * 2, device="cpu")
    assert len(pair.networks) == 2
    keys = [
        load_torch_detector(tmp_path / "run", **o).key()
        for o in ({}, {"samples": 3}, {"flip": True}, {"seed": 1})
    ]
    assert len({str(k) for k in keys}) == 4


def test_wrong_checkpoints_are_sentences(network, card, tmp_path):
    with pytest.raises(InputError, match="doesn't exist"):
        load_torch_detector(tmp_path / "nothing")
    save_detector(tmp_path / "run", network(), card())
    text = (tmp_path / "run/model.json").read_text()
    (tmp_path / "run/model.json").write_text(text.replace('"classes": 2', '"classes": 3'))
    with pytest.raises(InputError, match="doesn't fit"):
        load_torch_detector(tmp_path / "run")
    (tmp_path / "run/model.json").write_text('{"format": "other"}')
    with pytest.raises(InputError, match="no dubio detector"):
        load_torch_detector(tmp_path / "run")
    save_detector(tmp_path / "other", network(), card(size=(96, 96)))
    save_detector(tmp_path / "run", network(), card())
    with pytest.raises(InputError, match="another input"):
        load_torch_detector([tmp_path / "run", tmp_path / "other"])
    (tmp_path / "run/model.safetensors").unlink()
    with pytest.raises(InputError, match="doesn't exist"):
        load_torch_detector(tmp_path / "run")
    with pytest.raises(InputError, match="no detector"):
        load_torch_detector([])


def test_values_that_are_not_finite_are_told(network, card):
    net = network()
    with torch.no_grad():
        net.box_head.mean.bias.fill_(float("nan"))
    with pytest.raises(InputError, match="'bad'"):
        detector(net, card()).detect(pictures((64, 96)), ["bad"])
    with pytest.raises(InputError, match="at least"):
        Detecting(samples=0)


def test_half_of_the_candidates_may_be_left_out(network, card):
    """A bound on candidates keeps the best ones."""
    from dubio.models.det.torch.select import heads_of

    net = network()
    reference = torch.from_numpy(net.architecture.reference((64, 96)))
    with torch.inference_mode():
        raw = net(torch.randn(2, 3, 64, 96))
    few, all_of_them = (heads_of(raw, reference, (64, 96), floor=0.0, most=m) for m in (20, 10**6))
    for a, b in zip(few, all_of_them, strict=True):
        assert (len(a), len(b)) == (20, len(reference))
        assert a.classes.max(2).min() >= np.sort(b.classes.max(2)[0])[-20] - 1e-6
    assert len(heads_of(raw, reference, (64, 96), floor=1.0)[0]) == 0


def test_replaced_space_is_kept(network, card):
    model = detector(network(), replace(card()))
    assert model.space.ids == (0, 5)
