"""The published figures, reproduced (../shared/spec/1_reliability.md, section 5.3)."""

from __future__ import annotations

import numpy as np
import pytest

from dubio.reliability.accuracy import ConfusionState
from dubio.reliability.confidence import (
    calibration_error,
    classwise_calibration_error,
    classwise_ks_error,
    ks_error,
    negative_log_likelihood,
)
from dubio.reliability.evaluate import evaluate
from dubio.reliability.ood import image_ood
from dubio.reliability.ranking import Ranking
from dubio.uncertainty.pixel import score_columns

from .helpers import CASES, entropy, oracle, softmax


@pytest.fixture(params=CASES)
def case(request, shared):
    data = oracle(shared, f"metrics_{request.param}")
    known = data["labels"] < data["logits"].shape[1]
    p = softmax(data["logits"])[known]
    y = data["labels"][known]
    return {**data, "name": request.param, "p": p, "y": y, "conf": p.max(1), "right": p.argmax(1) == y}


@pytest.mark.parametrize("bins", [5, 10, 15, 20, 50])
def test_ece_of_equal_widths(case, bins):
    assert calibration_error(case["conf"], case["right"], bins) == pytest.approx(
        case[f"ece_eqsize_b{bins}"][0], abs=1e-6
    )


@pytest.mark.parametrize("bins", [5, 10, 15, 20, 50])
def test_ece_of_equal_populations(case, bins):
    """Ours keeps the least confident samples, which the published rule drops: that much may differ."""
    conf, right = case["conf"], case["right"]
    least = conf == conf.min()
    theirs = case[f"ece_eqpop_b{bins}"][0]
    dropped = np.abs(conf[least] - right[least]).sum() / len(conf)
    assert calibration_error(conf, right, bins, "population") == pytest.approx(theirs, abs=dropped + 1e-6)
    # with the dropped samples taken out of the sums, but not of the number, it is theirs
    edges = np.interp(np.linspace(0, len(conf), bins + 1), np.arange(len(conf)), np.sort(conf))
    place = np.clip(np.searchsorted(edges, conf, side="left") - 1, 0, bins - 1)
    gaps = np.bincount(place[~least], (conf - right)[~least], bins)
    assert np.abs(gaps).sum() / len(conf) == pytest.approx(theirs, abs=1e-6)


def test_ks_and_classwise(case):
    assert ks_error(case["conf"], case["right"]) == pytest.approx(float(case["ks"]), abs=1e-6)
    np.testing.assert_allclose(classwise_ks_error(case["p"], case["y"]), case["cw_ks"], atol=1e-6)
    found = classwise_calibration_error(case["p"], case["y"])
    np.testing.assert_allclose(found, case["cw_ece_eqsize_b15"], atol=1e-6)


def test_likelihood_and_error_rate(case):
    found = negative_log_likelihood(np.log(np.maximum(case["p"], 1e-300)), case["y"])
    assert found == pytest.approx(float(case["nll"]), rel=1e-6)
    assert 1 - case["right"].mean() == pytest.approx(float(case["error_rate"]), abs=1e-12)


def test_rejection_ratio(case):
    """Exact, with the published single-precision softmax: its ties near one are part of the figure."""
    torch = pytest.importorskip("torch")
    known = case["labels"] < case["logits"].shape[1]
    p = torch.softmax(torch.from_numpy(case["logits"][known]), 1).numpy()
    doubt = {"prob": -p.max(1), "entropy": -(p * np.log(p + 1e-16)).sum(1)}
    for name, score in doubt.items():
        r = Ranking.of(score, ~case["right"])
        assert r.prr == pytest.approx(float(case[f"prr_{name}_TRUE"]) / 100, abs=1e-9)


def test_defect_released_rejection_ratio_mixes_in_the_error_rate(case):
    """The released number is (1 - e) / (1 - e / 100) of the true one; counting void makes it worse."""
    e = float(case["error_rate"])
    for name in ("prob", "entropy"):
        released = float(case[f"prr_{name}_voidfiltered"])
        true = float(case[f"prr_{name}_TRUE"])
        # the released area is a sum over samples: coarse when they are few
        assert released == pytest.approx(
            true * (1 - e) / (1 - e / 100), abs=0.01 if len(case["y"]) > 3000 else 1
        )


