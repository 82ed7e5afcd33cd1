from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubio.core.errors import InputError

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")
from dubio.models.det.torch import losses  # noqa: E402

GRID = torch.linspace(-12, 12, 4801, dtype=torch.float64)


def best_variance(loss, error):
    """The log variance with the least loss for one error."""
    zero = torch.zeros_like(GRID)
    return float(GRID[loss(zero, GRID, zero + error).argmin()])


@given(st.floats(0.01, 30))
def test_likelihoods_are_best_at_the_right_variance(error):
    assert best_variance(losses.gaussian_nll, error) == pytest.approx(2 * math.log(error), abs=6e-3)
    # a Laplace law's likelihood asks for b = |e|, a variance of 2 e²
    assert best_variance(losses.laplace_nll, error) == pytest.approx(math.log(2 * error**2), abs=6e-3)
    # Student's t: ν (e / s)² = (ν + 1) - 1 at the best scale s = |e|, a variance of s² ν / (ν - 2)
    assert best_variance(losses.student_nll, error) == pytest.approx(math.log(2 * error**2), abs=6e-3)


def test_likelihoods_are_those_of_scipy():
    from scipy import stats

    mean, s, target = torch.randn(3, 50, dtype=torch.float64)
    scale = torch.exp(0.5 * s).numpy()
    for loss, law in (
        (losses.gaussian_nll, stats.norm(mean.numpy(), scale)),
        (losses.laplace_nll, stats.laplace(mean.numpy(), scale / math.sqrt(2))),
        (losses.student_nll, stats.t(4, mean.numpy(), scale / math.sqrt(2))),
    ):
        rest = loss(mean, s, target).numpy() + law.logpdf(target.numpy())
        assert np.ptp(rest) < 1e-9


def test_defect_published_loss_asks_for_a_variance_far_too_large():
    """Defect 1 of the reference: log(1 + σ²) in place of log σ²."""
    for error, ratio in ((0.01, 10.0), (0.02, 7.1), (0.05, 4.5), (0.1, 3.2), (1.0, 1.27)):
        wanted = 0.5 * (error**2 + math.sqrt(error**4 + 4 * error**2))
        assert best_variance(losses.published_nll, error) == pytest.approx(math.log(wanted), abs=6e-3)
        ours = best_variance(losses.gaussian_nll, error)
        found = math.exp(0.5 * (best_variance(losses.published_nll, error) - ours))
        assert found == pytest.approx(ratio, rel=0.02)


def test_beta_gives_the_mean_a_gradient_that_does_not_starve():
    mean, s = torch.zeros(1, requires_grad=True), torch.tensor([3.0], requires_grad=True)
    target = torch.tensor([2.0])
    for beta, power in ((0.0, -1.0), (0.5, -0.5), (1.0, 0.0)):
        (slope,) = torch.autograd.grad(losses.beta_nll(mean, s, target, beta).sum(), mean)
        assert float(slope) == pytest.approx(-2.0 * math.exp(3.0 * power), rel=1e-5)
    (rise,) = torch.autograd.grad(losses.beta_nll(mean, s, target).sum(), s)
    (plain,) = torch.autograd.grad(losses.gaussian_nll(mean, s, target).sum(), s)
    # the weight itself carries no gradient
    assert float(rise) == pytest.approx(float(plain) * math.exp(1.5), rel=1e-5)


def test_detached_variance_does_not_touch_the_mean():
    mean, target = torch.zeros(3, requires_grad=True), torch.tensor([0.1, -2.0, 5.0])
    for s in (-6.0, 0.0, 3.0):
        (slope,) = torch.autograd.grad(losses.detached_nll(mean, torch.full((3,), s), target).sum(), mean)
        assert slope.tolist() == [-1, 1, -1]


def test_energy_score_is_proper():
    torch.manual_seed(0)
    target = torch.randn(4000, 4)
    zero = torch.zeros_like(target)
    scores = [float(losses.energy_score(zero, zero + s, target).mean()) for s in (-3.0, 0.0, 3.0)]
    assert scores[1] == min(scores)
    # both differences have the law of sqrt 2 times a norm of four standard normal numbers, mean 1.880
    assert scores[1] * 4 == pytest.approx(0.5 * math.sqrt(2) * 1.880, abs=0.03)
    with pytest.raises(InputError, match="2 draws"):
        losses.energy_score(zero, zero, target, samples=1)


HALF = st.floats(-65504, 65504, width=16)


@pytest.mark.parametrize("name", sorted(losses.LOSSES))
@given(st.lists(st.tuples(HALF, HALF, HALF), min_size=1, max_size=4))
def test_losses_are_finite_for_every_half(name, rows):
    values = torch.tensor(rows, dtype=torch.float16).repeat(1, 4).view(-1, 4, 3).unbind(-1)
    mean, s, target = (v.clone().requires_grad_() for v in values)
    loss = losses.LOSSES[name](mean, s, target)
    assert loss.dtype == torch.float32
    assert bool(torch.isfinite(loss).all())
    loss.sum().backward()
    assert not bool(torch.isnan(s.grad).any())


def test_wrong_options_are_sentences():
    one = torch.zeros(1)
    with pytest.raises(InputError, match="no variance"):
        losses.student_nll(one, one, one, freedom=2)
    with pytest.raises(InputError, match="squared or huber"):
        losses.published_nll(one, one, one, residual="cubed")


class TestOracle:
    @pytest.fixture
    def oracle(self, shared):
        return np.load(shared / "oracle/2_detection/o2_loss.npz")

    def rows(self, oracle):
        found = (torch.from_numpy(oracle[k].astype(np.float64)) for k in ("targets", "out_mu", "out_sigma"))
        target, mean, sigma = (x.reshape(-1, 4) for x in found)
        return target, mean, 2 * sigma.clamp(0.01, 1024).log(), float(oracle["npos"])

    @pytest.mark.parametrize(("residual", "name"), [("squared", "MSE"), ("huber", "huber")])
    def test_published_loss_as_it_was_meant(self, oracle, residual, name):
        target, mean, s, count = self.rows(oracle)
        each = losses.published_nll(losses.lognormal_shift(mean, s), s, target, residual)
        found = 0.25 * float((each * (target != 0)).sum()) / (4 * count)
        assert found == pytest.approx(float(oracle[f"intended_{name}"]), abs=1e-6)
        # Defect 2 of the reference: it shifts the wrong channels.
        assert found != pytest.approx(float(oracle[f"{name}_att"]), abs=1e-4)

    def test_defect_shift_goes_to_log_sizes_of_every_anchor(self, oracle):
        _, mean, s, _ = self.rows(oracle)
        shifted = losses.lognormal_shift(mean, s) - mean
        assert bool((shifted[:, :2] == 0).all())
        torch.testing.assert_close(shifted[:, 2:], 0.5 * s[:, 2:].exp())

    def test_focal_loss_of_torchvision(self, oracle):
        from torchvision.ops import sigmoid_focal_loss

        logits, target = (torch.from_numpy(oracle[k]) for k in ("focal_logits", "focal_y"))
        found = sigmoid_focal_loss(logits, target, alpha=0.25, gamma=1.5) / 3
        np.testing.assert_allclose(found.numpy(), oracle["focal"], atol=1e-6)
