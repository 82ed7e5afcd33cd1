from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.base import clone

torch = pytest.importorskip("torch")

from dubio.calibration.files import load_calibrator  # noqa: E402
from dubio.calibration.local import LocalTemperature  # noqa: E402
from dubio.calibration.local_net import TemperatureNet, mapped_nll  # noqa: E402
from dubio.calibration.maps import MapItem, lattice, thin  # noqa: E402
from dubio.core.errors import InputError  # noqa: E402

from .helpers import draw  # noqa: E402

SMALL = {"stride": 1, "epochs": 12, "crop": 32, "learning_rate": 1e-2, "patience": 12}


def item(number, *, hidden=True, size=(48, 40), log=None, k=4):
    """A map that is overconfident where the image is bright, if ``hidden``."""

    def read():
        if log is not None:
            log.append(number)
        rng = np.random.default_rng(number)
        true = gaussian_filter(rng.normal(size=(k, *size)), (0, 2, 2)) * 20
        bright = gaussian_filter(rng.normal(size=size), 6) > 0
        label = draw(true.reshape(k, -1).T, rng).reshape(size).astype(np.uint8)
        label[:3] = 255
        factor = np.where(bright, 4.0, 1.0) if hidden else 1.0
        image = np.repeat(np.where(bright, 200, 50)[..., None], 3, axis=2).astype(np.uint8)
        return MapItem((true * factor).astype(np.float16), label, image)

    return read


def fitted(number=16, options=None, **about):
    items = [item(i, **about) for i in range(number)]
    return LocalTemperature(**{**SMALL, **(options or {})}).fit_maps(items, n_classes=4)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    # threads cost more than they gain on maps this small
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def found(_one_thread):
    return fitted()


