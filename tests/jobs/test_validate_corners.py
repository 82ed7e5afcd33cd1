"""Epistemic against aleatoric: the published grid, and what lies in its corners."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dubio.jobs.corner_cases import corner_cases, corner_grid
from dubio.jobs.validate_pairs import PairingOptions
from dubio.jobs.validate_rows import validation_rows

from .validate_world import crowd_of, dataset, labels, seen


def test_published_grid(shared):
    oracle = np.load(shared / "oracle/2_detection/o7_misc.npz")
    grid = corner_grid(*oracle["e_data"].T)
    np.testing.assert_array_equal(grid.cells, oracle["e_cells"])
    geometry = [grid.origin[0], grid.step[0], grid.origin[1], grid.step[1]]
    np.testing.assert_allclose(geometry, oracle["e_geom"], atol=1e-9)
    assert set(grid.cells[grid.high_aleatoric]) == {grid.side - 1}
    assert set(grid.cells[grid.high_epistemic]) == {grid.side**2 - grid.side}


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9)), max_size=40))
def test_corners_hold_enough_or_there_are_none(points):
    x, y = np.array(points, float).reshape(-1, 2).T
    grid = corner_grid(x, y)
    if grid.side > 1:
        assert min(len(grid.high_aleatoric), len(grid.high_epistemic)) >= 3
        assert x[grid.high_aleatoric].min() > x[grid.high_epistemic].max()
        assert y[grid.high_epistemic].min() > y[grid.high_aleatoric].max()
    else:
        assert len(grid.high_aleatoric) == len(grid.high_epistemic) == 0


def test_unknown_values_are_left_out():
    x = np.array([0, 0, 0, 9, 9, 9, np.nan])
    grid = corner_grid(x, np.append(x[:6][::-1], 1.0))
    assert grid.cells[6] == -1
    assert grid.high_epistemic.tolist() == [0, 1, 2]


def test_corners_of_a_validation():
    data, found = crowd_of(60, seed=2)
    rows = validation_rows(data, found, PairingOptions())
    cases = corner_cases(rows)
    al, ep = cases["corners"]["high_aleatoric"], cases["corners"]["high_epistemic"]
    assert al["al_rel"] > max(ep["al_rel"], cases["all"]["al_rel"])
    assert ep["ep_rel"] > max(al["ep_rel"], cases["all"]["ep_rel"])
    named = al["rows"]
    assert 3 <= len(named) <= 10
    assert rows.paired[named].all()
    tilt = rows["al_rel"][named] / cases["step"][0] - rows["ep_rel"][named] / cases["step"][1]
    assert (np.diff(tilt) <= 1e-6).all()  # the most extreme first


def test_a_model_of_one_kind_has_no_corners():
    data, found = crowd_of(10, epistemic=False)
    cases = corner_cases(validation_rows(data, found, PairingOptions()))
    assert cases == {"left_out": "the detections state no epistemic variances"}
    few = {"a": seen([[0, 0, 9, 9]], [0.9], [0], box_aleatoric=[[1] * 4], box_epistemic=[[1] * 4])}
    rows = validation_rows(dataset({"a": labels([[0, 0, 9, 9]], [0])}), few, PairingOptions())
    assert "fewer than 3" in corner_cases(rows)["left_out"]
