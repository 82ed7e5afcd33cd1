"""Fitting on some images, judging on others: the right temperature, honest splits, and sentences."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from dubio import (
    CalibrateOptions,
    FileCandidate,
    InputError,
    NetworkCandidate,
    ReliabilityOptions,
    calibrate,
    load_calibrator,
    load_model,
    measure_reliability,
)
from dubio.core.errors import MissingExtraError
from dubio.jobs.calibrate import check_apart, split_in_two
from dubio.jobs.fitting import METHODS

from .helpers import NAMES, domain, shards, write_domain, write_network, write_space

FEW = ReliabilityOptions(replicates=0, worst=0)
TORCH = {"local", "local-logits"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Domains to fit on and to judge; one where labels are as sure as the network says."""
    root = tmp_path_factory.mktemp("calibrate")
    for name, n, first, hot in (("cal", 8, 0, 1.0), ("test", 6, 50, 1.0), ("sharp", 4, 80, 1 / 3)):
        write_space(write_domain(root / name, n, first=first, hot=hot) / "colours.json")
    return root


def files(world):
    return FileCandidate("loud", {n: world / n / "scores" for n in ("cal", "test", "sharp")})


def network(root, sure=3.0):
    pytest.importorskip("onnx")
    path = root / f"net{sure:g}.onnx"
    if not path.exists():
        write_network(path, sure)
    space = root / "cal/colours.json"
    model = load_model(path, space=space, input_scale="0-1", device="cpu")
    return NetworkCandidate("loud", model)


def ece(result, model, place):
    return result.measured.cell(model, place)["metrics"]["ece"]


def test_the_right_temperature_is_found_and_the_error_falls(world, tmp_path):
    options = CalibrateOptions(methods=("temperature", "temperature-ece", "vector"), pixels=500)
    result = calibrate(
        files(world), [domain(world / "cal")], [domain(world / "test")], tmp_path / "run", options, FEW
    )
    assert result.calibrators["temperature"].temperature_ == pytest.approx(3, rel=0.1)
    before, after = ece(result, "loud", "test"), ece(result, "temperature", "test")
    assert after < before / 4
    cells = {m: result.measured.cell(m, "test")["metrics"] for m in ("loud", "temperature")}
    assert cells["temperature"]["mean_iou"] == cells["loud"]["mean_iou"]
    assert cells["temperature"]["nll"] < cells["loud"]["nll"]
    assert result.sentences[0].startswith("By NLL ")
    for name, path in result.files.items():
        assert load_calibrator(path).key() == result.calibrators[name].key()


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_is_fitted_saved_and_applied(world, tmp_path, method, monkeypatch):
    if method in TORCH:
        pytest.importorskip("torch")
        text, maker = METHODS[method]
        monkeypatch.setitem(METHODS, method, (text, lambda o: maker(o).set_params(epochs=1)))
    options = CalibrateOptions(methods=(method,), pixels=400, clusters=2)
    fit, test = [domain(world / "cal")], [domain(world / "test")]
    result = calibrate(network(world), fit, test, tmp_path / "run", options, FEW)
    assert ece(result, method, "test") < ece(result, "loud", "test")
    # the file does what the fitted object did
    saved = replace(network(world), name=method, calibrator=load_calibrator(result.files[method]))
    again = measure_reliability(test, [saved], tmp_path / "again", replace(FEW, learned=False))
    wanted = result.measured.cell(method, "test")["metrics"]
    for name in ("ece", "nll", "mean_iou"):
        assert again.cell(method, "test")["metrics"][name] == pytest.approx(wanted[name], rel=1e-6), name


def test_images_are_never_both_fitted_on_and_judged(world, tmp_path):
    cal, test = domain(world / "cal"), domain(world / "test")
    both = replace(cal, name="both", dataset=replace(cal.dataset, samples=cal.dataset.samples[-1:]))
    with pytest.raises(InputError, match=r"'p007' is in 'cal', which is fitted on, and in 'both'"):
        calibrate(files(world), [cal], [test, both], tmp_path / "run", CalibrateOptions(), FEW)
    assert not (tmp_path / "run").exists()
    check_apart([cal], [test])


def test_a_domain_is_split_in_runs_of_neighbours(world):
    whole = domain(world / "cal", "city")
    first, second = split_in_two(whole, blocks=4)
    names = [[s.image_id for s in half.dataset] for half in (first, second)]
    assert names == [["p000", "p001", "p004", "p005"], ["p002", "p003", "p006", "p007"]]
    assert (first.name, second.name, second.of) == ("city calibration", "city test", "city")
    check_apart([first], [second])
    turned = replace(whole, dataset=replace(whole.dataset, samples=whole.dataset.samples[::-1]))
    assert [s.image_id for s in split_in_two(turned, blocks=4)[0].dataset] == names[0]
    one = replace(whole, dataset=replace(whole.dataset, samples=whole.dataset.samples[:1]))
    with pytest.raises(InputError, match="has one image"):
        split_in_two(one)


