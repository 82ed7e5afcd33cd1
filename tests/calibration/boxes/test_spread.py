"""Calibrators of the spread of corners."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio.calibration.boxes.adaptive import AdaptiveSpread
from dubio.calibration.boxes.conformal import ConformalIntervals
from dubio.calibration.boxes.fit_law import fit_law, fit_scale
from dubio.calibration.boxes.rows import BoxRows, matched_rows, rows_of
from dubio.calibration.boxes.spread import IsotonicSpread, ScaleSpread, SpreadCalibrator
from dubio.core.boxes import BoxDataset, BoxLabels, BoxSample, DetPrediction
from dubio.core.errors import InputError
from dubio.core.labelspace import LabelClass, LabelSpace
from dubio.regions.boxes.matching import match_boxes
from dubio.reliability.boxes.intervals import interval_ece
from dubio.uncertainty.boxes.residuals import ResidualLaw

MAKERS: dict[str, Callable[[], SpreadCalibrator]] = {
    "scale nll": lambda: ScaleSpread("nll"),
    "scale mae": lambda: ScaleSpread("mae"),
    "scale rmse": lambda: ScaleSpread("rmse"),
    "scale quantile": lambda: ScaleSpread("quantile"),
    "scale laplace": lambda: ScaleSpread("nll", "laplace"),
    "scale student": lambda: ScaleSpread("nll", "student", "class-coordinate"),
    "isotonic square": lambda: IsotonicSpread("square", "normal"),
    "isotonic absolute": lambda: IsotonicSpread("absolute", "student", "coordinate"),
    "isotonic relative": lambda: IsotonicSpread("absolute", "student", "class", relative=True),
    "adaptive": AdaptiveSpread,
    "adaptive without": lambda: AdaptiveSpread(use_sigma=False),
}


def _rows(n: int = 1500, seed: int = 0, law: ResidualLaw | None = None, wrong: float = 3.0) -> BoxRows:
    """Detections whose true spread is ``sigma / wrong``, under a law."""
    rng = np.random.default_rng(seed)
    low, side = rng.uniform(0, 300, (n, 2)), rng.uniform(10, 200, (n, 2))
    boxes = np.concatenate([low, low + side], 1)
    true = rng.uniform(0.5, 6, (n, 4))
    residual = (law or ResidualLaw()).quantile(rng.random((n, 4))) * true
    return BoxRows(
        boxes, true * wrong, rng.integers(0, 3, n), rng.random(n), np.full((n, 2), 640.0), 3, residual,
        np.repeat(np.arange(n // 10), 10), tuple(f"i{k}" for k in range(n // 10)),
    )  # fmt: skip


def test_closed_forms() -> None:
    rng = np.random.default_rng(1)
    sigma = rng.uniform(0.5, 5, 4000)
    r = np.abs(rng.normal(size=4000) * sigma * 0.3)
    nll, rms, mae = (fit_scale(r, sigma, t) for t in ("nll", "rmse", "mae"))
    grid = np.linspace(0.1, 0.6, 5001)
    law = ResidualLaw()
    assert nll == pytest.approx(
        grid[np.argmin([law.nll(r, g * sigma).mean() for g in grid[::25]]) * 25], abs=3e-3
    )
    assert rms == pytest.approx(grid[np.argmin([((r - g * sigma) ** 2).sum() for g in grid])], abs=1e-4)
    assert mae == pytest.approx(grid[np.argmin([np.abs(r - g * sigma).sum() for g in grid])], abs=1e-4)
    assert (r <= fit_scale(r, sigma, "quantile") * sigma).mean() == pytest.approx(0.6827, abs=1e-3)


@pytest.mark.parametrize("df", [2.0, 4.0, 20.0])
def test_student_law_is_found(df: float) -> None:
    law = ResidualLaw("student", df)
    z = 2.5 * law.quantile(np.random.default_rng(0).random(60_000))
    found, factor = fit_law(z, "student")
    assert found.df == pytest.approx(df, rel=0.15)
    assert factor == pytest.approx(2.5, rel=0.03)


def test_defect_4_the_temperature_does_not_depend_on_the_unit() -> None:
    rows = _rows(300)
    for target in ("nll", "mae", "rmse", "quantile"):
        for grouping in ("all", "coordinate", "class-coordinate"):
            factors = []
            for unit in (0.01, 1, 10):
                mine = ScaleSpread(target, grouping=grouping)
                scaled = BoxRows(
                    rows.boxes * unit, rows.sigma * unit * 100, rows.classes, rows.scores, rows.frame, 3,
                    rows.truth * unit * 100,
                )  # fmt: skip
                factors.append(mine.fit(scaled).factors)
            np.testing.assert_allclose(factors[0], factors[1], rtol=1e-6)
            np.testing.assert_allclose(factors[2], factors[1], rtol=1e-6)


def test_defect_5_isotonic_of_the_absolute_residual_is_not_sigma() -> None:
    """On normal residuals the published curve has an ECE of .071; squares, and a fitted scale, have none."""
    rows = _rows(12_000, wrong=1.0)
    published = IsotonicSpread("absolute", "normal", rescale=False).fit(rows)
    assert interval_ece(rows.truth, published.sigma(rows)) == pytest.approx(0.071, abs=0.004)
    for better in (IsotonicSpread("square", "normal", rescale=False), IsotonicSpread("absolute", "normal")):
        assert interval_ece(rows.truth, better.fit(rows).sigma(rows)) < 0.01


def test_defect_7_relative_curves_use_each_box_own_size() -> None:
    rows = _rows(400)
    mine = IsotonicSpread(relative=True).fit(rows)
    whole, alone = mine.sigma(rows), [mine.sigma(rows.take(np.array([k])))[0] for k in range(5)]
    np.testing.assert_allclose(whole[:5], alone)


@pytest.mark.parametrize("name", MAKERS)
def test_held_out_calibration(name: str) -> None:
    law = ResidualLaw("student", 3.0) if "student" in name or "adaptive" in name else ResidualLaw()
    law = ResidualLaw("laplace") if "laplace" in name else law
    law = ResidualLaw("student", 3.0) if name in ("isotonic absolute", "isotonic relative") else law
    learn, judge = _rows(6000, 1, law), _rows(6000, 2, law)
    mine = MAKERS[name]().fit(learn)
    found = interval_ece(judge.truth, mine.sigma(judge), mine.law)
    raw = interval_ece(judge.truth, judge.sigma)
    assert raw > 0.2
    assert found < (0.13 if name in ("scale mae", "scale rmse") else 0.02)


@pytest.mark.parametrize("name", MAKERS)
def test_survives_the_disk(name: str) -> None:
    rows = _rows(200)
    mine = MAKERS[name]().fit(rows)
    data = json.loads(json.dumps(mine.state(), allow_nan=False))
    back = type(mine).restore(data)  # type: ignore[attr-defined]
    np.testing.assert_allclose(back.sigma(rows), mine.sigma(rows))
    assert back.law == mine.law
    assert mine.describe() == back.describe()


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.floats(0.1, 10))
def test_temperature_swallows_a_factor(seed: int, factor: float) -> None:
    rows = _rows(60, seed)
    other = BoxRows(rows.boxes, rows.sigma * factor, rows.classes, rows.scores, rows.frame, 3, rows.truth)
    for name in ("scale nll", "scale mae", "isotonic absolute"):
        one, two = MAKERS[name]().fit(rows).sigma(rows), MAKERS[name]().fit(other).sigma(other)
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=0.1)


def test_isotonic_rises_and_stays() -> None:
    rows = _rows(500)
    mine = IsotonicSpread("absolute", "normal", rescale=False).fit(rows)
    order = np.argsort(rows.sigma.ravel())
    assert (np.diff(mine.sigma(rows).ravel()[order]) >= -1e-12).all()


def test_small_groups_lean_on_all() -> None:
    """A class that was met once, and one that never was, get about what all together say."""
    rows = _rows(800)
    rare = BoxRows(
        rows.boxes, rows.sigma, np.r_[3, np.zeros(799, int)], rows.scores, rows.frame, 5, rows.truth
    )
    for mine in (ScaleSpread("nll", "student", "class"), IsotonicSpread(grouping="class-coordinate")):
        whole = type(mine)(**{**mine.state()["options"], "grouping": "all"}).fit(rare)
        mine.fit(rare)
        met = rare.take(rare.classes == 3)
        never = BoxRows(met.boxes, met.sigma, np.array([4]), met.scores, met.frame, 5)
        np.testing.assert_allclose(mine.sigma(met), whole.sigma(met), rtol=0.3)
        np.testing.assert_allclose(mine.sigma(never), whole.sigma(never), rtol=1e-6 + 0.05)


def test_nothing_to_learn_from() -> None:
    empty = _rows(10).take(np.zeros(10, bool))
    for make in MAKERS.values():
        with pytest.raises(InputError, match="no residuals"):
            make().fit(empty)
    bare = BoxRows(empty.boxes, None, empty.classes, empty.scores, empty.frame, 3, empty.truth)
    with pytest.raises(InputError, match="state no uncertainty"):
        ScaleSpread().fit(bare)
    with pytest.raises(InputError, match="no grouping"):
        ScaleSpread(grouping="size")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no target"):
        IsotonicSpread("cube")


def test_rows_of_a_data_set() -> None:
    space = LabelSpace("one", (LabelClass(1, "a", (1, 1, 1)),))
    labels = {"x": BoxLabels(np.array([[10, 10, 30, 30.0]]), np.array([0])), "y": BoxLabels()}
    dataset = BoxDataset("t", space, (BoxSample("x", width=99, height=50), BoxSample("y")), labels)
    seen = {
        "x": DetPrediction(
            np.array([[60, 0, 70, 9], [11, 10, 30, 28.0]]), np.array([0.9, 0.8]), np.array([0, 0]), 1,
            box_aleatoric=np.full((2, 4), 9.0), box_epistemic=np.full((2, 4), 16.0),
        )
    }  # fmt: skip
    matches = {k: match_boxes(v, labels[k]) for k, v in seen.items()}
    rows = matched_rows(dataset, seen, matches)
    assert rows.truth.tolist() == [[-1, 0, 0, 2]]
    assert rows.sigma.tolist() == [[5, 5, 5, 5]]
    assert rows.frame.tolist() == [[99, 50]]
    assert matched_rows(dataset, seen, matches, spread="aleatoric").sigma[0, 0] == 3
    assert len(matched_rows(dataset, {}, {})) == 0
    assert rows_of(seen["x"], spread="epistemic").sigma[0, 0] == 4


@pytest.mark.parametrize("scope", ["coordinate", "box", "bonferroni"])
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("sided", [True, False])
def test_conformal_coverage(scope: str, scaled: bool, sided: bool) -> None:
    """Mean coverage over many draws keeps the promise and isn't far above it."""
    law, level, reached = ResidualLaw("student", 2.5), 0.9, []
    for seed in range(60):
        learn, judge = _rows(300, seed, law), _rows(500, 1000 + seed, law)
        mine = ConformalIntervals(scope, scaled, sided).fit(learn, learn.sigma)  # type: ignore[arg-type]
        low, high = mine.intervals(judge, level, judge.sigma)
        true = judge.boxes + judge.truth
        inside = (true >= low) & (true <= high)
        reached.append(inside.mean() if scope == "coordinate" else inside.all(1).mean())
    slack = 0.012
    assert level - slack <= np.mean(reached)
    if scope == "coordinate":
        assert np.mean(reached) <= level + slack


