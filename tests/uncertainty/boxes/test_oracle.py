"""Reference outputs of box decoding (../shared/spec/2_detection.md, section 5: o1, o8).

The reference orders coordinates y, x; ours are x, y: swapped here, at the border.
"""

from __future__ import annotations

import numpy as np
import pytest

from dubio.uncertainty.boxes import DeltaCoder, DistanceCoder, DistributionCoder, SigmoidCoder
from dubio.uncertainty.boxes.deltas import TORCHVISION_CLAMP

SWAP = [1, 0, 3, 2]
COCO_SIZE = (1280, 720)  # the image of the sigmoid oracle


def load(shared, name):
    with np.load(shared / "oracle/2_detection" / name, allow_pickle=False) as data:
        return {k: data[k] for k in data.files}


@pytest.fixture(scope="module")
def o1(shared):
    data = load(shared, "o1_decode.npz")
    return {k: v[:, ::-1] if v.shape[1] == 2 else v[:, SWAP] for k, v in data.items()}


@pytest.fixture(scope="module")
def o8(shared):
    return load(shared, "o8_ext.npz")


def decode(o1, method="exact", **options):
    return DeltaCoder(clamp=None).decode(o1["mu"], o1["sigma"] ** 2, o1["anchors"], method=method, **options)


@pytest.mark.parametrize("method", ["exact", "l-norm", "n-flow"])
@pytest.mark.parametrize("published", ["l-norm", "n-flow", "closed"])
def test_exact_moments_are_the_published_ones(o1, method, published):
    found = decode(o1, method)
    np.testing.assert_allclose(found.mean, o1[f"{published}_box"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.std, o1[f"{published}_std"], rtol=1e-9, atol=1e-9)


def test_false_decoding_is_the_published_one(o1):
    found = decode(o1, "falsedec")
    np.testing.assert_allclose(found.mean, o1["falsedec_box"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.std, o1["falsedec_std"], rtol=1e-9, atol=1e-9)


def test_plain_decoding(o1):
    found = DeltaCoder(clamp=None).decode_point(o1["mu"], o1["anchors"])
    np.testing.assert_allclose(found, o1["plain_box"], rtol=1e-12)


def test_moments_agree_with_simulation(o1):
    found = decode(o1)
    scale = o1["mc_std"]
    np.testing.assert_allclose(found.std, scale, rtol=0.01)
    # 4e5 draws: the mean is known to 1/630 of a deviation
    assert np.abs((found.mean - o1["mc_box"]) / scale).max() < 6 / np.sqrt(4e5)


def test_sampling_agrees_with_published_sampling(o1):
    # 4 % of the exact deviation, the specification's tolerance: the draws' own tails err by 3.9 %
    np.testing.assert_allclose(o1["sample_std"], decode(o1).std, rtol=0.04)
    found = decode(o1, "sample", n_samples=20_000, seed=3)
    # log-normal tails: single rows are off by more
    assert np.median(np.abs(found.std / o1["sample_std"] - 1)) < 0.02
    assert np.abs((found.mean - o1["sample_box"]) / o1["sample_std"]).max() < 6 / np.sqrt(20_000)


def test_defect_23_correlation_of_opposite_corners_is_reported(o1):
    found = decode(o1)
    np.testing.assert_allclose(found.correlation, o1["mc_corr_y_x"], atol=0.01)
    assert np.ptp(found.correlation) > 1  # far from the independence that the reference supposes


def test_clamped_sizes(o8):
    t, s, mean, var = o8["clip"][:, :4].T
    n = len(t)
    anchors = np.tile([0.0, 0, 2, 2], (n, 1))
    deltas = np.stack([0 * t, 0 * t, t, t], 1)
    found = DeltaCoder().decode(deltas, np.stack([0 * s, 0 * s, s**2, s**2], 1), anchors)
    # half the size of an anchor of 2 is the factor itself
    np.testing.assert_allclose(found.mean[:, 2] - 1, mean, rtol=1e-12)
    np.testing.assert_allclose(found.variance[:, 2], var, rtol=1e-9)
    np.testing.assert_allclose(found.mean[:, 2] - 1, o8["clip"][:, 4], rtol=1e-3)
    assert found.mean[:, 2].max() - 1 <= np.exp(TORCHVISION_CLAMP)


def test_sigmoid_of_centre_and_size(o8):
    mean, std, box, box_std, mc_box, mc_std = (o8["detr"][:, k : k + 4] for k in range(0, 24, 4))
    found = SigmoidCoder().decode(mean, std**2, COCO_SIZE)
    np.testing.assert_allclose(found.mean, box, rtol=1e-12)
    np.testing.assert_allclose(found.std, box_std, rtol=1e-12)
    np.testing.assert_allclose(found.std, mc_std, rtol=2e-3)
    assert np.abs((found.mean - mc_box) / mc_std).max() < 5e-3


def test_distances(o8):
    found = DistanceCoder().decode(o8["fcos_m"], o8["fcos_s"] ** 2, o8["fcos_c"], o8["fcos_wh"])
    np.testing.assert_allclose(found.mean, o8["fcos_box"], rtol=1e-12)
    np.testing.assert_allclose(found.std, o8["fcos_std"], rtol=1e-12)


def test_discrete_sides(o8):
    n = len(o8["dfl_logits"])
    found = DistributionCoder().decode(o8["dfl_logits"], np.zeros((n, 2)))
    np.testing.assert_allclose(found.mean * [-1, -1, 1, 1], o8["dfl_mean"], rtol=1e-12)
    np.testing.assert_allclose(found.std, o8["dfl_std"], rtol=1e-12)
