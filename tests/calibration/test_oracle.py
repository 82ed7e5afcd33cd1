"""Reference outputs (../shared/spec/1_reliability.md, section 5)."""

from __future__ import annotations

import numpy as np
import pytest

from dubio.calibration.assign import Clusters
from dubio.calibration.base import as_sample
from dubio.calibration.classwise import ClasswiseTemperature
from dubio.calibration.clustered import ClusteredTemperature
from dubio.calibration.objective import quality
from dubio.calibration.temperature import TemperatureScaling

CASES = ("base19", "overconf19", "binary2", "tiny")


def load(shared, name):
    with np.load(shared / f"oracle/1_reliability/{name}.npz", allow_pickle=False) as data:
        return {k: data[k] for k in data.files}


@pytest.mark.parametrize("case", CASES)
def test_temperatures_on_the_published_grid(shared, case):
    data = load(shared, f"metrics_{case}")
    found = TemperatureScaling("ece", step=0.05).fit(data["logits"], data["labels"])
    assert found.temperature_ == float(data["T_grid_ece_step0.05"])


@pytest.mark.parametrize("case", CASES)
def test_temperatures_per_predicted_class(shared, case):
    data = load(shared, f"metrics_{case}")
    found = ClasswiseTemperature("ece", step=0.25, min_pixels=1).fit(data["logits"], data["labels"])
    np.testing.assert_array_equal(found.temperatures_, data["T_perclass_grid_ece_step0.25"])


@pytest.mark.parametrize("case", ["base19", "novoid19", "overconf19", "binary2", "tiny"])
def test_nll_and_ece(shared, case):
    data = load(shared, f"metrics_{case}")
    found = quality(as_sample(data["logits"], data["labels"]))
    assert found["nll"] == pytest.approx(float(data["nll"]), rel=1e-6)
    assert found["ece"] == pytest.approx(float(data["ece_eqsize_b15"][0]), abs=1e-6)


@pytest.mark.parametrize("assignment", ["hard", "soft"])
def test_temperatures_of_clusters(shared, assignment):
    data = load(shared, "clusters")
    logits = data["logits"]
    n, pixels, k = logits.shape
    found = ClusteredTemperature.from_centers(data["kmeans_centers"], data["temperatures"], assignment)
    new = found.transform(
        logits.reshape(-1, k), images=np.repeat(np.arange(n), pixels), features=data["features"]
    )
    np.testing.assert_allclose(new.reshape(logits.shape), data[f"{assignment}_scaled"], atol=1e-5)
    clusters = Clusters("kmeans", data["kmeans_centers"].astype(np.float64))
    np.testing.assert_array_equal(clusters.nearest(data["features"]), data["kmeans_labels"])
    np.testing.assert_allclose(clusters.weights(data["features"]), data["kmeans_proba"], atol=1e-6)


@pytest.mark.parametrize("assignment", ["hard", "soft"])
def test_defect_temperatures_of_clusters_per_class(shared, assignment):
    """Spec 2.1 item 6: hard became per-channel scaling, soft raised."""
    data = load(shared, "clusters")
    logits, per_class = data["logits"], data["temperatures_perclass"]
    n, pixels, k = logits.shape
    found = ClusteredTemperature.from_centers(data["kmeans_centers"], per_class, assignment)
    new = found.transform(
        logits.reshape(-1, k), images=np.repeat(np.arange(n), pixels), features=data["features"]
    ).reshape(logits.shape)
    winner = logits.argmax(axis=2)
    np.testing.assert_array_equal(new.argmax(axis=2), winner)
    if assignment == "hard":
        t = per_class[data["kmeans_labels"]]
        flipped = (data["hard_scaled_perclass_asreleased"].argmax(axis=2) != winner).mean()
        assert flipped > 0.05
    else:
        t = data["kmeans_proba"] @ per_class
    wanted = logits / np.take_along_axis(t[:, None, :], winner[..., None], axis=2)
    np.testing.assert_allclose(new, wanted, rtol=1e-5, atol=1e-6)


def test_local_network(shared):
    torch = pytest.importorskip("torch")
    from dubio.calibration.local_net import TemperatureNet

    data = load(shared, "lts")
    name = "rand_sd__temperature_level_2_"
    convs = ["conv1", "conv2", "conv3", "conv4", "param1", "param2", "param3", "param_img"]
    state = {
        f"on_logits.{p}": np.concatenate([data[f"{name}{c}.{p}"] for c in convs]) for p in ("weight", "bias")
    }
    state |= {f"on_image.{p}": data[f"{name}conv_img.{p}"] for p in ("weight", "bias")}
    net = TemperatureNet(19, published=True)
    logits, image = torch.from_numpy(data["logits"]), torch.from_numpy(data["image"])
    with torch.no_grad():
        zero = {k: torch.zeros(v.shape) for k, v in state.items()}
        net.load_state_dict(zero)
        assert float(net(logits, image).max()) == pytest.approx(float(data["zero_init_T"]), abs=1e-6)
        net.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
        np.testing.assert_allclose(
            (logits / net(logits, image)).numpy(), data["rand_scaled"], rtol=1e-5, atol=1e-5
        )
