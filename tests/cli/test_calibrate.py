"""``dubio calibrate``, and what becomes of its files in other commands."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dubio import load_calibrator

from ..jobs.helpers import (
    answer,
    cells,
    complaint,
    data,
    logits,
    run_cli,
    write_domain,
    write_network,
    write_space,
)

FEW = ("--replicates", "0", "--worst", "0", "--device", "cpu", "--pixels", "300")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    pytest.importorskip("onnx")
    root = tmp_path_factory.mktemp("calibrate")
    write_space(root / "colours.json")
    write_domain(root / "city", 12)
    write_domain(root / "fog", 4, first=60, hot=2.0)
    write_network(root / "loud.onnx", 3.0)
    return root


@pytest.fixture(scope="module")
def fitted(world):
    """A run with three calibrators."""
    found = answer("calibrate", *city(world), *model(world), *methods("temperature", "isotonic", "vector"),
                   *FEW, "--out", world / "run")  # fmt: skip
    return found["calibrators"]


def city(world):
    return ("--data", data("city", world / "city", world / "colours.json"))


def fog(world):
    return ("--data", data("fog", world / "fog", world / "colours.json"))


def model(world):
    return ("--model", f"loud={world / 'loud.onnx'}?space={world / 'colours.json'}&input-scale=0-1")


def methods(*names):
    return [word for name in names for word in ("--method", name)]


def test_halves_of_one_data_set(world, tmp_path):
    found = answer("calibrate", *city(world), *fog(world), "--corrupt", "gaussian_noise:3", *model(world),
                   *methods("temperature"), *FEW, "--out", tmp_path / "run")  # fmt: skip
    table = cells(found)
    places = ("city test", "fog", "city test gaussian_noise 3")
    assert {(m, d) for d in places for m in ("loud", "temperature")} <= set(table)
    for place in places:
        before, after = (table[m, place]["metrics"] for m in ("loud", "temperature"))
        assert after["ece"] < before["ece"]
        assert (after["mean_iou"], after["accuracy"]) == (before["mean_iou"], before["accuracy"])
    assert 2.7 < load_calibrator(found["calibrators"]["temperature"]).temperature_ < 3.3
    assert "Under shift (mean of 2 domains) temperature is best" in found["sentences"][0]
    assert (tmp_path / "run/report.html").is_file()


def test_named_domains_are_fitted_on_and_others_judged(world, tmp_path):
    result = run_cli("calibrate", *city(world), *fog(world), "--fit", "fog", *model(world),
                     *methods("temperature"), *FEW, "--out", tmp_path / "run")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "fitted on fog: 4 images" in result.stderr
    assert "judged on city: 12 images" in result.stderr
    assert "calibrators: " in result.stdout
    # labels are noisier in the fog: its temperature is too high for the city
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert [d["name"] for d in summary["domains"]] == ["city"]


def test_scores_in_files_can_be_calibrated(world, tmp_path):
    found = answer("calibrate", *city(world), "--scores", world / "city/scores", *methods("temperature"),
                   *FEW, "--out", tmp_path / "run")  # fmt: skip
    table = cells(found)
    assert (
        table["temperature", "city test"]["metrics"]["ece"] < table["scores", "city test"]["metrics"]["ece"]
    )


def test_bad_input_is_one_sentence_and_status_2(world, tmp_path):
    good = (*city(world), *model(world))
    for args, words in (
        (city(world), "no model is given"),
        ((*good, *fog(world), "--fit", "day"), "there is no domain 'day' to fit on"),
        ((*good, "--fit", "city"), "all domains are fitted on"),
        ((*good, *fog(world), "--fit", "fog", "--data", data("too", world / "fog", world / "colours.json")),
         "which is fitted on, and in 'too'"),
        ((*good, "--method", "magic"), "there is no method 'magic'"),
        ((*good, "--risk", "red"), "is no class and level"),
        ((*good, "--risk", "red:much"), "is no class and level"),
        ((*good, *model(world)[:1], model(world)[1].replace("loud=", "twice=")), "one model at a time"),
        ((*good, "--fit-corrupt", "sandstorm:1"), "sandstorm"),
    ):  # fmt: skip
        assert words in complaint("calibrate", *args, *FEW, "--out", tmp_path / "run"), words


def predict(world, out, *more):
    return answer(
        "predict", "--model", world / "loud.onnx", "--model-space", world / "colours.json",
        "--input-scale", "0-1", "--device", "cpu", "--images", world / "fog/images",
        "--labels", world / "fog/labels", "--label-space", world / "colours.json", "--keep-scores",
        "--out", out, *more,
    )  # fmt: skip


def test_predict_applies_a_calibrator(world, fitted, tmp_path):
    plain = predict(world, tmp_path / "run")
    before = {p.name: np.load(p) for p in sorted((tmp_path / "run/scores").glob("*.npy"))}
    tempered = predict(world, tmp_path / "run", "--calibrator", fitted["temperature"])
    after = {p.name: np.load(p) for p in sorted((tmp_path / "run/scores").glob("*.npy"))}
    assert tempered["resumed"] == 0, "what was predicted without a calibrator is not taken over"
    assert (tempered["mean_iou"], tempered["pixel_accuracy"]) == (plain["mean_iou"], plain["pixel_accuracy"])
    t = load_calibrator(fitted["temperature"]).temperature_
    assert before.keys() == after.keys()
    for name, scores in before.items():
        image = np.asarray(scores, np.float64) / t
        np.testing.assert_allclose(after[name], image, rtol=2e-3, atol=2e-3)
        assert after[name].dtype == np.float16
    again = predict(world, tmp_path / "run", "--calibrator", fitted["temperature"])
    assert again["resumed"] == 4


def test_predict_writes_probabilities_of_calibrators_of_probabilities(world, fitted, tmp_path):
    predict(world, tmp_path / "run", "--calibrator", fitted["isotonic"])
    from PIL import Image

    for path in sorted((tmp_path / "run/scores").glob("*.npy")):
        found = np.load(path).astype(np.float64)
        np.testing.assert_allclose(found.sum(0), 1, atol=5e-3)
        picture = np.asarray(Image.open(world / f"fog/images/{path.stem}.png"))
        z = logits(picture, 3.0)
        assert found.max() < 1 / (1 + np.exp(-z.max())) + 1e-3
        assert np.abs(found - np.exp(z - z.max(0)) / np.exp(z - z.max(0)).sum(0)).max() > 0.05


@pytest.mark.parametrize("name", ["temperature", "isotonic", "vector"])
def test_calibrated_scores_are_as_reliable_as_measured(world, fitted, tmp_path, name):
    """predict --calibrator, then reliability of the files = reliability --calibrator of the model."""
    predict(world, tmp_path / "run", "--calibrator", fitted[name])
    by_file = answer("reliability", *fog(world), "--scores", tmp_path / "run/scores", *FEW[:6],
                     "--out", tmp_path / "files")  # fmt: skip
    by_model = answer("reliability", *fog(world), *model(world), "--calibrator", fitted[name], *FEW[:6],
                      "--out", tmp_path / "model")  # fmt: skip
    one, other = cells(by_file)["scores", "fog"], cells(by_model)["loud", "fog"]
    for metric in ("ece", "nll", "mean_iou", "accuracy"):
        assert one["metrics"][metric] == pytest.approx(other["metrics"][metric], abs=2e-3), metric


def test_the_calibrator_of_another_model_or_label_space_is_one_sentence(world, fitted, tmp_path):
    write_space(tmp_path / "names.json", ("a", "b", "c"))
    write_domain(tmp_path / "day", 2)
    place = ("--data", data("day", tmp_path / "day", tmp_path / "names.json"))
    named = ("--model", f"{world / 'loud.onnx'}?space={tmp_path / 'names.json'}&input-scale=0-1")
    said = complaint("reliability", *place, *named, "--calibrator", fitted["isotonic"], *FEW[:6],
                     "--out", tmp_path / "r")  # fmt: skip
    assert "was fitted on 3 other classes" in said
    write_network(tmp_path / "five.onnx", channels=(0, 1, 2), count=5)
    five = ("--model", f"{tmp_path / 'five.onnx'}?input-scale=0-1")
    said = complaint("reliability", *place, *five, "--calibrator", fitted["vector"], *FEW[:6],
                     "--out", tmp_path / "v")  # fmt: skip
    assert "5 channels, the calibrator was fitted on 3" in said
    arguments = (
        "predict", "--model", tmp_path / "five.onnx", "--input-scale", "0-1", "--images",
        world / "fog/images", "--device", "cpu", "--out", tmp_path / "p",
    )  # fmt: skip
    assert "fitted on" in complaint(*arguments, "--calibrator", fitted["vector"])
    assert "other classes" in complaint(*arguments, "--calibrator", fitted["isotonic"])
    assert "doesn't exist" in complaint(*arguments, "--calibrator", tmp_path / "none.json")


def test_clusters_by_features_need_the_network(world, tmp_path):
    found = answer("calibrate", *city(world), *model(world), *methods("clustered"), "--clusters", "2",
                   *FEW, "--out", tmp_path / "run")  # fmt: skip
    path = found["calibrators"]["clustered"]
    predict(world, tmp_path / "pred", "--calibrator", path)
    said = complaint("reliability", *fog(world), "--scores", world / "fog/scores", "--calibrator", path,
                     *FEW[:6], "--out", tmp_path / "r")  # fmt: skip
    assert "wants features of the network" in said