def test_it_learns_where_the_model_is_overconfident(found):
    assert found.chosen_ == "local"
    assert found.needs == {"image"}
    assert found.nll_["local"] < found.nll_["temperature"] < found.nll_["none"]
    one = item(99)()
    t = found.temperature_map(one.logits, image=one.image)
    bright = one.image[..., 0] > 100
    assert np.median(t[bright]) > 1.5 * np.median(t[~bright])
    new = found.transform_map(one.logits, image=one.image)
    np.testing.assert_allclose(new * t, one.logits.astype(np.float32), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(new.argmax(axis=0), one.logits.argmax(axis=0))
    assert "a temperature for every pixel was best" in found.describe()[0]


def test_defect_branches_do_not_stay_identical(found):
    """Spec 2.1 item 8: with all weights at zero the four candidates stay bit-equal, the gates zero."""
    weights = found.net_.on_logits.weight.detach().numpy()
    for a in range(4):
        for b in range(a):
            assert np.abs(weights[a] - weights[b]).max() > 1e-3
    assert (np.abs(weights[4:]).max(axis=(1, 2, 3)) > 1e-2).all()


@pytest.mark.parametrize("image_branch", [True, False])
def test_defect_temperature_starts_at_one(image_branch):
    """Spec 2.1 item 8: it started at 2."""
    net = TemperatureNet(5, image_branch, scale=3.0)
    net.start(7)
    logits = torch.randn(2, 5, 20, 24) * 9
    image = torch.rand(2, 3, 20, 24) if image_branch else None
    t = net(logits, image)
    np.testing.assert_allclose(t.detach().numpy(), 1.0, atol=1e-6)
    assert net.on_logits.weight[4:].std() > 0


def test_defect_temperature_stays_in_bounds():
    """Spec 2.1 item 8: it could reach 1e-8."""
    net = TemperatureNet(3, False)
    for value, bound in ((-1e4, 0.05), (1e4, 20.0)):
        with torch.no_grad():
            net.on_logits.weight.zero_()
            net.on_logits.bias.fill_(value)
            assert float(net(torch.randn(1, 3, 8, 8)).max()) == pytest.approx(bound)


@pytest.mark.parametrize("rate", [1e-2, 5.0])
def test_defect_never_worse_than_uncalibrated_on_validation(rate):
    """Spec 2.1 item 8: a network worse than nothing could win."""
    found = fitted(6, {"learning_rate": rate, "epochs": 3}, hidden=False)
    assert found.nll_[found.chosen_] == min(found.nll_.values()) <= found.nll_["none"]
    if found.chosen_ != "local":
        assert found.needs == frozenset()
        assert found.transform(np.ones((2, 4))).shape == (2, 4)


def test_without_the_image():
    items = [lambda i=i: MapItem(item(i)().logits, item(i)().label) for i in range(8)]
    found = LocalTemperature(**{**SMALL, "epochs": 4}, image_branch=False).fit_maps(items, n_classes=4)
    assert "image" not in found.needs
    assert found.transform_map(item(50)().logits).shape == (4, 48, 40)


def test_seeded_and_independent_of_the_order_of_items():
    options = {**SMALL, "epochs": 2}
    names = [f"i{n}" for n in range(6)]
    a = LocalTemperature(**options).fit_maps([item(n) for n in range(6)], n_classes=4, ids=names)
    b = LocalTemperature(**options).fit_maps([item(n) for n in range(6)[::-1]], n_classes=4, ids=names[::-1])
    assert a.nll_ == b.nll_
    c = LocalTemperature(**options, seed=1).fit_maps([item(n) for n in range(6)], n_classes=4, ids=names)
    assert c.nll_ != a.nll_


def test_items_are_read_lazily_and_the_cache_spares_reading():
    counts = []
    for cache in (0, 64):
        log: list[int] = []
        items = [item(i, log=log) for i in range(5)]
        LocalTemperature(**{**SMALL, "epochs": 3}, cache_mb=cache).fit_maps(items, n_classes=4)
        counts.append(len(log))
    assert counts[0] > 10
    assert counts[1] == 5


def test_progress_is_told():
    told = []
    LocalTemperature(**{**SMALL, "epochs": 2}).fit_maps(
        [item(i) for i in range(4)], n_classes=4, progress=lambda *what: told.append(what)
    )
    assert [t[:2] for t in told] == [(1, 2), (2, 2)]


def test_class_map_and_void():
    logits = torch.randn(1, 4, 3, 3)
    label = torch.tensor([[[0, 1, -1], [1, 1, 0], [0, -1, 1]]])
    belongs = torch.tensor([[True, True, False, False], [False, False, True, False]])
    p = logits.softmax(dim=1)[0]
    mass = torch.where(label[0] == 0, p[0] + p[1], p[2])[label[0] >= 0]
    assert float(mapped_nll(logits, label, belongs)) == pytest.approx(float(-mass.log().sum()), rel=1e-5)

    def mapped(i):
        def read():
            one = item(i)()
            table = np.array([0, 0, 1, 2] + [9] * 252, np.uint8)
            return MapItem(one.logits, table[one.label], one.image)

        return read

    found = LocalTemperature(**{**SMALL, "epochs": 3}).fit_maps(
        [mapped(i) for i in range(6)], n_classes=3, pairs=(0, 0, 1, -1)
    )
    assert found.nll_["temperature"] < found.nll_["none"]


def test_stride_small_and_odd_maps():
    np.testing.assert_array_equal(thin(np.arange(20).reshape(4, 5), 4), [[12]])
    assert lattice(9, 2).tolist() == [1, 3, 5, 7]
    found = fitted(6, {"stride": 3, "epochs": 2})
    for size in ((1, 1), (7, 31), (50, 3)):
        one = item(3, size=size)()
        assert found.transform_map(one.logits, image=one.image).shape == (4, *size)


def test_saved_and_loaded(found, tmp_path):
    found.save(tmp_path / "local.bin")
    again = load_calibrator(tmp_path / "local.bin")
    one = item(5)()
    np.testing.assert_array_equal(
        again.temperature_map(one.logits, image=one.image), found.temperature_map(one.logits, image=one.image)
    )
    assert again.describe() == found.describe()
    assert again.get_params() == found.get_params() == clone(found).get_params()


def test_bad_input_is_refused(found):
    one = item(0)()
    with pytest.raises(InputError, match="fit_maps"):
        found.fit(np.zeros((3, 4)), np.zeros(3, int))
    with pytest.raises(InputError, match="whole maps"):
        found.transform(np.zeros((3, 4)))
    with pytest.raises(InputError, match="needs the image"):
        found.transform_map(one.logits)
    with pytest.raises(InputError, match="an image of"):
        found.transform_map(one.logits, image=one.image[:5])
    with pytest.raises(InputError, match="5 channels"):
        found.transform_map(np.zeros((5, 48, 40), np.float32), image=one.image)
    with pytest.raises(InputError, match="too few"):
        LocalTemperature().fit_maps([item(0)], n_classes=4)
    void = [lambda: MapItem(one.logits, np.full((48, 40), 255), one.image)] * 3
    with pytest.raises(InputError, match="no labelled pixels"):
        LocalTemperature(**SMALL).fit_maps(void, n_classes=4)
    for options in ({"stride": 0}, {"validation": 1.0}, {"device": "abacus"}):
        with pytest.raises(InputError):
            LocalTemperature(**{**SMALL, **options}).fit_maps([item(0), item(1)], n_classes=4)
    for bad in (
        MapItem(one.logits, one.label[:4], one.image), MapItem(one.logits, one.label, None),
        MapItem(one.logits * np.float16(np.nan), one.label, one.image),
    ):  # fmt: skip
        with pytest.raises(InputError):
            LocalTemperature(**SMALL).fit_maps([lambda bad=bad: bad] * 2, n_classes=4)