def test_scores_in_files_are_found_for_halves_of_parts(world):
    """Parts of a data set read the scores of the whole, however often it is cut."""
    part = replace(domain(world / "cal"), name="cal fog", of="cal")
    first, _ = split_in_two(part)
    assert len(files(world).source(first)) == len(first)


def test_several_domains_are_fitted_together(world, tmp_path):
    options = CalibrateOptions(methods=("temperature",), pixels=400)
    candidate = files(world)
    alone = calibrate(
        candidate, [domain(world / "cal")], [domain(world / "test")], tmp_path / "a", options, FEW
    )
    both = calibrate(
        candidate, [domain(world / "cal"), domain(world / "sharp")], [domain(world / "test")],
        tmp_path / "b", options, FEW,
    )  # fmt: skip
    # where the model is right to be sure, a lower temperature fits
    t = [r.calibrators["temperature"].temperature_ for r in (alone, both)]
    assert 1 < t[1] < t[0]


def test_a_domain_that_gets_worse_is_named(world, tmp_path):
    options = CalibrateOptions(methods=("temperature",), pixels=400)
    result = calibrate(
        files(world), [domain(world / "cal")], [domain(world / "test"), domain(world / "sharp")],
        tmp_path / "run", options, FEW,
    )  # fmt: skip
    assert ece(result, "temperature", "sharp") > ece(result, "loud", "sharp")
    worse = [s for s in result.sentences if "worse" in s]
    assert len(worse) == 1
    assert worse[0].startswith("temperature makes calibration worse in sharp (ECE ")
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert worse[0] in summary["guarantees"]


def test_domains_of_other_classes_keep_the_calibrators_of_logits(world, tmp_path):
    other = write_domain(tmp_path / "warmth", 4, first=90, values=(0, 1, 1))
    write_space(other / "warmth.json", ("warm", "cool"))
    (tmp_path / "warm.toml").write_text('[map]\nred = "warm"\ngreen = "cool"\nblue = "cool"\n')
    place = domain(other, space="warmth.json", class_map=tmp_path / "warm.toml")
    options = CalibrateOptions(methods=("temperature", "isotonic"), pixels=400)
    said: list[str] = []
    for n, test in enumerate(([domain(world / "test"), place], [place, domain(world / "test")])):
        result = calibrate(
            network(world), [domain(world / "cal")], test, tmp_path / f"run{n}", options, FEW, say=said.append
        )
        there = {(c["model"], c["domain"]) for c in result.measured.summary["cells"]}
        assert ("temperature", "warmth") in there
        assert ("isotonic", "warmth") not in there
        assert ("isotonic", "test") in there
        assert ece(result, "temperature", "warmth") < ece(result, "loud", "warmth")
    assert "without isotonic" in said[0]


def test_other_classes_to_fit_on_are_refused(world, tmp_path):
    other = write_domain(tmp_path / "other", 3, first=90)
    write_space(other / "colours.json", ("blue", "green", "red"))
    candidate = FileCandidate("loud", {"cal": world / "cal/scores", "other": other / "scores"})
    with pytest.raises(InputError, match="'other' has other classes than 'cal'"):
        calibrate(
            candidate, [domain(world / "cal"), domain(other)], [domain(world / "test")],
            tmp_path / "run", CalibrateOptions(), FEW,
        )  # fmt: skip


def test_a_stopped_run_goes_on_and_fits_nothing_twice(world, tmp_path, monkeypatch):
    from dubio.calibration.temperature import TemperatureScaling

    options = CalibrateOptions(methods=("temperature",), pixels=400)
    arguments = (
        files(world),
        [domain(world / "cal")],
        [domain(world / "test")],
        tmp_path / "run",
        options,
        FEW,
    )
    first = calibrate(*arguments)
    before = shards(tmp_path / "run")
    monkeypatch.setattr(TemperatureScaling, "fit", lambda *_: pytest.fail("fitted again"))
    second = calibrate(*arguments)
    assert shards(tmp_path / "run") == before
    assert second.measured.summary["cells"] == first.measured.summary["cells"]
    assert second.sentences == first.sentences


def test_a_calibrated_model_is_not_calibrated_again(world, tmp_path):
    from dubio.calibration.temperature import Identity

    candidate = replace(files(world), calibrator=Identity())
    with pytest.raises(InputError, match="the model is calibrated already"):
        calibrate(candidate, [domain(world / "cal")], [domain(world / "test")], tmp_path / "run")