def test_conformal_promises_nothing_that_it_cannot_keep() -> None:
    rows = _rows(10)
    low, high = ConformalIntervals(scaled=False).fit(rows).intervals(rows, 0.99)
    assert np.isinf(low).all()
    assert np.isinf(high).all()
    with pytest.raises(InputError, match="level"):
        ConformalIntervals(scaled=False).fit(rows).intervals(rows, 1.5)
    with pytest.raises(InputError, match="sigma"):
        ConformalIntervals().fit(rows)


def test_conformal_survives_the_disk_and_thinning() -> None:
    rows = _rows(3000)
    mine = ConformalIntervals("coordinate", per_class=True, sided=True).fit(rows, rows.sigma)
    back = ConformalIntervals.restore(json.loads(json.dumps(mine.state())))
    few = rows.take(np.arange(20))
    for one, other in zip(
        mine.intervals(few, 0.9, few.sigma), back.intervals(few, 0.9, few.sigma), strict=True
    ):
        np.testing.assert_allclose(one, other)
    # thinned order statistics are never narrower than the true ones
    z = np.sort(np.abs(rows.truth / rows.sigma), 0)
    thin = ConformalIntervals().fit(rows, rows.sigma)
    low, _ = thin.intervals(few, 0.9, few.sigma)
    exact = z[int(np.ceil(3001 * 0.9)) - 1] * few.sigma
    assert (few.boxes - low >= exact - 1e-9).all()
    np.testing.assert_allclose(few.boxes - low, exact, rtol=0.02)
