"""Classes, confidence, and the file that holds a detector's calibration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dubio.calibration.boxes.bundle import DetectionCalibration, load_detection_calibration
from dubio.calibration.boxes.classes import ClassIsotonic, ClassTemperature, calibrated_classes, object_scores
from dubio.calibration.boxes.confidence import IsotonicConfidence, LogisticConfidence
from dubio.calibration.boxes.conformal import ConformalIntervals
from dubio.calibration.boxes.rows import BoxRows, rows_of
from dubio.calibration.boxes.spread import ScaleSpread
from dubio.calibration.files import load_calibrator
from dubio.core.boxes import DetPrediction
from dubio.core.errors import InputError
from dubio.reliability.boxes.class_figures import class_figures, confidence_figures
from dubio.reliability.boxes.position import by_size, detection_calibration_error


def _scores(n: int, seed: int, factor: float = 1.0, c: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Softmax of logits times a factor, and labels drawn from the softmax of the plain logits."""
    rng = np.random.default_rng(seed)
    z = 1.5 * rng.normal(size=(n, c))
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    labels = np.minimum((rng.random(n)[:, None] > p.cumsum(1)).sum(1), c - 1)
    sharp = np.exp(factor * z)
    return sharp / sharp.sum(1, keepdims=True), labels


@pytest.mark.parametrize("factor", [0.3, 1.0, 2.0, 8.0])
def test_defect_4_the_temperature_is_the_optimum(factor: float) -> None:
    p, y = _scores(4000, 0, factor)
    mine = ClassTemperature().fit(p, "softmax", y)
    assert mine.temperature[0] == pytest.approx(factor, rel=0.08)

    def nll(t: float) -> float:
        q = p ** (1 / t)
        q /= q.sum(1, keepdims=True)
        return float(-np.log(q[np.arange(len(y)), y]).mean())

    best = float(mine.temperature[0])
    assert nll(best) <= min(nll(best * 1.02), nll(best / 1.02)) + 1e-9


@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "logits"])
@pytest.mark.parametrize("per_class", [True, False])
@pytest.mark.parametrize("make", [ClassTemperature, ClassIsotonic])
def test_held_out_classes(kind: str, per_class: bool, make: type) -> None:
    def view(p: np.ndarray) -> np.ndarray:
        if kind == "softmax":
            return 0.7 * p  # a background of 0.3
        return np.log(p) if kind == "logits" else p

    (p, y), (q, truth) = _scores(6000, 1, 3.0), _scores(6000, 2, 3.0)
    mine = make(per_class).fit(view(p), kind, y)
    seen = _prediction(view(q), kind)
    found, variance = calibrated_classes(mine, seen)
    assert variance is None
    np.testing.assert_allclose(found.sum(1), 1)
    before, after = class_figures(object_scores(view(q), kind), truth), class_figures(found, truth)
    assert before["ece"] > 0.1
    assert after["ece"] < 0.03
    assert after["nll"] < before["nll"]
    back = make.restore(mine.state())
    np.testing.assert_allclose(calibrated_classes(back, seen)[0], found)


def test_absent_and_rare_classes_are_no_trouble() -> None:
    p, y = _scores(500, 0, 3.0)
    y[y == 2] = 1
    for make in (ClassTemperature, ClassIsotonic):
        found, _ = calibrated_classes(make(True).fit(p, "softmax", y), _prediction(p, "softmax"))
        assert np.isfinite(found).all()
    one = np.full((50, 1), 0.8)
    for make in (ClassTemperature, ClassIsotonic):
        found, _ = calibrated_classes(
            make().fit(one, "sigmoid", np.zeros(50, int)), _prediction(one, "sigmoid")
        )
        np.testing.assert_allclose(found, 1)
    with pytest.raises(InputError, match="known class"):
        ClassTemperature().fit(np.zeros((0, 3)), "softmax", np.zeros(0, int))


