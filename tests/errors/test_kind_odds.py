"""Suspicion beside what was learned: it moves the ranking, and the odds are ratios of densities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio.errors.boxes.feature_names import FEATURES, INDEX
from dubio.errors.boxes.traits import BOXES
from dubio.errors.kind_odds import kind_odds, likelihood_ratio

KINDS = len(BOXES.calls)
PLANTED = np.full(KINDS, 1 / KINDS)


def scene(seed: int, n: int = 4000, share: float = 0.3):
    """Rows with a learned score and a suspicion that each know a part of the truth."""
    rng = np.random.default_rng(seed)
    kind = np.where(rng.random(n) < share, rng.integers(0, KINDS, n), -1).astype(np.int8)
    z = rng.normal(size=n) + 1.5 * (kind >= 0)
    x = np.zeros((n, len(FEATURES)))
    for k, name in enumerate(BOXES.calls):
        x[:, INDEX[f"suspect_{name}"]] = 1 / (1 + np.exp(-rng.normal(-1 + 2 * (kind == k), 1, n)))
    p = rng.dirichlet(np.ones(KINDS), n)
    return kind, (z, p, x)


def odds(trust, kind, rows, places=None):
    given_places = rows if places is None else places
    return kind_odds(replace(BOXES, trust=trust), given_places, rows, kind, np.ones(len(kind)), PLANTED)


def ranking(values):
    return np.argsort(values, kind="stable")


def test_without_trust_what_was_learned_decides_the_order():
    kind, rows = scene(0)
    z, p, _ = rows
    found = odds((), kind, rows)
    for k in range(KINDS):
        assert np.array_equal(ranking(found.given[:, k]), ranking(z + np.log(p[:, k] * KINDS)))


@pytest.mark.parametrize("k", range(KINDS))
def test_odds_times_the_share_are_probabilities(k):
    """Places as given hold errors too: the odds are against all of them, and their number comes out."""
    kind, rows = scene(1, 20000)
    truth, places = scene(2, 20000, share=0.1)
    found = odds((0.5, 0.25, 0.5, 0.25, 0.25), kind, rows, places)
    mine = truth == k
    p = np.minimum(mine.mean() * np.exp(found.given[:, k]), 1)
    assert p.sum() == pytest.approx(mine.sum(), rel=0.15)
    for part in np.array_split(ranking(p)[-4000:], 4):
        assert p[part].sum() == pytest.approx(mine[part].sum(), abs=3 * np.sqrt(mine[part].sum()))


def test_suspicion_moves_what_was_learned():
    kind, (z, p, x) = scene(2)
    found = odds((1.0,) * KINDS, kind, (np.zeros_like(z), np.full_like(p, 1 / KINDS), x))
    for k, name in enumerate(BOXES.calls):
        by = x[:, INDEX[f"suspect_{name}"]]
        assert np.array_equal(ranking(by), ranking(found.given[:, k]))


def test_kinds_that_cannot_be_stay_out():
    kind, (z, p, x) = scene(3)
    p[:100, 1] = 0
    found = odds((0.5,) * KINDS, kind, (z, p, x))
    assert (np.exp(found.given[:100, 1]) < 1e-9).all()


def test_a_kind_that_was_never_planted_does_no_harm():
    kind, rows = scene(4)
    kind[kind == 3] = -1
    assert np.isfinite(odds((0.5,) * KINDS, kind, rows).given).all()


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 60))
def test_ratio_rises_and_its_mean_over_all_places_is_about_one(seed, n, m):
    rng = np.random.default_rng(seed)
    known, every = rng.normal(1, 1, n), rng.normal(0, 1, m)
    ratio = likelihood_ratio(known, rng.random(n) + 0.1, every)
    at = np.sort(np.concatenate([known, every]))
    assert np.isfinite(ratio(at)).all()
    assert (np.diff(ratio(at)) >= 0).all()
    assert np.exp(ratio(every)).mean() < 3
