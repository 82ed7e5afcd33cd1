"""Intervals over images."""

from __future__ import annotations

import numpy as np
import pytest

from dubio.core.errors import InputError
from dubio.reliability.bootstrap import DEFAULT, Bootstrap, bootstrap
from dubio.reliability.replicate import PLAIN, RANKED
from dubio.reliability.state import ReliabilityState
from dubio.reliability.summary import OOD_METRICS

from .helpers import scene


@pytest.fixture(scope="module")
def states():
    found = []
    for seed in range(30):
        prediction, label = scene(seed, sharp=1 + seed % 3)
        state = ReliabilityState(5)
        unknown = np.random.default_rng(seed).random(label.shape) < 0.05
        state.update(prediction, label, unknown=unknown)
        found.append(state)
    return found


@pytest.fixture(scope="module")
def whole(states):
    total = ReliabilityState(5)
    for state in states:
        total.merge(state)
    return total


def test_values_are_those_of_all_images(states, whole):
    names = [*PLAIN, *(f"{m}.{s}" for m in (*RANKED, *OOD_METRICS) for s in ("max_prob", "energy"))]
    found = bootstrap(states, names, n=50)
    values = whole.compute()
    assert list(found) == names
    for name in names:
        i = found[name]
        assert i.value == pytest.approx(values[name], abs=1e-6), name
        assert i.low <= i.high
        assert i.low - 0.05 <= i.value <= i.high + 0.05, name


def test_replicates_are_the_metrics_of_drawn_images(states, whole):
    """Draws by hand: images added up as often as they are drawn."""
    rng = np.random.default_rng(5)
    by_hand = {name: [] for name in ("accuracy", "mean_iou", "ece", "ks", "prr.max_prob", "aurc.energy")}
    for _ in range(150):
        total = ReliabilityState(5)
        for k in rng.integers(0, len(states), len(states)):
            total.merge(states[k])
        values = total.compute()
        for name, rows in by_hand.items():
            rows.append(values[name])
    found = bootstrap(states, list(by_hand), n=2000)
    for name, rows in by_hand.items():
        low, high = np.quantile(rows, [0.05, 0.95])
        slack = 0.35 * (high - low)
        assert found[name].low == pytest.approx(low, abs=slack), name
        assert found[name].high == pytest.approx(high, abs=slack), name


def test_seeds_and_names(states):
    boot = Bootstrap(DEFAULT)
    for state in states[:8]:
        boot.add(state)
    assert len(boot) == 8
    first = boot.intervals(replicates=100, seed=3)
    assert first == boot.intervals(replicates=100, seed=3)
    assert first != boot.intervals(replicates=100, seed=4)
    assert set(first) == set(DEFAULT)
    full = bootstrap(states[:8], ["prr.max_prob"], n=100, seed=3)["prr.max_prob"]
    assert first["prr"] == (full.low, full.high)


def test_one_image_has_no_spread(states):
    found = bootstrap(states[:1], ["accuracy", "prr"], n=20)
    for i in found.values():
        assert i.low == pytest.approx(i.value)
        assert i.high == pytest.approx(i.value)


def test_undefined_has_no_interval():
    state = ReliabilityState(2)
    state.confusion.update(np.array([1]), np.array([1]))
    boot = Bootstrap(["accuracy", "ece", "prr", "ood_auroc.none"])
    boot.add(state)
    assert boot.intervals(replicates=10) == {"accuracy": (1.0, 1.0)}
    assert np.isnan(boot.summary(replicates=10)["prr"].value)


def test_bad_requests():
    with pytest.raises(InputError, match="no interval for 'adaptive_ece'"):
        Bootstrap(["adaptive_ece"])
    with pytest.raises(InputError, match="no images"):
        bootstrap([])