def test_defect_8_each_box_carries_its_own_spread() -> None:
    """Variances go through the calibrator box by box, and agree with a simulation where they are small."""
    p, y = _scores(2000, 0, 2.0)
    mine = ClassTemperature().fit(p, "softmax", y)
    few = np.clip(p[:6], 0.05, 1)
    few /= few.sum(1, keepdims=True)
    std = 0.01 * few * np.linspace(0.5, 2, 6)[:, None]
    seen = _prediction(few, "softmax", std**2)
    _, variance = calibrated_classes(mine, seen)
    assert variance is not None
    rng = np.random.default_rng(0)
    for k in range(6):
        draws = few[k] + std[k] * rng.normal(size=(100_000, 4))
        weight = np.exp(mine.log_weight(draws))
        q = weight / weight.sum(1, keepdims=True)
        np.testing.assert_allclose(np.sqrt(variance[k]), q.std(0), rtol=0.05)


def test_sure_and_doubtful_scores_stay_finite() -> None:
    p = np.array([[1.0, 0.0, 1e-300], [0.5, 0.5, 0.5]])
    mine = ClassTemperature()
    mine.temperature, mine.source = np.array([0.05]), "sigmoid"
    found, variance = calibrated_classes(mine, _prediction(p, "sigmoid", np.full((2, 3), 0.04)))
    assert variance is not None
    assert np.isfinite(found).all()
    assert np.isfinite(variance).all()
    assert (variance <= found * (1 - found) + 1e-12).all()


def test_defect_10_logits_are_no_probabilities() -> None:
    with pytest.raises(InputError, match="outside"):
        class_figures([[14.0, -3.0]], [0])
    found = class_figures([[0.94, 0.06]] * 100, [0] * 94 + [1] * 6)
    assert found["nll"] == pytest.approx(-0.94 * np.log(0.94) - 0.06 * np.log(0.06))


def _boxes(n: int, seed: int) -> tuple[BoxRows, np.ndarray]:
    """Detections whose precision depends on score and on size, and whether they are right."""
    rng = np.random.default_rng(seed)
    low, side = rng.uniform(0, 400, (n, 2)), np.exp(rng.uniform(1.5, 5, (n, 2)))
    score = rng.random(n)
    truth = 1 / (1 + np.exp(-(2 * np.log(score / (1 - score)) + np.log(side).sum(1) - 6.5)))
    boxes = np.concatenate([low, low + side], 1)
    rows = BoxRows(boxes, None, rng.integers(0, 2, n), score, np.full((n, 2), 640.0), 2)
    return rows, rng.random(n) < truth


def test_confidence_that_depends_on_size() -> None:
    (learn, hit), (judge, right) = _boxes(8000, 0), _boxes(8000, 1)
    errors = {}
    for name, mine in {
        "iso": IsotonicConfidence(),
        "iso class": IsotonicConfidence(True),
        "score": LogisticConfidence(position=False),
        "position": LogisticConfidence(),
    }.items():
        found = mine.fit(learn, hit).confidence(judge)
        assert confidence_figures(found, right)["ece"] < 0.03
        errors[name] = sum(abs(p - q) for _, p, q in by_size(found, right, judge.boxes).values())
        back = type(mine).restore(mine.state())
        np.testing.assert_allclose(back.confidence(judge), found)
    assert errors["position"] < 0.3 * errors["iso"]
    raw = confidence_figures(judge.scores, right)
    assert raw["ece"] > 0.04
    with pytest.raises(InputError, match="all detections are right"):
        IsotonicConfidence().fit(learn, np.ones(len(hit), bool))


def test_detection_calibration_error_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [80, 80, 90, 90], [80, 80, 90, 90.0]])
    frame, right = np.full((4, 2), 100.0), np.array([True, True, False, False])
    same = np.full(4, 0.5)
    # over all places the errors make up for each other, place by place they don't
    assert detection_calibration_error(same, right, boxes, frame, bins=(10,), least=1) == 0
    assert detection_calibration_error(same, right, boxes, frame, least=1) == 0.5
    assert np.isnan(detection_calibration_error(same, right, boxes, frame, least=3))


