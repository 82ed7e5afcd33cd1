"""What holds for the score of any list."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio import score
from dubio.errors.score import score_list

from .test_bench_scoring import finding, plain, truth_of


@st.composite
def cases(draw):
    """A truth of one error per row and a list that meets some, with few distinct probabilities."""
    images = {
        f"i{k}": [(y, 4, 8) for y in range(draw(st.integers(0, 4)))] for k in range(draw(st.integers(1, 4)))
    }
    found = []
    for name in images:
        for _ in range(draw(st.integers(0, 5))):
            y, x = draw(st.integers(0, 5)), draw(st.sampled_from([4, 6, 20]))
            p = draw(st.sampled_from([0.1, 0.5, 0.5, 0.9]))
            klass = draw(st.integers(0, 2))
            found.append(finding(name, [(y, x, 8)], p, len(found) + 1, "spurious", klass, (klass + 1) % 3))
    return truth_of(images), found


@settings(deadline=None, max_examples=60)
@given(cases(), st.randoms(use_true_random=False))
def test_order_of_the_list_changes_nothing(case, random):
    truth, found = case
    turned = found.copy()
    random.shuffle(turned)
    one, two = score(found, truth, draws=20), score(turned, truth, draws=20)
    assert plain(one) == plain(two)
    for name, values in one.curve.items():
        np.testing.assert_array_equal(values, two.curve[name])


@settings(deadline=None, max_examples=60)
@given(cases())
def test_a_false_finding_at_the_end_changes_no_average_precision(case):
    truth, found = case
    name = truth.image_ids[0]
    more = [*found, finding(name, [(5, 30, 5)], 0.01, len(found) + 1)]
    np.testing.assert_equal(score(more, truth, draws=0).ap.value, score(found, truth, draws=0).ap.value)


@settings(deadline=None, max_examples=60)
@given(cases())
def test_counts_of_subsets_add_up(case):
    truth, found = case
    names = truth.image_ids
    whole = score(found, truth, draws=0)
    halves = []
    for part in (names[: len(names) // 2], names[len(names) // 2 :]):
        if part:
            halves.append(score([f for f in found if f.image_id in part], truth.only(part), draws=0))
    assert whole.errors == sum(h.errors for h in halves)
    for k, point in enumerate([p for p in whole.points if p.what == "threshold"]):
        others = [[p for p in h.points if p.what == "threshold"][k] for h in halves]
        assert point.hits == sum(p.hits for p in others)
        assert point.read == sum(p.read for p in others)


@settings(deadline=None, max_examples=60)
@given(cases())
def test_measures_agree_with_the_matched_list(case):
    """Against a plain loop over thresholds, written from the definitions."""
    truth, found = case
    result = score(found, truth, draws=0)
    p = np.array([f.probability for f in found])
    hit = result.hits >= 0
    area, before = 0.0, 0
    f1 = [0.0]
    for t in sorted(set(p.tolist()), reverse=True):
        tp, read = int(hit[p >= t].sum()), int((p >= t).sum())
        area += (tp - before) * tp / read
        before = tp
        f1.append(2 * tp / max(read + result.errors, 1))
    if not result.errors:
        assert math.isnan(result.ap.value)
        assert math.isnan(result.best_f1.value)
        return
    assert result.ap.value == pytest.approx(area / result.errors)
    assert result.recall.value == pytest.approx(hit.sum() / result.errors)
    assert result.best_f1.value == pytest.approx(max(f1))
    assert sum(k.recall.value * k.errors for k in result.kinds) == pytest.approx(hit.sum())
    assert sum(c.recall.value * c.errors for c in result.classes if c.errors) == pytest.approx(hit.sum())


@settings(deadline=None, max_examples=60)
@given(cases())
def test_brief_score_says_the_same_without_ties(case):
    truth, found = case
    ranked = sorted(found, key=lambda f: -f.probability)
    distinct = [finding(f.image_id, [(f.y0, f.x0, 8)], 0.9 - 0.01 * k, k + 1) for k, f in enumerate(ranked)]
    brief = score_list(distinct, {name: truth.map(name) for name in truth.image_ids})
    full = score(distinct, truth, draws=0)
    np.testing.assert_allclose([full.ap.value, full.recall.value], [brief.ap, brief.recall_all])
    if full.at_errors is not None and distinct:
        np.testing.assert_allclose(full.at_errors.recall.value, brief.recall)
        np.testing.assert_allclose(full.at_errors.precision.value, brief.precision)