def test_promises_are_kept_where_images_are_alike(world, tmp_path):
    many = write_domain(tmp_path / "many", 30, first=200)
    write_space(many / "colours.json")
    candidate = FileCandidate("loud", {"many": many / "scores", "test": world / "test/scores"})
    options = CalibrateOptions(methods=("temperature",), pixels=200, risks=(("red", 0.2),))
    result = calibrate(candidate, [domain(many)], [domain(world / "test")], tmp_path / "run", options, FEW)
    threshold, found = (s for s in result.sentences if s.startswith("red"))
    assert "miss at most 0.2" in threshold
    missed = float(found.split(": ")[1].split()[0])
    assert 0.1 < missed < 0.25
    assert (tmp_path / "run/calibrators/risk-red.npz").is_file()


def test_a_promise_that_few_images_can_not_make_is_said_once(world, tmp_path):
    options = CalibrateOptions(methods=("temperature",), pixels=200, risks=(("red", 0.05),), confidence=0.9)
    result = calibrate(
        files(world), [domain(world / "cal")], [domain(world / "test")], tmp_path / "run", options, FEW
    )
    said = [s for s in result.sentences if s.startswith("red")]
    assert len(said) == 1
    assert "no threshold can promise" in said[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"methods": ("magic",)}, "there is no method 'magic'"),
        ({"risks": (("lilac", 0.1),)}, "lilac"),
        ({"risks": (("red", 2.0),)}, "between 0 and 1"),
        ({"corruptions": ("sandstorm",)}, "sandstorm"),
    ],
)
def test_options_that_mean_nothing_are_refused(world, tmp_path, options, words):
    def call():
        given = replace(CalibrateOptions(methods=("temperature",), pixels=100), **options)
        return calibrate(files(world), fit, test, tmp_path / "run", given, FEW)

    fit, test = [domain(world / "cal")], [domain(world / "test")]
    with pytest.raises(InputError, match=words):
        call()


def test_calibrators_may_learn_from_shifted_copies(world, tmp_path):
    fit, test = [domain(world / "cal")], [domain(world / "test")]
    plain = CalibrateOptions(methods=("temperature",), pixels=300)
    grown = replace(plain, corruptions=("gaussian_noise:3",), augment=1)
    one = calibrate(network(world), fit, test, tmp_path / "a", plain, FEW)
    other = calibrate(network(world), fit, test, tmp_path / "b", grown, FEW)
    t = [r.calibrators["temperature"].temperature_ for r in (one, other)]
    assert t[1] > t[0] * 1.03, "noise makes the network wrong more often than it says"
    said = json.loads((tmp_path / "b/summary.json").read_text())["guarantees"]
    assert sum("fitted on cal" in line for line in said) == 3


def test_the_calibrator_of_other_classes_or_channels_is_refused(world, tmp_path):
    from dubio import IsotonicCalibration

    rng = np.random.default_rng(0)
    z = rng.normal(size=(3000, 3)).astype(np.float32)
    labels = z.argmax(1)
    own = IsotonicCalibration().fit(z, labels).name_classes(NAMES)
    other = IsotonicCalibration().fit(z, labels).name_classes(("a", "b", "c"))
    few = replace(FEW, learned=False)
    test = [domain(world / "test")]
    measure_reliability(test, [replace(files(world), calibrator=own)], tmp_path / "own", few)
    for candidate in (files(world), network(world)):
        with pytest.raises(InputError, match="was fitted on 3 other classes"):
            measure_reliability(test, [replace(candidate, calibrator=other)], tmp_path / "no", few)
    from dubio import VectorScaling

    vector = VectorScaling().fit(rng.normal(size=(3000, 5)).astype(np.float32), labels)
    with pytest.raises(InputError, match="3 channels, the calibrator was fitted on 5"):
        measure_reliability(test, [replace(files(world), calibrator=vector)], tmp_path / "v", few)


def test_without_the_onnx_package_clusters_are_made_of_the_logits(world, tmp_path, monkeypatch):
    def missing(model):
        raise MissingExtraError("taking features from an ONNX file", "onnx")

    monkeypatch.setattr("dubio.jobs.calibrate.FeatureExtractor", missing)
    said: list[str] = []
    options = CalibrateOptions(methods=("clustered",), pixels=400, clusters=2)
    fit, test = [domain(world / "cal")], [domain(world / "test")]
    result = calibrate(network(world), fit, test, tmp_path / "run", options, FEW, say=said.append)
    assert any("instead of the network's features" in line and "dubio[onnx]" in line for line in said)
    assert result.calibrators["clustered"].needs == frozenset()
    assert not result.measured.quarantine