def _prediction(scores: np.ndarray, kind: str, variance: np.ndarray | None = None) -> DetPrediction:
    n = len(scores)
    return DetPrediction(
        np.tile([10.0, 10, 30, 50], (n, 1)), np.full(n, 0.6), scores.argmax(1), scores.shape[1],
        class_scores=scores, kind=kind, class_variance=variance,  # type: ignore[arg-type]
        box_aleatoric=np.full((n, 4), 4.0), box_epistemic=np.full((n, 4), 12.0),
        expected_entropy=np.full(n, 0.5), image_id="x",
    )  # fmt: skip


def _calibration() -> DetectionCalibration:
    rng = np.random.default_rng(0)
    p, y = _scores(400, 0, 2.0)
    rows = rows_of(_prediction(p, "softmax"), (100, 100))
    rows = BoxRows(
        rows.boxes, rows.sigma, rows.classes, rng.random(400), rows.frame, 4, rng.normal(size=(400, 4))
    )
    spread = ScaleSpread("nll", "student").fit(rows)
    return DetectionCalibration(
        ("a", "b", "c", "d"), spread, ClassTemperature().fit(p, "softmax", y),
        LogisticConfidence().fit(rows, rng.random(400) < rows.scores),
        ConformalIntervals().fit(rows, spread.sigma(rows)), about={"images": 3},
    )  # fmt: skip


def test_one_file_holds_all(tmp_path: Path) -> None:
    mine, seen = _calibration(), _prediction(_scores(5, 3)[0], "softmax", np.full((5, 4), 0.01))
    mine.save(tmp_path / "cal.json")
    back = load_detection_calibration(tmp_path / "cal.json")
    one, other = mine.apply(seen, (100, 100)), back.apply(seen, (100, 100))
    for name in ("scores", "class_scores", "class_variance", "box_aleatoric", "box_epistemic"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name))
    np.testing.assert_allclose(mine.interval(seen, 0.9)[0], back.interval(seen, 0.9)[0])
    assert back.about == {"images": 3}
    assert back.describe() == mine.describe()
    with pytest.raises(InputError, match="boxes, not masks"):
        load_calibrator(tmp_path / "cal.json")


def test_applied_scores_are_coherent() -> None:
    seen = _prediction(_scores(50, 3)[0], "softmax", np.full((50, 4), 0.01))
    found = _calibration().apply(seen, (100, 100))
    assert (found.class_scores.sum(1) <= 1 + 1e-9).all()
    own = found.class_scores[np.arange(50), found.classes]
    assert (own <= found.scores + 1e-9).all()
    # aleatoric and epistemic keep their shares
    np.testing.assert_allclose(found.box_epistemic / found.box_aleatoric, 3)
    assert (found.classes == seen.classes).all()
    assert np.isfinite(found.expected_entropy).all()


def test_parts_may_be_missing() -> None:
    seen = _prediction(_scores(3, 3)[0], "softmax")
    assert (DetectionCalibration(("a", "b", "c", "d")).apply(seen).scores == seen.scores).all()
    with pytest.raises(InputError, match="corners"):
        DetectionCalibration(("a", "b", "c", "d")).interval(seen, 0.9)
    with pytest.raises(InputError, match="knows 1 classes"):
        DetectionCalibration(("a",)).apply(seen)


def test_damaged_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "cal.json"
    _calibration().save(path)
    text = path.read_text()
    path.write_text(text.replace('"temperature"', '"warmth"'))
    with pytest.raises(InputError, match="damaged"):
        load_detection_calibration(path)
    from dubio.calibration.temperature import TemperatureScaling

    TemperatureScaling().fit(np.array([[3.0, 0.0]] * 4), np.array([0, 0, 0, 1])).save(path)
    with pytest.raises(InputError, match="masks, not boxes"):
        load_detection_calibration(path)
