"""Suspicion beside what was learned: it moves the ranking, and the odds stay calibrated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dubio.errors.boxes.feature_names import FEATURES, INDEX
from dubio.errors.boxes.traits import BOXES
from dubio.errors.kind_odds import kind_odds

KINDS = len(BOXES.calls)
PLANTED = np.full(KINDS, 1 / KINDS)


def scene(seed: int, n: int = 4000):
    """Rows with a learned score and a suspicion that each know a part of the truth."""
    rng = np.random.default_rng(seed)
    kind = np.where(rng.random(n) < 0.3, rng.integers(0, KINDS, n), -1).astype(np.int8)
    z = rng.normal(size=n) + 1.5 * (kind >= 0)
    x = np.zeros((n, len(FEATURES)))
    for k, name in enumerate(BOXES.calls):
        x[:, INDEX[f"suspect_{name}"]] = 1 / (1 + np.exp(-rng.normal(-1 + 2 * (kind == k), 1, n)))
    p = rng.dirichlet(np.ones(KINDS), n)
    return kind, (z, p, x)


def odds(trust, kind, rows, weight=None):
    weight = np.ones(len(kind)) if weight is None else weight
    return kind_odds(replace(BOXES, trust=trust), rows, rows, kind, weight, PLANTED)


def test_without_trust_the_learned_odds_stand_alone():
    kind, rows = scene(0)
    z, p, _ = rows
    found = odds((), kind, rows)
    assert np.allclose(found.given, z[:, None] + np.log(p * KINDS))
    assert np.array_equal(found.given, found.learned)


@pytest.mark.parametrize("k", range(KINDS))
def test_odds_with_suspicion_are_likelihood_ratios(k):
    kind, rows = scene(1, 20000)
    found = odds((1.0, 0.25, 0.5, 0.25, 0.25), kind, rows)
    mine = (kind == k) | (kind < 0)
    share = (kind[mine] == k).mean()
    p = 1 / (1 + np.exp(-(found.given[mine, k] + np.log(share / (1 - share)))))
    order = np.argsort(p)
    for part in np.array_split(order[len(order) // 2 :], 5):
        assert p[part].mean() == pytest.approx((kind[mine][part] == k).mean(), abs=0.05)


def test_suspicion_moves_what_was_learned_alike():
    kind, (z, p, x) = scene(2)
    found = odds((1.0,) * KINDS, kind, (np.zeros_like(z), np.full_like(p, 1 / KINDS), x))
    for k, name in enumerate(BOXES.calls):
        by = x[:, INDEX[f"suspect_{name}"]]
        assert np.array_equal(np.argsort(by, kind="stable"), np.argsort(found.given[:, k], kind="stable"))


def test_kinds_that_cannot_be_stay_out():
    kind, (z, p, x) = scene(3)
    p[:100, 1] = 0
    found = odds((0.5,) * KINDS, kind, (z, p, x))
    assert (np.exp(found.given[:100, 1]) < 1e-9).all()


def test_a_kind_that_was_never_planted_does_no_harm():
    kind, rows = scene(4)
    kind[kind == 3] = -1
    assert np.isfinite(odds((0.5,) * KINDS, kind, rows).given).all()
