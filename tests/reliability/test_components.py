"""Component metrics against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from dubio.core.errors import InputError
from dubio.reliability.components import TAUS, ComponentState

masks = arrays(np.bool_, (9, 11))


def by_definition(predicted, truth, ignore):
    """Straight from the formulas, component by component."""
    square = np.ones((3, 3), int)
    t, n = ndimage.label(truth & ~ignore, square)
    p, m = ndimage.label(predicted & ~ignore, square)
    siou, ppv = [], []
    for k in range(1, n + 1):
        own, others = t == k, (t > 0) & (t != k)
        hit = np.isin(p, np.unique(p[own & (p > 0)])) & (p > 0)
        siou.append((own & hit).sum() / ((own | hit) & ~others).sum())
    for k in range(1, m + 1):
        ppv.append((t[p == k] > 0).mean())
    return np.array(siou), np.array(ppv)


@given(masks, masks, masks)
@settings(max_examples=150, deadline=None)
def test_like_the_formulas(predicted, truth, ignore):
    state = ComponentState()
    state.update(predicted, truth, ignore & (np.arange(11) > 6))
    siou, ppv = by_definition(predicted, truth, ignore & (np.arange(11) > 6))
    assert state.n.tolist() == [len(siou), len(ppv)]
    np.testing.assert_allclose(state.sums, [siou.sum(), ppv.sum()], atol=1e-12)
    f1 = []
    for tau in TAUS:
        tp = (siou > tau + 1e-12).sum()
        fn, fp = len(siou) - tp, (ppv <= tau + 1e-12).sum()
        f1.append(2 * tp / (2 * tp + fn + fp) if tp + fn + fp else np.nan)
    np.testing.assert_allclose(state.f1, f1, atol=1e-12)


@given(st.lists(st.tuples(masks, masks), min_size=2, max_size=4))
@settings(max_examples=20, deadline=None)
def test_states_add_up(images):
    whole, merged = ComponentState(), ComponentState()
    for predicted, truth in images:
        whole.update(predicted, truth)
        one = ComponentState()
        one.update(predicted, truth)
        merged.merge(one)
    assert merged.compute() == pytest.approx(whole.compute(), nan_ok=True)


def test_a_prediction_over_two_objects_is_excused_the_other():
    truth = np.zeros((5, 9), bool)
    truth[1:4, 1:4] = truth[1:4, 5:8] = True
    predicted = np.zeros_like(truth)
    predicted[1:4, 1:8] = True
    state = ComponentState()
    state.update(predicted, truth)
    found = state.compute()
    assert found["siou"] == pytest.approx(9 / 12), "plain IoU would be 9/21"
    assert found["ppv"] == pytest.approx(18 / 21)


def test_small_components():
    truth = np.zeros((6, 8), bool)
    truth[0, 0] = True
    truth[3:6, 3:6] = True
    predicted = truth.copy()
    predicted[0, 7] = True
    state = ComponentState(min_true=2, min_predicted=2)
    state.update(predicted, truth)
    assert state.n.tolist() == [1, 1]
    assert state.compute() == {"siou": 1.0, "ppv": 1.0, "mean_f1": 1.0}
    with pytest.raises(InputError, match="smallest sizes"):
        state.merge(ComponentState())


def test_undefined_and_bad_input():
    state = ComponentState()
    state.update(np.zeros((3, 3), bool), np.zeros((3, 3), bool))
    assert all(np.isnan(v) for v in state.compute().values())
    assert set(state.reasons()) == {"siou", "ppv", "mean_f1"}
    state.update(np.ones((3, 3), bool), np.zeros((3, 3), bool))
    assert state.compute()["ppv"] == 0.0
    assert set(state.reasons()) == {"siou"}
    with pytest.raises(InputError, match="differ"):
        state.update(np.zeros((3, 3), bool), np.zeros((2, 3), bool))
