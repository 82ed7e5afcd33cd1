"""One state for everything: it adds up, leaves void out, and goes to disk and back."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubio.core.errors import InputError
from dubio.core.records import SegPrediction
from dubio.reliability.accuracy import ConfusionState
from dubio.reliability.confidence import calibration_error
from dubio.reliability.evaluate import class_scores, evaluate, state_of
from dubio.reliability.outcome import judged
from dubio.reliability.ranking import Ranking
from dubio.reliability.state import ReliabilityState
from dubio.uncertainty.pixel import SCORES

from .helpers import assert_same, scene, softmax, state_of_scenes


def stored(state):
    file = io.BytesIO()
    np.savez_compressed(file, **state.to_arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as data:
        return ReliabilityState.from_arrays({k: data[k] for k in data.files})


@given(st.lists(st.integers(0, 40), min_size=2, max_size=5, unique=True), st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_merged_parts_are_the_whole(seeds, cut):
    whole = state_of_scenes(seeds)
    merged = ReliabilityState(5)
    for part in (seeds[:cut], seeds[cut:]):
        if part:
            merged.merge(stored(state_of_scenes(part)))
    assert_same(merged.compute(), whole.compute())
    backwards = state_of_scenes(seeds[::-1])
    assert_same(backwards.compute(), whole.compute())
    assert merged.mean_scores() == pytest.approx(whole.mean_scores())


def test_disk_and_back_loses_nothing():
    prediction, label = scene(1, size=(64, 96))
    state = ReliabilityState(5)
    rng = np.random.default_rng(0)
    extra = {"distance": rng.random(label.shape, np.float32)}
    state.update(prediction, label, unknown=rng.random(label.shape) < 0.1, extra=extra)
    back = stored(state)
    assert_same(back.compute(), state.compute(), rtol=0)
    assert back.compute()["reasons"] == state.compute()["reasons"]
    assert back.mean_scores() == state.mean_scores()
    for name, values in state.live_arrays().items():
        np.testing.assert_array_equal(back.live_arrays()[name], values)


def test_damaged_arrays_are_refused():
    arrays = state_of_scenes([0]).to_arrays()
    for name in ("sizes", "losses", "fine.steps", "ranking.energy.counts"):
        with pytest.raises(InputError, match=r"missing|damaged"):
            ReliabilityState.from_arrays({k: v for k, v in arrays.items() if k != name})
    with pytest.raises(InputError, match="format 9"):
        ReliabilityState.from_arrays({**arrays, "format": np.array(9)})
    wrong = {**arrays, "confusion.steps": arrays["confusion.steps"] + np.uint8(200)}
    with pytest.raises(InputError, match="damaged"):
        ReliabilityState.from_arrays(wrong)


def test_defect_void_counts_nowhere():
    """The released rejection ratio took void for errors, its image scores averaged over it."""
    prediction, label = scene(2, void=0.3)
    keep = (label < 5).reshape(-1)
    flat = np.asarray(prediction.scores).reshape(5, -1)[:, keep]
    with_void, without = ReliabilityState(5), ReliabilityState(5)
    with_void.update(prediction, label)
    without.update(SegPrediction(5, flat[:, None], "logits"), label.reshape(-1)[keep][None])
    assert_same(with_void.compute(), without.compute())
    assert with_void.mean_scores() == pytest.approx(without.mean_scores())
    signed = np.where(label > 4, -1, label).astype(np.int64)
    other = ReliabilityState(5)
    other.update(prediction, signed)
    assert_same(with_void.compute(), other.compute())


def test_a_channel_without_a_class_is_an_error():
    scores = np.zeros((3, 1, 2), np.float32)
    scores[2, 0, 0] = 5
    scores[0, 0, 1] = 5
    state = ReliabilityState(2)
    state.update(SegPrediction(2, scores, "logits"), np.array([[0, 0]]))
    assert state.confusion.counts.tolist() == [[1, 0, 1], [0, 0, 0]]
    found = state.compute()
    assert found["accuracy"] == 0.5
    assert found["iou"][0] == 0.5
    assert np.isnan(found["iou"][1])
    assert found["class_accuracy"][0] == 0.5


def test_unknown_pixels():
    prediction, label = scene(3)
    unknown = np.zeros(label.shape, bool)
    unknown[:4] = True
    extra = {"oracle": unknown.astype(np.float32) * 3 - 1}
    state = ReliabilityState(5)
    state.update(prediction, label, unknown=unknown, extra=extra)
    found = state.compute()
    assert found["unknown_pixels"] == unknown.sum()
    assert found["pixels"] == ((label < 5) & ~unknown).sum()
    assert found["ood_auroc.oracle"] == 1.0
    assert found["ood_fpr95.oracle"] == 0.0
    assert found["ood_aupr_out.oracle"] == found["ood_aupr_in.oracle"] == 1.0
    assert 0.3 < found["ood_auroc.max_prob"] < 0.7
    plain = ReliabilityState(5)
    plain.update(prediction, np.where(unknown, 255, label))
    assert plain.compute()["prr.max_prob"] == found["prr.max_prob"]
    assert plain.compute()["reasons"]["ood_auroc.energy"] == "there is no pixel of an unknown class"


def test_probabilities_tell_no_energy():
    prediction, label = scene(4)
    p = np.moveaxis(softmax(np.moveaxis(prediction.scores, 0, -1)), -1, 0).astype(np.float32)
    state, logits = ReliabilityState(5), ReliabilityState(5)
    state.update(SegPrediction(5, p, "probabilities"), label)
    logits.update(prediction, label)
    a, b = state.compute(), logits.compute()
    assert np.isnan(a["auroc.energy"])
    assert a["reasons"]["auroc.energy"] == "the predictions don't tell the score 'energy'"
    for name in ("accuracy", "ece", "ks", "nll", "brier", "prr.max_prob", "prr.entropy", "classwise_ece"):
        assert a[name] == pytest.approx(b[name], abs=1e-3)
    assert state.renormalised == 0
    # where a class map hides the logits, their scores may be given
    state = ReliabilityState(5)
    given_energy = -np.log(np.exp(prediction.scores).sum(0))
    state.update(SegPrediction(5, p, "probabilities"), label, extra={"energy": given_energy})
    assert state.compute()["prr.energy"] == pytest.approx(b["prr.energy"], abs=1e-3)


def test_a_score_of_some_images_only_is_undefined():
    a, b = state_of_scenes([1]), ReliabilityState(5)
    prediction, label = scene(2)
    b.update(prediction, label, extra={"more": np.ones(label.shape)})
    a.merge(b)
    found = a.compute()
    assert np.isnan(found["prr.more"])
    assert "pixels only" in found["reasons"]["prr.more"]


def test_defect_scores_that_do_not_sum_to_one_are_renormalised():
    """Scores above one fell in no bin and were dropped."""
    prediction, label = scene(5)
    p = np.moveaxis(softmax(np.moveaxis(prediction.scores, 0, -1)), -1, 0).astype(np.float32)
    right, scaled = ReliabilityState(5), ReliabilityState(5)
    right.update(SegPrediction(5, p, "probabilities"), label)
    scaled.update(SegPrediction(5, p * np.float32(1.7), "probabilities"), label)
    assert scaled.renormalised == 1
    assert_same(right.compute(), scaled.compute(), rtol=1e-4)
    empty = ReliabilityState(2)
    empty.update(SegPrediction(2, np.zeros((2, 1, 1), np.float32), "probabilities"), np.array([[0]]))
    assert empty.compute()["mean_confidence"] == 0.5, "no score at all is no certainty"


def test_bad_input_leaves_the_state_as_it_was():
    prediction, label = scene(6)
    state = ReliabilityState(5)
    with pytest.raises(InputError, match="image 6: labels of shape"):
        state.update(prediction, label[:-1])
    with pytest.raises(InputError, match="another size"):
        state.update(prediction, label, extra={"x": np.full(label.shape, np.nan)})
    with pytest.raises(InputError, match="itself tells the score"):
        state.update(prediction, label, extra={"entropy": np.ones(label.shape)})
    with pytest.raises(InputError, match="label map"):
        state.update(SegPrediction(5, label_map=label), label)
    with pytest.raises(InputError, match="give integers"):
        state.update(prediction, label.astype(float))
    broken = np.array(prediction.scores)
    broken[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="not numbers"):
        state.update(SegPrediction(5, broken, "logits"), label)
    assert state.images == state.pixels == 0
    assert not any(v.any() for v in state.live_arrays().values())
    with pytest.raises(InputError, match="no score 'odd'"):
        ReliabilityState(5, scores=("odd",))
    with pytest.raises(InputError, match="can't be merged"):
        state.merge(ReliabilityState(4))


def test_nothing_seen_is_all_undefined_with_reasons():
    found = ReliabilityState(3).compute()
    assert found["pixels"] == 0
    undefined = {k for k, v in found.items() if isinstance(v, float)}
    assert all(np.isnan(found[k]) for k in undefined)
    assert undefined == set(found["reasons"])
    assert all(found["reasons"].values())
    assert {f"prr.{s}" for s in SCORES} < undefined


def test_classes_left_out():
    label, pred = np.array([0, 0, 1, 1, 2]), np.array([0, 2, 1, 1, 2])
    state = ConfusionState(3)
    state.update(pred, label)
    assert state.iou.tolist() == [0.5, 1.0, 0.5]
    assert state.mean_iou(leave_out=[2]) == 0.75
    assert state.mean_accuracy(leave_out=[2]) == 0.75
    assert state.accuracy == 0.8, "pixels predicted so stay wrong"
    found = state.compute(leave_out=[2])
    assert np.isnan(found["iou"][2])
    assert state.reasons(leave_out=[0, 1, 2])["mean_iou"].startswith("no class")
    with pytest.raises(InputError, match="can't be merged"):
        state.merge(ConfusionState(2))


def test_defect_classes_that_an_image_does_not_show():
    """A predicted class without a label halved the mean IoU of an image; and all figures are fractions."""
    state = ConfusionState(3)
    state.update(np.array([0] * 98 + [1, 1]), np.zeros(100, int))
    assert state.mean_iou() == pytest.approx(0.49)
    assert state.mean_iou_present() == pytest.approx(0.98)
    assert state.accuracy == pytest.approx(0.98)
    assert state.mean_accuracy() == pytest.approx(0.98)
    assert np.isnan(ConfusionState(3).mean_iou_present())


def test_tensors_are_taken():
    torch = pytest.importorskip("torch")
    label = torch.tensor([[0, 1, 255]])
    assert judged(torch.tensor([[0, 0, 0]]), label, 2).code.tolist() == [0, 1, 3]
    assert calibration_error(torch.tensor([0.5, 1.0]), torch.tensor([True, True])) == 0.25
    assert Ranking.of(torch.tensor([0.1, 0.9]), torch.tensor([False, True])).auroc == 1.0


def test_sampled_logits_give_the_same_figures():
    prediction, label = scene(7)
    state = ReliabilityState(5)
    state.update(prediction, label)
    flat = np.asarray(prediction.scores).reshape(5, -1).T
    assert_same(evaluate(flat, label.reshape(-1), 5), state.compute())
    with pytest.raises(InputError, match="don't fit"):
        evaluate(flat, label, 5)


def test_sampled_logits_under_a_class_map():
    """The probability of a class is the sum over its channels; the energy stays."""
    prediction, label = scene(8, channels=7)
    flat = np.asarray(prediction.scores, np.float64).reshape(7, -1).T
    targets = [0, 1, 2, 2, 3, 5, 4]  # channel 5 has no class
    p = softmax(flat)
    merged = np.stack([p[:, [0]].sum(1), p[:, 1], p[:, 2:4].sum(1), p[:, 4], p[:, 6], p[:, 5]], 1)
    found = class_scores(flat, 5, targets)
    np.testing.assert_allclose(softmax(found), merged, atol=1e-6)
    np.testing.assert_allclose(np.exp(found).sum(1), np.exp(flat).sum(1), rtol=1e-5)
    np.testing.assert_allclose(class_scores(p, 5, targets, "probabilities"), merged, atol=1e-6)
    state = state_of(flat, label.reshape(-1), 5, targets=targets)
    y = label.reshape(-1)
    known = y < 5
    assert state.compute()["accuracy"] == pytest.approx((merged.argmax(1) == y)[known].mean())
    nll = -np.log(merged[known, y[known]]).mean()
    assert state.compute()["nll"] == pytest.approx(nll, rel=1e-5)
    by_probability = evaluate(p, y, 5, targets=targets, kind="probabilities")
    assert by_probability["ece"] == pytest.approx(state.compute()["ece"], abs=1e-5)
    with pytest.raises(InputError, match="class map of 2"):
        evaluate(flat, y, 5, targets=[0, 1])


def test_a_class_that_no_channel_stands_for_is_never_right():
    found = evaluate(np.zeros((2, 2), np.float32), np.array([0, 2]), 3, targets=[0, 1])
    assert found["accuracy"] == 0.5
    assert found["nll"] > 40
    assert np.isfinite(found["nll"])