def test_stream_agrees_with_arrays(case):
    """The histograms of a ReliabilityState: exact where bins are, 1e-3 where rankings are."""
    c = case["logits"].shape[1]
    found = evaluate(case["logits"], case["labels"], c)
    assert found["pixels"] == len(case["y"])
    assert found["ece"] == pytest.approx(case["ece_eqsize_b15"][0], abs=1e-6)
    ours = calibration_error(case["conf"], case["right"], 15, "population")
    assert found["adaptive_ece"] == pytest.approx(ours, abs=2e-3 if len(case["y"]) > 100 else 0.02)
    assert found["ks"] == pytest.approx(float(case["ks"]), abs=1e-3)
    assert found["classwise_ece"] == pytest.approx(case["cw_ece_eqsize_b15"].mean(), abs=1e-6)
    assert found["nll"] == pytest.approx(float(case["nll"]), rel=1e-5)
    assert found["prr.max_prob"] == pytest.approx(float(case["prr_prob_TRUE"]) / 100, abs=1e-3)
    assert found["prr.entropy"] == pytest.approx(float(case["prr_entropy_TRUE"]) / 100, abs=1e-3)


def test_entropy_map(shared):
    data = oracle(shared, "entropy_map")
    p = data["probs"][0]
    found = score_columns(p.reshape(len(p), -1), False, len(p)).entropy.reshape(p.shape[1:])
    np.testing.assert_allclose(found, data["entropy"][0], atol=1e-6)


def test_image_and_pixel_detection(shared):
    data = oracle(shared, "ood")
    known = data["is_id"] == 1
    p = softmax(data["logits"])
    np.testing.assert_allclose(p.max(-1).mean(1), data["conf_prob"], atol=1e-6)
    np.testing.assert_allclose(-entropy(p).mean(1), data["conf_negent"], atol=1e-6)
    for name in ("prob", "negent"):
        score = -data[f"conf_{name}"]
        found = image_ood(score[known], score[~known])
        assert found["auroc"] == pytest.approx(float(data[f"auroc_{name}"]), abs=1e-12)
    local = Ranking.of(-data["local_conf"], data["local_id"] == 0)
    assert local.auroc == pytest.approx(float(data["local_auroc"]), abs=1e-12)


def test_accuracy_and_iou(shared):
    data = oracle(shared, "iou_acc")
    state = ConfusionState(19)
    state.update(data["pred"], data["label"])
    np.testing.assert_array_equal(state.counts[:, :19], data["hist"])
    np.testing.assert_array_equal(state.iou, data["iou"])
    assert 100 * state.accuracy == float(data["pixel_acc"])
    assert state.mean_accuracy() == pytest.approx(float(data["mean_acc"]), abs=1e-15)
    assert state.mean_iou() == pytest.approx(np.nanmean(data["iou"]), abs=1e-15)


def test_defect_undefined_and_degenerate_cases(shared):
    """The published code: 0 or an exception without samples, 0 for a constant confidence."""
    data = oracle(shared, "edge_cases")
    conf = softmax(data["logits"]).max(1)
    assert calibration_error(conf, np.ones(len(conf), bool)) == pytest.approx(
        float(data["alltrue_ece"][0]), abs=1e-6
    )
    wrong = calibration_error(conf, np.zeros(len(conf), bool))
    assert wrong == pytest.approx(float(data["allwrong_ece"][0]), abs=1e-6)
    for marks in (np.zeros, np.ones):  # ZeroDivisionError; 0.0
        r = Ranking.of(-conf, marks(len(conf), bool))
        assert np.isnan(r.prr)
        assert r.reasons()["prr"].startswith("there is no")
    void = evaluate(data["logits"], np.full(len(conf), 255), 7)  # 0.0; ValueError; ValueError
    for name in ("ece", "adaptive_ece", "ks", "accuracy", "prr.max_prob", "nll"):
        assert np.isnan(void[name])
        assert void["reasons"][name]


def test_defect_perfect_ranking_scores_one(shared):
    """Released: 99 … 20 % for a perfect ranking at error rates of 1 … 80 %."""
    for share, released, *_ in oracle(shared, "edge_cases")["perfectranking_prr_err50"]:
        n = 1000
        wrong = np.arange(n) < round(n * (share / 100 if share > 1 else share))
        assert Ranking.of(wrong + 0.0, wrong).prr == 1.0
        assert released < 99.5
