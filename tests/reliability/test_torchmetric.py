"""The metrics as torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest

from dubio.core.errors import InputError

from .helpers import scene, state_of_scenes

torch = pytest.importorskip("torch")
torchmetrics = pytest.importorskip("torchmetrics")
torchmetric = pytest.importorskip("dubio.reliability.torchmetric")

NAMES = ("accuracy", "mean_iou", "ece", "adaptive_ece", "ks", "nll", "brier", "prr.max_prob", "auroc.energy")


def batch(seeds):
    made = [scene(seed) for seed in seeds]
    return (
        torch.from_numpy(np.stack([p.scores for p, _ in made])),
        torch.from_numpy(np.stack([label for _, label in made])).long(),
    )


def test_like_the_states():
    metric = torchmetric.ReliabilityMetric(5, metrics=NAMES)
    metric.update(*batch([0, 1]))
    metric.update(*batch([2]))
    expected = state_of_scenes([0, 1, 2])
    found = metric.compute()
    for name in NAMES:
        assert found[name].item() == pytest.approx(expected.compute()[name], abs=1e-12)
    assert metric.state().images == 3
    assert metric.state().mean_scores() == pytest.approx(expected.mean_scores())


def test_forward_gives_the_batch_and_keeps_the_whole():
    metric = torchmetric.ReliabilityMetric(5, metrics=("ece",))
    first = metric(*batch([0]))["ece"].item()
    second = metric(*batch([1]))["ece"].item()
    assert first == pytest.approx(state_of_scenes([0]).compute()["ece"], abs=1e-12)
    assert second == pytest.approx(state_of_scenes([1]).compute()["ece"], abs=1e-12)
    both = state_of_scenes([0, 1]).compute()["ece"]
    assert metric.compute()["ece"].item() == pytest.approx(both, abs=1e-12)
    metric.reset()
    assert metric.state().pixels == 0
    metric.update(*batch([1]))
    assert metric.compute()["ece"].item() == pytest.approx(second, abs=1e-12)


def test_states_are_summed_across_processes():
    """What torch.distributed would do: every state is reduced by a sum."""
    parts = [torchmetric.ReliabilityMetric(5, metrics=NAMES) for _ in range(2)]
    for metric, seeds in zip(parts, ([0, 1], [2]), strict=True):
        metric.update(*batch(seeds))
    whole = torchmetric.ReliabilityMetric(5, metrics=NAMES)
    for name, reduce in whole._reductions.items():
        assert reduce is torchmetrics.utilities.dim_zero_sum
        setattr(whole, name, reduce(torch.stack([getattr(m, name) for m in parts])))
        assert getattr(whole, name).dtype in (torch.int64, torch.float64)
    whole._update_count = 1
    expected = state_of_scenes([0, 1, 2]).compute()
    for name, value in whole.compute().items():
        assert value.item() == pytest.approx(expected[name], abs=1e-12)


def test_in_a_collection():
    both = torchmetrics.MetricCollection(
        {
            "calibration": torchmetric.ReliabilityMetric(5, metrics=("ece", "ks")),
            "accuracy": torchmetric.ReliabilityMetric(5, metrics=("accuracy",)),
            "theirs": torchmetrics.classification.MulticlassAccuracy(5, average="micro", ignore_index=255),
        }
    )
    for seeds in ([3], [4, 5]):
        both.update(*batch(seeds))
    found = {name: value.item() for name, value in both.compute().items()}
    expected = state_of_scenes([3, 4, 5]).compute()
    for name in ("ece", "ks", "accuracy"):
        (value,) = [v for k, v in found.items() if k.endswith(name)]
        assert value == pytest.approx(expected[name], abs=1e-12)
    assert found["theirs"] == pytest.approx(expected["accuracy"], abs=1e-6)


def test_the_ignored_label():
    scores, labels = batch([3])
    metric = torchmetric.ReliabilityMetric(5, metrics=("accuracy",), ignore_index=4)
    found = metric(scores, labels)["accuracy"].item()
    right = (scores.argmax(1) == labels)[labels < 4]
    assert found == pytest.approx(right.double().mean().item())


def test_half_precision_gradients_and_shapes():
    scores, labels = batch([4])
    metric = torchmetric.ReliabilityMetric(5, metrics=("accuracy",))
    metric.update(scores.bfloat16().requires_grad_(), labels)
    assert 0 < metric.compute()["accuracy"].item() < 1
    void = torchmetric.ReliabilityMetric(5)
    void.update(scores, torch.full_like(labels, 255))
    assert void.compute()["ece"].isnan()
    with pytest.raises(InputError, match="don't fit"):
        metric.update(scores[0], labels[0])
