"""Figures of a validation: known answers, calibration out of sample, what is left out and why."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from dubio.calibration.boxes.bundle import DetectionCalibration
from dubio.core.errors import InputError
from dubio.jobs.box_pairs import pair_boxes
from dubio.jobs.calibrate_boxes import BoxCalibrateOptions, calibrate_boxes
from dubio.jobs.validate import ValidateOptions, validate
from dubio.jobs.validate_calibrators import Calibrators, cross_fitted
from dubio.jobs.validate_figures import best_score, detection_figures
from dubio.jobs.validate_pairs import PairingOptions
from dubio.jobs.validate_rows import validation_rows
from dubio.jobs.validate_uncertainty import along, corner_part, correlations, worth
from dubio.jobs.validate_wall import criteria

from .validate_world import crowd_of, dataset, draw, labels, seen, tiny

PLAIN = ValidateOptions(min_score=0.0, cross_fit=False, replicates=50, pictures=0)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    data, found = crowd_of()
    return validate(
        data, found, tmp_path_factory.mktemp("crowd") / "run", ValidateOptions(min_score=0.0, replicates=100)
    )


def test_known_answers(tmp_path):
    data, found = tiny()
    summary = validate(data, found, tmp_path / "run", PLAIN).summary
    assert summary["counts"] == {"found": 2, "wrong_class": 1, "missed": 1, "false": 1, "ignored": 0}
    figures = summary["figures"]
    assert figures["precision"] == pytest.approx(2 / 4)
    assert figures["recall"] == pytest.approx(2 / 4)
    assert figures["f1"] == pytest.approx(1 / 2)
    assert figures["missed"] == pytest.approx(1 / 4)
    assert figures["misclassification"] == pytest.approx(1 / 3)
    assert figures["mean_iou"] == pytest.approx((0.9 + 0.9 + 1) / 3)
    assert figures["rmse"] == pytest.approx(np.sqrt((4 + 16) / 12))
    cow, hen = summary["classes"]
    assert [cow[k] for k in ("name", "labels", "found", "missed", "false", "taken_for")] == [
        "cow", 2, 1, 1, 1, 1,
    ]  # fmt: skip
    assert cow["precision"] == pytest.approx(1 / 3)
    assert (hen["labels"], hen["wrong_class"], hen["precision"], hen["recall"]) == (2, 1, 1.0, 0.5)
    total = summary["corners"]["figures"]["total"]["as it is"]
    sigma = np.array([[1, 2, 3, 4], [4] * 4, [2] * 4], float)
    off = np.array([[0, 0, 0, 2], [0, -4, 0, 0], [0] * 4], float)
    assert total["sharpness"] == pytest.approx(np.sqrt((sigma**2).mean()))
    assert total["urmse"] == pytest.approx(np.sqrt(((sigma - np.abs(off)) ** 2).mean()))
    nll = 0.5 * np.log(2 * np.pi) + np.log(sigma) + 0.5 * (off / sigma) ** 2
    assert total["nll"] == pytest.approx(nll.mean())
    assert summary["corners"]["figures"]["aleatoric"]["as it is"]["sharpness"] < total["sharpness"]
    assert summary["headline"] == (
        "Finds 50 % of 4 boxes; 50 % of what it reports is right; its stated corners are too careful."
    )


def test_files_of_a_run(tmp_path):
    data, found = tiny()
    result = validate(data, found, tmp_path / "run", PLAIN)
    there = sorted(p.name for p in result.path.iterdir() if not p.name.startswith("."))
    assert there == ["run.json", "summary.json", "validate.html", "validation.parquet"]
    assert json.loads((result.path / "summary.json").read_text())["counts"]["found"] == 2
    assert json.loads((result.path / "run.json").read_text())["status"] == "done"


def test_defect_border_boxes_count():
    """The published error leaves out coordinates whose label is 0."""
    data = dataset({"a": labels([[0, 0, 10, 10]], [0])})
    found = {"a": seen([[2, 0, 10, 10]], [0.9], [0])}
    rows = validation_rows(data, found, PairingOptions())
    assert detection_figures(rows, replicates=0)[0]["rmse"] == pytest.approx(1.0)


def test_false_detections_lower_precision_and_average_precision(tmp_path):
    data, found = tiny()
    fine = validate(data, found, tmp_path / "fine", PLAIN).summary
    more = dict(found)
    more["c"] = seen([[0, 0, 9, 9]], [0.95], [0], box_aleatoric=[[1] * 4], box_epistemic=[[1] * 4])
    worse = validate(data, more, tmp_path / "worse", PLAIN).summary
    assert worse["figures"]["precision"] < fine["figures"]["precision"]
    assert worse["average_precision"]["ap"] < fine["average_precision"]["ap"]
    assert worse["figures"]["recall"] == fine["figures"]["recall"]


def test_least_score_is_where_f1_is_greatest():
    data = dataset({"a": labels([[0, 0, 10, 10], [20, 0, 30, 10]], [0, 0])})
    found = seen(
        [[0, 0, 10, 10], [20, 0, 30, 10], [50, 0, 60, 10], [70, 0, 80, 10]], [0.9, 0.6, 0.6, 0.2], [0] * 4
    )
    assert best_score(pair_boxes(data, {"a": found}), 2) == 0.6
    assert best_score(pair_boxes(data, {"a": found.take(np.array([3]))}), 2) == 0.0


def test_detections_without_variances(tmp_path):
    data = dataset({"a": labels([[0, 0, 10, 10]], [0]), "b": labels([], [])})
    said = []
    result = validate(
        data, {"a": seen([[0, 0, 10, 9]], [0.9], [0])}, tmp_path / "run", ValidateOptions(), say=said.append
    )
    assert result.summary["corners"] == {"left_out": "the detections state no variances of their corners"}
    assert result.summary["corner_cases"]["left_out"].startswith("the detections state no aleatoric")
    assert "too few to calibrate on" in said[0]
    assert any("Nothing can be said" in s for s in result.summary["sentences"])
    assert "its stated corners" not in result.summary["headline"]


def test_no_detection_at_all(tmp_path):
    data, _ = tiny()
    summary = validate(data, {}, tmp_path / "run", PLAIN).summary
    assert summary["counts"]["missed"] == 4
    assert summary["figures"]["precision"] is None
    assert summary["figures"]["rmse"] is None
    assert summary["headline"] == "Finds 0 % of 4 boxes."


def test_no_label_at_all(tmp_path):
    with pytest.raises(InputError, match="no labelled box"):
        validate(dataset({"a": labels([], [])}), {}, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_true_uncertainties_are_found_true(crowd):
    total = crowd.summary["corners"]["figures"]["total"]
    assert total["as it is"]["ece"] < 0.02
    assert total["calibrated"]["ece"] < 0.03
    assert total["as it is"]["spearman_residual"] > 0.3
    assert crowd.summary["headline"].endswith("as sure as they should be.")
    low, high = crowd.summary["corners"]["intervals"]["as it is"]["coverage_90"]
    assert low < total["as it is"]["coverage_90"] < high
    within = (crowd.rows["given"] >= crowd.rows["low"]) & (crowd.rows["given"] <= crowd.rows["high"])
    assert within[crowd.rows.paired].mean() == pytest.approx(total["calibrated"]["coverage_90"], abs=1e-3)


def test_calibration_mends_sigmas_that_are_too_large(tmp_path):
    data, found = crowd_of(sigma_factor=3.0, seed=3)
    summary = validate(data, found, tmp_path / "run", ValidateOptions(replicates=0, pictures=0)).summary
    total = summary["corners"]["figures"]["total"]
    assert total["as it is"]["ece"] > 0.2
    assert total["calibrated"]["ece"] < 0.03
    assert "too careful" in summary["headline"]


def test_defect_calibrated_figures_are_of_calibrated_sigmas(crowd):
    """The published calibrated figures are computed from uncalibrated ones."""
    kept = crowd.rows.paired
    sigma = crowd.rows["cal_sigma"][kept].astype(float)
    said = crowd.summary["corners"]["figures"]["total"]["calibrated"]["sharpness"]
    assert said == pytest.approx(np.sqrt((sigma**2).mean()), rel=1e-5)
    assert not np.allclose(sigma, crowd.rows["sigma"][kept])


def test_defect_no_image_is_judged_by_a_calibration_that_has_seen_it():
    data, found = crowd_of(30)
    before = cross_fitted(data, found, pair_boxes(data, found), seed=1)
    name = "im007"
    changed = dict(found)
    far = found[name]
    changed[name] = seen(
        far.boxes + 1.5, far.scores, far.classes, class_scores=far.class_scores, kind="sigmoid",
        box_aleatoric=far.box_aleatoric, box_epistemic=far.box_epistemic,
    )  # fmt: skip
    after = cross_fitted(data, changed, pair_boxes(data, changed), seed=1)
    own = before.fold(name)
    assert before.folds == after.folds
    for k, (a, b) in enumerate(zip(before.parts, after.parts, strict=True)):
        assert (a.spread.state() == b.spread.state()) == (k == own)
    assert len(set(before.folds.values())) == 5


def test_images_of_one_tag_are_calibrated_by_others(tmp_path):
    data, found = crowd_of(30)
    samples = tuple(
        replace(s, domain={"scene": f"s{k // 5}"} if k < 25 else {}) for k, s in enumerate(data.samples)
    )
    data = replace(data, samples=samples)
    parts = cross_fitted(data, found, pair_boxes(data, found), seed=1, group="scene")
    for k in range(5):
        assert len({parts.fold(s.image_id) for s in samples[5 * k : 5 * k + 5]}) == 1
    assert "images of one 'scene' in one part" in parts.words
    options = replace(PLAIN, cross_fit=True, fold_group="scene")
    summary = validate(data, found, tmp_path / "run", options).summary
    assert summary["calibration"] == parts.words
    one = calibrate_boxes(
        data, found, tmp_path / "cal", BoxCalibrateOptions(fold_group="scene", replicates=0)
    )
    plain = calibrate_boxes(data, found, tmp_path / "plain", BoxCalibrateOptions(replicates=0))
    assert one.summary["corners"]["figures"] != plain.summary["corners"]["figures"]
    # what is saved is fitted on all images
    assert one.calibration.spread.state() == plain.calibration.spread.state()
    for wrong in (validate, calibrate_boxes):
        kind = ValidateOptions if wrong is validate else BoxCalibrateOptions
        with pytest.raises(InputError, match="there are: scene"):
            wrong(data, found, tmp_path / "bad", kind(fold_group="town"))


def test_defect_calibrated_parts_were_judged_as_if_they_were_the_whole(tmp_path):
    """A share of a whole that shrank covers less than before, which is no fault of the calibration."""
    data, found = crowd_of(30, sigma_factor=2.0)
    options = ValidateOptions(min_score=0.0, replicates=0, pictures=0)
    figures = validate(data, found, tmp_path / "both", options).summary["corners"]["figures"]
    for kind in ("aleatoric", "epistemic"):
        own = figures[kind]["calibrated"]
        assert own["ece"] is own["coverage_90"] is own["nll"] is None
        assert own["sharpness"] > 0
        assert figures[kind]["as it is"]["ece"] is not None
    assert figures["total"]["calibrated"]["ece"] < figures["total"]["as it is"]["ece"]
    alone = {k: replace(p, box_aleatoric=None) for k, p in found.items()}
    figures = validate(data, alone, tmp_path / "alone", options).summary["corners"]["figures"]
    assert figures["epistemic"] == figures["total"]
    assert figures["epistemic"]["calibrated"]["ece"] < figures["epistemic"]["as it is"]["ece"]


def test_file_of_a_calibration_and_whether_it_has_seen_the_images(tmp_path):
    data, found = crowd_of(30)
    options = BoxCalibrateOptions(compare=False, replicates=0)
    calibration = calibrate_boxes(data, found, tmp_path / "cal", options).calibration
    said = []
    quick = ValidateOptions(replicates=0, pictures=0)
    own = validate(data, found, tmp_path / "own", quick, calibration=calibration, say=said.append)
    assert own.summary["calibrated_in_sample"]
    assert "these very ones" in said[0]
    other, seen_there = crowd_of(30, seed=9)
    fresh = type(other)("elsewhere", other.space, other.samples, other.labels)
    held_out = validate(fresh, seen_there, tmp_path / "out", quick, calibration=calibration)
    assert not held_out.summary["calibrated_in_sample"]
    assert held_out.summary["corners"]["figures"]["total"]["calibrated"]["ece"] < 0.03


def test_worth_and_correlations(crowd):
    found = {(r["uncertainty"], r["calibrated"]): r for r in crowd.summary["worth"]}
    assert found["sigma_rel", False]["spearman_residual"] > 0.3
    assert 0.5 < found["score", False]["auroc_wrong"] <= 1
    factors = {r["factor"] for r in crowd.summary["correlations"]}
    assert factors == {"occlusion", "size", "score"}
    row = next(
        r for r in crowd.summary["correlations"] if (r["uncertainty"], r["factor"]) == ("sigma_rel", "size")
    )
    assert row["low"] < row["spearman"] < row["high"] < 0


def test_order_of_images_and_scale_of_pixels_change_nothing():
    data, found = crowd_of(12)
    rows = validation_rows(data, found, PairingOptions())
    turned = type(data)(data.name, data.space, data.samples[::-1], data.labels)
    again = validation_rows(turned, found, PairingOptions())
    one, two = (corner_part(r, None, replicates=0)["figures"]["total"]["as it is"] for r in (rows, again))
    for name, value in one.items():
        assert two[name] == pytest.approx(value)
    grown = {k: labels(2 * v.boxes, v.classes, occlusion=v.occlusion) for k, v in data.labels.items()}
    larger = {
        k: seen(
            2 * v.boxes, v.scores, v.classes, box_aleatoric=4 * v.box_aleatoric,
            box_epistemic=4 * v.box_epistemic,
        )
        for k, v in found.items()
    }  # fmt: skip
    three = corner_part(
        validation_rows(dataset(grown), larger, PairingOptions()), None, replicates=0
    )["figures"]["total"]["as it is"]  # fmt: skip
    assert three["ece"] == pytest.approx(one["ece"])
    assert three["sharpness"] == pytest.approx(2 * one["sharpness"])
    assert three["nll"] == pytest.approx(one["nll"] + np.log(2))


def test_seed_decides_the_draws():
    data, found = crowd_of(12)
    rows = validation_rows(data, found, PairingOptions())
    assert correlations(rows, replicates=60, seed=1) == correlations(rows, replicates=60, seed=1)
    assert correlations(rows, replicates=60, seed=1) != correlations(rows, replicates=60, seed=2)
    assert len(worth(rows)) == 5


def test_defect_bins_keep_the_smallest_value(shared):
    """The published bins hold 499 of 500 values; all others agree."""
    oracle = np.load(shared / "oracle/2_detection/o7_misc.npz")
    found = along(oracle["b_x"], oracle["b_y"], 10)
    assert found["count"].sum() == 500
    assert oracle["b_cnt"].sum() == 499
    np.testing.assert_allclose(found["mean"][1:], oracle["b_mean"][2:], atol=1e-9)
    np.testing.assert_allclose(found["std"][1:], oracle["b_std"][2:], atol=1e-9)


def test_pictures_of_the_page(tmp_path):
    data, found = tiny()
    folder = draw(tmp_path / "images", "abc")
    data = dataset(data.labels, images=folder)
    options = ValidateOptions(min_score=0.0, cross_fit=False, replicates=0, pictures=10)
    validate(data, found, tmp_path / "run", options)
    assert sorted(p.name for p in (tmp_path / "run/pictures").iterdir()) == ["000000.jpg", "000001.jpg"]
    (folder / "b.png").write_bytes(b"no picture")
    said = []
    validate(data, found, tmp_path / "run", options, say=said.append)
    assert sorted(p.name for p in (tmp_path / "run/pictures").iterdir()) == ["000000.jpg"]
    assert len(said) == 1


def test_defect_images_are_ranked_by_their_own_numbers():
    """The published ranking names the last image on every line, and sorts numbers as words."""
    data, found = crowd_of(12)
    rows = validation_rows(data, found, PairingOptions())
    values = criteria(rows)
    for k, name in enumerate(rows.names):
        own = rows["image"] == k
        assert values["uncertain"][k] == pytest.approx(rows["sigma_rel"][own].max()), name
        assert values["missed"][k] == (rows["state"][own] == 2).sum()
        far = np.abs(rows.residual[own]) / rows["sigma"][own]
        assert values["overconfident"][k] == pytest.approx(np.nanmax(far), rel=1e-5)


def test_a_calibration_that_leaves_corners_alone():
    data, found = crowd_of(12)
    calibrators = Calibrators((DetectionCalibration(data.space.names),))
    rows = validation_rows(data, found, PairingOptions(), calibrators)
    assert [c for c in rows.columns if c.startswith("cal_")] == ["cal_score", "cal_entropy"]
    assert list(corner_part(rows, calibrators, replicates=0)["figures"]["total"]) == ["as it is"]
