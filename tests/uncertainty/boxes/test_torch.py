"""torch gives what numpy gives; torchvision decodes the same plain boxes."""

from __future__ import annotations

import numpy as np
import pytest

from dubio.uncertainty.boxes import METHODS, DeltaCoder, DistributionCoder, compare_decodings
from dubio.uncertainty.boxes.deltas import TORCHVISION_CLAMP

from .test_decoding import case, coders

torch = pytest.importorskip("torch")


def same(ours, theirs, rtol=1e-9):
    for name in ("mean", "variance", "pair_covariance", "covariance", "correlation", "std"):
        a, b = getattr(ours, name), getattr(theirs, name).detach().numpy()
        np.testing.assert_allclose(b, a, rtol=rtol, atol=1e-9 * np.nanmax(np.abs(a)), err_msg=name)


@pytest.mark.parametrize("grad", [False, True])  # with gradients the compiled pass is not taken
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("index", range(5))
def test_tensors_give_the_same(index, method, grad):
    mean, variance, anchors = case(7)
    mean[:5] += 3.0
    variance[0, 2:], variance[1] = 1e-6, 0.0
    coder, where = coders(anchors)[index]
    tensors = tuple(torch.tensor(w) if isinstance(w, np.ndarray) else w for w in where)
    m = torch.tensor(mean, requires_grad=grad)
    ours = coder.decode(mean, variance, *where, method=method, n_samples=20)
    theirs = coder.decode(m, torch.tensor(variance), *tensors, method=method, n_samples=20)
    same(ours, theirs)
    q = theirs.quantile(0.1).detach().numpy()
    np.testing.assert_allclose(q, ours.quantile(0.1), rtol=1e-7, atol=1e-5)


def test_discrete_sides_as_tensors():
    rng = np.random.default_rng(8)
    logits, points = rng.normal(0, 3, (9, 4, 17)), rng.uniform(0, 100, (9, 2))
    ours = DistributionCoder().decode(logits, points, 8)
    theirs = DistributionCoder().decode(torch.tensor(logits), torch.tensor(points), 8)
    same(ours, theirs)
    np.testing.assert_allclose(theirs.quantile(0.3).numpy(), ours.quantile(0.3), rtol=1e-12)


def test_single_precision_in_and_out():
    mean, variance, anchors = (torch.tensor(x, dtype=torch.float32) for x in case(9))
    found = DeltaCoder().decode(mean, variance, anchors)
    assert found.mean.dtype == found.variance.dtype == found.quantile(0.2).dtype == torch.float32
    same(DeltaCoder().decode(*(x.numpy() for x in (mean, variance, anchors))), found, rtol=1e-6)


def test_gradients_flow_to_means_and_variances():
    mean, variance, anchors = (torch.tensor(x) for x in case(10, spread=0.3))
    mean, variance = (x[:, :].clone().requires_grad_() for x in (0.1 * mean, variance + 0.01))
    found = DeltaCoder().decode(mean, variance, anchors)
    (found.mean.sum() + found.variance.log().sum()).backward()
    assert torch.isfinite(mean.grad).all()
    assert torch.isfinite(variance.grad).all()
    assert (variance.grad != 0).any()


def test_comparison_takes_tensors():
    mean, variance, anchors = (torch.tensor(x) for x in case(11))
    assert compare_decodings(mean, variance, anchors, anchors).num_rows == 4


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)])
def test_plain_decoding_is_torchvisions(weights):
    theirs = pytest.importorskip("torchvision.models.detection._utils").BoxCoder(weights)
    mean, _, anchors = case(12)
    mean[0, 2:] = 60.0
    expected = theirs.decode_single(torch.tensor(mean), torch.tensor(anchors)).numpy()
    assert theirs.bbox_xform_clip == TORCHVISION_CLAMP
    np.testing.assert_allclose(DeltaCoder(weights).decode_point(mean, anchors), expected, rtol=1e-12)


def test_plain_distances_are_torchvisions():
    from dubio.uncertainty.boxes import DistanceCoder

    theirs = pytest.importorskip("torchvision.models.detection._utils").BoxLinearCoder(normalize_by_size=True)
    mean, _, anchors = case(13)
    expected = theirs.decode(torch.tensor(mean), torch.tensor(anchors)).numpy()
    size = anchors[:, 2:] - anchors[:, :2]
    found = DistanceCoder().decode_point(mean, anchors[:, :2] + 0.5 * size, size)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
