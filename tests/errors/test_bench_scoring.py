"""Scores of ranked lists."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubio import InputError, LabelClass, LabelSpace, Truth, score
from dubio.errors.bench.matching import flat_indices, match
from dubio.errors.bench.truth import TruthError
from dubio.errors.findings import Finding

SPACE = LabelSpace("abc", tuple(LabelClass(i, n, (i, i, i)) for i, n in enumerate("abc")))
SIZE = (6, 40)
KINDS = ("drop", "swap", "spurious")


def finding(image, cells, p, number=1, kind="missing", given_index=0, proposed=1, shape=SIZE):
    """A finding on the cells (row, first column, length)."""
    runs = np.array([(y * shape[1] + x, n) for y, x, n in cells], np.int32).ravel()
    ys, xs = [y for y, _, _ in cells], [(x, x + n) for _, x, n in cells]
    box = (min(x for x, _ in xs), min(ys), max(x for _, x in xs), max(ys) + 1)
    return Finding(
        number, image, kind, "", "", given_index, proposed, p, p, *box, sum(n for _, _, n in cells), runs,
        *shape, 0.1, 0.9, "",
    )  # fmt: skip


def truth_of(cells_by_image, kinds=KINDS):
    """Truth with errors 1 … n of an image on the given (row, first column, length)."""
    maps, errors = {}, []
    for name, cells in cells_by_image.items():
        maps[name] = np.zeros(SIZE, np.int32)
        for number, (y, x, n) in enumerate(cells, start=1):
            maps[name][y, x : x + n] = number
            kind = kinds[(number - 1) % len(kinds)]
            errors.append(TruthError(name, number, kind, 1, 0, n, (x, y, x + n, y + 1)))
    return Truth.from_maps(maps, errors, SPACE)


def plain(s):
    return json.loads(json.dumps(s.to_dict(), allow_nan=False))


def test_perfect_list():
    truth = truth_of({"x": [(0, 0, 5), (1, 0, 5)], "y": [(2, 3, 9)]})
    found = [finding("x", [(0, 0, 5)], 0.9), finding("x", [(1, 0, 5)], 0.8), finding("y", [(2, 3, 9)], 0.7)]
    result = score(found, truth, draws=50)
    assert result.ap.value == result.ap.low == result.ap.high == 1
    assert result.best_f1.value == 1
    assert result.best_threshold == 0.7
    assert [e.findings.value for e in result.effort] == [1, 2, 3]
    assert result.hits.tolist() == [0, 1, 2]


def test_nothing_found_and_nothing_to_find():
    nothing = score([], truth_of({"x": [(0, 0, 5)], "y": []}), draws=10)
    assert (nothing.ap.value, nothing.recall.value, nothing.best_f1.value) == (0, 0, 0)
    assert nothing.effort[0].findings.value == math.inf
    assert math.isnan(nothing.at_errors.precision.value)
    assert plain(nothing)["effort"][0]["findings"]["value"] is None
    clean = score([finding("x", [(0, 0, 5)], 0.9)], truth_of({"x": [], "y": []}), draws=10)
    assert math.isnan(clean.ap.value)
    assert math.isnan(clean.auc_published.value)
    assert math.isnan(clean.recall.value)
    assert clean.at_errors is None
    budget = clean.points[0]
    assert (budget.read, budget.hits, budget.precision.value) == (1, 0, 0)
    assert plain(clean)["ap"] == {"value": None, "low": None, "high": None}


def test_an_error_counts_once_and_for_the_better_overlap_among_equals():
    truth = truth_of({"x": [(0, 0, 10)]})
    loose, tight = finding("x", [(0, 0, 4)], 0.5, 1), finding("x", [(0, 0, 9)], 0.5, 2)
    for found, hits in (([loose, tight], [-1, 0]), ([tight, loose], [0, -1])):
        assert score(found, truth, draws=0).hits.tolist() == hits
    first = finding("x", [(0, 0, 3)], 0.6, 1)
    assert score([tight, first], truth, draws=0).hits.tolist() == [-1, 0]


def test_overlap_decides_at_the_iou_asked_for():
    truth = truth_of({"x": [(0, 0, 8)]})
    quarter = [finding("x", [(0, 6, 4)], 0.9)]  # 2 of 10 pixels
    assert score(quarter, truth, draws=0, match_iou=0.2).recall.value == 1
    assert score(quarter, truth, draws=0, match_iou=0.21).recall.value == 0
    assert score([finding("x", [(0, 6, 2)], 0.9)], truth, draws=0).recall.value == 1  # 2 of 8: exactly 0.25


def test_neighbouring_errors_stay_two():
    """The published benchmark merges what touches: two right findings there become one segment."""
    truth = truth_of({"x": [(0, 0, 6), (1, 0, 6)]})
    found = [finding("x", [(0, 0, 6)], 0.9, 1), finding("x", [(1, 0, 6)], 0.8, 2)]
    assert score(found, truth, draws=0).hits.tolist() == [0, 1]


def test_class_index_0_may_be_an_error():
    numbers = np.zeros(SIZE, np.int32)
    numbers[0, :6] = 1
    truth = Truth.from_maps({"x": numbers}, [TruthError("x", 1, "drop", 0, 1, 6, (0, 0, 6, 1))], SPACE)
    result = score([finding("x", [(0, 0, 6)], 0.9, given_index=1, proposed=0)], truth, draws=0)
    assert [(c.name, c.errors, c.ap.value) for c in result.classes] == [("a", 1, 1.0)]


def test_average_precision_is_none_of_the_published_areas():
    """Late false findings: the published area gains from drawing the last precision out to recall 1."""
    truth = truth_of({"x": [(y, 0, 5) for y in range(6)]})
    found = [finding("x", [(y, 0, 5)], 0.95 - 0.1 * y, y + 1) for y in range(2)]
    result = score(found, truth, draws=0)
    assert result.ap.value == pytest.approx(2 / 6)
    assert result.auc_published.value > 0.8


def test_other_classes_hits_are_neither_right_nor_wrong():
    truth = truth_of({"x": [(0, 0, 6)]}, kinds=("drop",))  # concerns b
    found = [
        finding("x", [(0, 0, 6)], 0.9, 1, "spurious", 2, 0),  # meets the error of b, says c
        finding("x", [(4, 0, 6)], 0.8, 2, "spurious", 2, 0),
    ]
    classes = {c.name: c for c in score(found, truth, draws=0).classes}
    assert classes["b"].ap.value == 1
    assert classes["c"].errors == 0
    assert math.isnan(classes["c"].ap.value)


def test_budget_among_equals_is_an_expectation():
    truth = truth_of({"x": [(0, 0, 6), (1, 0, 6)]})
    found = [finding("x", [(y, 0, 6)], 0.5, y + 1) for y in range(4)]  # 2 hits in 4 equals
    result = score(found, truth, draws=0, budgets=(1,))
    assert result.points[0].hits == 0.5
    assert result.effort[0].findings.value == pytest.approx(5 / 3)  # mean place of the first of 2 in 4


def test_intervals_hold_the_value_and_depend_on_the_seed_alone():
    rng = np.random.default_rng(0)
    truth = truth_of({f"i{k:02d}": [(0, 0, 6)] for k in range(40)})
    found = [
        finding(f"i{k:02d}", [(int(rng.random() < 0.4), 0, 6)], float(rng.random()), k) for k in range(40)
    ]
    one, two = score(found, truth, draws=300), score(found, truth, draws=300)
    assert plain(one) == plain(two)
    assert one.ap.low < one.ap.value < one.ap.high
    assert one.recall.low < one.recall.value < one.recall.high
    # binomial: 90 % of shares of 40 lie within about 1.64 standard deviations
    spread = 1.64 * math.sqrt(one.recall.value * (1 - one.recall.value) / 40)
    assert one.recall.high - one.recall.low == pytest.approx(2 * spread, rel=0.25)
    assert math.isnan(score(found[:1], truth.only(["i00"]), draws=50).ap.low)


def test_draws_in_pieces_are_the_same_draws(monkeypatch):
    from dubio.errors.bench import scoring

    truth = truth_of({f"i{k}": [(0, 0, 6)] for k in range(5)})
    found = [finding(f"i{k}", [(k % 2, 0, 6)], 0.1 * (k + 1), k) for k in range(5)]
    whole = plain(score(found, truth, draws=40))
    monkeypatch.setattr(scoring, "_CELLS", 30)
    assert plain(score(found, truth, draws=40)) == whole


def test_findings_elsewhere_are_left_out_and_counted():
    truth = truth_of({"x": [(0, 0, 6)]})
    found = [finding("elsewhere", [(0, 0, 6)], 0.9), finding("x", [(0, 0, 6)], 0.8)]
    result = score(found, truth, draws=0)
    assert (result.listed, result.outside, result.ap.value) == (1, 1, 1)
    assert result.hits.tolist() == [-1, 0]
    with pytest.raises(InputError, match="none of the images"):
        score(found[:1], truth)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (finding("x", [(0, 0, 6)], math.nan), "probability"),
        (finding("x", [(0, 0, 6)], 1.5), "probability"),
        (finding("x", [(0, 0, 6)], 0.5, shape=(5, 40)), "6 x 40"),
        (finding("x", [(7, 0, 6)], 0.5), "outside its image"),
    ],
)
def test_findings_that_do_not_fit_are_refused(bad, message):
    with pytest.raises(InputError, match=message):
        score([bad], truth_of({"x": [(0, 0, 6)]}))


def test_bad_options_are_refused():
    truth = truth_of({"x": [(0, 0, 6)]})
    for wrong in ({"match_iou": 0}, {"draws": -1}, {"budgets": (0,)}, {"thresholds": (2,)}):
        with pytest.raises(InputError):
            score([], truth, **wrong)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5)), min_size=1, max_size=6))
def test_runs_and_masks_tell_the_same(steps):
    runs, end = [], 0
    for gap, length in steps:
        runs += [end + gap, length]
        end += gap + length
    mask = finding("x", [(0, 0, 1)], 0.5, shape=(1, end))
    object.__setattr__(mask, "runs", np.array(runs, np.int32))
    np.testing.assert_array_equal(flat_indices(np.array(runs)), np.flatnonzero(mask.mask()))


def test_matching_does_not_depend_on_workers():
    truth = truth_of({f"i{k}": [(0, 0, 6)] for k in range(8)})
    found = [finding(f"i{k}", [(0, k % 4, 6)], 0.5, k) for k in range(8)]
    one, two = match(found, truth, workers=1), match(found, truth, workers=3)
    np.testing.assert_array_equal(one.error, two.error)
    np.testing.assert_array_equal(one.place, two.place)


def test_a_threshold_takes_what_lies_on_it():
    truth = truth_of({"x": [(0, 0, 6), (1, 0, 6)]})
    found = [finding("x", [(0, 0, 6)], 0.5, 1), finding("x", [(1, 0, 6)], 0.499, 2)]
    point = next(p for p in score(found, truth, draws=0).points if (p.what, p.at) == ("threshold", 0.5))
    assert (point.read, point.hits, point.recall.value) == (1, 1, 0.5)
