"""Figures of the uncertainty of corners."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from dubio.core.errors import InputError
from dubio.reliability.boxes.intervals import (
    LEVELS,
    ResidualState,
    coverage,
    ence,
    interval_ece,
    interval_score,
    relative_sigma,
    residual_figures,
    rmse,
    urmse,
)
from dubio.reliability.boxes.quality import auroc, jensen_shannon, sparsification_error, spearman
from dubio.uncertainty.boxes.residuals import FAMILIES, ResidualLaw

LAWS = (ResidualLaw(), ResidualLaw("laplace"), ResidualLaw("student", 2.2), ResidualLaw("student", 8.0))


def _draw(law: ResidualLaw, n: int, seed: int = 0) -> np.ndarray:
    return law.quantile(np.random.default_rng(seed).random(n))


def test_published_figures(shared: Path) -> None:
    oracle = np.load(shared / "oracle" / "2_detection" / "o7_misc.npz")
    residual, sigma = oracle["x_gt"] - oracle["x_pr"], oracle["x_u"]
    assert interval_ece(residual, sigma) == pytest.approx(float(oracle["x_ece_flat"]), abs=1e-9)
    columns = interval_ece(residual, sigma, per_coordinate=True)
    assert columns == pytest.approx(float(oracle["x_ece_2d"]), abs=1e-9)
    assert ResidualLaw().nll(residual, sigma).mean() == pytest.approx(float(oracle["x_nll"]), abs=1e-9)
    assert urmse(residual, sigma) == pytest.approx(float(oracle["x_urmse"]), abs=1e-9)
    # the reference's own definition, beside ours: labels at the border are left out
    assert rmse(residual[oracle["x_gt"] != 0]) == pytest.approx(float(oracle["x_rmse"]), abs=1e-9)
    assert rmse(residual) > float(oracle["x_rmse"])
    ours = relative_sigma(sigma, oracle["x_pr"])
    real = np.isfinite(ours)  # the reference's random boxes may have negative sides
    assert real.sum() > 500
    np.testing.assert_allclose(ours[real], oracle["x_rel"][real], atol=1e-6)
    found = jensen_shannon(oracle["j_a"], oracle["j_b"], published=True)
    assert found == pytest.approx(float(oracle["j"]), abs=1e-6)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_laws_against_scipy(law: ResidualLaw) -> None:
    theirs = {
        "normal": stats.norm(),
        "laplace": stats.laplace(scale=1 / law.unit),
        "student": stats.t(law.df or 1, scale=1 / law.unit),
    }[law.family]
    z = np.linspace(-6, 6, 25)
    np.testing.assert_allclose(law.nll(z, np.ones(25)), -theirs.logpdf(z), rtol=1e-10)
    np.testing.assert_allclose(law.central(z), theirs.cdf(np.abs(z)) * 2 - 1, atol=1e-12)
    np.testing.assert_allclose(law.central(law.half_width(LEVELS)), LEVELS, atol=1e-9)
    for x in (-1.3, 0.0, 2.5):
        low = integrate.quad(lambda t: theirs.cdf(t) ** 2, -np.inf, x)[0]
        high = integrate.quad(lambda t: (1 - theirs.cdf(t)) ** 2, x, np.inf)[0]
        assert float(law.crps(x, 1.0)) == pytest.approx(low + high, rel=1e-5)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_truth_is_calibrated_and_best(law: ResidualLaw) -> None:
    sigma = np.random.default_rng(1).uniform(0.5, 20, 40_000)
    residual = _draw(law, 40_000) * sigma
    assert interval_ece(residual, sigma, law) < 0.01
    for wrong in (0.5, 2.0):
        assert interval_ece(residual, wrong * sigma, law) > 0.05
        assert law.nll(residual, wrong * sigma).mean() > law.nll(residual, sigma).mean()
        assert law.crps(residual, wrong * sigma).mean() > law.crps(residual, sigma).mean()
        assert interval_score(residual, wrong * sigma, law) > interval_score(residual, sigma, law)


def test_closed_form_of_a_wrong_scale() -> None:
    """Spec 5.2: the ECE of c sigma for normal residuals is an integral; .071 for c = sqrt(2 / pi)."""
    c = np.sqrt(2 / np.pi)
    stated = np.linspace(0, 1, 100)
    expected = np.abs(2 * stats.norm.cdf(c * stats.norm.ppf((1 + stated) / 2)) - 1 - stated).mean()
    assert expected == pytest.approx(0.071, abs=1e-3)
    residual = np.random.default_rng(0).normal(size=200_000)
    assert interval_ece(residual, np.full(200_000, c)) == pytest.approx(expected, abs=2e-3)


@given(st.integers(0, 10**6), st.integers(0, 40), st.sampled_from(LAWS))
def test_states_add_up(seed: int, cut: int, law: ResidualLaw) -> None:
    rng = np.random.default_rng(seed)
    residual, sigma = rng.standard_cauchy(40), rng.uniform(0.1, 5, 40)
    whole, one, other = ResidualState(law), ResidualState(law), ResidualState(law)
    whole.update(residual, sigma)
    one.update(residual[:cut], sigma[:cut])
    other.update(residual[cut:], sigma[cut:])
    both = one.merge(other).compute()
    for name, value in whole.compute().items():
        assert both[name] == pytest.approx(value, rel=1e-9)
    assert whole.compute()["ece"] == pytest.approx(interval_ece(residual, sigma, law), abs=1e-12)


@given(st.integers(0, 10**6), st.floats(0.01, 100))
def test_calibration_does_not_depend_on_the_unit(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    residual, sigma = rng.normal(size=(30, 4)), rng.uniform(0.5, 3, (30, 4))
    assert interval_ece(residual * factor, sigma * factor) == pytest.approx(
        interval_ece(residual, sigma), abs=0.02
    )


def test_nothing_and_bad_input() -> None:
    assert np.isnan(residual_figures(np.zeros(0), np.zeros(0))["ece"])
    assert np.isnan(coverage(np.zeros((0, 4)), np.zeros((0, 4)))).all()
    assert np.isnan(ence(np.zeros(0), np.zeros(0)))
    assert np.isnan(rmse(np.zeros((0, 4))))
    with pytest.raises(InputError, match="shape"):
        urmse(np.zeros(3), np.zeros(4))
    with pytest.raises(InputError, match="negative"):
        interval_ece(np.zeros(2), np.array([1.0, -1]))
    with pytest.raises(InputError, match="degrees"):
        ResidualLaw("student", 0.5)
    with pytest.raises(InputError, match="no family"):
        ResidualLaw("cauchy")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="can't be added"):
        ResidualState().merge(ResidualState(ResidualLaw("laplace")))
    assert set(FAMILIES) == {"normal", "laplace", "student"}


def test_certain_and_right_is_in_every_interval() -> None:
    assert coverage(np.zeros(3), np.zeros(3)).min() == 1


def test_worth_of_an_uncertainty() -> None:
    rng = np.random.default_rng(0)
    error = rng.random(500)
    assert spearman(error, error**3) == pytest.approx(1)
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))
    assert auroc(error, error > 0.7) == 1
    assert auroc(np.zeros(10), np.arange(10) > 5) == 0.5
    assert np.isnan(auroc([1.0], [True]))
    assert sparsification_error(error, error) == pytest.approx(0)
    assert sparsification_error(-error, error) > sparsification_error(rng.random(500), error) > 0


def test_defect_18_shape_is_seen() -> None:
    """Two humps and one with the same mean and spread: normal fits see no difference."""
    rng = np.random.default_rng(0)
    two = np.concatenate([rng.normal(-2, 0.3, 3000), rng.normal(2, 0.3, 3000)])
    one = rng.normal(0, two.std(), 6000)
    assert jensen_shannon(two, one, published=True) < 0.03
    assert jensen_shannon(two, one) > 0.3
    assert jensen_shannon(two, two + 100) == pytest.approx(np.sqrt(np.log(2)), abs=1e-3)
